//! From a claim to work: what was known of a request when its memory was claimed, and what is made of it when it is filled.
//!
//! | what has been seen of a request | what is claimed | what is checked when |
//! | --- | --- | --- |
//! | everything but payloads | each payload, aligned | everything at the claim |
//! | one tensor, whose payload's place is known (old Python clients put its shape behind it) | that payload | the rest at the commit |
//! | anything else; byte strings | the whole message | everything at the commit |

use crate::admission::{self, Admitted};
use crate::claim::{self, Layout};
use crate::daemon::Daemon;
use crate::run::{Place, Work, WorkInput, out_of_memory};
use graphpipe_schema::reader::{InferRequest, Malformed, MetadataRequest, Read, Seen, Tensor, Window, read_request};
use graphpipe_schema::{Code, DType};
use graphpiped_memory::{BASE_ALIGN, Buffer, Frozen};
use graphpiped_transport::service::{Claim, Refusal, Reply, Route};
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a claim remembers until its commit.
#[derive(Debug)]
pub struct Context {
    /// When the head had been read, if anybody may want to know: the clock is dear beside a small request.
    arrived: Option<Instant>,
    known: Known,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "the large variant is the one of the data path, where a box would be an allocation per request"
)]
enum Known {
    /// The request has been checked. Payloads lie at these offsets, in the order of the inputs.
    All { model: usize, admitted: Admitted, offsets: SmallVec<[usize; 2]>, deadline_us: u64 },
    /// The payload of the only tensor, which lies at the buffer's beginning.
    Payload(Range<u32>),
    /// Nothing; the message begins at this offset.
    Nothing(usize),
}

/// A request that has been received and fits its model.
#[derive(Debug)]
pub struct Received {
    /// Which model.
    pub model: usize,
    /// After this nobody wants the reply.
    pub deadline: Option<Instant>,
    /// What to run.
    pub work: Work,
}

