//! What is loaded at most once: a process keeps a framework's library for good, whoever asked first.

use std::sync::{Mutex, OnceLock, PoisonError};

/// A place for a library that stays loaded.
#[derive(Debug)]
pub struct Once<T> {
    loaded: OnceLock<T>,
    loading: Mutex<()>,
}

impl<T> Once<T> {
    /// Nothing yet.
    pub const fn new() -> Once<T> {
        Once { loaded: OnceLock::new(), loading: Mutex::new(()) }
    }

    /// What was loaded, if anything was.
    pub fn get(&self) -> Option<&T> {
        self.loaded.get()
    }

    /// What was loaded, by this call if none did before. One thread at a time tries; what fails may be tried again.
    pub fn load(&self, load: impl FnOnce() -> Result<T, String>) -> Result<&T, String> {
        // Nothing is guarded but the work itself, so a panic in another thread's attempt spoils nothing.
        let _one_at_a_time = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        match self.loaded.get() {
            Some(loaded) => Ok(loaded),
            None => load().map(|loaded| self.loaded.get_or_init(|| loaded)),
        }
    }
}

impl<T> Default for Once<T> {
    fn default() -> Once<T> {
        Once::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn what_fails_or_panics_is_tried_again_and_what_succeeds_is_not() {
        let once = Once::new();
        assert_eq!(once.load(|| Err("absent".into())), Err("absent".into()));
        assert_eq!(once.get(), None);
        let panicked = catch_unwind(AssertUnwindSafe(|| once.load(|| panic!("a loader")).is_ok()));
        assert!(panicked.is_err());
        assert_eq!(once.load(|| Ok(7)), Ok(&7));
        assert_eq!(once.load(|| unreachable!("it is loaded")), Ok(&7));
        assert_eq!(once.get(), Some(&7));
    }
}
