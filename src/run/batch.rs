//! The run for a batch: rows of many requests at once, and to each its own rows of the outputs.
//!
//! A batch that fails is split and run again, each half once, until whoever makes it fail is alone: then that request
//! gets the error, and the others their answers. A batch with which a process of its own has ended is not: the error is
//! everybody's, once.

use super::keep::Keeper;
use super::slots::{Place, slots};
use super::{HAS_ROWS, call, out_of_memory};
use crate::batching::Batching;
use crate::cost::Learner;
use crate::lanes::{ModelLane, RowSpec, with_rows};
use crate::model::Served;
use crate::request::{Request, in_time, late};
use graphpipe_schema::{Code, DType, Shape};
use graphpiped_backend_api::{Elements, Input, Inputs, Instance, Produced};
use graphpiped_batch::Sealed;
use graphpiped_memory::{BASE_ALIGN, Buffer, Frozen, Payload, Pool};
use graphpiped_transport::service::{Content, Output, Refusal, Reply};
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Who runs batches of a lane.
pub struct Runner<'a> {
    /// The model.
    pub served: &'a Served,
    /// Its batching.
    pub batching: &'a Batching,
    /// The lane that the batch is of.
    pub lane: &'a ModelLane,
    /// The instance; made anew after a panic.
    pub instance: &'a mut Option<Box<dyn Instance>>,
    /// What learns from the run.
    pub learner: &'a mut Learner,
    /// Memory for outputs.
    pub pool: &'a Pool,
}

/// Where the outputs of a row have at most so many bytes, they get memory for the largest batch: then the same warm block
/// serves all. Replies that small are copied before they are sent; a larger one keeps all of its block until its client has
/// read it, so that has no more than it needs.
const SAME_BLOCK_ROW_BYTES_MAX: usize = graphpiped_transport::limits::SMALL_BYTES_MAX;

/// Why a batch has failed.
enum Failed {
    /// Perhaps because of one request.
    Some(Refusal),
    /// Whatever was in it.
    All(Refusal),
}

/// Runs a batch, and gives every request in it to `answer`, once.
pub fn run_batch(runner: &mut Runner<'_>, sealed: Sealed<Request>, answer: &mut dyn FnMut(Request, Reply)) {
    run_or_split(runner, &Keeper::default(), sealed, answer);
}

fn run_or_split(
    runner: &mut Runner<'_>,
    keeper: &Keeper,
    sealed: Sealed<Request>,
    answer: &mut dyn FnMut(Request, Reply),
) {
    let refusal = match attempt(runner, keeper, &sealed) {
        Ok(outputs) => return distribute(runner.served, keeper, sealed, &outputs, answer),
        Err(Failed::All(refusal)) => refusal,
        Err(Failed::Some(refusal)) => match sealed.halves() {
            (first, Some(second)) => {
                runner.batching.counters.splits.add(1);
                run_or_split(runner, keeper, first, answer);
                return run_or_split(runner, keeper, second, answer);
            }
            (only, None) => return refuse(runner.served, keeper, only, &refusal, answer),
        },
    };
    refuse(runner.served, keeper, sealed, &refusal, answer);
}

fn refuse(
    served: &Served,
    keeper: &Keeper,
    sealed: Sealed<Request>,
    refusal: &Refusal,
    answer: &mut dyn FnMut(Request, Reply),
) {
    served.counters.failures.add(1);
    complete(keeper, sealed, |request, _| {
        let reply = in_time(served, request.deadline(), Reply::Refused(refusal.clone()));
        answer(request, reply);
    });
}

/// Answers the requests of a batch; its rows are free then, but for a framework that still refers to them.
fn complete(keeper: &Keeper, sealed: Sealed<Request>, answer: impl FnMut(Request, Range<usize>)) {
    if keeper.is_asked() {
        keeper.add(sealed.complete_and_keep(answer));
    } else {
        sealed.complete(answer);
    }
}

fn distribute(
    served: &Served,
    keeper: &Keeper,
    sealed: Sealed<Request>,
    made: &[Made],
    answer: &mut dyn FnMut(Request, Reply),
) {
    // The clock is dear beside a small batch, so it is only asked for those who have a deadline.
    let mut now = None;
    complete(keeper, sealed, |request, rows| {
        let deadline = request.deadline();
        let over = deadline.and_then(|_| late(served, deadline, *now.get_or_insert_with(Instant::now)));
        let reply = match over {
            Some(refusal) => Reply::Refused(refusal),
            None => Reply::Outputs(request.outputs.iter().map(|&index| output(made, index, &rows)).collect()),
        };
        answer(request, reply);
    });
}

