//! A reactor: a thread with a ring, its listeners and its connections.
//!
//! One turn of the loop: take the replies that executors have delivered; let every connection that anything happened to
//! say what it wants, and turn that into operations; submit them, and wait, by spinning if the last completion is
//! recent and nobody else needs the core, else asleep in the ring; hand each completion to its connection.
//!
//! What a connection does with bytes is in `connection`; what the kernel does with memory is in
//! `ring`. This module only carries events between the two, keeps sockets open until their operations have
//! ended, and watches the clock.

mod control;
mod slots;
#[cfg(test)]
mod tests;

pub use control::Control;

use crate::connection::{Connection, Cx, Spare, Want};
use crate::counters::Counters;
use crate::limits::Limits;
use crate::mailbox::Mailbox;
use crate::probe::Unavailable;
use crate::ring::{Event, Handle, Key, Ring, unsent_bytes};
use crate::service::Service;
use slots::{Armed, Slots};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What kind of socket a listener accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerKind {
    /// TCP: the listener's TCP_NODELAY is inherited.
    Tcp,
    /// A Unix socket: its send buffer is enlarged for each connection.
    Unix,
}

/// A socket that is bound and listens.
#[derive(Debug)]
pub struct Listener {
    /// The socket.
    pub fd: OwnedFd,
    /// Its kind.
    pub kind: ListenerKind,
}

/// Connections and listeners share the keys of the ring: listeners have the highest.
const FIRST_LISTENER: Key = Key::MAX - 1024;
/// What a Unix socket's send buffer is enlarged to: large replies were 1.3 times as fast.
const UNIX_SEND_BUFFER_BYTES: usize = 1 << 20;
/// How often a draining reactor looks whether peers have taken what was said to them.
const DRAIN_SWEEP: Duration = Duration::from_millis(10);
/// How long to sleep where nothing has a deadline.
const LONG: Duration = Duration::from_hours(1);

/// A thread's reactor. To be made on the thread that runs it: its ring belongs to that thread.
#[derive(Debug)]
pub struct Reactor<S: Service> {
    // Dropped first: it waits for the operations that still use the sockets below.
    ring: Ring,
    listeners: Vec<(Listener, Arming)>,
    slots: Slots<S>,
    world: World<S>,
    mailbox: Arc<Mailbox>,
    control: Arc<Control>,
    is_bell_watched: bool,
    last_event: Instant,
    next_sweep: Instant,
    /// When a drain is over, finished or not.
    drain_deadline: Option<Instant>,
}

