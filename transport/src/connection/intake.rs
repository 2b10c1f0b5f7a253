//! One message on its way into memory: its head is kept aside, read and shown to the service; its payloads go where the
//! service's claim says.
//!
//! ```text
//!  Head ── the reader has a plan, the service claims ──► Payload ── the last byte ──► complete
//!    └────────── malformed, refused, answered ──────────► Discard ── the last byte ──► done
//! ```
//! Bytes come in two ways: [`Intake::push`] copies from a shared buffer (and counts what of it is payload), and
//! [`Intake::take_fill`] lends the claim's destination to a receive operation, which brings it back with
//! [`Intake::filled`]. A destination of shared rows whose bytes do not come is exchanged by [`Intake::set_apart`].

mod receiving;

use super::Cx;
use crate::limits::{ASIDE_BYTES_MAX, CHUNK_BYTES, SET_APART_BYTES_MAX, SMALL_BYTES_MAX};
use crate::service::{Claim, Piece, Refusal, Reply, Route, Service};
use graphpipe_schema::Code;
use graphpipe_schema::reader::{InferRequest, Read, Window, read_request};
use graphpiped_memory::Destination;
use receiving::Receiving;
use std::ops::Range;

/// What of a message of unknown head is asked for at once: enough for the heads of all known clients, and little to
/// copy if it is payload.
const GUESS_BYTES: u32 = SMALL_BYTES_MAX as u32;

/// A message that is arriving.
#[derive(Debug)]
pub struct Intake<C> {
    length: u32,
    /// Bytes of the message that have arrived; a fill under way is not counted.
    at: u32,
    /// The bytes that are in no piece, in their order.
    aside: Vec<u8>,
    stage: Stage<C>,
}

#[derive(Debug)]
enum Stage<C> {
    Head { needed: u32, head_is_declared: bool },
    Payload(Receiving<C>),
    Discard,
}

/// What a push has led to.
#[derive(Debug)]
pub enum Step {
    /// Nothing yet.
    More,
    /// Everything is where it belongs: see [`Intake::complete`].
    Complete,
    /// The request has its answer already; what is still coming of it is discarded.
    Answered(Reply),
}

impl<C> Intake<C> {
    /// A message of `length` bytes is coming; `head` of them precede its first payload (0 = unknown).
    pub fn new(length: u32, head: u32, aside: Vec<u8>) -> Intake<C> {
        debug_assert!(aside.is_empty());
        let (needed, head_is_declared) = match head {
            0 => (length.min(4), false),
            head => (head.min(ASIDE_BYTES_MAX as u32), true),
        };
        Intake { length, at: 0, aside, stage: Stage::Head { needed, head_is_declared } }
    }

    /// Whether the last byte has arrived.
    pub fn is_done(&self) -> bool {
        self.at == self.length
    }

    /// Bytes that it keeps beside the claim.
    pub fn aside_bytes(&self) -> usize {
        self.aside.len()
    }

    /// Whether the head is still being read.
    pub fn is_head(&self) -> bool {
        matches!(self.stage, Stage::Head { .. })
    }

    /// Whether it has rows that others could use.
    pub fn is_in_rows(&self) -> bool {
        matches!(&self.stage, Stage::Payload(receiving) if receiving.is_in_rows)
    }

    /// Bytes of the message, all of it.
    pub fn length(&self) -> u32 {
        self.length
    }

    /// Bytes to receive into a shared buffer next; 0 if the next ones belong into the claim's destination.
    pub fn wanted(&self) -> usize {
        let left = self.length - self.at;
        let wanted = match &self.stage {
            Stage::Head { needed, head_is_declared: true } => needed - self.at,
            Stage::Head { needed, head_is_declared: false } => (needed - self.at).max(left.min(GUESS_BYTES)),
            Stage::Payload(receiving) => match receiving.pieces.get(receiving.next) {
                Some(piece) => piece.message.start.saturating_sub(self.at),
                None => left,
            },
            Stage::Discard => left,
        };
        wanted as usize
    }

    /// Takes what it needs of `input`; returns how much that was.
    pub fn push<S>(&mut self, route: Route<'_>, input: &[u8], cx: &mut Cx<'_, S>) -> (usize, Step)
    where
        S: Service<Context = C>,
    {
        let mut consumed = 0;
        loop {
            let before = self.at;
            let step = match &self.stage {
                Stage::Head { needed, .. } => {
                    let bytes = input[consumed..].len().min((needed - self.at) as usize);
                    self.aside.extend_from_slice(&input[consumed..consumed + bytes]);
                    self.at += bytes as u32;
                    consumed += bytes;
                    let is_enough = matches!(&self.stage, Stage::Head { needed, .. } if *needed == self.at);
                    if is_enough { self.read_head(route, cx) } else { Ok(None) }
                }
                Stage::Payload(_) => {
                    let step = self.scatter(&input[consumed..], cx);
                    consumed += (self.at - before) as usize;
                    step.map(|()| None)
                }
                Stage::Discard => {
                    consumed += self.discard(input[consumed..].len());
                    Ok(None)
                }
            };
            let reply = match step {
                Ok(None) if self.is_complete() => return (consumed, Step::Complete),
                Ok(None) if consumed == input.len() || self.is_done() => return (consumed, Step::More),
                Ok(None) => continue,
                Ok(Some(reply)) => reply,
                Err(refusal) => Reply::Refused(refusal),
            };
            let step = self.answer(reply);
            consumed += self.discard(input[consumed..].len());
            return (consumed, step);
        }
    }