fn output(made: &[Made], index: u16, rows: &Range<usize>) -> Output {
    let made = made.iter().find(|made| made.index == index).expect("all that are wanted were made");
    let range = made.start + rows.start * made.row_bytes..made.start + rows.end * made.row_bytes;
    let payload = match &made.memory {
        Memory::Ours(frozen) => Payload::new(frozen.clone(), range),
        Memory::Lent(owner) => Payload::lent(Arc::clone(owner), range),
    };
    Output {
        dtype: made.dtype,
        shape: with_rows(made.shape.dims(), rows.len()).expect(HAS_ROWS),
        content: Content::Payload(payload),
    }
}

/// An output of the whole batch.
struct Made {
    index: u16,
    dtype: DType,
    /// Of all rows.
    shape: Shape,
    row_bytes: usize,
    memory: Memory,
    /// Where it begins there.
    start: usize,
}

enum Memory {
    Ours(Frozen),
    Lent(Arc<dyn AsRef<[u8]> + Send + Sync>),
}

/// An output that somebody in the batch wants.
struct Wanted {
    index: u16,
    /// The shape of all rows and where they go, if that is known before the run.
    prepared: Option<Place>,
}

type List<T> = SmallVec<[T; 2]>;

fn attempt(runner: &mut Runner<'_>, keeper: &Keeper, sealed: &Sealed<Request>) -> Result<List<Made>, Failed> {
    let rows = sealed.rows();
    let signature = &runner.lane.rows;
    let shapes: List<Shape> = signature.inputs.iter().map(|spec| spec.shape(rows)).collect();
    let inputs = signature.inputs.iter().zip(&shapes).enumerate().map(|(index, (spec, shape))| Input {
        index,
        dtype: spec.dtype,
        shape: shape.dims(),
        elements: Elements::Bytes(sealed.column(index)),
    });
    let inputs: List<Input<'_>> = inputs.collect();
    let (wanted, bytes) = plan(runner, sealed);
    let mut buffer = match bytes {
        0 => None,
        bytes => {
            let reserved = runner.pool.reserve(bytes);
            Some(reserved.map_err(|error| Failed::All(out_of_memory("the outputs", &error)))?)
        }
    };
    let mut slots = slots(wanted.iter().map(|wanted| (wanted.index, wanted.prepared.as_ref())), buffer.as_mut());
    let epoch = epoch(runner.served);
    let started = Instant::now();
    let outcome = call(runner.served, runner.instance, &Inputs::new(&inputs, keeper), &mut slots);
    let took = started.elapsed();
    runner.served.counters.run_nanoseconds.add(took.as_nanos() as u64);
    outcome.map_err(|refusal| {
        // With its process a run ends for all, whoever was to blame: who was will not have it end again for the others.
        let is_same = epoch == self::epoch(runner.served) && epoch.is_none_or(|epoch| !epoch.is_multiple_of(2));
        if is_same { Failed::Some(refusal) } else { Failed::All(refusal) }
    })?;
    runner.learner.observe(rows, took);
    let produced: List<Option<Produced>> = slots.into_iter().map(|slot| slot.produced).collect();
    let memory = buffer.map(Buffer::freeze);
    let made = wanted
        .into_iter()
        .zip(produced)
        .map(|(wanted, produced)| made(runner, wanted, produced, rows, sealed, memory.as_ref()));
    made.collect()
}

/// Which process of a model that has one of its own is up; even while none is.
fn epoch(served: &Served) -> Option<u64> {
    served.isolated.as_ref().map(|isolated| isolated.epoch())
}

/// Every output that somebody wants, once; and the bytes for those whose size is known.
fn plan(runner: &Runner<'_>, sealed: &Sealed<Request>) -> (List<Wanted>, usize) {
    let (rows, rows_max) = (sealed.rows(), runner.lane.rows_max);
    let mut wanted: List<Wanted> = SmallVec::new();
    let (mut bytes, mut bytes_max, mut row_bytes) = (0_usize, 0_usize, 0_usize);
    // What is too much to be counted is too much to be reserved, too. The sizes follow from shapes that peers choose.
    let room = |rows: usize, bytes: usize| {
        rows.checked_mul(bytes).and_then(|bytes| bytes.checked_next_multiple_of(BASE_ALIGN)).unwrap_or(usize::MAX)
    };
    for (request, _) in sealed.requests() {
        for &index in &request.outputs {
            if wanted.iter().any(|wanted| wanted.index == index) {
                continue;
            }
            let spec = runner.lane.rows.outputs.get(usize::from(index)).and_then(Option::as_ref);
            let end = |spec: &RowSpec| bytes.saturating_add(rows.saturating_mul(spec.bytes));
            let prepared = spec.map(|spec| (spec.shape(rows), bytes..end(spec)));
            if let Some(spec) = spec {
                bytes = bytes.saturating_add(room(rows, spec.bytes));
                bytes_max = bytes_max.saturating_add(room(rows_max, spec.bytes));
                row_bytes = row_bytes.saturating_add(spec.bytes);
            }
            wanted.push(Wanted { index, prepared });
        }
    }
    (wanted, if bytes > 0 && row_bytes <= SAME_BLOCK_ROW_BYTES_MAX { bytes_max } else { bytes })
}

