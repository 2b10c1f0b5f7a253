//! Inputs that a framework in another process goes on referring to when the run is over: they stay as they are until it says that
//! it does not any more, or is gone.

use crate::budget::Counted;
use crate::wire::Garbage;
use graphpiped_backend_api::Kept;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

/// What one process keeps.
#[derive(Default)]
pub(crate) struct KeptRuns(Mutex<Runs>);

#[derive(Default)]
struct Runs {
    /// By the run: the inputs that the caller has, and the part of the budget that copies of them take, which only the process
    /// sees any more. Only held.
    held: HashMap<u64, (Kept, Option<Counted>)>,
    /// Runs of which it was said that they are released before their answer was read, which came another way.
    early: HashSet<u64>,
    /// Whether the process is gone, and refers to nothing.
    is_over: bool,
}

/// More of them than there are instances are not possible; so many are a process that makes them up.
const EARLY_MAX: usize = 1024;

impl KeptRuns {
    /// Keeps the inputs of a run until it is released.
    pub fn keep(&self, run: u64, kept: Kept, copies: Option<Counted>) {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !runs.is_over && !runs.early.remove(&run) {
            runs.held.insert(run, (kept, copies));
        }
    }

    /// Nobody refers to the inputs of a run any more.
    pub fn release(&self, run: u64) -> Result<(), Garbage> {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = runs.held.remove(&run);
        if held.is_none() && !runs.early.insert(run) {
            return Err(Garbage("what is released twice"));
        }
        if runs.early.len() > EARLY_MAX {
            return Err(Garbage("what was never kept is released"));
        }
        drop(runs);
        // Behind the lock: it may make rows free.
        drop(held);
        Ok(())
    }

    /// The process is gone.
    pub fn end(&self) {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        runs.is_over = true;
        let held = std::mem::take(&mut runs.held);
        drop(runs);
        drop(held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;
    use crate::budget::tests::Bytes;
    use std::sync::Arc;

    #[test]
    fn what_is_kept_is_held_until_it_is_released_or_the_process_is_gone() {
        let (kept, memory) = (KeptRuns::default(), Arc::new(()));
        let references = || Arc::strong_count(&memory) - 1;
        kept.keep(1, memory.clone(), None);
        kept.keep(2, memory.clone(), Some(Bytes::new(1).count(1).expect("a byte")));
        assert_eq!(references(), 2);
        kept.release(1).expect("it was kept");
        assert_eq!(references(), 1);
        // The socket of the process may be quicker than that of the instance.
        kept.release(3).expect("it may be early");
        kept.keep(3, memory.clone(), None);
        assert_eq!(references(), 1);
        kept.end();
        assert_eq!(references(), 0);
        kept.keep(4, memory.clone(), None);
        assert_eq!(references(), 0);
    }

    #[test]
    fn a_process_that_releases_what_it_never_had_is_found_out() {
        let kept = KeptRuns::default();
        kept.release(5).expect("it may be early");
        assert!(kept.release(5).is_err());
        let kept = KeptRuns::default();
        assert!((0..=EARLY_MAX as u64).any(|run| kept.release(run).is_err()));
    }
}
