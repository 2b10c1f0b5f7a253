//! How punctual things are, because who awaits a reply awake has to wake before it comes: runs are over earlier or later than is
//! believed, and a reactor that sleeps until a certain time wakes late, since its core takes a while to leave its idle state. That is
//! a few microseconds on some machines, and dozens on virtual ones. Nothing tells of either but having waited.

use std::time::{Duration, Instant};

/// A new observation of a sleep counts for so little: a single late one, because somebody else had the core, changes nothing.
const SLEEP_WEIGHT: u32 = 8;
/// What a new deviation of a run counts for, and how many mean deviations are allowed for. RFC 6298 has these of round trips, but
/// four deviations, because a timer that is early there costs more than one that is late.
const RUN_WEIGHT: u32 = 4;
const DEVIATIONS: u32 = 2;

/// What one reactor knows of it.
#[derive(Debug)]
pub(super) struct Punctuality {
    /// For how long it may spin: the measure of everything here.
    spin: Duration,
    /// The mean lateness of its sleeps.
    late: Duration,
    /// The mean deviation of runs.
    deviation: Duration,
    /// When the next replies are believed to come.
    awaited: Option<Instant>,
}

impl Punctuality {
    /// Of one that spins for so long, and knows nothing yet.
    pub(super) fn new(spin: Duration) -> Punctuality {
        Punctuality { spin, late: Duration::ZERO, deviation: Duration::ZERO, awaited: None }
    }

    /// How much earlier or later than is believed replies are awaited awake.
    pub(super) fn near(&self) -> Duration {
        (self.deviation * DEVIATIONS).clamp(self.spin / 2, self.spin * 2)
    }

    /// How much earlier than they are believed to come there is no time left to sleep.
    pub(super) fn early(&self) -> Duration {
        self.near() + self.late
    }

    /// Replies are believed to come at this time.
    pub(super) fn await_replies(&mut self, reply: Instant) {
        self.awaited = Some(reply);
    }

    /// They have come.
    pub(super) fn replies_came(&mut self, now: Instant) {
        let Some(believed) = self.awaited.take() else { return };
        let apart = now.saturating_duration_since(believed).max(believed.saturating_duration_since(now));
        self.deviation = mean(self.deviation, apart.min(self.spin * 4), RUN_WEIGHT);
    }

    /// It is awake, and had meant to be at this time. Whoever is woken by something else after that time has been late as well, by
    /// as much at least; before it nothing shows.
    pub(super) fn woke(&mut self, meant: Instant, now: Instant) {
        if let Some(late) = now.checked_duration_since(meant) {
            self.late = mean(self.late, late.min(self.spin * 2), SLEEP_WEIGHT);
        }
    }
}

/// The mean of what was, and of something new that counts for one of so many.
fn mean(before: Duration, new: Duration, weight: u32) -> Duration {
    (before * (weight - 1) + new) / weight
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPIN: Duration = micros(50);

    const fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn one_that_knows_nothing_awaits_replies_for_half_of_its_spin() {
        let punctuality = Punctuality::new(SPIN);
        assert_eq!((punctuality.near(), punctuality.early()), (micros(25), micros(25)));
    }

    /// 80 µs count for a quarter: 20, and twice as much is 40. Again, on the other side: 20 · 3/4 + 80 / 4 = 35, so 70.
    #[test]
    fn who_finds_that_runs_vary_allows_for_it() {
        let (mut punctuality, believed) = (Punctuality::new(SPIN), Instant::now() + micros(1000));
        punctuality.await_replies(believed);
        punctuality.replies_came(believed + micros(80));
        assert_eq!(punctuality.near(), micros(40));
        punctuality.replies_came(believed + micros(10_000));
        assert_eq!(punctuality.near(), micros(40), "nobody had believed anything of these");
        punctuality.await_replies(believed);
        punctuality.replies_came(believed.checked_sub(micros(80)).unwrap());
        assert_eq!(punctuality.near(), micros(70));
    }

    #[test]
    fn however_much_runs_vary_it_is_awake_for_four_times_its_spin_at_most() {
        let (mut punctuality, believed) = (Punctuality::new(SPIN), Instant::now());
        for _ in 0..100 {
            punctuality.await_replies(believed);
            punctuality.replies_came(believed + Duration::from_secs(3));
        }
        assert_eq!(punctuality.near(), SPIN * 2);
        for _ in 0..100 {
            punctuality.await_replies(believed);
            punctuality.replies_came(believed);
        }
        assert_eq!(punctuality.near(), SPIN / 2);
    }

    /// 40 µs count for an eighth: 5.
    #[test]
    fn who_wakes_late_sleeps_less() {
        let (mut punctuality, meant) = (Punctuality::new(SPIN), Instant::now());
        punctuality.woke(meant, meant + micros(40));
        assert_eq!(punctuality.early(), micros(25 + 5));
        punctuality.woke(meant + micros(1000), meant);
        assert_eq!(punctuality.early(), micros(25 + 5), "woken before its time it has learned nothing");
        (0..1000).for_each(|_| punctuality.woke(meant, meant + Duration::from_secs(1)));
        let most = micros(25) + SPIN * 2;
        assert!(punctuality.early() <= most && punctuality.early() + micros(1) > most, "{punctuality:?}");
    }

    #[test]
    fn one_that_never_spins_is_never_early() {
        let (mut punctuality, now) = (Punctuality::new(Duration::ZERO), Instant::now());
        punctuality.await_replies(now);
        punctuality.replies_came(now + micros(80));
        punctuality.woke(now, now + micros(80));
        assert_eq!((punctuality.near(), punctuality.early()), (Duration::ZERO, Duration::ZERO));
    }
}
