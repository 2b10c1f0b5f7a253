//! An executor: the right to run one instance of a model, and the thread that has it.
//!
//! Executors of a model take batches from its lanes and, in turn with that, requests that run alone from its queue. Who is
//! idle takes what is there *now*; while it runs, the next batch fills. Every request that was taken is answered, whatever
//! happens in the framework. An executor ends when the queue is closed and everything is empty.

use crate::batching::{Batching, Seal};
use crate::cost::Learner;
use crate::lanes::ModelLane;
use crate::model::Served;
use crate::queue::{Counted, Job, ModelQueue};
use crate::request::{Request, in_time};
use crate::returns::Returns;
use crate::run::{Runner, Work, note_run, run_alone, run_batch};
use crate::seal::{share, take};
use graphpiped_backend_api::Instance;
use graphpiped_batch::Sealed;
use graphpiped_memory::Pool;
use graphpiped_transport::service::Reply;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

/// What an executor has.
pub struct Executor {
    /// The model.
    pub served: Arc<Served>,
    /// The instance; made anew after a panic.
    pub instance: Option<Box<dyn Instance>>,
    /// What learns from the runs.
    pub learner: Learner,
    /// What waits for it.
    pub queue: Arc<ModelQueue>,
    /// Its place at the queue's gate.
    pub place: usize,
    /// Memory for outputs.
    pub pool: Pool,
    /// The ways back, by reactor.
    pub returns: Arc<[Arc<Returns>]>,
    /// How many threads of the daemon run something now, those inside of a run counted.
    pub running: Arc<AtomicUsize>,
    /// The set of lanes to look into first: the one behind the last.
    pub next_set: usize,
    /// Whether its last batch has left rows behind.
    pub has_left: bool,
}

impl Executor {
    /// Runs what comes until the queue is closed and everything is empty.
    pub fn run(mut self) {
        let served = self.served.clone();
        loop {
            // Both in turn, so that neither starves the other.
            let has_run =
                served.batching.as_ref().is_some_and(|batching| self.run_batch(batching, true)) | self.run_job();
            if has_run {
                continue;
            }
            if self.queue.is_closed() && !self.has_work() {
                return;
            }
            self.queue.sleep(self.place, None, || self.has_work());
        }
    }

    fn has_work(&self) -> bool {
        let has_rows = |batching: &Batching| {
            batching.sets.load().iter().any(|set| set.shared.as_ref().is_some_and(|lane| lane.core.has_committed()))
        };
        !self.queue.is_empty() || self.served.batching.as_ref().is_some_and(has_rows)
    }

    /// Takes a batch from the next lane that has one, and runs it; `false` if none has. It lingers for more rows only if it
    /// `may_linger`, because it has nothing else to do.
    fn run_batch(&mut self, batching: &Batching, may_linger: bool) -> bool {
        let sets = batching.sets.load();
        for step in 0..sets.len() {
            let index = (self.next_set + step) % sets.len();
            let Some(lane) = &sets[index].shared else { continue };
            if let Some((sealed, seal)) = self.seal(batching, lane, may_linger) {
                self.next_set = index + 1;
                // Set free before the run, which may take long: the control plane may want to replace it.
                let lane = lane.clone();
                drop(sets);
                self.run_sealed(batching, &lane, sealed, seal);
                return true;
            }
        }
        false
    }

    fn seal(
        &mut self,
        batching: &Batching,
        lane: &Arc<ModelLane>,
        may_linger: bool,
    ) -> Option<(Sealed<Request>, Seal)> {
        // What was left behind by the last batch has waited already.
        let has_waited = may_linger && !batching.linger.is_zero() && !self.has_left && lane.core.has_committed();
        if has_waited {
            self.linger(batching, lane);
        }
        let (committed, worthwhile) = (lane.core.committed_rows(), batching.cost.rows_worthwhile());
        let rows_max = share(committed, self.queue.idle(), worthwhile, lane.rows_max);
        let mut has_answered = false;
        let mut answer = |request: Request, reply| {
            has_answered = true;
            request.deliver(reply);
        };
        let sealed = take(&self.served, batching, lane, rows_max, &mut answer);
        if has_answered {
            // Those who came too late need not wait for the run of the others.
            self.ring();
        }
        let (sealed, seal) = sealed?;
        let more = lane.core.committed_rows();
        self.has_left = more > 0;
        if !self.has_left {
            batching.urgent.clear();
        }
        if more > 0 {
            // Somebody else may be idle, and has been woken for less or not at all.
            self.queue.announce(more.div_ceil(worthwhile.min(lane.rows_max)));
        }
        Some((sealed, if has_waited && seal == Seal::Idle { Seal::Linger } else { seal }))
    }

