//! How a reactor waits: not at all while there is something to run, spinning while the next completion is near, resting
//! while a run needs its core, else asleep in its ring.
//!
//! A completion is near for a while after the last one, because who has a reply asks again; and around the time at which a run
//! on another thread is believed to be over. It is that thread which would have to wake a reactor that sleeps then, and
//! to wake another core takes a few microseconds, on a virtual machine ten or twenty, while its next batch waits. So a reactor
//! wakes itself a little before, by as much as it has [learned](super::punctuality) that it has to.
//!
//! While it spins it lets others have the core that are ready, such as clients on the same one. Where those take long, it
//! [backs off](super::backoff).
//!
//! Asleep in the ring, it is woken by each request. Where it shares its core with a run that is long, that is dear: each
//! time the run stops, and finds its caches used by somebody else. So it rests outside of the ring, where only the bell
//! wakes it, and then takes all that has come at once. It rests after it has done something, never twice in a row (what
//! comes after a silence is taken at once), and not while payloads are on their way.

use super::Reactor;
use super::accept::Arming;
use super::backoff::AWAY;
use crate::mailbox::Mailbox;
use crate::service::Service;
use std::io;
use std::time::{Duration, Instant};

/// A spinning reactor looks so many times before it asks the system whether somebody else needs the core: microseconds.
const LOOKS: usize = 128;

/// How long to sleep where nothing has a deadline.
const LONG: Duration = Duration::from_hours(1);

impl<S: Service> Reactor<S> {
    /// Submits, and waits for completions, replies or orders; only submits and looks for them if it `is_busy`.
    pub(super) fn wait(&mut self, is_busy: bool) -> io::Result<()> {
        if is_busy || self.world.is_draining && self.slots.is_empty() {
            // The service has more to run, or the last connection has ended in this very turn and there is nothing to
            // wait for.
            return self.ring.poll();
        }
        self.world.now = Instant::now();
        let after_event = self.after_event();
        let reply = if after_event.is_some() { None } else { self.next_reply() };
        if let Some(reply) = reply {
            self.punctuality.await_replies(reply);
        }
        if let Some(until) = after_event.or_else(|| self.around(reply)) {
            self.ring.poll()?;
            self.spin(until);
            return self.ring.poll();
        }
        let mailbox = self.mailbox.clone();
        let asleep = mailbox.fall_asleep();
        // From here on the bell is rung. For what came before, while this reactor was awake, it was not.
        let has_news = !mailbox.is_empty() || self.control.has_news(self.world.is_draining) || self.notices_shortage();
        let may_rest = self.transfers == 0 && self.last_event > self.last_rest;
        let rest = if may_rest { self.world.service.rest() } else { None };
        let result = match rest {
            _ if has_news => self.ring.poll(),
            Some(rest) => self.rest(&mailbox, rest),
            None => self.sleep(reply),
        };
        drop(asleep);
        result
    }

    fn may_spin(&self) -> bool {
        !self.world.limits.spin.is_zero() && self.backoff.allows(self.world.now) && !self.world.service.wants_core()
    }

    /// Until when to spin because something has just happened.
    pub(super) fn after_event(&self) -> Option<Instant> {
        let until = self.last_event + self.world.limits.spin;
        (self.world.now < until && self.may_spin()).then_some(until)
    }

    /// When the next replies of another thread are believed to come, if they are worth being awake for.
    pub(super) fn next_reply(&self) -> Option<Instant> {
        if !self.may_spin() {
            return None;
        }
        // Those that are late are waited for as long as those that are early.
        let then = self.world.now.checked_sub(self.punctuality.near()).unwrap_or(self.world.now);
        self.world.service.next_reply(then)
    }

    /// Until when to spin for replies that are believed to come at this time, if it is near.
    pub(super) fn around(&self, reply: Option<Instant>) -> Option<Instant> {
        reply
            .filter(|reply| *reply <= self.world.now + self.punctuality.early())
            .map(|reply| reply + self.punctuality.near())
    }

    /// Submits, and sleeps in the ring until something happens, or until it is time to await replies that are believed to come
    /// at this time.
    fn sleep(&mut self, reply: Option<Instant>) -> io::Result<()> {
        let until_near = self.until_near(reply);
        let result = self.ring.sleep(self.timeout().min(until_near));
        if reply.is_some() {
            self.punctuality.woke(self.world.now + until_near, Instant::now());
        }
        result
    }

    /// For how long replies that are believed to come at this time need nobody awake.
    pub(super) fn until_near(&self, reply: Option<Instant>) -> Duration {
        reply.map_or(LONG, |reply| reply.saturating_duration_since(self.world.now + self.punctuality.early()))
    }

    /// Submits, and if nothing is there to be done waits for the bell alone, and for no longer than this.
    fn rest(&mut self, mailbox: &Mailbox, at_most: Duration) -> io::Result<()> {
        self.ring.poll()?;
        if self.ring.is_ready() {
            return Ok(());
        }
        self.last_rest = Instant::now();
        mailbox.bell().wait(at_most.min(self.timeout()));
        self.ring.poll()
    }

    /// How long to sleep if nothing happens.
    pub(super) fn timeout(&self) -> Duration {
        if self.slots.is_empty() && self.listeners_are_armed() {
            return LONG;
        }
        let until = self.receivers.next_look().map_or(self.next_sweep, |look| look.min(self.next_sweep));
        until.saturating_duration_since(self.world.now)
    }

    fn listeners_are_armed(&self) -> bool {
        self.listeners.iter().all(|(_, arming)| matches!(arming, Arming::Armed(_)))
    }

    /// Looks at shared memory until something is there, the time is over, or somebody else computes on this core.
    pub(super) fn spin(&mut self, until: Instant) {
        let mut before = Instant::now();
        loop {
            for _ in 0..LOOKS {
                if self.ring.is_ready() || !self.mailbox.is_empty() {
                    return;
                }
                std::hint::spin_loop();
            }
            std::thread::yield_now();
            let now = Instant::now();
            if now - before >= AWAY {
                self.world.counters.spins_interrupted.add(1);
                return self.backoff.was_away(now);
            }
            if now >= until {
                return;
            }
            before = now;
        }
    }
}
