//! One connection: what is under way on it, what is still to be sent, and whose reply has come. It does not wait, and it
//! does not decide when to ask; the worker does.

use super::failure::Failure;
use super::ledger::{Asked, Ledger};
use crate::protocol::{Encoded, Replies};
use crate::socket;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;

/// Pieces of a vectored send: sixteen requests with an id between two pieces, or three times as many without. What is left goes next.
const PIECES_MAX: usize = 48;
/// An id is a counter and, in its lower bits, the slot.
const SLOT_BITS: u32 = 12;
/// How long to wait before connecting again, doubled each time up to the second number (nanoseconds).
const AGAIN_NS: (u64, u64) = (10_000_000, 1_000_000_000);

/// What a connection is doing.
#[derive(Debug)]
pub(super) enum State {
    /// Nothing, until then.
    Down { again_at: u64 },
    /// It waits for the server to accept it.
    Connecting { socket: OwnedFd, since: u64 },
    /// It carries requests.
    Open { socket: OwnedFd },
}

/// A place for one request that is under way.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// `None` if nothing is.
    asked: Option<Asked>,
    id: u64,
}

/// A request that is not wholly sent.
#[derive(Clone, Copy, Debug)]
struct Sending {
    request: u32,
    id: [u8; 8],
    /// Bytes that are.
    done: usize,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) state: State,
    /// Distinguishes its sockets: what an epoll said of an earlier one is not about this one.
    pub(super) generation: u32,
    /// Whether the worker waits for room in the socket.
    pub(super) wants_room: bool,
    /// Whether the worker has it among those that can take a request.
    pub(super) listed: bool,
    replies: Replies,
    slots: Vec<Slot>,
    free: Vec<u16>,
    /// Slots that are under way, in the order in which they were asked.
    order: VecDeque<u16>,
    sending: VecDeque<Sending>,
    asked_count: u64,
    failures_in_a_row: u32,
}

/// Why a connection is of no further use.
#[derive(Debug)]
pub(super) struct End {
    /// What the request that met it failed by, if it is one of ours to tell.
    pub(super) failure: Failure,
    /// In words.
    pub(super) text: String,
}

impl Connection {
    pub(super) fn new(pipeline: usize, replies: Replies) -> Connection {
        assert!((1..=1 << SLOT_BITS).contains(&pipeline), "a pipeline that fits into an id");
        Connection {
            state: State::Down { again_at: 0 },
            generation: 0,
            wants_room: false,
            listed: false,
            replies,
            slots: vec![Slot { asked: None, id: 0 }; pipeline],
            free: (0..pipeline as u16).rev().collect(),
            order: VecDeque::with_capacity(pipeline),
            sending: VecDeque::with_capacity(pipeline),
            asked_count: 0,
            failures_in_a_row: 0,
        }
    }

    /// Whether another request can be asked.
    pub(super) fn has_room(&self) -> bool {
        matches!(self.state, State::Open { .. }) && !self.free.is_empty()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.order.is_empty()
    }

    /// When the oldest request that is under way was sent.
    pub(super) fn oldest(&self) -> Option<Asked> {
        self.order.front().and_then(|slot| self.slots[usize::from(*slot)].asked)
    }

    /// Takes up a request; [`Connection::send`] sends it. There must be room.
    pub(super) fn ask(&mut self, asked: Asked) {
        let slot = self.free.pop().expect("the caller has seen that there is room");
        self.asked_count += 1;
        let id = self.asked_count << SLOT_BITS | u64::from(slot);
        self.slots[usize::from(slot)] = Slot { asked: Some(asked), id };
        self.order.push_back(slot);
        self.sending.push_back(Sending { request: asked.request, id: id.to_le_bytes(), done: 0 });
    }

