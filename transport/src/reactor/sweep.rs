//! What is looked at now and then for every connection: deadlines that have passed, and peers that went away while
//! nothing was received from them. Deadlines are seconds: looking a few times a second is enough.

use super::Reactor;
use super::accept::Arming;
use super::hangup::has_hung_up;
use super::slots::Armed;
use crate::ring::{Key, unsent_bytes};
use crate::service::Service;
use std::os::fd::AsFd;
use std::time::Duration;

/// How often a draining reactor looks whether peers have taken what was said to them.
const DRAIN_SWEEP: Duration = Duration::from_millis(10);

impl<S: Service> Reactor<S> {
    /// Gives up connections whose deadline has passed.
    pub(super) fn sweep(&mut self) {
        let now = self.world.now;
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + self.sweep_interval();
        for (_, arming) in &mut self.listeners {
            if *arming == Arming::AfterSweep {
                *arming = Arming::Due;
            }
        }
        for key in self.slots.keys() {
            self.sweep_connection(key);
        }
    }

    fn sweep_connection(&mut self, key: Key) {
        let Some(slot) = self.slots.get(key) else { return };
        let (connection, world) = (&mut slot.connection, &mut self.world);
        let is_unwatched = slot.armed == Armed::Nothing && !slot.is_closing;
        if is_unwatched && connection.awaits_reply() && has_hung_up(slot.socket.as_fd()) {
            connection.ended(true, &mut world.cx());
        } else if world.is_draining && connection.has_said_everything() && unsent_bytes(slot.socket.as_fd()) == Some(0)
        {
            connection.finish(&mut world.cx());
        } else if connection.deadline(&world.limits).is_none_or(|deadline| deadline > world.now) {
            // It had its answer: when the next deadline passes, the question is a new one.
            slot.is_probed = false;
            return;
        } else if connection.seems_not_to_read(&world.limits, world.now)
            && has_moved(&mut slot.unsent, unsent_bytes(slot.socket.as_fd()))
        {
            // A send completes when all of it has a place in the socket's buffer, which a slow reader empties in jumps.
            connection.moved(world.now);
        } else if let Armed::Fill(handle) = slot.armed
            && !slot.is_probed
        {
            // It completes when all of its range is there; cancelled, it says how much has come, if not nothing.
            self.ring.cancel(handle);
            slot.is_probed = true;
            return;
        } else {
            connection.expire(&mut world.cx());
        }
        self.slots.touch(key);
    }

    fn sweep_interval(&self) -> Duration {
        if self.world.is_draining {
            return DRAIN_SWEEP;
        }
        let limits = &self.world.limits;
        let shortest =
            limits.head_timeout.min(limits.idle_timeout).min(limits.progress_timeout).min(limits.drain_timeout);
        (shortest / 4).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }
}

/// Notes what is unsent now, and whether that is another number than the last time.
fn has_moved(before: &mut Option<u32>, now: Option<u32>) -> bool {
    now.is_some() && std::mem::replace(before, now) != now
}
