//! An executor: the right to run one instance of a model, and the thread that has it.
//!
//! Executors of a model take from one bounded queue; who is idle takes next. An executor that has taken a job always
//! delivers a reply for it, whatever happens in the framework. It ends when the queue is empty and closed.

use crate::model::Served;
use crate::returns::Returns;
use crate::run::{Work, run};
use crossbeam::channel::Receiver;
use graphpipe_schema::Code;
use graphpiped_backend_api::Instance;
use graphpiped_memory::Pool;
use graphpiped_transport::service::{Refusal, Reply, Ticket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// A request on its way to an executor.
#[derive(Debug)]
pub struct Job {
    /// Under which its reply is delivered.
    pub ticket: Ticket,
    /// To which reactor.
    pub reactor: usize,
    /// After this nobody wants the reply.
    pub deadline: Option<Instant>,
    /// What to run.
    pub work: Work,
}

/// What an executor has.
pub struct Executor {
    /// The model.
    pub served: Arc<Served>,
    /// The instance; made anew after a panic.
    pub instance: Option<Box<dyn Instance>>,
    /// What waits for it.
    pub jobs: Receiver<Job>,
    /// Memory for outputs.
    pub pool: Pool,
    /// The ways back, by reactor.
    pub returns: Arc<[Returns]>,
    /// How many executors of the daemon are running something now.
    pub running: Arc<AtomicUsize>,
}

impl Executor {
    /// Runs jobs until the queue is closed and empty.
    pub fn run(mut self) {
        while let Ok(job) = self.jobs.recv() {
            // A hint for reactors that may spin; nothing is ordered by it.
            self.running.fetch_add(1, Ordering::Relaxed);
            let started = Instant::now();
            let reply = self.reply(&job, started);
            self.served.counters.run_nanoseconds.add(started.elapsed().as_nanos() as u64);
            self.running.fetch_sub(1, Ordering::Relaxed);
            // The request's memory goes back before its reply goes out, so that whoever has the reply may have the memory.
            let Job { ticket, reactor, work, .. } = job;
            drop(work);
            self.returns[reactor].deliver(ticket, reply);
        }
    }

    fn reply(&mut self, job: &Job, now: Instant) -> Reply {
        match late(&self.served, job.deadline, now) {
            Some(refusal) => Reply::Refused(refusal),
            None => run(&self.served, &mut self.instance, &self.pool, &job.work),
        }
    }
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor").field("model", &self.served.name()).finish_non_exhaustive()
    }
}

/// The refusal of a request that nobody waits for any more.
pub fn late(served: &Served, deadline: Option<Instant>, now: Instant) -> Option<Refusal> {
    let over = now.checked_duration_since(deadline?)?;
    served.counters.late.add(1);
    let message = format!("the deadline passed {} us before the request could run", over.as_micros());
    Some(Refusal::new(Code::DeadlineExceeded, message))
}
