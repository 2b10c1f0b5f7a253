//! How a reactor waits: not at all while there is something to run, spinning while the next completion is near, else
//! asleep in its ring.

use super::Reactor;
use super::accept::Arming;
use crate::service::Service;
use std::io;
use std::time::{Duration, Instant};

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
        let spin = self.world.limits.spin;
        if !spin.is_zero() && self.world.now < self.last_event + spin && !self.world.service.wants_core() {
            self.ring.poll()?;
            self.spin(self.last_event + spin);
            return self.ring.poll();
        }
        let mailbox = self.mailbox.clone();
        let asleep = mailbox.fall_asleep();
        // From here on the bell is rung. For what came before, while this reactor was awake, it was not.
        let has_news = !mailbox.is_empty() || self.control.has_news(self.world.is_draining) || self.notices_shortage();
        let result = if has_news { self.ring.poll() } else { self.ring.sleep(self.timeout()) };
        drop(asleep);
        result
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

    /// Looks at shared memory until something is there or the time is over; makes no system call.
    fn spin(&mut self, until: Instant) {
        loop {
            for _ in 0..32 {
                if self.ring.is_ready() || !self.mailbox.is_empty() {
                    return;
                }
                std::hint::spin_loop();
            }
            if Instant::now() >= until {
                return;
            }
        }
    }
}
