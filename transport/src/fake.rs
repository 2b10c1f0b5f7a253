//! A service for the transport's own tests: it claims real memory and answers every inference with its inputs. What a
//! client sends it and how replies are read is in [`samples`]; where chance comes from, in [`random`]; where rows do,
//! in [`rows`]; what a test and a service that is with its reactor say to each other, in [`talk`].

pub(crate) mod random;
pub(crate) mod rows;
pub(crate) mod samples;
pub(crate) mod talk;

use crate::service::{Claim, Content, Output, Page, Piece, Refusal, Reply, Route, Service, Ticket};
use graphpipe_schema::metadata::Metadata;
use graphpipe_schema::reader::{InferRequest, MetadataRequest, Read, Seen, Window, read_request};
use graphpipe_schema::{Code, DType, Shape};
use graphpiped_batch::Lane;
use graphpiped_memory::{BASE_ALIGN, Buffer, Destination, Frozen, Payload, Pool};
use smallvec::{SmallVec, smallvec};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use talk::Talk;

/// The model that is always refused.
pub(crate) const REFUSED_MODEL: &str = "refuse";

/// How many requests are answered in one turn.
const TURN_REPLIES: usize = 3;

/// When requests get their replies.
enum Answers {
    AtOnce,
    /// When whoever takes them likes.
    Later(Box<dyn FnMut(Ticket, Reply)>),
    /// In the service's turns.
    InTurn(VecDeque<(Ticket, Reply)>),
}

/// The echo.
pub(crate) struct Fake {
    pub pool: Pool,
    /// Whether every claim is refused for want of memory.
    pub is_busy: bool,
    /// How many requests were committed.
    pub commits: u64,
    /// The weight of each request.
    pub weight: u32,
    /// Where claims get rows, while there are some.
    pub lane: Option<Arc<Lane<()>>>,
    /// How long a slow sender is waited for, while there is no hurry.
    pub patience: Option<Duration>,
    /// When the next replies of another thread are believed to come.
    pub(crate) next_reply: Option<Instant>,
    pub talk: Arc<Talk>,
    answers: Answers,
    metadata: Arc<[u8]>,
}

/// What a claim knows of its request.
#[derive(Debug)]
pub(crate) enum Known {
    /// All of it: the outputs, whose payloads lie in these ranges of the buffer.
    Complete(Vec<EchoOutput>),
    /// Where its only payload is; the rest is read at the commit.
    OnePayload(Range<u32>),
    /// Nothing.
    Nothing,
}

#[derive(Debug)]
pub(crate) struct EchoOutput {
    dtype: DType,
    shape: Shape,
    content: EchoContent,
}

#[derive(Debug)]
enum EchoContent {
    Range(Range<usize>),
    Strings(Vec<Vec<u8>>),
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fake").field("is_busy", &self.is_busy).field("commits", &self.commits).finish_non_exhaustive()
    }
}

impl Fake {
    /// An echo that answers at once.
    pub(crate) fn inline(pool: &Pool) -> Fake {
        Fake::new(pool, Answers::AtOnce)
    }

    /// An echo that answers inferences in its turns, some in each.
    pub(crate) fn in_turn(pool: &Pool) -> Fake {
        Fake::new(pool, Answers::InTurn(VecDeque::new()))
    }

    fn new(pool: &Pool, answers: Answers) -> Fake {
        let metadata = Metadata { name: "echo".into(), ..Metadata::default() }.write();
        Fake {
            pool: pool.clone(),
            is_busy: false,
            commits: 0,
            weight: 1,
            lane: None,
            patience: None,
            next_reply: None,
            talk: Arc::default(),
            answers,
            metadata: metadata.into(),
        }
    }

    /// An echo whose replies to inferences go through `later`.
    pub(crate) fn later(pool: &Pool, later: impl FnMut(Ticket, Reply) + 'static) -> Fake {
        Fake::new(pool, Answers::Later(Box::new(later)))
    }

    /// The message that answers every metadata request.
    pub(crate) fn metadata_message(&self) -> &[u8] {
        &self.metadata
    }

    /// Whether requests wait for its next turn.
    pub(crate) fn has_turn(&self) -> bool {
        matches!(&self.answers, Answers::InTurn(waiting) if !waiting.is_empty())
    }

    /// Memory for payloads: rows if there are some.
    fn destination(&self, bytes: usize) -> Result<Destination, Refusal> {
        match self.lane.as_ref().and_then(|lane| lane.claim(rows::rows_for(bytes))) {
            Some(claim) if !self.is_busy => Ok(claim.into()),
            _ => self.reserve(bytes).map(Destination::from),
        }
    }