    /// Sends what the socket takes. Returns how many bytes it took; [`Connection::wants_room`] says whether more is to come.
    pub(super) fn send(&mut self, requests: &[Encoded]) -> Result<usize, End> {
        let State::Open { socket } = &self.state else { return Ok(0) };
        let mut total = 0;
        self.wants_room = false;
        while !self.sending.is_empty() {
            let (pieces, used) = pieces(&self.sending, requests);
            let sent = match socket::send(socket, &pieces[..used]) {
                Ok(sent) => sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wants_room = true;
                    break;
                }
                // What the server has said before it closed is still to be read; the end is told there.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    self.sending.clear();
                    break;
                }
                Err(error) => return Err(End { failure: Failure::Closed, text: format!("sending failed: {error}") }),
            };
            total += sent;
            forget_sent(&mut self.sending, requests, sent);
        }
        Ok(total)
    }

    /// Takes what has arrived.
    pub(super) fn take(&mut self, mut received: &[u8], now: u64, ledger: &mut Ledger<'_>) -> Result<(), End> {
        while !received.is_empty() {
            let reply = match self.replies.next(&mut received) {
                Ok(None) => continue,
                Ok(Some(reply)) => reply,
                Err(violation) => return Err(End { failure: Failure::Protocol, text: violation.0 }),
            };
            let Some(slot) = whose(&self.slots, &self.order, reply.id) else {
                let text = match reply.id {
                    Some(id) => format!("a reply has the id {id}, which no request under way has"),
                    None => "a reply came that nobody has asked for".to_owned(),
                };
                return Err(End { failure: Failure::Protocol, text });
            };
            if let Some(asked) = self.slots[usize::from(slot)].asked.take() {
                ledger.answered(asked, &reply, now);
            }
            let closes = reply.closes;
            remove(&mut self.order, slot);
            self.free.push(slot);
            self.failures_in_a_row = 0;
            if closes {
                return Err(End { failure: Failure::Closed, text: "the server closes after each reply".to_owned() });
            }
        }
        Ok(())
    }

    /// The server sends no more: what it has sent may be a whole reply only now.
    pub(super) fn take_end(&mut self, now: u64, ledger: &mut Ledger<'_>) -> End {
        match self.replies.end() {
            Ok(Some(reply)) => {
                if let Some(slot) = self.order.pop_front() {
                    if let Some(asked) = self.slots[usize::from(slot)].asked.take() {
                        ledger.answered(asked, &reply, now);
                    }
                    self.free.push(slot);
                    self.failures_in_a_row = 0;
                }
            }
            Ok(None) => {}
            Err(violation) => return End { failure: Failure::Closed, text: violation.0 },
        }
        End { failure: Failure::Closed, text: "the server closed the connection before it answered".to_owned() }
    }

    /// Gives the connection up: the oldest request has met `end`, the others go with it. Returns when to connect again.
    pub(super) fn give_up(&mut self, end: &End, replies: Replies, now: u64, ledger: &mut Ledger<'_>) -> u64 {
        let others = if end.failure == Failure::Closed { Failure::Closed } else { Failure::Abandoned };
        for (index, slot) in self.order.drain(..).enumerate() {
            if let Some(asked) = self.slots[usize::from(slot)].asked.take() {
                let failure = if index == 0 { end.failure } else { others };
                ledger.fail(asked.intended, now, failure, || end.text.clone());
            }
            self.free.push(slot);
        }
        self.replies = replies;
        self.sending.clear();
        self.wants_room = false;
        self.generation = self.generation.wrapping_add(1);
        // At once, if the last one was of some use.
        let again_at = match self.failures_in_a_row {
            0 => now,
            n => now + AGAIN_NS.1.min(AGAIN_NS.0 << (n - 1).min(10)),
        };
        self.failures_in_a_row += 1;
        self.state = State::Down { again_at };
        again_at
    }
}

/// The slot that a reply is for: the one with its id, or the oldest.
fn whose(slots: &[Slot], order: &VecDeque<u16>, id: Option<u64>) -> Option<u16> {
    let Some(id) = id else { return order.front().copied() };
    let slot = (id & ((1 << SLOT_BITS) - 1)) as u16;
    let found = slots.get(usize::from(slot))?;
    (found.asked.is_some() && found.id == id).then_some(slot)
}

/// Removes a slot from the order. It is the first one, unless the server answers in another order than it was asked.
fn remove(order: &mut VecDeque<u16>, slot: u16) {
    if order.front() == Some(&slot) {
        order.pop_front();
    } else if let Some(at) = order.iter().position(|other| *other == slot) {
        order.remove(at);
    }
}

/// What is to be sent next, as pieces, and how many pieces there are.
fn pieces<'a>(sending: &'a VecDeque<Sending>, requests: &'a [Encoded]) -> ([IoSlice<'a>; PIECES_MAX], usize) {
    let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
    let mut used = 0;
    for one in sending {
        let request = &requests[one.request as usize];
        let bytes = &request.bytes[..];
        let parts: [&[u8]; 3] = match request.id_at {
            Some(at) => [&bytes[..at], &one.id, &bytes[at + one.id.len()..]],
            None => [bytes, &[], &[]],
        };
        if used + parts.len() > PIECES_MAX {
            break;
        }
        let mut skip = one.done;
        for part in parts {
            let begin = skip.min(part.len());
            skip -= begin;
            if begin < part.len() {
                pieces[used] = IoSlice::new(&part[begin..]);
                used += 1;
            }
        }
    }
    (pieces, used)
}

/// Takes `sent` bytes off what is to be sent.
fn forget_sent(sending: &mut VecDeque<Sending>, requests: &[Encoded], mut sent: usize) {
    while sent > 0 {
        let Some(one) = sending.front_mut() else { return };
        let left = requests[one.request as usize].bytes.len() - one.done;
        if sent < left {
            one.done += sent;
            return;
        }
        sent -= left;
        sending.pop_front();
    }
}
