//! Backing off from spinning, where the core is shared with a thread that computes: a client that cleans its data, another
//! service. Who looks at memory there takes nothing from a core that has nothing to do, as spinning is meant to; and the
//! scheduler makes up for it by leaving this thread out for a whole slice, milliseconds, when there is something to do. Who
//! sleeps is owed time, and gets the core soon after it has been woken.
//!
//! Only the clock tells: a spinning thread looks at it every few microseconds, and it has been away if much more has passed.
//! Then nothing spins for a while, and for twice as long each time that it is found to be so again.

use std::time::{Duration, Instant};

/// Who has been away for as long as this was left out by the scheduler. Clients on the same core that take a reply and send
/// their next request need less, the shortest slice that Linux gives is longer (0.7 ms).
pub(super) const AWAY: Duration = Duration::from_micros(500);
/// For how long nothing spins at first: a single interruption, by the machine's host for instance, is soon forgotten.
pub(super) const SILENCE_MIN: Duration = Duration::from_millis(10);
/// For how long at most. A slice of 4 ms every 16 seconds is less than one request in a thousand.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(16);

/// Whether spinning does no harm here, as far as is known.
#[derive(Debug)]
pub(super) struct Backoff {
    /// Until when nothing spins,
    until: Instant,
    /// and for how long, once that has begun.
    silence: Duration,
}

impl Backoff {
    /// Nothing has happened yet.
    pub(super) fn new(now: Instant) -> Backoff {
        Backoff { until: now, silence: Duration::ZERO }
    }

    /// Whether to spin.
    pub(super) fn allows(&self, now: Instant) -> bool {
        now >= self.until
    }

    /// This thread has been away while it spun.
    pub(super) fn was_away(&mut self, now: Instant) {
        let is_again = now.saturating_duration_since(self.until) < self.silence;
        self.silence = if is_again { (self.silence * 2).min(SILENCE_MAX) } else { SILENCE_MIN };
        self.until = now + self.silence;
    }
}
