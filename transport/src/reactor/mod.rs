//! A reactor: a thread with a ring, its listeners and its connections.
//!
//! One turn of the loop: take the replies that executors have delivered; let the service run what it runs here; let
//! every connection that anything happened to say what it wants, and turn that into operations; submit them, and wait,
//! as `wait` says, and not at all if the service has more to run; hand each completion to its connection.
//!
//! What a connection does with bytes is in `connection`; what the kernel does with memory is in
//! `ring`. This module only carries events between the two, keeps sockets open until their operations have
//! ended, and watches the clock.

mod accept;
mod backoff;
mod control;
mod flush;
mod hangup;
mod patience;
mod punctuality;
mod slots;
mod sweep;
#[cfg(test)]
mod tests;
mod wait;

pub use accept::{Listener, ListenerKind};
pub use control::Control;

use crate::connection::{Cx, Spare};
use crate::counters::Counters;
use crate::limits::{DRAINS_MAX, Limits, PROGRESS_BYTES_MIN};
use crate::mailbox::Mailbox;
use crate::probe::Unavailable;
use crate::ring::{Event, Key, Ring, Usage};
use crate::service::{Reply, Service, Ticket};
use accept::Arming;
use backoff::Backoff;
use graphpiped_memory::Destination;
use hangup::has_hung_up;
use patience::{Asked, Receivers};
use punctuality::Punctuality;
use slots::{Armed, Slots};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

/// Connections that room is made for at the start; beyond that the tables grow when they have to.
const ROOM_MAX: usize = 1 << 17;

/// A thread's reactor. To be made on the thread that runs it: its ring belongs to that thread.
#[derive(Debug)]
pub struct Reactor<S: Service> {
    // Dropped first: it waits for the operations that still use the sockets below.
    ring: Ring,
    listeners: Vec<(Listener, Arming)>,
    slots: Slots<S>,
    receivers: Receivers,
    world: World<S>,
    mailbox: Arc<Mailbox>,
    /// What the service has answered in its turn: empty in between.
    replies: Vec<(Ticket, Reply)>,
    control: Arc<Control>,
    is_bell_watched: bool,
    last_event: Instant,
    last_rest: Instant,
    backoff: Backoff,
    punctuality: Punctuality,
    /// Receives into destinations and sends that have not ended: they stand still while this thread is out of the ring.
    transfers: usize,
    next_sweep: Instant,
    /// When a drain is over, finished or not.
    drain_deadline: Option<Instant>,
}

/// What connections work with.
#[derive(Debug)]
struct World<S> {
    service: S,
    limits: Limits,
    counters: Arc<Counters>,
    spare: Spare,
    backlog: usize,
    now: Instant,
    is_draining: bool,
}

impl<S> World<S> {
    fn cx(&mut self) -> Cx<'_, S> {
        Cx {
            service: &mut self.service,
            limits: &self.limits,
            counters: &self.counters,
            spare: &mut self.spare,
            backlog: &mut self.backlog,
            now: self.now,
            is_draining: self.is_draining,
        }
    }
}

impl<S: Service> Reactor<S> {
    /// A reactor for these listeners. Replies from other threads come through `mailbox`, orders through `control`.
    pub fn new(
        limits: &Limits,
        listeners: Vec<Listener>,
        mailbox: Arc<Mailbox>,
        counters: Arc<Counters>,
        control: Arc<Control>,
        service: S,
    ) -> Result<Reactor<S>, Unavailable> {
        assert!(listeners.len() < 1024, "keys are kept for 1024 listeners");
        let mut ring = Ring::new()?;
        let mut slots = Slots::default();
        // One receive each; sends come and go. Room that is never used costs no memory.
        ring.reserve(limits.connections_max.min(ROOM_MAX));
        slots.reserve(limits.connections_max.min(ROOM_MAX));
        let now = Instant::now();
        let (spare, punctuality) = (Spare::default(), Punctuality::new(limits.spin));
        // The reader takes no longer message, whatever the command line said.
        let message_bytes_max = limits.message_bytes_max.min(graphpipe_schema::MESSAGE_BYTES_MAX);
        let limits = Limits { message_bytes_max, ..limits.clone() };
        let world = World { service, limits, counters, spare, backlog: 0, now, is_draining: false };
        let listeners = listeners.into_iter().map(|listener| (listener, Arming::Due)).collect();
        Ok(Reactor {
            ring,
            listeners,
            slots,
            receivers: Receivers::default(),
            world,
            mailbox,
            replies: Vec::new(),
            control,
            is_bell_watched: false,
            last_event: now,
            last_rest: now,
            backoff: Backoff::new(now),
            punctuality,
            transfers: 0,
            next_sweep: now,
            drain_deadline: None,
        })
    }