    fn reserve(&self, bytes: usize) -> Result<Buffer, Refusal> {
        if self.is_busy {
            return Err(Refusal::new(Code::Busy, "told to be busy"));
        }
        self.pool.reserve(bytes).map_err(|exhausted| Refusal::new(Code::Busy, exhausted.to_string()))
    }

    fn claim_complete(&self, request: &InferRequest<'_>) -> Result<Option<Claim<Known>>, Refusal> {
        let outputs = echo_outputs(request, &mut |_| 0)?;
        let mut pieces: SmallVec<[Piece; 4]> = SmallVec::new();
        let mut offset = 0;
        for index in 0..outputs.len() {
            let message = request.input(index).get().and_then(|input| input.payload().get()).unwrap_or_default();
            if !message.is_empty() {
                pieces.push(Piece { message: message.clone(), offset });
                offset = (offset + message.len()).next_multiple_of(BASE_ALIGN);
            }
        }
        if pieces.windows(2).any(|pair| pair[0].message.end > pair[1].message.start) {
            // Payloads that share bytes or are not in order: only the whole message has a place for them.
            return Ok(None);
        }
        let place = |message: &Range<u32>| {
            pieces.iter().find(|piece| piece.message == *message).map_or(0, |piece| piece.offset)
        };
        let outputs = echo_outputs(request, &mut |message| place(&message))?;
        let destination = self.destination(offset)?;
        Ok(Some(Claim { destination, pieces, weight: self.weight, context: Known::Complete(outputs) }))
    }
}

impl Service for Fake {
    type Context = Known;

    fn claim(&mut self, route: Route<'_>, request: &InferRequest<'_>, length: u32) -> Result<Claim<Known>, Refusal> {
        check_model(route, request)?;
        if request.is_complete() {
            return match self.claim_complete(request)? {
                Some(claim) => Ok(claim),
                None => self.claim_message(route, length),
            };
        }
        let only = match (request.inputs_count(), request.input(0)) {
            (Seen::Is(1), Seen::Is(input)) => input.payload().get().filter(|payload| !payload.is_empty()),
            _ => None,
        };
        let Some(payload) = only else { return self.claim_message(route, length) };
        let destination = self.destination(payload.len())?;
        let pieces = smallvec![Piece { message: payload.clone(), offset: 0 }];
        Ok(Claim { destination, pieces, weight: self.weight, context: Known::OnePayload(payload) })
    }

    fn claim_message(&mut self, _: Route<'_>, length: u32) -> Result<Claim<Known>, Refusal> {
        let destination = self.reserve(length as usize + BASE_ALIGN)?.into();
        // Not at the start, so that nobody can take a piece's offset for 0.
        let pieces = smallvec![Piece { message: 0..length, offset: BASE_ALIGN }];
        Ok(Claim { destination, pieces, weight: self.weight, context: Known::Nothing })
    }

    fn commit(&mut self, ticket: Ticket, route: Route<'_>, window: Window<'_>, claim: Claim<Known>) -> Option<Reply> {
        assert_eq!(ticket.weight, claim.weight, "a ticket weighs what its claim does");
        let reply = match echo(&self.pool, route, window, claim) {
            Ok(outputs) => Reply::Outputs(outputs),
            Err(refusal) => Reply::Refused(refusal),
        };
        self.commits += 1;
        match &mut self.answers {
            Answers::AtOnce => return Some(reply),
            Answers::Later(later) => later(ticket, reply),
            Answers::InTurn(waiting) => waiting.push_back((ticket, reply)),
        }
        None
    }

    fn turn(&mut self, _: Instant, replies: &mut dyn FnMut(Ticket, Reply)) -> bool {
        let Answers::InTurn(waiting) = &mut self.answers else { return false };
        if waiting.is_empty() || self.talk.is_holding.load(Ordering::Relaxed) {
            return false;
        }
        if !self.talk.is_idle_turn() {
            let count = waiting.len().min(TURN_REPLIES);
            waiting.drain(..count).for_each(|(ticket, reply)| replies(ticket, reply));
        }
        !waiting.is_empty()
    }

    fn gone(&mut self, connection: u32, generation: u32) {
        self.talk.note_gone(connection, generation);
    }

    fn patience(&self) -> Option<Duration> {
        if self.talk.take_hurry() { Some(Duration::ZERO) } else { self.patience }
    }

    fn set_apart(&mut self, mut destination: Destination, arrived: &[Range<usize>]) -> Result<Destination, Refusal> {
        self.talk.note_apart(arrived);
        let mut buffer = self.reserve(destination.len())?;
        for range in arrived {
            buffer.as_mut_slice()[range.clone()].copy_from_slice(destination.slice_mut(range.clone()));
        }
        Ok(buffer.into())
    }

