//! From a head to a claim: what has been seen of a request decides what memory is claimed for it. What is made of it when it
//! is filled is in `commit`.
//!
//! | what has been seen of a request | what is claimed | what is checked when |
//! | --- | --- | --- |
//! | everything but payloads | each payload, aligned: rows of a lane, else a buffer | everything at the claim |
//! | one tensor, whose payload's place is known (old Python clients put its shape behind it) | that payload, in the same way | the rest at the commit |
//! | anything else; byte strings | a buffer for the whole message | everything at the commit |

mod commit;

pub use commit::{Answer, Inputs, Received, received};

use crate::admission::{self, Admitted};
use crate::claim::{self, Layout};
use crate::daemon::Daemon;
use crate::lanes::{ModelLane, common_rows};
use crate::placement::{Claimed, Placement};
use crate::run::out_of_memory;
use graphpipe_schema::DType;
use graphpipe_schema::reader::{InferRequest, MetadataRequest, Seen, Tensor};
use graphpiped_batch::Claim as Rows;
use graphpiped_transport::service::{Claim, Piece, Refusal, Route};
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// What a claim remembers until its commit.
#[derive(Debug)]
pub struct Context {
    /// When the head had been read, if anybody may want to know: the clock is dear beside a small request.
    arrived: Option<Instant>,
    known: Known,
}

#[derive(Debug)]
enum Known {
    /// The request has been checked, and its payloads go into rows of this lane.
    Rows { model: usize, lane: Arc<ModelLane>, rows: usize, outputs: SmallVec<[u16; 4]>, deadline_us: u64 },
    /// The request has been checked. Payloads lie at these offsets, in the order of the inputs.
    All { model: usize, admitted: Admitted, offsets: SmallVec<[usize; 2]>, deadline_us: u64 },
    /// The payload of the only tensor, which lies at the beginning of rows of this lane.
    PayloadRows(Range<u32>, Arc<ModelLane>),
    /// The payload of the only tensor, which lies at the buffer's beginning.
    Payload(Range<u32>),
    /// Nothing; the message begins at this offset.
    Nothing(usize),
}

/// Claims memory for a request of which at least everything before the first payload has been seen.
pub fn claim(
    daemon: &Daemon,
    placement: &mut Placement,
    route: Route<'_>,
    request: &InferRequest<'_>,
    length: u32,
) -> Result<Claim<Context>, Refusal> {
    let arrived = (request.deadline_us() != 0).then(Instant::now);
    if request.is_complete() {
        let (model, admitted) = admit(daemon, route, request, length)?;
        let payloads: SmallVec<[Range<u32>; 2]> = admitted.inputs.iter().map(|input| input.payload.clone()).collect();
        let deadline_us = request.deadline_us();
        if let Some((lane, rows)) = find_rows(daemon, placement, model, &admitted) {
            let offset = |position: usize| rows.offset(admitted.inputs[position].index.into());
            if let Some(Layout { pieces, .. }) = claim::into_rows(&payloads, length, offset) {
                let known = Known::Rows { model, lane, rows: rows.rows(), outputs: admitted.outputs, deadline_us };
                return Ok(of_rows(daemon, rows, pieces, Context { arrived, known }));
            }
        }
        let entry = &daemon.registry.entries()[model];
        if entry.queue.is_full() {
            // It would be refused when all of it is there. Now it costs neither memory nor a payload.
            return Err(entry.busy());
        }
        if !admitted.has_strings()
            && let Some(layout) = claim::apart(&payloads, length)
        {
            let weight = weight(daemon, model, &admitted);
            let offsets = layout.offsets.clone();
            return reserve(daemon, layout, weight, arrived, Known::All { model, admitted, offsets, deadline_us });
        }
    } else {
        let mut payload = only_payload(request);
        if let (Seen::Is(model), Seen::Is(version)) = (request.model(), request.version()) {
            // Nobody sends a long payload only to hear that there is no such model.
            let model = daemon.registry.route(route, model, version)?;
            if let Some(range) = payload.take() {
                match find_rows_of_bytes(daemon, placement, model, range.len()) {
                    Some((lane, rows)) if claim::apart(std::slice::from_ref(&range), length).is_some() => {
                        let pieces = SmallVec::from_iter([Piece { message: range.clone(), offset: 0 }]);
                        let known = Known::PayloadRows(range, lane);
                        return Ok(of_rows(daemon, rows, pieces, Context { arrived, known }));
                    }
                    _ => payload = Some(range),
                }
            }
        }
        if let Some(payload) = payload
            && let Some(layout) = claim::apart(std::slice::from_ref(&payload), length)
        {
            return reserve(daemon, layout, daemon.weights.unknown(), arrived, Known::Payload(payload));
        }
    }
    let layout = claim::whole(first_payload(request), length);
    let known = Known::Nothing(layout.offsets[0]);
    reserve(daemon, layout, daemon.weights.unknown(), arrived, known)
}

