//! Which of what happens is counted, and as what: the rules of the window. Knows no socket.

use super::failure::Failure;
use super::tally::{LATE_NS, Tally};
use super::{Live, Plan, nanos};
use crate::check::{Checked, Problem};
use crate::protocol::{Outcome, Reply};

/// A thread's account of a round.
#[derive(Debug)]
pub(super) struct Ledger<'a> {
    plan: &'a Plan<'a>,
    live: &'a Live,
    /// The window, in nanoseconds since the round began: what should have been sent within it counts.
    begin: u64,
    end: u64,
    tally: Tally,
}

/// A request that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// When it should have been sent.
    pub intended: u64,
    /// When it was sent.
    pub sent: u64,
    /// Which of the plan's requests it was.
    pub request: u32,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(plan: &'a Plan<'a>, live: &'a Live) -> Ledger<'a> {
        let begin = nanos(plan.warmup);
        Ledger { plan, live, begin, end: begin + nanos(plan.window), tally: Tally::default() }
    }

    pub(super) fn begin(&self) -> u64 {
        self.begin
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    fn counts(&self, at: u64) -> bool {
        (self.begin..self.end).contains(&at)
    }

    /// A request is sent, `own` nanoseconds later than this thread could have done it.
    pub(super) fn sent(&mut self, asked: Asked, own: u64) {
        if !self.counts(asked.intended) {
            return;
        }
        self.tally.intended += 1;
        let delay = asked.sent - asked.intended;
        self.tally.delay.saturating_record(delay);
        self.tally.own_delay.saturating_record(own);
        self.tally.late += u64::from(delay > LATE_NS);
        self.tally.own_late += u64::from(own > LATE_NS);
    }

    /// A request was not sent in all the time it had; for `own` nanoseconds of it this thread is to blame.
    pub(super) fn unsent(&mut self, intended: u64, now: u64, own: u64) {
        if self.counts(intended) {
            self.tally.intended += 1;
            self.tally.own_late += u64::from(own > LATE_NS);
        }
        let timeout = self.plan.timeout;
        self.fail(intended, now, Failure::Unsent, || {
            format!("no connection could take it within {timeout:?}: all were busy, or none was open")
        });
    }

    pub(super) fn sent_bytes(&mut self, bytes: usize, now: u64) {
        if self.counts(now) {
            self.tally.sent_bytes += bytes as u64;
        }
    }

    pub(super) fn received_bytes(&mut self, bytes: usize, now: u64) {
        if self.counts(now) {
            self.tally.received_bytes += bytes as u64;
        }
    }

    /// A request has its reply.
    pub(super) fn answered(&mut self, asked: Asked, reply: &Reply<'_>, now: u64) {
        match reply.outcome {
            Outcome::Outputs => {}
            Outcome::Code(code) => return self.fail(asked.intended, now, Failure::Code(code), || reply.refusal_text()),
            Outcome::Status(status) => {
                return self.fail(asked.intended, now, Failure::Status(status), || reply.refusal_text());
            }
        }
        if let Some(checker) = self.plan.checker {
            match checker.check(asked.request as usize, reply) {
                Ok(Checked::Compared) => self.tally.verified += u64::from(self.counts(asked.intended)),
                Ok(Checked::Kept) => {}
                Err(Problem::Unreadable(text)) => return self.fail(asked.intended, now, Failure::Protocol, || text),
                Err(Problem::Wrong(text)) => return self.fail(asked.intended, now, Failure::Wrong, || text),
            }
        }
        self.live.count(true);
        self.tally.came += u64::from(self.counts(now));
        if self.counts(asked.intended) {
            self.tally.latency.saturating_record(now - asked.intended);
        }
    }

    /// A request, or a connection that was to carry requests, has failed. It counts if it should have been sent within the
    /// window, and if it failed there: what was asked before and hangs is no less broken.
    pub(super) fn fail(&mut self, intended: u64, now: u64, failure: Failure, text: impl FnOnce() -> String) {
        self.live.count(false);
        if self.counts(intended) || self.counts(now) {
            self.tally.fail(failure, text);
        }
    }

    /// What was counted, by a thread that was awake for this part of the window.
    pub(super) fn close(mut self, awake: f64) -> Tally {
        self.tally.busy = awake;
        self.tally
    }
}
