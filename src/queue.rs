//! What waits for the executors of one model outside of lanes: requests that run alone, and the gate at which executors
//! sleep. Bounded; full is an answer.

use crate::request::Request;
use crate::run::Work;
use crossbeam::queue::ArrayQueue;
use graphpiped_batch::{Doorbell, Gate};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// A request with memory of its own.
#[derive(Debug)]
pub struct Job {
    /// Who is to be answered.
    pub request: Request,
    /// What to run.
    pub work: Work,
}

/// The queue in front of the executors of one model.
#[derive(Debug)]
pub struct ModelQueue {
    jobs: ArrayQueue<Job>,
    /// A place per executor.
    gate: Gate<Unpark>,
    executors: usize,
    /// Executors that run something. A hint, so `Relaxed`.
    busy: AtomicUsize,
    /// How many nanoseconds the run that was begun last is believed to take; 0 = nobody knows. A hint, so `Relaxed`.
    predicted: AtomicU64,
    /// When that run is believed to be over, in nanoseconds since `made`; 0 = nobody knows. A hint, so `Relaxed`.
    end: AtomicU64,
    made: Instant,
    is_closed: AtomicBool,
}

/// Wakes a thread that is parked, or lets it not park.
#[derive(Debug, Default)]
pub struct Unpark(OnceLock<Thread>);

/// A run that goes on, for as long as this is not dropped.
#[derive(Debug)]
#[must_use]
pub struct Counted {
    queue: Arc<ModelQueue>,
    running: Arc<AtomicUsize>,
    threads: usize,
}

impl Counted {
    /// Counts an executor of the queue as one that runs something, for so long as is believed, and `threads` to those of
    /// all `running` ones.
    pub fn new(
        queue: Arc<ModelQueue>,
        running: Arc<AtomicUsize>,
        threads: usize,
        predicted: Option<Duration>,
    ) -> Counted {
        queue.predicted.store(predicted.unwrap_or_default().as_nanos() as u64, Ordering::Relaxed);
        let end = predicted.map(|run| queue.made.elapsed() + run);
        queue.end.store(end.unwrap_or_default().as_nanos() as u64, Ordering::Relaxed);
        queue.busy.fetch_add(1, Ordering::Relaxed);
        running.fetch_add(threads, Ordering::Relaxed);
        Counted { queue, running, threads }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.running.fetch_sub(self.threads, Ordering::Relaxed);
        self.queue.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Unpark {
    /// Says that the calling thread is the one to wake.
    pub fn is_this_thread(&self) {
        self.0.get_or_init(std::thread::current);
    }
}

impl Doorbell for Unpark {
    fn ring(&self) {
        // Who has not told its thread yet does not sleep.
        if let Some(thread) = self.0.get() {
            thread.unpark();
        }
    }
}

impl ModelQueue {
    /// A queue for at most `capacity` jobs, with a place for each of `executors`.
    pub fn new(capacity: usize, executors: usize) -> ModelQueue {
        let gate = Gate::new((0..executors).map(|_| Unpark::default()).collect());
        ModelQueue {
            jobs: ArrayQueue::new(capacity.max(1)),
            gate,
            executors,
            busy: AtomicUsize::new(0),
            predicted: AtomicU64::new(0),
            end: AtomicU64::new(0),
            made: Instant::now(),
            is_closed: AtomicBool::new(false),
        }
    }

    /// Puts a job in; gives it back if there is no room. Executors learn of it with the next [`ModelQueue::announce`].
    pub fn put(&self, job: Job) -> Result<(), Box<Job>> {
        self.jobs.push(job).map_err(Box::new)
    }

    /// Takes the job that has waited longest.
    pub fn take(&self) -> Option<Job> {
        self.jobs.pop()
    }

    /// Jobs that wait.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Whether there is no room for another job; others may change it at any time.
    pub fn is_full(&self) -> bool {
        self.jobs.is_full()
    }

    /// Wakes so many executors, if so many sleep, for what has been published.
    pub fn announce(&self, executors: usize) {
        self.gate.announce(executors);
    }

    /// How long the latest of the runs that go on is believed to take, which is nothing if nobody knows; `None` if none
    /// goes on.
    pub fn predicted(&self) -> Option<Duration> {
        (self.busy.load(Ordering::Relaxed) > 0).then(|| Duration::from_nanos(self.predicted.load(Ordering::Relaxed)))
    }

    /// When the latest of the runs that go on is believed to be over; `None` if nobody knows, or none goes on.
    pub fn end(&self) -> Option<Instant> {
        let end = self.end.load(Ordering::Relaxed);
        (end > 0 && self.busy.load(Ordering::Relaxed) > 0).then(|| self.made + Duration::from_nanos(end))
    }

    /// Executors that run nothing; others may change it at any time.
    pub fn idle(&self) -> usize {
        self.executors.saturating_sub(self.busy.load(Ordering::Relaxed))
    }

    /// No more comes. Executors end when they have emptied everything.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.gate.announce(usize::MAX);
    }

    /// Whether no more comes.
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Lets the executor of this place sleep until it is announced that there is something, unless `has_work` finds that
    /// there is; `until` ends it too.
    pub fn sleep(&self, place: usize, until: Option<Instant>, has_work: impl FnOnce() -> bool) {
        // Before anybody can find it asleep.
        self.gate.bell(place).is_this_thread();
        let asleep = self.gate.fall_asleep(place);
        if !self.is_closed() && !has_work() {
            match until {
                None => std::thread::park(),
                Some(until) => {
                    std::thread::park_timeout(until.saturating_duration_since(Instant::now()));
                }
            }
        }
        drop(asleep);
    }
}