    /// The request has its answer, whatever is still coming of it.
    fn answer(&mut self, reply: Reply) -> Step {
        self.stage = Stage::Discard;
        self.aside = Vec::new();
        Step::Answered(reply)
    }

    /// Passes over what `available` bytes have of the message; returns how many these are.
    fn discard(&mut self, available: usize) -> usize {
        let bytes = available.min((self.length - self.at) as usize);
        self.at += bytes as u32;
        bytes
    }

    /// Lends the claim's destination for a receive of this range, if the next bytes belong there and it is not lent.
    pub fn take_fill(&mut self) -> Option<(Destination, Range<usize>)> {
        let Stage::Payload(receiving) = &mut self.stage else { return None };
        let piece = receiving.pieces.get(receiving.next)?;
        let done = self.at.checked_sub(piece.message.start)? as usize;
        let bytes = (piece.message.len() - done).min(CHUNK_BYTES);
        let start = piece.offset + done;
        Some((receiving.destination.take()?, start..start + bytes))
    }

    /// Takes the destination back, with `bytes` more bytes of the message in it.
    pub fn filled(&mut self, destination: Destination, bytes: usize) -> Step {
        // A refusal cannot come in between: what refuses has the destination, so no receive has it.
        let Stage::Payload(receiving) = &mut self.stage else { return Step::More };
        receiving.destination = Some(destination);
        self.at += bytes as u32;
        self.pass_pieces();
        if self.is_complete() { Step::Complete } else { Step::More }
    }