    /// Serves until [`Control::stop`], or until [`Control::drain`] and the last connection's end.
    pub fn run(mut self) -> io::Result<()> {
        let result = self.serve();
        self.give_up();
        result
    }

    fn serve(&mut self) -> io::Result<()> {
        loop {
            self.world.now = Instant::now();
            if self.obey() {
                return Ok(());
            }
            self.deliver_replies();
            let is_busy = self.turn();
            self.sweep();
            self.heed_patience();
            self.arm_listeners();
            self.flush();
            self.wait(is_busy)?;
            self.handle_completions();
            self.drain_ring()?;
        }
    }

    /// Takes what has completed meanwhile as well: what is there by the end of a turn is run together.
    fn drain_ring(&mut self) -> io::Result<()> {
        for _ in 0..DRAINS_MAX {
            if !self.ring.is_ready() {
                break;
            }
            self.ring.poll()?;
            self.handle_completions();
        }
        Ok(())
    }

    /// Follows what the control says; `true` if the reactor is to end.
    fn obey(&mut self) -> bool {
        if self.control.is_stopped() {
            return true;
        }
        if self.control.is_draining() && !self.world.is_draining {
            self.world.is_draining = true;
            self.drain_deadline = Some(self.world.now + self.world.limits.drain_timeout);
            self.next_sweep = self.world.now;
            for (_, arming) in self.listeners.drain(..) {
                // The operation holds the socket open beyond its descriptor.
                if let Arming::Armed(handle) = arming {
                    self.ring.cancel(handle);
                }
            }
            for key in self.slots.keys() {
                self.slots.with(key, |connection| connection.drain(&mut self.world.cx()));
            }
        }
        // A reply that does not come, or a peer that does not read, holds up an end only so long.
        self.slots.is_empty() && self.world.is_draining || self.drain_deadline.is_some_and(|end| end <= self.world.now)
    }

    /// Lets the service know that nobody is left to answer: what has not been run need not be.
    fn give_up(&mut self) {
        for key in self.slots.keys() {
            self.slots.with(key, |connection| connection.broken(&mut self.world.cx()));
        }
    }

    /// Delivers what is there now. Requests that waited behind these replies may be answered at once, elsewhere: those
    /// who have nothing to do with them must not wait for that to end.
    fn deliver_replies(&mut self) {
        if !self.mailbox.is_empty() {
            self.punctuality.replies_came(self.world.now);
        }
        for _ in 0..self.mailbox.len() {
            let Some((ticket, reply)) = self.mailbox.take() else { break };
            self.deliver(ticket, &reply);
        }
    }

    /// Gives a reply to its connection; returns whether bytes waited there, which may be requests that wait no more.
    fn deliver(&mut self, ticket: Ticket, reply: &Reply) -> bool {
        self.last_event = self.world.now;
        let (world, mut has_carried) = (&mut self.world, false);
        self.slots.with(ticket.connection, |connection| {
            // A connection that is gone leaves its replies behind; dropping them frees their memory.
            if connection.generation() == ticket.generation {
                has_carried = connection.has_carried();
                connection.reply(ticket, reply, &mut world.cx());
            }
        });
        has_carried
    }

    /// Lets the service run what it runs on this thread; returns whether it is to be asked again without waiting.
    fn turn(&mut self) -> bool {
        let (world, replies) = (&mut self.world, &mut self.replies);
        let mut is_busy = world.service.turn(world.now, &mut |ticket, reply| replies.push((ticket, reply)));
        if self.replies.is_empty() {
            return is_busy;
        }
        // What was run has taken its time, and it is now that the next requests are near.
        self.world.now = Instant::now();
        let mut replies = std::mem::take(&mut self.replies);
        for (ticket, reply) in replies.drain(..) {
            // A request that waited behind this reply may have been committed in the moment.
            is_busy |= self.deliver(ticket, &reply);
        }
        self.replies = replies;
        is_busy
    }

