//! Whether requests find no rows free. Whoever holds rows and sends nothing is then given less time.
//!
//! Shared by all reactors: the rows that one lacks may be held by a connection of another.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// For how long after a request has found no rows free others are taken to wait for some.
const LASTS: Duration = Duration::from_millis(100);
/// A sender is never called slow before this: a peer on another machine may need as long for its next packet.
const PATIENCE_MIN: Duration = Duration::from_millis(1);

/// When rows were last short.
#[derive(Debug)]
pub struct Shortage {
    started: Instant,
    /// Microseconds from the start, plus one; 0 = never.
    last: AtomicU64,
}

impl Shortage {
    /// Rows have not been short so far.
    pub fn new(started: Instant) -> Shortage {
        Shortage { started, last: AtomicU64::new(0) }
    }

    /// Notes that a request has found no rows free. Returns whether that is news.
    pub fn note(&self, now: Instant) -> bool {
        let last = self.last.swap(self.microseconds(now) + 1, Ordering::Relaxed);
        !self.is_recent(last, now)
    }

    /// How long a sender may make no progress; `None` if nobody waits for rows. `batch` tells what a full batch takes.
    pub fn patience(
        &self,
        now: impl FnOnce() -> Instant,
        batch: impl FnOnce() -> Option<Duration>,
    ) -> Option<Duration> {
        let last = self.last.load(Ordering::Relaxed);
        if last == 0 {
            // Rows have never been short: nobody need look at the clock.
            return None;
        }
        self.is_recent(last, now()).then(|| batch().unwrap_or_default().max(PATIENCE_MIN))
    }

    fn is_recent(&self, last: u64, now: Instant) -> bool {
        // Two reactors look at their clocks at different moments, so `now` may lie before.
        last > 0 && self.microseconds(now).saturating_sub(last - 1) < LASTS.as_micros() as u64
    }

    fn microseconds(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_micros() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Duration = Duration::from_micros(1);

    #[test]
    fn patience_ends_where_nobody_waits() {
        let start = Instant::now();
        let shortage = Shortage::new(start);
        assert_eq!(shortage.patience(|| start, || None), None);
        assert!(shortage.note(start), "the first one is news");
        assert!(!shortage.note(start + 1000 * US));
        let at = |time: Instant| shortage.patience(|| time, || Some(5000 * US));
        assert_eq!(at(start + 2000 * US), Some(5000 * US));
        assert_eq!(at(start), Some(5000 * US), "a clock that was read a moment earlier");
        assert_eq!(shortage.patience(|| start, || Some(US)), Some(1000 * US), "a millisecond at least");
        assert_eq!(at(start + 1000 * US + LASTS), None);
        assert!(shortage.note(start + 1000 * US + LASTS), "after a while it is news again");
    }
}
