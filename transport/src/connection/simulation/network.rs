//! The reactor's part of the simulation: one connection, the operations that were asked for on its behalf, and a peer
//! at the other end of a stream that delivers as little, as much and as late as chance will have it.
//!
//! It keeps the reactor's contract: one receive operation at a time, a multishot receive that goes on for a while after
//! it was told to end, operations that end after the connection is finished, and a connection that is dropped only when
//! none is left.

use super::super::{Connection, Cx, Spare, Want};
use crate::counters::Counters;
use crate::fake::random::Random;
use crate::fake::{Fake, rows};
use crate::limits::Limits;
use crate::ring::Batch;
use crate::service::{Reply, Service, Ticket};
use graphpiped_memory::{Destination, Pool};
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Bytes of one shared receive buffer.
const SHARED_BYTES: usize = 16 * 1024;

/// How many completions there may be at a time.
const BURST_MAX: usize = 64;
/// The most that a connection may have to hold: what one burst brings, and what comes of a stream that was told to end.
pub(super) const CARRY_BYTES_MAX: usize = (BURST_MAX + 8) * SHARED_BYTES;

/// The receive operation in flight.
#[derive(Debug)]
pub(super) enum Receive {
    Nothing,
    Once(usize),
    Fill(Destination, Range<usize>),
    /// `left`: how often it still delivers after it was cancelled.
    Stream {
        left: Option<usize>,
    },
}

/// What the peer does, apart from sending its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Ends its side as soon as everything is sent, and reads on.
    AtOnce,
    /// Ends when it has read the server's end, and until then waits for replies.
    WhenAnswered,
    /// Never ends, never sends anything more.
    Never,
}

/// What the peer does with what is sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Reads,
    DoesNotRead,
    /// It has reset the connection: every operation fails.
    IsGone,
}

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happening {
    Received,
    ReceiveEnded,
    Sent,
    Replied,
    Turned,
}

/// The connection and everything around it.
pub(super) struct Network {
    pub random: Random,
    pub connection: Connection<Fake>,
    pub service: Fake,
    pub limits: Limits,
    pub counters: Counters,
    pub now: Instant,
    pub is_draining: bool,
    /// What the peer sends, and how much of it was received.
    pub stream: Vec<u8>,
    pub delivered: usize,
    /// What the peer has received.
    pub output: Vec<u8>,
    pub end: End,
    pub peer: Peer,
    /// How ready it is to read while there is something else to do.
    reading_percent: u64,
    /// Whether the server has shut its sending side down.
    is_shut_down: bool,
    spare: Spare,
    backlog: usize,
    receive: Receive,
    send: Option<Batch>,
    later: Rc<RefCell<Vec<(Ticket, Reply)>>>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Connection { base, carry, .. } = &self.connection;
        write!(f, "byte {} of {}, then {:?}; ", self.delivered, self.stream.len(), self.end)?;
        write!(f, "{:?}, {} carried, {} in flight, ", base.phase, carry.len(), base.in_flight)?;
        write!(f, "wants {:?}, receives {:?}", self.connection.wants(&self.limits), self.receive)
    }
}

impl Network {
    pub(super) fn new(mut random: Random, pool: &Pool, stream: Vec<u8>, limits: Limits) -> Network {
        let later = Rc::new(RefCell::new(Vec::new()));
        let queue = Rc::clone(&later);
        let mut service = match random.within(0..10) {
            0..=3 => Fake::inline(pool),
            4..=5 => Fake::in_turn(pool),
            _ => Fake::later(pool, move |ticket, reply| queue.borrow_mut().push((ticket, reply))),
        };
        service.weight = random.pick(&[0, 1, 3, 1000]);
        service.lane = random.chance(50).then(rows::lane);
        let reading_percent = random.pick(&[100, 100, 20, 1]);
        let now = Instant::now();
        Network {
            random,
            connection: Connection::new(3, 9, now),
            service,
            limits,
            counters: Counters::default(),
            now,
            is_draining: false,
            stream,
            delivered: 0,
            output: Vec::new(),
            end: End::AtOnce,
            peer: Peer::Reads,
            reading_percent,
            is_shut_down: false,
            spare: Spare::default(),
            backlog: 0,
            receive: Receive::Nothing,
            send: None,
            later,
        }
    }

