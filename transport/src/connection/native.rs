//! The native protocol: frames one after the other, replies in any order.
//!
//! A frame that fits into a shared buffer is taken from there in one step. A larger one is received in three: its
//! header, exactly the head that the header declares, then its payloads, straight into the claim. After a large frame
//! the connection is taken to send large frames, until many small ones have followed each other: it then never receives
//! more than the next header into a shared buffer, so that no payload byte has to be copied.

use super::intake::{Intake, Step};
use super::{Base, Cx, FIRST_BYTES, Want, message};
use crate::limits::SMALL_BYTES_MAX;
use crate::service::{Refusal, Reply, Route, Service};
use graphpipe_schema::Code;
use graphpipe_schema::frame::{BadFrame, HEADER_BYTES, Header, MAGIC};
use graphpiped_memory::Destination;
use std::ops::Range;

/// So many small frames in a row, and a connection that has sent a large one is taken to send small ones again: a peer
/// that mixes them pays a receive more for some small frames, which is less than copying large payloads.
const LARGE_FOR: u8 = 16;

/// The state of a native connection between two events.
#[derive(Debug)]
pub(super) struct Native<C> {
    /// Where a frame arrives. There is none while this is a connection of small frames; otherwise it is kept from frame
    /// to frame, so that of large ones that follow each other only the first costs an allocation. So does one that
    /// comes alone after many small ones: ten thousand idle connections that each keep room for one would cost more.
    place: Option<Box<Place<C>>>,
    /// How many small frames in a row make this a connection of small frames; 0: it is one.
    large_for: u8,
    /// Bytes of the frame that begins in the carry, as far as they are known: its header, then all of it if it is
    /// small.
    next_bytes: usize,
}

/// A frame that is arriving, if one is, and its id.
type Place<C> = Option<(u64, Intake<C>)>;

impl<C> Default for Native<C> {
    fn default() -> Native<C> {
        Native { place: None, large_for: 0, next_bytes: HEADER_BYTES }
    }
}

impl<C> Native<C> {
    fn arriving(&self) -> Option<&(u64, Intake<C>)> {
        self.place.as_deref()?.as_ref()
    }

    fn arriving_mut(&mut self) -> Option<&mut (u64, Intake<C>)> {
        self.place.as_deref_mut()?.as_mut()
    }

    pub(super) fn wants(&self, carried: usize) -> Want {
        match self.arriving() {
            Some((_, intake)) => match intake.wanted() {
                0 => Want::Fill,
                bytes => Want::Bytes(bytes),
            },
            None if self.large_for > 0 => Want::Bytes(self.next_bytes.saturating_sub(carried).max(1)),
            None => Want::Stream,
        }
    }

    pub(super) fn take_fill(&mut self) -> Option<(Destination, Range<usize>)> {
        self.arriving_mut()?.1.take_fill()
    }

    pub(super) fn is_in_rows(&self) -> bool {
        self.arriving().is_some_and(|(_, intake)| intake.is_in_rows())
    }

    /// Bytes of the message that is arriving; 0 if none is.
    pub(super) fn arriving_bytes(&self) -> u32 {
        self.arriving().map_or(0, |(_, intake)| intake.length())
    }

    pub(super) fn let_go(&mut self) {
        self.place = None;
    }

    pub(super) fn is_mid_message(&self) -> bool {
        self.arriving().is_some()
    }

    pub(super) fn aside_bytes(&self) -> usize {
        self.arriving().map_or(0, |(_, intake)| intake.aside_bytes())
    }

    /// Whether what is arriving is a header or a head, not a payload.
    pub(super) fn is_head(&self) -> bool {
        self.arriving().is_none_or(|(_, intake)| intake.is_head())
    }