    fn handle_completions(&mut self) {
        self.world.now = Instant::now();
        while let Some(event) = self.ring.next_event() {
            self.last_event = self.world.now;
            self.handle(event);
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Accepted { key, socket, armed } => self.accepted(key, socket, armed),
            Event::Received { key, bytes, armed } => {
                self.operation_ended(key, armed, true);
                let (ring, world) = (&mut self.ring, &mut self.world);
                match bytes {
                    Ok(Some(id)) => {
                        self.slots.with(key, |connection| connection.received(ring.shared(&id), &mut world.cx()));
                        ring.recycle(id);
                    }
                    Ok(None) => self.ended(key),
                    Err(error) if is_temporary(&error) => self.slots.touch(key),
                    Err(_) => self.slots.with(key, |connection| connection.broken(&mut world.cx())),
                }
            }
            Event::Filled { key, destination, bytes } => self.filled(key, destination, bytes),
            Event::Sent { key, batch, bytes } => {
                self.transfers -= 1;
                self.operation_ended(key, false, false);
                let world = &mut self.world;
                self.slots.with(key, |connection| match bytes {
                    Ok(bytes) => connection.sent(batch, bytes, &mut world.cx()),
                    Err(error) if is_temporary(&error) => connection.sent(batch, 0, &mut world.cx()),
                    Err(_) => connection.broken(&mut world.cx()),
                });
            }
            Event::Returned { payload, usage } => {
                drop(payload);
                self.world.counters.zero_copy_sends.add((usage != Usage::Nothing).into());
                self.world.counters.zero_copy_copied.add((usage == Usage::Copied).into());
            }
            Event::Readable { armed } => {
                self.mailbox.bell().silence();
                self.is_bell_watched = armed;
            }
        }
    }

    fn filled(&mut self, key: Key, destination: Destination, bytes: io::Result<usize>) {
        self.transfers -= 1;
        self.operation_ended(key, false, true);
        let Some(slot) = self.slots.get(key) else { return };
        slot.is_probed &= bytes.as_ref().is_ok_and(|bytes| *bytes < PROGRESS_BYTES_MIN) || bytes.is_err();
        let asked = self.receivers.take_asked(slot.receiver);
        let (connection, world) = (&mut slot.connection, &mut self.world);
        match bytes {
            Ok(0) => self.ended(key),
            Ok(bytes) => {
                connection.filled(destination, bytes, &mut world.cx());
                if asked == Asked::ToEnd {
                    connection.set_apart(&mut world.cx());
                }
            }
            Err(error) if is_temporary(&error) => {
                connection.filled(destination, 0, &mut world.cx());
                if asked != Asked::Nothing {
                    connection.set_apart(&mut world.cx());
                }
            }
            Err(_) => connection.broken(&mut world.cx()),
        }
    }

    /// A stream has ended, and perhaps more than that.
    fn ended(&mut self, key: Key) {
        let world = &mut self.world;
        if let Some(slot) = self.slots.get(key) {
            // Where nobody waits for a reply, it makes no difference.
            let is_gone = slot.connection.awaits_reply() && has_hung_up(slot.socket.as_fd());
            slot.connection.ended(is_gone, &mut world.cx());
            self.slots.touch(key);
        }
    }

    fn operation_ended(&mut self, key: Key, goes_on: bool, is_receive: bool) {
        if let Some(slot) = self.slots.get(key).filter(|_| !goes_on) {
            slot.operations -= 1;
            if is_receive {
                slot.armed = Armed::Nothing;
            }
        }
        self.slots.touch(key);
    }
}

/// Errors after which the same operation may simply be made again: no shared buffer was free, a signal, a cancelled
/// multishot receive.
fn is_temporary(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::ECANCELED | libc::EINTR | libc::EAGAIN))
}
