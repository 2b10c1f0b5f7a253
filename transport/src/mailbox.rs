//! Where replies that were made on other threads wait for their reactor, and the doorbell that wakes it.
//!
//! The handshake: a reactor that is about to sleep sets `asleep`, then looks into the queue once more; a sender pushes,
//! then looks at `asleep`. Both sides have a sequentially consistent fence between their two steps, so at least one of
//! them sees the other: either the reactor finds the reply, or the sender finds the reactor asleep and writes to the
//! eventfd. The bell is rung at most once per sleep.

use crate::service::{Reply, Ticket};
use crossbeam::queue::ArrayQueue;
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

/// The mailbox of one reactor.
#[derive(Debug)]
pub struct Mailbox {
    replies: ArrayQueue<(Ticket, Reply)>,
    bell: Doorbell,
}

impl Mailbox {
    /// A mailbox for at most `capacity` replies: as many as requests of this reactor may be in flight elsewhere.
    pub fn new(capacity: usize) -> io::Result<Arc<Mailbox>> {
        Ok(Arc::new(Mailbox { replies: ArrayQueue::new(capacity.max(1)), bell: Doorbell::new()? }))
    }

    /// Delivers a reply, from any thread. Never blocks.
    ///
    /// The service admits no more requests than the mailbox has room for; a mailbox that is full all the same is a
    /// broken invariant, and the process aborts rather than leave a client without its reply.
    pub fn deliver(&self, ticket: Ticket, reply: Reply) {
        assert!(self.replies.push((ticket, reply)).is_ok(), "more replies than tickets in flight");
        self.bell.ring();
    }

    /// The bell, to be rung for anything else that a sleeping reactor should look at.
    pub fn bell(&self) -> &Doorbell {
        &self.bell
    }

    /// How many replies it has room for.
    pub fn capacity(&self) -> usize {
        self.replies.capacity()
    }

    /// How many replies wait in it.
    pub fn len(&self) -> usize {
        self.replies.len()
    }

    /// Whether no reply waits in it.
    pub fn is_empty(&self) -> bool {
        self.replies.is_empty()
    }

    /// Takes the reply that has waited longest: for the reactor, which asks until there is none.
    pub fn take(&self) -> Option<(Ticket, Reply)> {
        self.replies.pop()
    }
}

/// Wakes a reactor that sleeps in its ring.
#[derive(Debug)]
pub struct Doorbell {
    asleep: AtomicBool,
    event: OwnedFd,
}

impl Doorbell {
    fn new() -> io::Result<Doorbell> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Doorbell { asleep: AtomicBool::new(false), event })
    }

    /// Wakes the reactor if it sleeps or is about to.
    pub fn ring(&self) {
        // Pairs with the fence in `prepare_sleep`.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed) {
            // The only way to fail is a counter at its maximum, and then the reactor wakes anyway.
            let _ = rustix::io::write(&self.event, &1u64.to_ne_bytes());
        }
    }

    /// To be called before looking, for the last time before sleeping, at whatever the bell is rung for.
    pub(crate) fn prepare_sleep(&self) {
        self.asleep.store(true, Ordering::Relaxed);
        // Pairs with the fence in `ring`.
        fence(Ordering::SeqCst);
    }

    pub(crate) fn awake(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    pub(crate) fn event(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    /// Empties the counter after the ring has said that it is not zero.
    pub(crate) fn silence(&self) {
        let mut count = [0; 8];
        // Another wake-up may have emptied it: then there is nothing to do.
        let _ = rustix::io::read(&self.event, &mut count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Refusal;
    use graphpipe_schema::Code;

    const TICKET: Ticket = Ticket { connection: 1, generation: 2, id: 3 };

    fn event_count(bell: &Doorbell) -> Option<u64> {
        let mut count = [0; 8];
        rustix::io::read(bell.event(), &mut count).ok().map(|_| u64::from_ne_bytes(count))
    }

    #[test]
    fn a_reactor_that_is_awake_is_not_rung_for() {
        let mailbox = Mailbox::new(4).unwrap();
        mailbox.deliver(TICKET, Reply::Refused(Refusal::new(Code::Busy, "b")));
        assert_eq!(event_count(mailbox.bell()), None);
        assert_eq!(mailbox.take().unwrap().0, TICKET);
    }

    #[test]
    fn a_sleeping_reactor_is_rung_for_once() {
        let mailbox = Mailbox::new(4).unwrap();
        mailbox.bell().prepare_sleep();
        assert!(mailbox.is_empty());
        mailbox.deliver(TICKET, Reply::Refused(Refusal::new(Code::Busy, "b")));
        mailbox.deliver(TICKET, Reply::Refused(Refusal::new(Code::Busy, "b")));
        assert_eq!(event_count(mailbox.bell()), Some(1));
    }
}
