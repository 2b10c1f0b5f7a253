//! Which arenas of a lane are free: one bit each.

use crate::ARENAS_MAX;
use crate::sync::{AtomicU64, Ordering};

/// The free arenas.
#[derive(Debug)]
pub(crate) struct Free(AtomicU64);

impl Free {
    /// All of `arenas` are free.
    pub(crate) fn all(arenas: usize) -> Free {
        assert!((1..=ARENAS_MAX).contains(&arenas), "a lane has 1 to {ARENAS_MAX} arenas, not {arenas}");
        Free(AtomicU64::new(u64::MAX >> (ARENAS_MAX - arenas)))
    }

    /// Takes the first free one: the same few are used over and over, and stay warm.
    pub(crate) fn take(&self) -> Option<usize> {
        let mut bits = self.0.load(Ordering::Relaxed);
        while bits != 0 {
            let first = bits & bits.wrapping_neg();
            // Acquire pairs with the Release in `give`: the arena's word says idle.
            match self.0.compare_exchange_weak(bits, bits & !first, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(first.trailing_zeros() as usize),
                Err(now) => bits = now,
            }
        }
        None
    }

    /// Gives one back, whose word says idle.
    pub(crate) fn give(&self, arena: usize) {
        let before = self.0.fetch_or(1 << arena, Ordering::Release);
        assert_eq!(before >> arena & 1, 0, "arena {arena} is freed twice");
    }

    /// How many there are; others may change it at any time.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed).count_ones() as usize
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn the_first_free_one_is_taken() {
        let free = Free::all(3);
        assert_eq!([free.take(), free.take(), free.take(), free.take()], [Some(0), Some(1), Some(2), None]);
        free.give(2);
        free.give(1);
        assert_eq!((free.count(), free.take(), free.take(), free.take()), (2, Some(1), Some(2), None));
    }

    #[test]
    fn there_may_be_as_many_as_a_word_has_bits() {
        let free = Free::all(ARENAS_MAX);
        assert_eq!(free.count(), 64);
        assert_eq!(std::iter::from_fn(|| free.take()).collect::<Vec<_>>(), (0..64).collect::<Vec<_>>());
        free.give(63);
        assert_eq!(free.take(), Some(63));
    }

    #[test]
    fn no_arenas_and_too_many_are_refused() {
        for arenas in [0, ARENAS_MAX + 1] {
            assert!(catch_unwind(|| Free::all(arenas)).is_err(), "{arenas} arenas");
        }
    }

    #[test]
    fn an_arena_is_not_freed_twice() {
        let free = Free::all(2);
        assert!(catch_unwind(AssertUnwindSafe(|| free.give(1))).is_err());
    }
}