/// An output as it was made, if it has a row for each row of the batch.
fn made(
    runner: &Runner<'_>,
    wanted: Wanted,
    produced: Option<Produced>,
    rows: usize,
    sealed: &Sealed<Request>,
    memory: Option<&Frozen>,
) -> Result<Made, Failed> {
    let Wanted { index, prepared } = wanted;
    let dtype = runner.served.signature().outputs[usize::from(index)].dtype;
    let (dtype, shape, memory, start) = match (produced, prepared, memory) {
        (Some(Produced::InPlace), Some((shape, range)), Some(memory)) => {
            (dtype, shape, Memory::Ours(memory.clone()), range.start)
        }
        // Nothing but empty outputs was prepared: there is no buffer, and nothing in it.
        (Some(Produced::InPlace), Some((shape, _)), None) => (dtype, shape, Memory::Lent(Arc::new([])), 0),
        (Some(Produced::Lent { shape, dtype, owner }), ..) => (dtype, shape, Memory::Lent(owner), 0),
        (Some(Produced::SameAsInput(position)), ..) => {
            let spec = runner.lane.rows.inputs.get(position).ok_or_else(|| wrong(runner, index, None, rows))?;
            let memory = Memory::Ours(copied(runner, sealed.column(position))?);
            (spec.dtype, spec.shape(rows), memory, 0)
        }
        (Some(Produced::OfInput { position, start, shape, dtype }), ..) => {
            let column = runner.lane.rows.inputs.get(position).map_or(&[][..], |_| sealed.column(position));
            let part = shape.bytes(dtype).and_then(|bytes| column.get(start..start.checked_add(bytes as usize)?));
            let part = part.ok_or_else(|| wrong(runner, index, Some(shape), rows))?;
            (dtype, shape, Memory::Ours(copied(runner, part)?), 0)
        }
        _ => return Err(wrong(runner, index, None, rows)),
    };
    let bytes = shape.bytes(dtype).unwrap_or(u64::MAX);
    let is_there = match &memory {
        Memory::Ours(_) => true,
        Memory::Lent(owner) => (**owner).as_ref().len() as u64 == bytes,
    };
    let signature = &runner.served.signature().outputs[usize::from(index)];
    let spec = runner.lane.rows.outputs.get(usize::from(index)).and_then(Option::as_ref);
    let is_as_ever =
        dtype == signature.dtype && spec.is_none_or(|spec| shape.dims().get(1..) == Some(spec.inner.dims()));
    if shape.dims().first() != Some(&(rows as i64)) || !is_there || !is_as_ever {
        return Err(wrong(runner, index, Some(shape), rows));
    }
    Ok(Made { index, dtype, shape, row_bytes: bytes as usize / rows, memory, start })
}

/// A copy of rows that a model gives back as they are: the rows of a lane are needed for other requests.
fn copied(runner: &Runner<'_>, rows: &[u8]) -> Result<Frozen, Failed> {
    let reserved = runner.pool.reserve(rows.len());
    let mut buffer = reserved.map_err(|error| Failed::All(out_of_memory("the outputs", &error)))?;
    buffer.as_mut_slice().copy_from_slice(rows);
    runner.batching.counters.copied_passed.add(rows.len() as u64);
    Ok(buffer.freeze())
}

/// The failure of a model that does not give a row for a row. Nobody can tell whose rows are whose.
fn wrong(runner: &Runner<'_>, index: u16, shape: Option<Shape>, rows: usize) -> Failed {
    let is_first = runner.batching.counters.wrong_rows.begin();
    let name = &runner.served.signature().outputs[usize::from(index)].name;
    let gave = shape.map_or("nothing of the size that it says".into(), |shape| format!("shape {shape}"));
    let message = format!("output \"{name}\": the model gave {gave} for a batch of {rows} rows");
    if is_first {
        let model = runner.served.name();
        tracing::error!(model, "{message}; its requests cannot be told apart, so serve it with batch = \"off\"");
    }
    Failed::All(Refusal::new(Code::ModelFailed, message))
}