/// Whether an operation accepts from a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arming {
    Armed(Handle),
    Due,
    AfterSweep,
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
        let ring = Ring::new()?;
        let now = Instant::now();
        let spare = Spare::default();
        // The reader takes no longer message, whatever the command line said.
        let message_bytes_max = limits.message_bytes_max.min(graphpipe_schema::MESSAGE_BYTES_MAX);
        let limits = Limits { message_bytes_max, ..limits.clone() };
        let world = World { service, limits, counters, spare, backlog: 0, now, is_draining: false };
        let listeners = listeners.into_iter().map(|listener| (listener, Arming::Due)).collect();
        Ok(Reactor {
            ring,
            listeners,
            slots: Slots::default(),
            world,
            mailbox,
            control,
            is_bell_watched: false,
            last_event: now,
            next_sweep: now,
            drain_deadline: None,
        })
    }

    /// Serves until [`Control::stop`], or until [`Control::drain`] and the last connection's end.
    pub fn run(mut self) -> io::Result<()> {
        loop {
            self.world.now = Instant::now();
            if self.obey() {
                return Ok(());
            }
            self.deliver_replies();
            self.sweep();
            self.arm_listeners();
            self.flush();
            self.wait()?;
            self.handle_completions();
        }
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
            for key in self.slots.open() {
                self.slots.with(key, |connection| connection.drain(&mut self.world.cx()));
            }
        }
        // A reply that does not come, or a peer that does not read, holds up an end only so long.
        self.slots.is_empty() && self.world.is_draining || self.drain_deadline.is_some_and(|end| end <= self.world.now)
    }

    fn deliver_replies(&mut self) {
        while let Some((ticket, reply)) = self.mailbox.take() {
            self.last_event = self.world.now;
            self.slots.with(ticket.connection, |connection| {
                // A connection that is gone leaves its replies behind; dropping them frees their memory.
                if connection.generation() == ticket.generation {
                    connection.reply(ticket, &reply, &mut self.world.cx());
                }
            });
        }
    }

    /// Gives up connections whose deadline has passed. Deadlines are seconds: looking a few times a second is enough.
    fn sweep(&mut self) {
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
        for key in self.slots.open() {
            self.sweep_connection(key);
        }
    }

    fn sweep_connection(&mut self, key: Key) {
        let Some(slot) = self.slots.get(key) else { return };
        let (connection, world) = (&mut slot.connection, &mut self.world);
        if world.is_draining && connection.has_said_everything() && unsent_bytes(slot.socket.as_fd()) == Some(0) {
            connection.finish(&mut world.cx());
        } else if connection.deadline(&world.limits).is_none_or(|deadline| deadline > world.now) {
            return;
        } else if connection.is_sending() && has_moved(&mut slot.unsent, unsent_bytes(slot.socket.as_fd())) {
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

    fn arm_listeners(&mut self) {
        if !self.is_bell_watched {
            self.ring.watch(self.mailbox.bell().event());
            self.is_bell_watched = true;
        }
        for (index, (listener, arming)) in self.listeners.iter_mut().enumerate() {
            if *arming == Arming::Due {
                *arming = Arming::Armed(self.ring.accept(FIRST_LISTENER + index as Key, listener.fd.as_fd()));
            }
        }
    }

    /// Turns the wishes of every connection that anything happened to into operations.
    fn flush(&mut self) {
        while let Some(key) = self.slots.next_touched() {
            let Some(slot) = self.slots.get(key) else { continue };
            let connection = &mut slot.connection;
            if let Some(batch) = connection.next_batch() {
                self.ring.send(key, slot.socket.as_fd(), batch);
                slot.operations += 1;
            }
            if connection.take_shutdown() {
                // A socket that is already gone says so with its next completion.
                let _ = rustix::net::shutdown(&slot.socket, rustix::net::Shutdown::Write);
            }
            if connection.is_finished() {
                self.close(key);
                continue;
            }
            let want = connection.wants(&self.world.limits);
            match (slot.armed, want) {
                (Armed::Nothing, Want::Stream) => {
                    slot.armed = Armed::Stream(self.ring.receive(key, slot.socket.as_fd(), None));
                }
                (Armed::Nothing, Want::Bytes(bytes)) => {
                    self.ring.receive(key, slot.socket.as_fd(), Some(bytes));
                    slot.armed = Armed::Once;
                }
                (Armed::Nothing, Want::Fill) => {
                    let Some((buffer, range)) = connection.take_fill() else { continue };
                    slot.armed = Armed::Fill(self.ring.fill(key, slot.socket.as_fd(), buffer, range));
                }
                (Armed::Stream(handle), want) if want != Want::Stream => {
                    self.ring.cancel(handle);
                    slot.armed = Armed::Once;
                    continue;
                }
                _ => continue,
            }
            slot.operations += 1;
        }
    }

    /// Ends a connection: its slot is free when its operations have ended, which a shutdown makes them do.
    fn close(&mut self, key: Key) {
        let Some(slot) = self.slots.get(key) else { return };
        if slot.operations > 0 {
            if !slot.is_closing {
                slot.is_closing = true;
                // A socket that is already gone needs no shutdown.
                let _ = rustix::net::shutdown(&slot.socket, rustix::net::Shutdown::Both);
            }
            return;
        }
        self.slots.remove(key);
        self.world.counters.connections_closed.add(1);
        self.control.closed();
    }

    /// Submits, and waits for completions, replies or orders.
    fn wait(&mut self) -> io::Result<()> {
        if self.world.is_draining && self.slots.is_empty() {
            // The last connection has ended in this very turn: there is nothing to wait for.
            return self.ring.poll();
        }
        let spin = self.world.limits.spin;
        if !spin.is_zero() && self.world.now < self.last_event + spin && !self.world.service.wants_core() {
            self.ring.poll()?;
            self.spin(self.last_event + spin);
            return self.ring.poll();
        }
        let bell = self.mailbox.bell();
        bell.prepare_sleep();
        let result = if self.mailbox.is_empty() && !self.control.has_news(self.world.is_draining) {
            let until_sweep = self.next_sweep.saturating_duration_since(self.world.now);
            let timeout = if self.slots.is_empty() && self.listeners_are_armed() { LONG } else { until_sweep };
            self.ring.sleep(timeout)
        } else {
            self.ring.poll()
        };
        self.mailbox.bell().awake();
        result
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
                    Ok(None) => self.slots.with(key, |connection| connection.ended(&mut world.cx())),
                    Err(error) if is_temporary(&error) => self.slots.touch(key),
                    Err(_) => self.slots.with(key, |connection| connection.broken(&mut world.cx())),
                }
            }
            Event::Filled { key, buffer, bytes } => {
                self.operation_ended(key, false, true);
                if let Some(slot) = self.slots.get(key) {
                    slot.is_probed &= bytes.is_err();
                }
                let world = &mut self.world;
                self.slots.with(key, |connection| match bytes {
                    Ok(0) => connection.ended(&mut world.cx()),
                    Ok(bytes) => connection.filled(buffer, bytes, &mut world.cx()),
                    Err(error) if is_temporary(&error) => connection.filled(buffer, 0, &mut world.cx()),
                    Err(_) => connection.broken(&mut world.cx()),
                });
            }
            Event::Sent { key, batch, bytes } => {
                self.operation_ended(key, false, false);
                let world = &mut self.world;
                self.slots.with(key, |connection| match bytes {
                    Ok(bytes) => connection.sent(batch, bytes, &mut world.cx()),
                    Err(error) if is_temporary(&error) => connection.sent(batch, 0, &mut world.cx()),
                    Err(_) => connection.broken(&mut world.cx()),
                });
            }
            Event::Readable { armed } => {
                self.mailbox.bell().silence();
                self.is_bell_watched = armed;
            }
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

    fn accepted(&mut self, key: Key, socket: io::Result<OwnedFd>, armed: bool) {
        let Some((listener, arming)) = self.listeners.get_mut((key - FIRST_LISTENER) as usize) else {
            // The listeners are closed: a drain has begun, and this socket came a moment too late.
            return;
        };
        if !armed {
            // Out of descriptors or memory: trying again at once would only fail again.
            *arming = if socket.is_ok() { Arming::Due } else { Arming::AfterSweep };
        }
        let Ok(socket) = socket else {
            self.world.counters.accept_errors.add(1);
            return;
        };
        if !self.control.try_open(self.world.limits.connections_max) {
            self.world.counters.connections_refused.add(1);
            return;
        }
        if listener.kind == ListenerKind::Unix {
            // A smaller buffer is slower and nothing worse.
            let _ = rustix::net::sockopt::set_socket_send_buffer_size(&socket, UNIX_SEND_BUFFER_BYTES);
        }
        self.world.counters.connections.add(1);
        let now = self.world.now;
        self.slots.insert(socket, |key, generation| Connection::new(key, generation, now));
    }
}

/// Notes what is unsent now, and whether that is another number than the last time.
fn has_moved(before: &mut Option<u32>, now: Option<u32>) -> bool {
    now.is_some() && std::mem::replace(before, now) != now
}

/// Errors after which the same operation may simply be made again: no shared buffer was free, a signal, a cancelled
/// multishot receive.
fn is_temporary(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::ECANCELED | libc::EINTR | libc::EAGAIN))
}
