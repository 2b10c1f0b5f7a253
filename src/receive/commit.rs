//! What a claim that has been filled amounts to: rows of a lane, a request with memory of its own, or an answer at once.

use super::{Context, Known, admit, metadata};
use crate::admission::Admitted;
use crate::daemon::Daemon;
use crate::lanes::{ModelLane, common_rows};
use crate::run::{Place, Work, WorkInput, out_of_memory};
use graphpipe_schema::Code;
use graphpipe_schema::reader::{Malformed, Read, Window, read_request};
use graphpiped_batch::Claim as Rows;
use graphpiped_memory::{BASE_ALIGN, Buffer, Destination, Frozen};
use graphpiped_transport::service::{Claim, Refusal, Reply, Route};
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A request that has been received and fits its model.
#[derive(Debug)]
pub struct Received {
    /// Which model.
    pub model: usize,
    /// After this nobody wants the reply.
    pub deadline: Option<Instant>,
    /// Indices of the outputs that are wanted, in the order of the reply.
    pub outputs: SmallVec<[u16; 4]>,
    /// Where its inputs are.
    pub inputs: Inputs,
}

/// Where the inputs of a request are.
#[derive(Debug)]
pub enum Inputs {
    /// In rows of a lane.
    Rows(Arc<ModelLane>, Rows),
    /// In memory of their own.
    Alone(Work),
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

/// What a claim that has been filled amounts to: work, or the answer to it at once.
pub fn received(
    daemon: &Daemon,
    route: Route<'_>,
    window: Window<'_>,
    claim: Claim<Context>,
) -> Result<Received, Answer> {
    let Claim { destination, context: Context { arrived, known }, .. } = claim;
    let (deadline_us, mut received) = match known {
        Known::Rows { model, lane, rows, outputs, deadline_us } => {
            (deadline_us, Received::new(model, outputs, inputs(lane, rows, destination)))
        }
        Known::All { model, admitted, offsets, deadline_us } => {
            (deadline_us, alone(daemon, model, admitted, buffer(destination)?, &offsets, 0..0)?)
        }
        Known::PayloadRows(claimed, lane) => {
            received_payload_in_rows(daemon, route, window, lane, destination, &claimed)?
        }
        Known::Payload(claimed) => received_payload(daemon, route, window, buffer(destination)?, &claimed)?,
        Known::Nothing(offset) => received_whole(daemon, route, buffer(destination)?, offset, window.length())?,
    };
    // A deadline too far away to be counted is none.
    let arrived = arrived.filter(|_| deadline_us != 0);
    received.deadline = arrived.and_then(|arrived| arrived.checked_add(Duration::from_micros(deadline_us)));
    Ok(received)
}
impl Received {
    fn new(model: usize, outputs: SmallVec<[u16; 4]>, inputs: Inputs) -> Received {
        Received { model, deadline: None, outputs, inputs }
    }
}

/// The inputs of a request that was to be received into rows: there they are, unless it was so slow that it was set apart.
fn inputs(lane: Arc<ModelLane>, rows: usize, destination: Destination) -> Inputs {
    let buffer = match destination {
        Destination::Rows(claim) => return Inputs::Rows(lane, claim),
        Destination::Buffer(buffer) => buffer,
    };
    let layout = lane.core.layout();
    let inputs = lane.rows.inputs.iter().enumerate().map(|(index, spec)| {
        let start = layout.offset(rows, index);
        let range = start..start + rows * spec.bytes;
        let place = Place::Received(if range.is_empty() { 0..0 } else { range });
        WorkInput { index: index as u16, dtype: spec.dtype, shape: spec.shape(rows), place }
    });
    let inputs = inputs.collect();
    Inputs::Alone(Work { memory: buffer.freeze(), moved: None, message: 0..0, inputs })
}

/// What a claim without rows is always received into.
fn buffer(destination: Destination) -> Result<Buffer, Refusal> {
    match destination {
        Destination::Buffer(buffer) => Ok(buffer),
        Destination::Rows(_) => Err(Refusal::new(Code::Internal, "a buffer was claimed, rows were filled")),
    }
}

fn received_payload_in_rows(
    daemon: &Daemon,
    route: Route<'_>,
    window: Window<'_>,
    lane: Arc<ModelLane>,
    destination: Destination,
    claimed: &Range<u32>,
) -> Result<(u64, Received), Refusal> {
    let (model, deadline_us, admitted) = admit_payload(daemon, route, window, claimed)?;
    let input = &admitted.inputs[0];
    if !lane.rows.fits(std::iter::once((input.index, &input.shape))) {
        return Err(Refusal::new(Code::Internal, "rows were claimed of another shape than was received"));
    }
    let rows = common_rows([&input.shape]).unwrap_or_default();
    Ok((deadline_us, Received::new(model, admitted.outputs, inputs(lane, rows, destination))))
}

fn received_payload(
    daemon: &Daemon,
    route: Route<'_>,
    window: Window<'_>,
    buffer: Buffer,
    claimed: &Range<u32>,
) -> Result<(u64, Received), Refusal> {
    let (model, deadline_us, admitted) = admit_payload(daemon, route, window, claimed)?;
    Ok((deadline_us, alone(daemon, model, admitted, buffer, &[0], 0..0)?))
}

fn admit_payload(
    daemon: &Daemon,
    route: Route<'_>,
    window: Window<'_>,
    claimed: &Range<u32>,
) -> Result<(usize, u64, Admitted), Refusal> {
    let Read::Infer(request) = read_request(window)? else {
        return Err(Refusal::new(Code::Internal, "an inference was claimed, something else was received"));
    };
    let (model, admitted) = admit(daemon, route, &request, window.length())?;
    if !matches!(admitted.inputs.as_slice(), [input] if input.payload == *claimed) {
        return Err(Refusal::new(Code::Internal, "a payload was claimed, another one was received"));
    }
    Ok((model, request.deadline_us(), admitted))
}

fn received_whole(
    daemon: &Daemon,
    route: Route<'_>,
    buffer: Buffer,
    offset: usize,
    length: u32,
) -> Result<(u64, Received), Answer> {
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
    Ok((deadline_us, alone(daemon, model, admitted, buffer, &offsets, message)?))
}

/// A request whose payloads lie at these offsets of memory of its own, in the order of its inputs.
fn alone(
    daemon: &Daemon,
    model: usize,
    admitted: Admitted,
    buffer: Buffer,
    offsets: &[usize],
    message: Range<usize>,
) -> Result<Received, Refusal> {
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
    let work = Work { memory: buffer.freeze(), moved, message, inputs };
    Ok(Received::new(model, admitted.outputs, Inputs::Alone(work)))
}

/// Copies what is not aligned for its type to where it is.
fn aligned(
    daemon: &Daemon,
    model: usize,
    memory: &Buffer,
    inputs: &[WorkInput],
    offsets: &[usize],
    bytes: usize,
) -> Result<Frozen, Refusal> {
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