    /// Its sender is slow: gives up the rows, if it has some that no receive operation has, for memory of its own. If
    /// too much has arrived to be copied while everybody else waits, the request is refused instead.
    pub fn set_apart<S>(&mut self, cx: &mut Cx<'_, S>) -> Step
    where
        S: Service<Context = C>,
    {
        let Stage::Payload(receiving) = &mut self.stage else { return Step::More };
        if !receiving.is_in_rows {
            return Step::More;
        }
        let Some(rows) = receiving.destination.take() else { return Step::More };
        let arrived = receiving.arrived(self.at);
        let bytes: usize = arrived.iter().map(Range::len).sum();
        if bytes > SET_APART_BYTES_MAX {
            return self.answer(Reply::Refused(too_slow(bytes)));
        }
        match cx.service.set_apart(rows, &arrived) {
            Ok(destination) => {
                cx.counters.rows_set_apart.add(1);
                receiving.put(destination);
                Step::More
            }
            Err(refusal) => self.answer(Reply::Refused(refusal)),
        }
    }

    /// The claim and the metadata of a message whose last byte has arrived, and the vector to be used again.
    pub fn complete<R>(self, commit: impl FnOnce(Window<'_>, Claim<C>) -> R) -> (R, Vec<u8>) {
        let Stage::Payload(receiving) = self.stage else { unreachable!("only a claimed message is complete") };
        let Receiving { destination, pieces, prefix, tail, weight, context, .. } = receiving;
        let destination = destination.expect("no receive is under way when the last byte has arrived");
        let window = Window::split(&self.aside[..prefix], &self.aside[tail..], self.length);
        let result = commit(window, Claim { destination, pieces, weight, context });
        (result, self.aside)
    }

    fn is_complete(&self) -> bool {
        self.is_done() && matches!(self.stage, Stage::Payload(_))
    }

    /// The bytes that the reader asked for are there: asks it again.
    fn read_head<S>(&mut self, route: Route<'_>, cx: &mut Cx<'_, S>) -> Result<Option<Reply>, Refusal>
    where
        S: Service<Context = C>,
    {
        let window = Window::split(&self.aside, &[], self.length);
        let claim = match read_request(window).map_err(Refusal::from)? {
            Read::Need(bytes) if bytes as usize <= ASIDE_BYTES_MAX && bytes > self.at => {
                self.stage = Stage::Head { needed: bytes.min(self.length), head_is_declared: false };
                return Ok(None);
            }
            // Long strings: the message is received as one piece and read when it is all there.
            Read::Need(_) if cx.is_draining => return Err(Refusal::shutting_down()),
            Read::Need(_) => cx.service.claim_message(route, self.length)?,
            Read::Metadata(request) => return Ok(Some(cx.service.metadata(route, &request))),
            Read::Infer(request) => self.claim(route, &request, cx)?,
        };
        self.start_payload(claim, cx)
    }

    fn claim<S>(&self, route: Route<'_>, request: &InferRequest<'_>, cx: &mut Cx<'_, S>) -> Result<Claim<C>, Refusal>
    where
        S: Service<Context = C>,
    {
        if cx.is_draining {
            return Err(Refusal::shutting_down());
        }
        cx.service.claim(route, request, self.length)
    }

    /// Distributes what has arrived so far among the pieces and what stays aside.
    fn start_payload<S>(&mut self, claim: Claim<C>, cx: &mut Cx<'_, S>) -> Result<Option<Reply>, Refusal>
    where
        S: Service<Context = C>,
    {
        let Claim { destination, pieces, weight, context } = claim;
        let arrived = std::mem::replace(&mut self.aside, cx.spare.take());
        self.at = 0;
        let mut receiving =
            Receiving { destination: None, is_in_rows: false, pieces, next: 0, prefix: 0, tail: 0, weight, context };
        receiving.put(destination);
        self.stage = Stage::Payload(receiving);
        let result = self.scatter(&arrived, cx);
        // All of it has arrived, also what lies behind the place where it turned out to be wrong.
        self.at = arrived.len() as u32;
        cx.spare.give(arrived);
        result.map(|()| None)
    }

    /// Copies bytes of the message to where they belong, up to the end of the input, of the message, or of what is
    /// right with it; `at` says how many were taken.
    fn scatter<S>(&mut self, input: &[u8], cx: &mut Cx<'_, S>) -> Result<(), Refusal>
    where
        S: Service<Context = C>,
    {
        let Stage::Payload(receiving) = &mut self.stage else { unreachable!("scattered after the claim only") };
        let mut consumed = 0;
        while consumed < input.len() && self.at < self.length {
            let rest = &input[consumed..];
            let piece = receiving.pieces.get(receiving.next);
            let bytes = match piece {
                Some(piece) if self.at >= piece.message.start => {
                    let bytes = rest.len().min((piece.message.end - self.at) as usize);
                    let start = piece.offset + (self.at - piece.message.start) as usize;
                    let destination = receiving.destination.as_mut().expect("no push while a receive operation has it");
                    destination.slice_mut(start..start + bytes).copy_from_slice(&rest[..bytes]);
                    cx.counters.copied_surprise.add(bytes as u64);
                    bytes
                }
                piece => {
                    let end = piece.map_or(self.length, |piece| piece.message.start);
                    let bytes = rest.len().min((end - self.at) as usize);
                    keep_aside(&mut self.aside, &rest[..bytes])?;
                    check_length_before(&self.aside, piece, self.at + bytes as u32)?;
                    if receiving.next == 0 {
                        receiving.prefix = self.aside.len();
                    }
                    bytes
                }
            };
            consumed += bytes;
            self.at += bytes as u32;
            receiving.pass(self.at, self.aside.len());
        }
        Ok(())
    }

    fn pass_pieces(&mut self) {
        if let Stage::Payload(receiving) = &mut self.stage {
            receiving.pass(self.at, self.aside.len());
        }
    }
}

fn too_slow(bytes: usize) -> Refusal {
    let message = format!(
        "the request was sent too slowly while others waited for its place in a batch: {bytes} bytes of it had come, \
         and no more than {SET_APART_BYTES_MAX} are moved elsewhere; send it again"
    );
    Refusal::new(Code::Busy, message)
}

fn keep_aside(aside: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Refusal> {
    if aside.len() + bytes.len() > 2 * ASIDE_BYTES_MAX {
        let message = format!("more than {} bytes of the message are not payload", 2 * ASIDE_BYTES_MAX);
        return Err(Refusal::new(Code::TooLarge, message));
    }
    aside.extend_from_slice(bytes);
    Ok(())
}

/// A payload was placed by what dtype and shape say before its length field arrived; here the field is compared.
fn check_length_before(aside: &[u8], piece: Option<&Piece>, at: u32) -> Result<(), Refusal> {
    let Some(piece) = piece.filter(|piece| piece.message.start == at && at > 0) else { return Ok(()) };
    let bytes = piece.message.len();
    match aside.last_chunk::<4>() {
        Some(field) if u32::from_le_bytes(*field) as usize == bytes => Ok(()),
        _ => {
            let message = format!("the length before byte {at} is not the {bytes} bytes that type and shape say");
            Err(Refusal::new(Code::WrongTensor, message))
        }
    }
}