/// What is answered at once.
#[derive(Debug)]
pub enum Answer {
    /// The request is wrong, or there is no room for it.
    Refused(Refusal),
    /// It asked for metadata.
    Message(Arc<[u8]>),
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Answer {
        Answer::Refused(refusal)
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Reply {
        match answer {
            Answer::Refused(refusal) => Reply::Refused(refusal),
            Answer::Message(message) => Reply::Message(message),
        }
    }
}

/// Claims memory for a request of which at least everything before the first payload has been seen.
pub fn claim(
    daemon: &Daemon,
    route: Route<'_>,
    request: &InferRequest<'_>,
    length: u32,
) -> Result<Claim<Context>, Refusal> {
    let arrived = (request.deadline_us() != 0).then(Instant::now);
    if request.is_complete() {
        let (model, admitted) = admit(daemon, route, request, length)?;
        let payloads: SmallVec<[Range<u32>; 2]> = admitted.inputs.iter().map(|input| input.payload.clone()).collect();
        if !admitted.has_strings()
            && let Some(layout) = claim::apart(&payloads, length)
        {
            let (offsets, deadline_us) = (layout.offsets.clone(), request.deadline_us());
            return reserve(daemon, layout, arrived, Known::All { model, admitted, offsets, deadline_us });
        }
    } else {
        if let (Seen::Is(model), Seen::Is(version)) = (request.model(), request.version()) {
            // Nobody sends a long payload only to hear that there is no such model.
            daemon.registry.route(route, model, version)?;
        }
        if let Some(payload) = only_payload(request)
            && let Some(layout) = claim::apart(std::slice::from_ref(&payload), length)
        {
            return reserve(daemon, layout, arrived, Known::Payload(payload));
        }
    }
    let layout = claim::whole(first_payload(request), length);
    let known = Known::Nothing(layout.offsets[0]);
    reserve(daemon, layout, arrived, known)
}

/// Claims memory for a message of which nothing is known but its length.
pub fn claim_message(daemon: &Daemon, length: u32) -> Result<Claim<Context>, Refusal> {
    let layout = claim::whole(0, length);
    let known = Known::Nothing(layout.offsets[0]);
    reserve(daemon, layout, Some(Instant::now()), known)
}

fn reserve(daemon: &Daemon, layout: Layout, arrived: Option<Instant>, known: Known) -> Result<Claim<Context>, Refusal> {
    let buffer = daemon.pool.reserve(layout.bytes).map_err(|error| out_of_memory("the request", &error))?;
    Ok(Claim { buffer, pieces: layout.pieces, context: Context { arrived, known } })
}

/// What a claim that has been filled amounts to: work, or the answer to it at once.
pub fn received(
    daemon: &Daemon,
    route: Route<'_>,
    window: Window<'_>,
    claim: Claim<Context>,
) -> Result<Received, Answer> {
    let Claim { buffer, context: Context { arrived, known }, .. } = claim;
    let (model, deadline_us, work) = match known {
        Known::All { model, admitted, offsets, deadline_us } => {
            (model, deadline_us, work(daemon, model, admitted, buffer, &offsets, 0..0)?)
        }
        Known::Payload(claimed) => received_payload(daemon, route, window, buffer, &claimed)?,
        Known::Nothing(offset) => received_whole(daemon, route, buffer, offset, window.length())?,
    };
    // A deadline too far away to be counted is none.
    let deadline = arrived.filter(|_| deadline_us != 0);
    let deadline = deadline.and_then(|arrived| arrived.checked_add(Duration::from_micros(deadline_us)));
    Ok(Received { model, deadline, work })
}

fn received_payload(
    daemon: &Daemon,
    route: Route<'_>,
    window: Window<'_>,
    buffer: Buffer,
    claimed: &Range<u32>,
) -> Result<(usize, u64, Work), Refusal> {
    let Read::Infer(request) = read_request(window)? else {
        return Err(Refusal::new(Code::Internal, "an inference was claimed, something else was received"));
    };
    let (model, admitted) = admit(daemon, route, &request, window.length())?;
    if !matches!(admitted.inputs.as_slice(), [input] if input.payload == *claimed) {
        return Err(Refusal::new(Code::Internal, "a payload was claimed, another one was received"));
    }
    Ok((model, request.deadline_us(), work(daemon, model, admitted, buffer, &[0], 0..0)?))
}

fn received_whole(
    daemon: &Daemon,
    route: Route<'_>,
    buffer: Buffer,
    offset: usize,
    length: u32,
) -> Result<(usize, u64, Work), Answer> {
    // The buffer may be larger, with bytes of earlier requests behind the message.
    let message = offset..offset + length as usize;
    let bytes = &buffer.as_slice()[message.clone()];
    let (model, deadline_us, admitted) = match read_request(Window::whole(bytes)).map_err(Refusal::from)? {
        Read::Infer(request) => {
            let (model, admitted) = admit(daemon, route, &request, length)?;
            (model, request.deadline_us(), admitted)
        }
        Read::Metadata(request) => return Err(Answer::Message(metadata(daemon, route, &request)?)),
        // The reader needs nothing of a message that is all there.
        Read::Need(at) => return Err(Refusal::from(Malformed { what: "the message ends too early", at }).into()),
    };
    let offsets: SmallVec<[usize; 2]> =
        admitted.inputs.iter().map(|input| offset + input.payload.start as usize).collect();
    let work = work(daemon, model, admitted, buffer, &offsets, message)?;
    Ok((model, deadline_us, work))
}

/// The answer to a metadata request.
pub fn metadata(daemon: &Daemon, route: Route<'_>, request: &MetadataRequest<'_>) -> Result<Arc<[u8]>, Refusal> {
    let model = daemon.registry.route(route, request.model(), request.version())?;
    Ok(daemon.registry.entries()[model].served.metadata.clone())
}

/// Which model a request is for, and whether it fits.
fn admit(
    daemon: &Daemon,
    route: Route<'_>,
    request: &InferRequest<'_>,
    length: u32,
) -> Result<(usize, Admitted), Refusal> {
    let said = |field: Seen<_>| match field {
        Seen::Is(bytes) => bytes,
        Seen::NotYet => &b""[..],
    };
    let model = daemon.registry.route(route, said(request.model()), said(request.version()))?;
    let signature = daemon.registry.entries()[model].served.signature();
    Ok((model, admission::admit(signature, request, length)?))
}

/// The work of a request whose payloads lie at these offsets, in the order of its inputs.
fn work(
    daemon: &Daemon,
    model: usize,
    admitted: Admitted,
    buffer: Buffer,
    offsets: &[usize],
    message: Range<usize>,
) -> Result<Work, Refusal> {
    let mut moved_bytes = 0_usize;
    let inputs = admitted.inputs.into_iter().zip(offsets).map(|(input, &offset)| {
        let bytes = input.payload.len();
        let place = match input.dtype.size() {
            None => Place::Strings,
            Some(_) if bytes == 0 => Place::Received(0..0),
            // Buffers begin at a multiple of BASE_ALIGN, so offsets tell the alignment of addresses.
            Some(size) if offset.is_multiple_of(size) => Place::Received(offset..offset + bytes),
            Some(_) => {
                let start = moved_bytes;
                moved_bytes = (start + bytes).next_multiple_of(BASE_ALIGN);
                Place::Moved(start..start + bytes)
            }
        };
        WorkInput { index: input.index, dtype: input.dtype, shape: input.shape, place }
    });
    let inputs: SmallVec<[WorkInput; 1]> = inputs.collect();
    let moved = match moved_bytes {
        0 => None,
        bytes => Some(aligned(daemon, model, &buffer, &inputs, offsets, bytes)?),
    };
    Ok(Work { memory: buffer.freeze(), moved, message, inputs, outputs: admitted.outputs })
}

/// Copies what is not aligned for its type to where it is.
fn aligned(
    daemon: &Daemon,
    model: usize,
    memory: &Buffer,
    inputs: &[WorkInput],
    offsets: &[usize],
    bytes: usize,
) -> Result<Arc<Frozen>, Refusal> {
    let mut buffer = daemon.pool.reserve(bytes).map_err(|error| out_of_memory("aligning the request", &error))?;
    let counters = &daemon.registry.entries()[model].served.counters;
    for (input, &offset) in inputs.iter().zip(offsets) {
        if let Place::Moved(to) = &input.place {
            buffer.as_mut_slice()[to.clone()].copy_from_slice(&memory.as_slice()[offset..offset + to.len()]);
            counters.copied_align.add(to.len() as u64);
        }
    }
    Ok(buffer.freeze())
}

/// Where the payload of the only tensor is, if it has one and that is known.
fn only_payload(request: &InferRequest<'_>) -> Option<Range<u32>> {
    match (request.inputs_count(), request.input(0)) {
        (Seen::Is(1), Seen::Is(tensor)) => known_payload(&tensor),
        _ => None,
    }
}

fn known_payload(tensor: &Tensor<'_>) -> Option<Range<u32>> {
    match tensor.payload() {
        Seen::Is(payload) if tensor.dtype() != DType::String && !payload.is_empty() => Some(payload),
        _ => None,
    }
}

/// Where the first payload in the message begins, of those that are known; 0 if none is.
fn first_payload(request: &InferRequest<'_>) -> u32 {
    let Seen::Is(count) = request.inputs_count() else { return 0 };
    let starts = (0..count).filter_map(|index| match request.input(index) {
        Seen::Is(tensor) => Some(known_payload(&tensor)?.start),
        Seen::NotYet => None,
    });
    starts.min().unwrap_or(0)
}