    /// Calls the connection.
    pub(super) fn with<R>(&mut self, act: impl FnOnce(&mut Connection<Fake>, &mut Cx<'_, Fake>) -> R) -> R {
        let mut cx = Cx {
            service: &mut self.service,
            limits: &self.limits,
            counters: &self.counters,
            spare: &mut self.spare,
            backlog: &mut self.backlog,
            now: self.now,
            is_draining: self.is_draining,
        };
        act(&mut self.connection, &mut cx)
    }

    /// Whether the reactor would drop the connection now.
    pub(super) fn is_closed(&self) -> bool {
        self.connection.is_finished() && self.send.is_none() && matches!(self.receive, Receive::Nothing)
    }

    /// Turns wishes into operations, as the reactor does after every event.
    pub(super) fn flush(&mut self) {
        if let Some(batch) = self.connection.next_batch(&mut self.spare) {
            assert!(self.send.replace(batch).is_none(), "two sends at a time");
        }
        if self.connection.take_shutdown() {
            assert!(!self.is_shut_down, "shut down twice");
            assert!(self.send.is_none(), "shut down before everything was sent");
            self.is_shut_down = true;
        }
        let want = self.connection.wants(&self.limits);
        if self.connection.is_finished() {
            assert_eq!(want, Want::Nothing, "a finished connection wants something");
            return;
        }
        match (&mut self.receive, want) {
            (Receive::Nothing, Want::Stream) => self.receive = Receive::Stream { left: None },
            (Receive::Nothing, Want::Bytes(bytes)) => {
                assert!(bytes > 0, "a receive of nothing");
                self.receive = Receive::Once(bytes);
            }
            (Receive::Nothing, Want::Fill) => {
                let (destination, range) = self.connection.take_fill().expect("a fill was wanted and nobody has it");
                assert!(
                    !range.is_empty() && range.end <= destination.len(),
                    "a fill of {range:?} in {} bytes",
                    destination.len()
                );
                self.receive = Receive::Fill(destination, range);
            }
            (Receive::Stream { left: left @ None }, want) if want != Want::Stream => {
                *left = Some(self.random.within(0..4));
            }
            _ => {}
        }
    }

    /// Lets something happen, perhaps many times before the connection is asked what it wants; `false` if nothing can.
    pub(super) fn step(&mut self) -> bool {
        self.now += Duration::from_micros(self.random.within(0..50) as u64);
        if self.connection.is_in_rows() && self.random.chance(5) {
            self.lose_patience();
            self.flush();
            return true;
        }
        let mut possible = self.possible();
        if possible.is_empty() {
            return false;
        }
        if possible.len() > 1 && !self.random.chance(self.reading_percent) {
            possible.retain(|happening| *happening != Happening::Sent);
        }
        let happening = self.random.pick(&possible);
        let mut count = if self.random.chance(80) { 1 } else { self.random.within(1..BURST_MAX) };
        while count > 0 && self.possible().contains(&happening) {
            count -= 1;
            match happening {
                Happening::Received => self.received(),
                Happening::ReceiveEnded => self.receive_ended(),
                Happening::Sent => self.sent(),
                Happening::Replied => self.replied(),
                Happening::Turned => self.turned(),
            }
        }
        self.flush();
        true
    }

    fn possible(&self) -> Vec<Happening> {
        let is_gone = self.peer == Peer::IsGone;
        let is_over = is_gone || self.connection.is_finished();
        let has_bytes = self.delivered < self.stream.len();
        let has_ended = self.has_ended();
        let mut possible = Vec::new();
        let can_receive = match &self.receive {
            Receive::Nothing | Receive::Stream { left: Some(0) } => false,
            _ => has_bytes && !is_gone,
        };
        if can_receive {
            possible.push(Happening::Received);
        }
        let can_end = match &self.receive {
            Receive::Nothing => false,
            Receive::Stream { left: Some(_) } => true,
            _ => is_over || (has_ended && !has_bytes),
        };
        if can_end {
            possible.push(Happening::ReceiveEnded);
        }
        if self.send.is_some() && (self.peer == Peer::Reads || is_over) {
            possible.push(Happening::Sent);
        }
        if !self.later.borrow().is_empty() {
            possible.push(Happening::Replied);
        }
        if self.service.has_turn() {
            possible.push(Happening::Turned);
        }
        possible
    }

    fn has_ended(&self) -> bool {
        match self.end {
            End::AtOnce => true,
            End::WhenAnswered => self.is_shut_down,
            End::Never => false,
        }
    }

    fn take_bytes(&mut self, max: usize) -> Vec<u8> {
        let available = (self.stream.len() - self.delivered).min(max);
        let count = if self.random.chance(60) { available } else { 1 + self.random.length(available - 1) };
        let bytes = self.stream[self.delivered..self.delivered + count.min(available)].to_vec();
        self.delivered += bytes.len();
        bytes
    }

    fn received(&mut self) {
        match std::mem::replace(&mut self.receive, Receive::Nothing) {
            Receive::Nothing => unreachable!("nothing was asked for"),
            Receive::Once(max) => {
                let bytes = self.take_bytes(max.min(SHARED_BYTES));
                self.with(|connection, cx| connection.received(&bytes, cx));
            }
            Receive::Stream { left } => {
                let bytes = self.take_bytes(SHARED_BYTES);
                // It ends by itself now and then, for want of buffers.
                if !self.random.chance(5) {
                    self.receive = Receive::Stream { left: left.map(|left| left - 1) };
                }
                self.with(|connection, cx| connection.received(&bytes, cx));
            }
            Receive::Fill(mut destination, range) => {
                if self.random.chance(3) {
                    // Interrupted before the first byte: to be made again.
                    return self.with(|connection, cx| connection.filled(destination, 0, cx));
                }
                let bytes = self.take_bytes(range.len());
                destination.slice_mut(range.start..range.start + bytes.len()).copy_from_slice(&bytes);
                self.with(|connection, cx| connection.filled(destination, bytes.len(), cx));
            }
        }
    }

    /// Others wait for the rows: a receive that has them is cancelled, and has brought nothing.
    fn lose_patience(&mut self) {
        match std::mem::replace(&mut self.receive, Receive::Nothing) {
            Receive::Fill(destination, _) => self.with(|connection, cx| connection.filled(destination, 0, cx)),
            other => self.receive = other,
        }
        let before = self.service.talk.apart().len();
        self.with(Connection::set_apart);
        assert_eq!(self.service.talk.apart().len(), before + 1);
        assert!(!self.connection.is_in_rows(), "it has rows that others wait for");
    }

    /// The end of the stream, of a cancelled receive, or of the socket.
    fn receive_ended(&mut self) {
        let receive = std::mem::replace(&mut self.receive, Receive::Nothing);
        let is_cancelled = matches!(receive, Receive::Stream { left: Some(_) });
        let is_end = self.has_ended() && self.delivered == self.stream.len();
        if is_cancelled && !(is_end && self.random.chance(50)) && self.peer != Peer::IsGone {
            return;
        }
        let is_gone = self.peer == Peer::IsGone || (self.connection.is_finished() && self.random.chance(30));
        self.with(|connection, cx| if is_gone { connection.broken(cx) } else { connection.ended(false, cx) });
        drop(receive);
    }

    fn sent(&mut self) {
        let Some(batch) = self.send.take() else { unreachable!("nothing was sent") };
        if self.peer == Peer::IsGone {
            return self.with(Connection::broken);
        }
        let bytes = batch.bytes_for_test();
        assert!(!bytes.is_empty(), "a send of nothing");
        let count = match self.random.within(0..10) {
            0 => 0,
            1..=4 => 1 + self.random.length(bytes.len() - 1),
            _ => bytes.len(),
        };
        let count = count.min(bytes.len());
        self.output.extend_from_slice(&bytes[..count]);
        self.with(|connection, cx| connection.sent(batch, count, cx));
    }

    fn replied(&mut self) {
        let count = self.later.borrow().len();
        let index = self.random.within(0..count);
        let (ticket, reply) = self.later.borrow_mut().swap_remove(index);
        assert_eq!((ticket.connection, ticket.generation), (3, 9));
        self.with(|connection, cx| connection.reply(ticket, &reply, cx));
    }

    /// The service's turn.
    fn turned(&mut self) {
        let (now, mut replies) = (self.now, Vec::new());
        self.service.turn(now, &mut |ticket, reply| replies.push((ticket, reply)));
        for (ticket, reply) in replies {
            self.with(|connection, cx| connection.reply(ticket, &reply, cx));
        }
    }

    /// Drops the connection and what was never delivered to it.
    pub(super) fn close(self) -> Fake {
        assert_eq!(self.backlog, 0, "what the connection held is still counted");
        assert!(self.is_closed(), "operations are in flight");
        self.later.borrow_mut().clear();
        if let Some(lane) = &self.service.lane {
            assert_eq!(lane.pending_rows(), 0, "rows are not given up");
        }
        self.service
    }
}