    fn metadata(&mut self, _: Route<'_>, request: &MetadataRequest<'_>) -> Reply {
        if request.model() == REFUSED_MODEL.as_bytes() {
            return Reply::Refused(Refusal::new(Code::UnknownModel, "told to refuse"));
        }
        Reply::Message(Arc::clone(&self.metadata))
    }

    fn page(&mut self, path: &str) -> Page {
        Page { status: 200, content_type: crate::http::JSON, body: format!("{{\"path\":\"{path}\"}}") }
    }

    fn is_page(&self, path: &str) -> bool {
        path.starts_with("/control/")
    }

    fn wants_core(&self) -> bool {
        false
    }

    fn next_reply(&self, then: Instant) -> Option<Instant> {
        self.next_reply.filter(|reply| *reply > then)
    }

    fn rest(&self) -> Option<Duration> {
        self.talk.rest()
    }
}

fn check_model(route: Route<'_>, request: &InferRequest<'_>) -> Result<(), Refusal> {
    let is_refused = match route {
        Route::Http(path) => path.ends_with(REFUSED_MODEL),
        Route::Native => false,
    };
    if is_refused || request.model() == Seen::Is(REFUSED_MODEL.as_bytes()) {
        return Err(Refusal::new(Code::UnknownModel, "told to refuse"));
    }
    Ok(())
}

/// The outputs of a claim that is filled.
fn echo(
    pool: &Pool,
    route: Route<'_>,
    window: Window<'_>,
    claim: Claim<Known>,
) -> Result<SmallVec<[Output; 1]>, Refusal> {
    let Claim { mut destination, pieces, context, .. } = claim;
    let outputs = match context {
        Known::Complete(outputs) => outputs,
        Known::OnePayload(payload) => {
            let Read::Infer(request) = read_request(window)? else { return Err(not_an_inference()) };
            check_model(route, &request)?;
            if request.input(0).map(|input| input.payload()) != Seen::Is(Seen::Is(payload)) {
                return Err(not_an_inference());
            }
            echo_outputs(&request, &mut |_| 0)?
        }
        Known::Nothing => {
            let piece = &pieces[0];
            let message = destination.slice_mut(piece.offset..piece.offset + piece.message.len());
            let Read::Infer(request) = read_request(Window::whole(message))? else { return Err(not_an_inference()) };
            check_model(route, &request)?;
            echo_outputs(&request, &mut |payload| piece.offset + payload.start as usize)?
        }
    };
    let frozen = freeze(pool, destination);
    let output = |echo: EchoOutput| Output {
        dtype: echo.dtype,
        shape: echo.shape,
        content: match echo.content {
            EchoContent::Range(range) => Content::Payload(Payload::new(frozen.clone(), range)),
            EchoContent::Strings(strings) => Content::Strings(strings),
        },
    };
    Ok(outputs.into_iter().map(output).collect())
}

/// What a claim holds, to be sent from.
fn freeze(pool: &Pool, destination: Destination) -> Frozen {
    match destination {
        Destination::Buffer(buffer) => buffer.freeze(),
        Destination::Rows(mut rows) => {
            let bytes = rows.len();
            let mut buffer = pool.reserve(bytes).expect("tests have memory enough");
            buffer.as_mut_slice().copy_from_slice(rows.slice_mut(0..bytes));
            buffer.freeze()
        }
    }
}

/// The inputs of a request as outputs; `place` says where in the buffer a payload lies.
fn echo_outputs(
    request: &InferRequest<'_>,
    place: &mut dyn FnMut(Range<u32>) -> usize,
) -> Result<Vec<EchoOutput>, Refusal> {
    let count = request.inputs_count().get().ok_or_else(not_an_inference)?;
    (0..count)
        .map(|index| {
            let input = request.input(index).get().ok_or_else(not_an_inference)?;
            let (Seen::Is(shape), Seen::Is(payload)) = (input.shape(), input.payload()) else {
                return Err(not_an_inference());
            };
            let content = if input.dtype() == DType::String {
                let strings: Vec<Vec<u8>> = input.strings().map(<[u8]>::to_vec).collect();
                if shape.elements() != Some(strings.len() as u64) {
                    return Err(Refusal::new(Code::WrongTensor, "as many strings as the shape says, please"));
                }
                EchoContent::Strings(strings)
            } else {
                if shape.bytes(input.dtype()) != Some(payload.len() as u64) {
                    return Err(Refusal::new(Code::WrongTensor, "as many bytes as the shape says, please"));
                }
                let start = place(payload.clone());
                EchoContent::Range(start..start + payload.len())
            };
            Ok(EchoOutput { dtype: input.dtype(), shape, content })
        })
        .collect()
}

fn not_an_inference() -> Refusal {
    Refusal::new(Code::Malformed, "not an inference that can be echoed")
}
