//! Orders to all reactors, and the one count that they share: open connections.

use crate::mailbox::Mailbox;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

const RUNNING: u8 = 0;
const DRAINING: u8 = 1;
const STOPPED: u8 = 2;

/// Shared by all reactors of a daemon and by whoever ends them.
#[derive(Debug)]
pub struct Control {
    state: AtomicU8,
    connections: AtomicUsize,
    mailboxes: Vec<Arc<Mailbox>>,
}

impl Control {
    /// A control of the reactors that have these mailboxes.
    pub fn new(mailboxes: Vec<Arc<Mailbox>>) -> Arc<Control> {
        Arc::new(Control { state: AtomicU8::new(RUNNING), connections: AtomicUsize::new(0), mailboxes })
    }

    /// Accept no more connections and no more requests, finish what was accepted, then end.
    pub fn drain(&self) {
        self.set(DRAINING);
    }

    /// End now.
    pub fn stop(&self) {
        self.set(STOPPED);
    }

    /// Whether a drain (or a stop) was ordered.
    pub fn is_draining(&self) -> bool {
        self.state.load(Ordering::Relaxed) >= DRAINING
    }

    /// Connections that are open, of all reactors.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.state.load(Ordering::Relaxed) == STOPPED
    }

    /// Whether there is an order that a reactor which knows of a drain, or does not, has not obeyed.
    pub(super) fn has_news(&self, knows_of_drain: bool) -> bool {
        self.is_stopped() || (self.is_draining() && !knows_of_drain)
    }

    /// Counts one more connection, unless there are `max`.
    pub(super) fn try_open(&self, max: usize) -> bool {
        let opened = self.connections.fetch_add(1, Ordering::Relaxed) < max;
        if !opened {
            self.closed();
        }
        opened
    }

    pub(super) fn closed(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    fn set(&self, state: u8) {
        // An order is never taken back. The bell's fences make it visible to a reactor that goes to sleep.
        self.state.fetch_max(state, Ordering::Relaxed);
        for mailbox in &self.mailboxes {
            mailbox.ring();
        }
    }
}