/// Claims memory for a message of which nothing is known but its length.
pub fn claim_message(daemon: &Daemon, length: u32) -> Result<Claim<Context>, Refusal> {
    let layout = claim::whole(0, length);
    let known = Known::Nothing(layout.offsets[0]);
    reserve(daemon, layout, daemon.weights.unknown(), Some(Instant::now()), known)
}

fn reserve(
    daemon: &Daemon,
    layout: Layout,
    weight: u32,
    arrived: Option<Instant>,
    known: Known,
) -> Result<Claim<Context>, Refusal> {
    let buffer = daemon.pool.reserve(layout.bytes).map_err(|error| out_of_memory("the request", &error))?;
    let context = Context { arrived, known };
    Ok(Claim { destination: buffer.into(), pieces: layout.pieces, weight, context })
}

fn of_rows(daemon: &Daemon, rows: Rows, pieces: SmallVec<[Piece; 4]>, context: Context) -> Claim<Context> {
    let weight = daemon.weights.of_rows(rows.rows());
    Claim { destination: rows.into(), pieces, weight, context }
}

fn weight(daemon: &Daemon, model: usize, admitted: &Admitted) -> u32 {
    let served = &daemon.registry.entries()[model].served;
    if served.model.is_cheap() {
        return daemon.weights.free();
    }
    match (&served.batching, common_rows(admitted.inputs.iter().map(|input| &input.shape))) {
        (Some(_), Some(rows)) => daemon.weights.of_rows(rows),
        _ => daemon.weights.alone(served.settings.instances),
    }
}

/// Rows for a request that has been checked, if it can be put together with others and there is room.
fn find_rows(
    daemon: &Daemon,
    placement: &mut Placement,
    model: usize,
    admitted: &Admitted,
) -> Option<(Arc<ModelLane>, Rows)> {
    let batching = daemon.registry.entries()[model].served.batching.as_ref()?;
    let rows = common_rows(admitted.inputs.iter().map(|input| &input.shape))?;
    let shapes = admitted.inputs.iter().map(|input| (input.index, &input.shape));
    match placement.claim(model, batching, rows, &shapes) {
        Claimed::Rows(lane, rows) => Some((lane, rows)),
        Claimed::NoRows => None,
        Claimed::NoRoom => {
            batching.counters.overflows.add(1);
            None
        }
        Claimed::NoLane => {
            if placement.may_wish(batching) {
                let shapes = admitted.inputs.iter().map(|input| (input.index, &input.shape));
                daemon.wishes.wish(model, shapes);
            }
            None
        }
    }
}

/// Rows for the only payload of a request whose shape is not known yet: its length tells how many, if rows of this model
/// can have one size only.
fn find_rows_of_bytes(
    daemon: &Daemon,
    placement: &mut Placement,
    model: usize,
    bytes: usize,
) -> Option<(Arc<ModelLane>, Rows)> {
    let batching = daemon.registry.entries()[model].served.batching.as_ref()?;
    match placement.claim_bytes(model, batching, bytes) {
        Claimed::Rows(lane, rows) => Some((lane, rows)),
        Claimed::NoRoom => {
            batching.counters.overflows.add(1);
            None
        }
        Claimed::NoRows | Claimed::NoLane => None,
    }
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