    pub(super) fn consume<S>(&mut self, base: &mut Base, input: &[u8], cx: &mut Cx<'_, S>) -> usize
    where
        S: Service<Context = C>,
    {
        if let Some((_, intake)) = self.arriving_mut() {
            let (consumed, step) = intake.push(Route::Native, input, cx);
            self.step(base, step, cx);
            return consumed;
        }
        if base.holds(cx.limits) {
            return 0;
        }
        let Some(bytes) = input.first_chunk::<HEADER_BYTES>() else {
            // What can never become a header is answered without waiting for the rest of one.
            return match input.first_chunk::<4>() {
                Some(found) if *found != MAGIC => Self::not_a_frame(base, &BadFrame::Magic { found: *found }, 0, cx),
                _ => 0,
            };
        };
        match Header::read(bytes) {
            Ok(header) => self.frame(base, header, &input[HEADER_BYTES..], cx),
            Err(bad @ BadFrame::Magic { .. }) => Self::not_a_frame(base, &bad, 0, cx),
            Err(bad) => {
                let id = u64::from_le_bytes(bytes[16..24].try_into().expect("eight bytes are eight"));
                Self::not_a_frame(base, &bad, id, cx)
            }
        }
    }

    fn not_a_frame<S>(base: &mut Base, bad: &BadFrame, id: u64, cx: &mut Cx<'_, S>) -> usize {
        let code = if let BadFrame::Length { .. } = bad { Code::TooLarge } else { Code::Malformed };
        Self::refuse_and_close(base, id, Refusal::new(code, format!("not a frame: {bad}")), cx)
    }

    fn frame<S>(&mut self, base: &mut Base, header: Header, rest: &[u8], cx: &mut Cx<'_, S>) -> usize
    where
        S: Service<Context = C>,
    {
        if header.flags != 0 {
            let refusal = Refusal::new(Code::Malformed, "not a request: its flags say that it is an error reply");
            return Self::refuse_and_close(base, header.id, refusal, cx);
        }
        if header.length > cx.limits.message_bytes_max {
            let (length, max) = (header.length, cx.limits.message_bytes_max);
            let message = format!("a message of {length} bytes is over the limit of {max} (--message-bytes-max)");
            return Self::refuse_and_close(base, header.id, Refusal::new(Code::TooLarge, message), cx);
        }
        let length = header.length as usize;
        self.next_bytes = HEADER_BYTES;
        if rest.len() >= length {
            cx.counters.requests_native.add(1);
            self.large_for = if is_small(&header) { self.large_for.saturating_sub(1) } else { LARGE_FOR };
            if self.large_for == 0 {
                self.place = None;
            }
            let reply = message::take(base, header.id, Route::Native, &rest[..length], cx);
            Self::answer(base, header.id, reply, cx);
            return HEADER_BYTES + length;
        }
        if is_small(&header) {
            self.next_bytes += length;
            return 0;
        }
        cx.counters.requests_native.add(1);
        self.large_for = LARGE_FOR;
        let intake = Intake::new(header.length, header.head, cx.spare.take());
        **self.place.get_or_insert_default() = Some((header.id, intake));
        HEADER_BYTES
    }

    pub(super) fn filled<S>(&mut self, base: &mut Base, destination: Destination, bytes: usize, cx: &mut Cx<'_, S>)
    where
        S: Service<Context = C>,
    {
        let Some((_, intake)) = self.arriving_mut() else { return };
        let step = intake.filled(destination, bytes);
        self.step(base, step, cx);
    }

    /// See [`Connection::set_apart`](super::Connection::set_apart).
    pub(super) fn set_apart<S>(&mut self, base: &mut Base, cx: &mut Cx<'_, S>)
    where
        S: Service<Context = C>,
    {
        let Some((_, intake)) = self.arriving_mut() else { return };
        let step = intake.set_apart(cx);
        self.step(base, step, cx);
    }

    fn step<S>(&mut self, base: &mut Base, step: Step, cx: &mut Cx<'_, S>)
    where
        S: Service<Context = C>,
    {
        match step {
            Step::More => {}
            Step::Answered(reply) => {
                let id = self.arriving().map_or(0, |(id, _)| *id);
                Self::answer(base, id, Some(reply), cx);
            }
            Step::Complete => {
                let arrived = self.place.as_deref_mut().and_then(Option::take);
                let (id, intake) = arrived.expect("a step is a step of what is arriving");
                let (reply, aside) = intake.complete(|window, claim| base.commit(id, Route::Native, window, claim, cx));
                cx.spare.give(aside);
                Self::answer(base, id, reply, cx);
            }
        }
        if let Some(place) = self.place.as_deref_mut() {
            place.take_if(|(_, intake)| intake.is_done());
        }
    }

    fn answer<S>(base: &mut Base, id: u64, reply: Option<Reply>, cx: &mut Cx<'_, S>) {
        // What follows has a time of its own.
        base.began = None;
        if let Some(reply) = reply {
            base.encoder(cx).native(id, &reply);
        }
    }

    /// Where the next frame begins is unknown, or it is not wanted: the reply is the connection's last.
    fn refuse_and_close<S>(base: &mut Base, id: u64, refusal: Refusal, cx: &mut Cx<'_, S>) -> usize {
        base.encoder(cx).native(id, &Reply::Refused(refusal));
        base.close_politely(cx.now);
        0
    }
}

/// Whether a frame is received through shared buffers: its payload is small, and it fits into one receive.
fn is_small(header: &Header) -> bool {
    let payload = (header.length - header.head) as usize;
    payload <= SMALL_BYTES_MAX && header.length as usize + HEADER_BYTES <= FIRST_BYTES
}