    /// Waits for a batch to fill, but for no longer than `--linger-us`, and than the most urgent request can wait.
    fn linger(&self, batching: &Batching, lane: &ModelLane) {
        let until = Instant::now() + batching.linger;
        let until = || batching.urgent.by().map_or(until, |by| by.min(until));
        let is_full = || lane.core.committed_rows() >= lane.rows_max;
        // Whoever commits announces it, so this looks again each time that something came.
        while !is_full() && Instant::now() < until() && !self.queue.is_closed() {
            self.queue.sleep(self.place, Some(until()), || is_full() || until() <= Instant::now());
        }
        if !self.queue.is_empty() {
            // It was woken for these as well, and somebody else may be idle.
            self.queue.announce(1);
        }
    }

    fn run_sealed(&mut self, batching: &Batching, lane: &ModelLane, sealed: Sealed<Request>, seal: Seal) {
        batching.counters.sealed(sealed.rows(), seal);
        let counted = self.count_run(sealed.rows());
        let (served, instance, learner, pool) = (&*self.served, &mut self.instance, &mut self.learner, &self.pool);
        let mut runner = Runner { served, batching, lane, instance, learner, pool };
        run_batch(&mut runner, sealed, &mut Request::deliver);
        drop(counted);
        self.ring();
    }

    /// Counts a run of so many rows as one that goes on, until the returned value is dropped.
    fn count_run(&self, rows: usize) -> Counted {
        let (queue, running) = (Arc::clone(&self.queue), Arc::clone(&self.running));
        Counted::new(queue, running, self.served.settings.intra_threads, self.served.cost.predict(rows))
    }

    /// Takes requests from the queue: puts as many as make a batch into a lane, where they join others, or runs one alone;
    /// `false` if none waits.
    fn run_job(&mut self) -> bool {
        let mut rows_gathered = 0;
        let job = loop {
            let Some(job) = self.queue.take() else { return rows_gathered > 0 };
            match self.gather(job) {
                (Some(job), _) => break job,
                (None, rows) => rows_gathered += rows,
            }
            if rows_gathered >= self.served.batching.as_ref().map_or(0, |batching| batching.rows_max) {
                return true;
            }
        };
        let Job { request, work } = job;
        let reply = match request.go_on(&self.served) {
            Ok(()) => self.run_work(&request, &work),
            Err(refusal) => Reply::Refused(refusal),
        };
        // The request's memory goes back before its reply goes out, so that whoever has the reply may have the memory.
        drop(work);
        let reply = in_time(&self.served, request.deadline(), reply);
        request.deliver(reply);
        self.ring();
        true
    }

    /// Runs a request alone. If it has so many rows that it is run in slices, others have a turn after each.
    fn run_work(&mut self, request: &Request, work: &Work) -> Reply {
        let (served, pool) = (Arc::clone(&self.served), self.pool.clone());
        // Of a request that is run in slices, a slice is the run that others may have to wait for.
        let rows_max = served.batching.as_ref().map_or(usize::MAX, |batching| batching.rows_max);
        let rows = work.rows().unwrap_or(1).min(rows_max);
        let mut counted = Some(self.count_run(rows));
        let mut instance = self.instance.take();
        let mut others = Duration::ZERO;
        let mut between = |instance: &mut Option<Box<dyn Instance>>| {
            request.go_on(&served)?;
            let started = Instant::now();
            drop(counted.take());
            std::mem::swap(&mut self.instance, instance);
            if let Some(batching) = &served.batching {
                self.run_batch(batching, false);
            }
            std::mem::swap(&mut self.instance, instance);
            counted = Some(self.count_run(rows));
            others += started.elapsed();
            Ok(())
        };
        let (reply, took) = run_alone(&served, &mut instance, &pool, work, &request.outputs, &mut between);
        self.instance = instance;
        drop(counted);
        note_run(&served, &mut self.learner, work, &reply, took.saturating_sub(others));
        reply
    }

    /// Copies a request into rows, if it fits into a lane and others are there or coming, and says how many; gives it back
    /// otherwise.
    fn gather(&self, job: Job) -> (Option<Job>, usize) {
        let Some(batching) = &self.served.batching else { return (Some(job), 0) };
        let Some(set) = batching.find(&job.work.shapes()) else { return (Some(job), 0) };
        let Some(lane) = &set.shared else { return (Some(job), 0) };
        let joins_others = !self.queue.is_empty() || lane.core.has_committed();
        let rows = job.work.rows().filter(|rows| joins_others && (1..=lane.rows_max).contains(rows));
        let Some(claim) = rows.and_then(|rows| lane.core.claim(rows)) else { return (Some(job), 0) };
        let Job { request, work } = job;
        let rows = claim.rows();
        let (claim, bytes) = work.copy_into(claim);
        batching.counters.copied_gather.add(bytes);
        lane.core.commit(claim, request);
        (None, rows)
    }

    /// Wakes the reactors that sleep, for the replies that were delivered.
    fn ring(&self) {
        self.returns.iter().for_each(|returns| returns.ring());
    }
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor").field("model", &self.served.name()).finish_non_exhaustive()
    }
}
