//! The seam between transport and execution: claim memory for a request, say that it is filled, get a reply to send.
//!
//! The transport calls a [`Service`] from its reactor's thread and never from two threads at once. A service that runs
//! requests elsewhere sends the replies back through the reactor's [`Mailbox`](crate::mailbox::Mailbox).
//! What is behind a service (models, frameworks, queues) is nothing that the transport knows.

use graphpipe_schema::reader::{InferRequest, MetadataRequest, Window};
use graphpipe_schema::{Code, DType, Malformed, Shape};
use graphpiped_memory::{Destination, Payload};
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Names one request from its claim to its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The slot of the connection in its reactor.
    pub connection: u32,
    /// Which connection of that slot; a reply to an earlier one is dropped.
    pub generation: u32,
    /// The request: the frame's id; 0 on an HTTP connection, which has one at a time.
    pub id: u64,
    /// What it counts towards what its connection may have in flight: the weight of its claim.
    pub weight: u32,
}

/// How a request named what it is for, outside of its message.
#[derive(Clone, Copy, Debug)]
pub enum Route<'a> {
    /// A native frame: only the message says.
    Native,
    /// The path of an HTTP request, with its leading slash and without its query.
    Http(&'a str),
}

/// Where a range of the message is to be received: exactly one payload, or the whole message.
///
/// A payload may have been placed before its length field arrived (see
/// [`Tensor::payload`](graphpipe_schema::reader::Tensor::payload)). The transport compares the four bytes before each
/// piece that does not begin at 0 with the piece's length, and refuses the request if they differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Bytes of the message, from its start.
    pub message: Range<u32>,
    /// Where they go in the claim's destination.
    pub offset: usize,
}

/// Memory claimed for one request. The pieces are disjoint and in the order of the message; bytes of the message that
/// are in no piece are metadata, which the transport keeps aside.
#[derive(Debug)]
pub struct Claim<C> {
    /// The memory, for all pieces: a buffer of the request's own, or rows of an arena that others receive into as well.
    pub destination: Destination,
    /// What goes where.
    pub pieces: SmallVec<[Piece; 4]>,
    /// What the request counts towards what its connection may have in flight
    /// ([`Limits::weight_max`](crate::limits::Limits::weight_max)), so that no connection fills every queue alone.
    pub weight: u32,
    /// What the service wants to know at the commit.
    pub context: C,
}

/// Why a request gets an error for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind, for programs.
    pub code: Code,
    /// What happened, what was expected, what to do: for people.
    pub message: String,
}

impl Refusal {
    /// The refusal of everything that comes after a shutdown has begun.
    pub fn shutting_down() -> Refusal {
        Refusal::new(Code::ShuttingDown, "the daemon is shutting down; try another one, or this one in a moment")
    }

    /// A refusal.
    pub fn new(code: Code, message: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into() }
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Refusal {
        Refusal::new(Code::Malformed, format!("not a GraphPipe request: {malformed}"))
    }
}

/// One output of a reply.
#[derive(Clone, Debug)]
pub struct Output {
    /// The element type.
    pub dtype: DType,
    /// The shape.
    pub shape: Shape,
    /// The elements.
    pub content: Content,
}

/// The elements of an output.
#[derive(Clone, Debug)]
pub enum Content {
    /// Row-major, little-endian; kept alive until its last byte is sent.
    Payload(Payload),
    /// Byte strings.
    Strings(Vec<Vec<u8>>),
}

/// The answer to one request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The outputs, in the order in which they were asked for.
    Outputs(SmallVec<[Output; 1]>),
    /// A message that is already written (metadata).
    Message(Arc<[u8]>),
    /// An error.
    Refused(Refusal),
}

/// The answer to an HTTP request that is not an inference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// The media type.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// What the transport asks of the daemon.
pub trait Service {
    /// What a claim remembers until its commit.
    type Context: std::fmt::Debug;

    /// The head of a request has been read, as far as it lies before the payloads: reserve memory for what is coming.
    ///
    /// If `request.is_complete()`, everything can be checked now, and a request that is wrong is refused before its
    /// payload is received. Otherwise (old clients put shapes and names behind the payload) the rest is checked at the
    /// commit. `length` is the length of the whole message.
    fn claim(
        &mut self,
        route: Route<'_>,
        request: &InferRequest<'_>,
        length: u32,
    ) -> Result<Claim<Self::Context>, Refusal>;

    /// Reserves memory of its own, no rows, for a message of `length` bytes that cannot be understood before it is all
    /// there (long strings, a body in HTTP chunks): one piece, `0..length`.
    fn claim_message(&mut self, route: Route<'_>, length: u32) -> Result<Claim<Self::Context>, Refusal>;

    /// Every byte is where its piece said. `window` shows the bytes that are in no piece (nothing but those that lie
    /// before the first piece and behind the last). Returns the reply if it is there at once; otherwise it comes
    /// through the mailbox or in a turn, under this ticket, exactly once.
    fn commit(
        &mut self,
        ticket: Ticket,
        route: Route<'_>,
        window: Window<'_>,
        claim: Claim<Self::Context>,
    ) -> Option<Reply>;

    /// Runs what has been committed and is run by the reactor itself. Called once per turn of the reactor, when all
    /// that has completed is handled and before anything is sent or waited for. Each request that is answered goes to
    /// `replies`. Returns whether there is more to be run, so that the reactor looks for completions and comes back.
    fn turn(&mut self, now: Instant, replies: &mut dyn FnMut(Ticket, Reply)) -> bool;

    /// A connection has ended with requests in flight, whoever ended it (the peer that has gone away, a timeout, an
    /// overload): nobody waits for their replies, and they need not be given. Said once.
    fn gone(&mut self, connection: u32, generation: u32);

    /// How long a payload that is received into shared rows may make no progress, if others are waiting for such rows
    /// now; `None` if nobody is. Asked in each turn while there are such payloads, and once more before the reactor
    /// sleeps: whoever lets the answer change from `None` rings the reactors' mailboxes afterwards. A payload that
    /// trickles in has a hundred times as long, or a tenth of a second if that is longer, and no more.
    fn patience(&self) -> Option<Duration>;

    /// Makes room for others: memory of its own for a request whose sender is slow. `arrived` are the ranges of the
    /// destination that hold bytes, each of one piece, and together no more than
    /// [`SET_APART_BYTES_MAX`](crate::limits::SET_APART_BYTES_MAX); they are copied (and counted), everything keeps its
    /// offset, and the rows are given up. A request of which more has come is not asked for: it is refused as busy.
    fn set_apart(&mut self, destination: Destination, arrived: &[Range<usize>]) -> Result<Destination, Refusal>;

    /// Answers a metadata request.
    fn metadata(&mut self, route: Route<'_>, request: &MetadataRequest<'_>) -> Reply;

    /// Answers a GET (or HEAD) of `path`.
    fn page(&mut self, path: &str) -> Page;

    /// Whether the path is answered by [`Service::page`] whatever the method.
    fn is_page(&self, path: &str) -> bool;

    /// Whether the daemon would rather have this core than let the reactor spin on it.
    fn wants_core(&self) -> bool;

    /// When another thread is believed to deliver the next replies to this reactor, of those that it is not believed to
    /// have delivered by `then`. `None` if nobody knows, or there is nothing to deliver.
    fn next_reply(&self, then: Instant) -> Option<Instant>;

    /// For how long a reactor that has done what there was to do leaves its sockets alone, whatever comes to them: because
    /// a run needs its core, being woken for each request would take more of that than all of them together, and what
    /// comes would have to wait in any case.
    fn rest(&self) -> Option<Duration>;
}
