//! Where replies that were made on other threads wait for their reactor, and the doorbell that wakes it out of its
//! ring.
//!
//! The queue and the handshake with a reactor that is about to sleep are the batching core's.

use crate::service::{Reply, Ticket};
use graphpiped_batch::{Asleep, Doorbell};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// The mailbox of one reactor.
#[derive(Debug)]
pub struct Mailbox(graphpiped_batch::Mailbox<(Ticket, Reply), Bell>);

impl Mailbox {
    /// A mailbox for at most `capacity` replies: as many as requests of this reactor may be in flight elsewhere.
    pub fn new(capacity: usize) -> io::Result<Arc<Mailbox>> {
        let bell = Bell(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        Ok(Arc::new(Mailbox(graphpiped_batch::Mailbox::new(capacity, bell))))
    }

    /// Delivers a reply, from any thread. Never blocks.
    ///
    /// The service admits no more requests than the mailbox has room for; a mailbox that is full all the same is a
    /// broken invariant, and the process aborts rather than leave a client without its reply.
    pub fn deliver(&self, ticket: Ticket, reply: Reply) {
        self.put(ticket, reply);
        self.ring();
    }

    /// Delivers one of many replies: its reactor may sleep on until [`Mailbox::ring`] is called, which has to follow.
    /// See [`Mailbox::deliver`] for the rest.
    pub fn put(&self, ticket: Ticket, reply: Reply) {
        assert!(self.0.put((ticket, reply)).is_ok(), "more replies than tickets in flight");
    }

    /// Wakes the reactor, if it sleeps, for everything that has been put, or for anything else that it should look at.
    pub fn ring(&self) {
        self.0.announce();
    }

    /// How many replies it has room for.
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// How many replies wait in it.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no reply waits in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the reply that has waited longest: for the reactor, which asks until there is none.
    pub fn take(&self) -> Option<(Ticket, Reply)> {
        self.0.take()
    }

    /// To be called before looking, for the last time before sleeping, at whatever the bell is rung for.
    pub(crate) fn fall_asleep(&self) -> Asleep<'_> {
        self.0.fall_asleep()
    }

    /// What the reactor's ring watches.
    pub(crate) fn bell(&self) -> &Bell {
        self.0.bell()
    }
}

/// Wakes a reactor that sleeps in its ring.
#[derive(Debug)]
pub(crate) struct Bell(OwnedFd);

impl Doorbell for Bell {
    fn ring(&self) {
        // The only way to fail is a counter at its maximum, and then the reactor wakes anyway.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }
}

impl Bell {
    pub(crate) fn event(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Waits until it is rung, outside of the ring, and for no longer than this. It stays rung.
    pub(crate) fn wait(&self, at_most: Duration) {
        let Ok(timeout) = Timespec::try_from(at_most) else { return };
        // A signal ends it early, as everything else does that may go wrong here; whoever waits looks around then.
        let _ = poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&timeout));
    }

    /// Empties the counter after the ring has said that it is not zero.
    pub(crate) fn silence(&self) {
        let mut count = [0; 8];
        // Another wake-up may have emptied it: then there is nothing to do.
        let _ = rustix::io::read(&self.0, &mut count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Refusal;
    use graphpipe_schema::Code;

    const TICKET: Ticket = Ticket { connection: 1, generation: 2, id: 3, weight: 4 };

    fn event_count(bell: &Bell) -> Option<u64> {
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
        let _asleep = mailbox.fall_asleep();
        assert!(mailbox.is_empty());
        mailbox.deliver(TICKET, Reply::Refused(Refusal::new(Code::Busy, "b")));
        mailbox.deliver(TICKET, Reply::Refused(Refusal::new(Code::Busy, "b")));
        assert_eq!(event_count(mailbox.bell()), Some(1));
    }

    #[test]
    fn replies_that_are_put_wait_for_the_ring_that_wakes_the_reactor() {
        let mailbox = Mailbox::new(4).unwrap();
        let _asleep = mailbox.fall_asleep();
        mailbox.put(TICKET, Reply::Refused(Refusal::new(Code::Busy, "b")));
        mailbox.put(TICKET, Reply::Refused(Refusal::new(Code::Busy, "b")));
        assert_eq!(event_count(mailbox.bell()), None);
        mailbox.ring();
        assert_eq!((event_count(mailbox.bell()), mailbox.len()), (Some(1), 2));
    }
}
