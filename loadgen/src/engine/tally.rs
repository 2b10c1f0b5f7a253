//! What one thread counts in a round, and later what all of them have counted.

use super::failure::{Failure, Failures};
use hdrhistogram::Histogram;

/// A delay of sending beyond which a request counts as sent late.
pub const LATE_NS: u64 = 1_000_000;
/// Histograms are exact to three digits up to this, and count what is longer as this: an hour, in nanoseconds.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// What a round has counted. All of it concerns requests that should have been sent within the window, but `came` and
/// the bytes, which are what happened within the window.
#[derive(Debug)]
pub struct Tally {
    /// Replies with outputs that came within the window, whenever their requests should have been sent: the rate.
    pub came: u64,
    /// Bytes that were sent within the window.
    pub sent_bytes: u64,
    /// Bytes that were received within the window.
    pub received_bytes: u64,
    /// Nanoseconds from when a request should have been sent to its reply.
    pub latency: Histogram<u64>,
    /// Nanoseconds by which sends were behind the schedule, for whatever reason; empty in a closed loop.
    pub delay: Histogram<u64>,
    /// Of these, nanoseconds since its thread last had nothing to do: what this program itself is to blame for.
    pub own_delay: Histogram<u64>,
    /// Requests that were sent more than [`LATE_NS`] behind the schedule.
    pub late: u64,
    /// Requests of which this program itself was to blame for as much.
    pub own_late: u64,
    /// Requests that should have been sent.
    pub intended: u64,
    /// Requests without outputs.
    pub failures: Failures,
    /// Replies that were compared and right.
    pub verified: u64,
    /// The part of the window in which the busiest thread was not asleep, 0 to 1.
    pub busy: f64,
}

impl Default for Tally {
    fn default() -> Tally {
        let histogram = || Histogram::new_with_max(LONGEST_NS, 3).expect("bounds that HdrHistogram takes");
        Tally {
            came: 0,
            sent_bytes: 0,
            received_bytes: 0,
            latency: histogram(),
            delay: histogram(),
            own_delay: histogram(),
            late: 0,
            own_late: 0,
            intended: 0,
            failures: Failures::default(),
            verified: 0,
            busy: 0.0,
        }
    }
}

impl Tally {
    pub(super) fn fail(&mut self, failure: Failure, text: impl FnOnce() -> String) {
        self.failures.count(failure, text);
    }

    pub(super) fn merge(&mut self, other: Tally) {
        self.came += other.came;
        self.sent_bytes += other.sent_bytes;
        self.received_bytes += other.received_bytes;
        for (mine, others) in
            [(&mut self.latency, other.latency), (&mut self.delay, other.delay), (&mut self.own_delay, other.own_delay)]
        {
            mine.add(others).expect("histograms of one shape");
        }
        self.late += other.late;
        self.own_late += other.own_late;
        self.intended += other.intended;
        self.failures.merge(other.failures);
        self.verified += other.verified;
        self.busy = self.busy.max(other.busy);
    }
}
