//! A thread that makes predictors and lives as long as they do.
//!
//! MXNet gives operators temporary memory that belongs to the thread that has made their predictor: it is freed when that thread
//! ends, and shared by all predictors that the thread makes. MXNet orders the use of it by its own threads, but not by threads that
//! run operators themselves, as they do here ([`crate::ENVIRONMENT`]): two instances whose predictors one thread had made
//! gave wrong numbers when they ran at the same time. So each instance has a thread of its own, which makes its predictors and
//! otherwise sleeps; they are run on whatever thread the instance is used.
//!
//! Predictors are made by one thread at a time in the whole process ([`Making`]): MXNet's tables of operators are completed
//! while graphs are built, without a lock.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// The right to build graphs and predictors, which one thread has at a time.
pub(crate) struct Making(());

/// Waits for the right to build, and does the work.
pub(crate) fn making<T>(work: impl FnOnce(&Making) -> T) -> T {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    // Nothing is guarded but the work itself, so a panic in it spoils nothing.
    let _lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    work(&Making(()))
}

type Job = Box<dyn FnOnce(&Making) + Send>;

/// The thread. It ends when this is dropped, which waits for it.
pub(crate) struct Home {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Home {
    /// Starts it.
    pub fn start() -> Result<Home, String> {
        let (jobs, work) = channel::<Job>();
        let run = move || work.into_iter().for_each(|job| making(job));
        let thread = thread::Builder::new().name("mxnet-home".into()).spawn(run);
        let thread = thread.map_err(|error| format!("no thread can be started: {error}"))?;
        Ok(Home { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Does the work on the thread, and waits for it. `None` if the thread has ended, because work has panicked.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce(&Making) -> T + Send + 'static) -> Option<T> {
        let (sender, done) = channel();
        let job = move |making: &Making| {
            // Whoever asked waits below, so somebody receives it.
            let _ = sender.send(work(making));
        };
        self.jobs.as_ref()?.send(Box::new(job)).ok()?;
        done.recv().ok()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic in its work was told to whoever asked for the work.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_on_one_other_thread_until_it_panics() {
        let home = Home::start().expect("a thread");
        let first = home.run(|_| thread::current().id()).expect("it runs");
        assert_eq!(home.run(|_| thread::current().id()), Some(first));
        assert_ne!(first, thread::current().id());
        assert_eq!(home.run(|_| -> usize { panic!("on purpose") }), None);
        assert_eq!(home.run(|_| 7), None);
        assert_eq!(Home::start().expect("a thread").run(|_| 7), Some(7), "the right to build is free again");
    }
}
