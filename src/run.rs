//! Runs of a model: inputs where the kernel put them, outputs where the socket will take them from.
//!
//! Here, the run for one request that has memory of its own; in `batch`, the run for the rows of many. Both are done by
//! executors and, for what costs less than handing it over, by the reactor. The only bytes copied here are those of
//! strings, which frameworks take and give by value; they are counted.

mod batch;
mod call;
mod keep;
mod slices;
mod slots;

pub use batch::{Runner, run_batch};

use crate::cost::Learner;
use crate::lanes::common_rows;
use crate::model::Served;
use call::call;
use graphpipe_schema::reader::{Read, Seen, Window, read_request};
use graphpipe_schema::{Code, DType, Shape};
use graphpiped_backend_api::{Elements, Input, Inputs, Instance, Keep, Kept, Produced};
use graphpiped_batch::Claim;
use graphpiped_memory::{BASE_ALIGN, Buffer, Exhausted, Frozen, Payload, Pool};
use graphpiped_transport::service::{Content, Output, Refusal, Reply};
use slices::{call_in_slices, rows_per_run};
use slots::slots;
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A request that was admitted and has been received.
#[derive(Debug)]
pub struct Work {
    /// What was received.
    pub memory: Frozen,
    /// Tensors that had to be moved because they were not aligned for their type.
    pub moved: Option<Frozen>,
    /// Where the whole message lies in `memory`, if it was received as one; byte strings are read from it.
    pub message: Range<usize>,
    /// The inputs, in the order of the message.
    pub inputs: SmallVec<[WorkInput; 1]>,
}

/// One input.
#[derive(Debug)]
pub struct WorkInput {
    /// Which of the signature's inputs.
    pub index: u16,
    /// Its element type.
    pub dtype: DType,
    /// Its shape.
    pub shape: Shape,
    /// Its elements.
    pub place: Place,
}

/// Where the elements of an input are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In [`Work::memory`].
    Received(Range<usize>),
    /// In [`Work::moved`].
    Moved(Range<usize>),
    /// Byte strings, in the message.
    Strings,
}

/// What is run by rows has been compared with its number of rows before.
const HAS_ROWS: &str = "a shape with rows has a first axis";

/// As many as most models have, without an allocation.
type Outputs = SmallVec<[Output; 1]>;

/// What is done between two slices of a request with many rows: it may use the instance, and says whether to go on; if not,
/// with what answer.
pub type Between<'a> = &'a mut dyn FnMut(&mut Option<Box<dyn Instance>>) -> Result<(), Refusal>;

/// Runs a model for a request that wants the outputs of these indices, in this order. An instance that panicked is dropped
/// and made anew for the next one.
pub fn run(
    served: &Served,
    instance: &mut Option<Box<dyn Instance>>,
    pool: &Pool,
    work: &Work,
    asked: &[u16],
    between: Between<'_>,
) -> Reply {
    match attempt(served, instance, pool, work, asked, between) {
        Ok(outputs) => Reply::Outputs(outputs),
        Err(refusal) => {
            // What nobody waits for any more was given up, and did not fail.
            served.counters.failures.add((refusal.code != Code::DeadlineExceeded).into());
            Reply::Refused(refusal)
        }
    }
}

/// Runs a model for a request alone, as [`run`] does; and how long that took, to be [noted](note_run).
pub fn run_alone(
    served: &Served,
    instance: &mut Option<Box<dyn Instance>>,
    pool: &Pool,
    work: &Work,
    asked: &[u16],
    between: Between<'_>,
) -> (Reply, Duration) {
    let started = Instant::now();
    let reply = run(served, instance, pool, work, asked, between);
    (reply, started.elapsed())
}

/// Learns from a run for a request alone. What a request costs is only learned where all run alone: beside batches, these
/// are the ones that are unlike the others.
pub fn note_run(served: &Served, learner: &mut Learner, work: &Work, reply: &Reply, took: Duration) {
    served.counters.run_nanoseconds.add(took.as_nanos() as u64);
    if served.batching.is_none() && matches!(reply, Reply::Outputs(_)) {
        learner.observe(work.rows().unwrap_or(1), took);
    }
}

fn attempt(
    served: &Served,
    instance: &mut Option<Box<dyn Instance>>,
    pool: &Pool,
    work: &Work,
    asked: &[u16],
    between: Between<'_>,
) -> Result<Outputs, Refusal> {
    let strings = work.strings()?;
    let inputs = work.inputs(&strings);
    let inputs = Inputs::new(&inputs, work);
    let bytes: u64 = strings.iter().flatten().map(|element| element.len() as u64).sum();
    served.counters.copied_strings.add(bytes);
    let mut plan = Plan::new(served, &inputs, asked);
    let mut buffer = match plan.bytes {
        0 => None,
        bytes => Some(pool.reserve(bytes).map_err(|error| out_of_memory("the outputs", &error))?),
    };
    let wanted = plan.wanted.iter().map(|wanted| (wanted.index, wanted.prepared.as_ref()));
    let mut slots = slots(wanted, buffer.as_mut());
    match rows_per_run(served, &inputs, &slots) {
        None => call(served, instance, &inputs, &mut slots)?,
        Some(rows_max) => call_in_slices(served, instance, &inputs, &mut slots, rows_max, between)?,
    }
    let produced: SmallVec<[Option<Produced>; 1]> = slots.into_iter().map(|slot| slot.produced).collect();
    for (wanted, produced) in plan.wanted.iter_mut().zip(produced) {
        wanted.produced = produced;
    }
    plan.outputs(served, work, &strings, buffer.map(Buffer::freeze).as_ref())
}

/// The refusal for a reservation that failed. It says by which option there would be more.
pub fn out_of_memory(what: &str, error: &Exhausted) -> Refusal {
    Refusal::new(Code::Busy, format!("no memory for {what}: {error}"))
}

impl Work {
    /// The elements of the string inputs; nothing for the others, and no allocation if there are no strings at all.
    fn strings(&self) -> Result<Vec<Vec<&[u8]>>, Refusal> {
        if !self.inputs.iter().any(|input| input.place == Place::Strings) {
            return Ok(Vec::new());
        }
        let message = &self.memory.as_ref()[self.message.clone()];
        let Read::Infer(request) = read_request(Window::whole(message))? else {
            unreachable!("an inference was admitted from these very bytes");
        };
        let strings = self.inputs.iter().enumerate().map(|(position, input)| match request.input(position) {
            Seen::Is(tensor) if input.place == Place::Strings => tensor.strings().collect(),
            _ => Vec::new(),
        });
        Ok(strings.collect())
    }

    fn inputs<'a>(&'a self, strings: &'a [Vec<&'a [u8]>]) -> SmallVec<[Input<'a>; 2]> {
        let inputs = self.inputs.iter().enumerate().map(|(position, input)| Input {
            index: input.index.into(),
            dtype: input.dtype,
            shape: input.shape.dims(),
            elements: match &input.place {
                Place::Strings => Elements::Strings(&strings[position]),
                place => {
                    Elements::Bytes(self.payload_owner(place).map_or(&[], |(owner, range)| &owner.as_ref()[range]))
                }
            },
        });
        inputs.collect()
    }

    /// The index and the shape of each input.
    pub fn shapes(&self) -> impl ExactSizeIterator<Item = (u16, &Shape)> + Clone {
        self.inputs.iter().map(|input| (input.index, &input.shape))
    }

    /// Rows that all inputs have; `None` if they disagree.
    pub fn rows(&self) -> Option<usize> {
        common_rows(self.inputs.iter().map(|input| &input.shape))
    }

    /// Bytes of all inputs of fixed size.
    pub fn bytes(&self) -> usize {
        self.inputs.iter().filter_map(|input| self.payload_owner(&input.place)).map(|(_, range)| range.len()).sum()
    }

    /// Copies the inputs into claimed rows, as many as they have; the second result is the number of bytes.
    pub fn copy_into(&self, mut claim: Claim) -> (Claim, u64) {
        let mut copied = 0;
        for input in &self.inputs {
            if let Some((owner, range)) = self.payload_owner(&input.place) {
                let (offset, bytes) = (claim.offset(input.index.into()), &owner.as_ref()[range]);
                claim.slice_mut(offset..offset + bytes.len()).copy_from_slice(bytes);
                copied += bytes.len() as u64;
            }
        }
        (claim, copied)
    }

    fn payload_owner(&self, place: &Place) -> Option<(&Frozen, Range<usize>)> {
        match place {
            Place::Received(range) => Some((&self.memory, range.clone())),
            Place::Moved(range) => self.moved.as_ref().map(|moved| (moved, range.clone())),
            Place::Strings => None,
        }
    }
}

/// What was received stays as it is for as long as somebody has it.
impl Keep for Work {
    fn keep(&self) -> Kept {
        Arc::new((self.memory.clone(), self.moved.clone()))
    }
}

/// The outputs of a run: each that is wanted once, however often it was asked for.
struct Plan<'w> {
    wanted: SmallVec<[Wanted; 1]>,
    asked: &'w [u16],
    /// Bytes of the buffer for all outputs whose shapes are known before the run.
    bytes: usize,
}

struct Wanted {
    index: u16,
    /// The shape that the signature promises, and where its elements go.
    prepared: Option<slots::Place>,
    produced: Option<Produced>,
}

impl<'w> Plan<'w> {
    fn new(served: &Served, inputs: &[Input<'_>], asked: &'w [u16]) -> Plan<'w> {
        let signature = served.signature();
        let shapes: SmallVec<[(usize, &[i64]); 2]> = inputs.iter().map(|input| (input.index, input.shape)).collect();
        let mut plan = Plan { wanted: SmallVec::new(), asked, bytes: 0 };
        for &index in asked {
            if plan.wanted.iter().any(|wanted| wanted.index == index) {
                continue;
            }
            let mut prepared = None;
            // What a variadic model gives back is what it got; it needs no memory.
            if !signature.variadic
                && let Some(shape) = signature.predict(&shapes, index.into())
                && let Some(bytes) = shape.bytes(signature.outputs[usize::from(index)].dtype)
                && let Some(end) = plan.bytes.checked_add(usize::try_from(bytes).unwrap_or(usize::MAX))
            {
                prepared = Some((shape, plan.bytes..end));
                plan.bytes = end.checked_next_multiple_of(BASE_ALIGN).unwrap_or(end);
            }
            plan.wanted.push(Wanted { index, prepared, produced: None });
        }
        plan
    }

    /// The outputs in the order in which they were asked for.
    fn outputs(
        self,
        served: &Served,
        work: &Work,
        strings: &[Vec<&[u8]>],
        buffer: Option<&Frozen>,
    ) -> Result<Outputs, Refusal> {
        let mut outputs = Outputs::with_capacity(self.wanted.len());
        let indices: SmallVec<[u16; 4]> = self.wanted.iter().map(|wanted| wanted.index).collect();
        for wanted in self.wanted {
            let index = wanted.index;
            outputs.push(wanted.output(served, work, strings, buffer).ok_or_else(|| {
                let message = format!("the framework gave no output {index}, or not of the size that it says");
                Refusal::new(Code::Internal, message)
            })?);
        }
        if indices.len() == self.asked.len() {
            return Ok(outputs);
        }
        let again = |index| {
            let first = indices.iter().position(|other| other == index).expect("every one asked for is wanted");
            outputs[first].clone()
        };
        Ok(self.asked.iter().map(again).collect())
    }
}

impl Wanted {
    /// What was produced; `None` if that cannot be.
    fn output(self, served: &Served, work: &Work, strings: &[Vec<&[u8]>], buffer: Option<&Frozen>) -> Option<Output> {
        match self.produced? {
            Produced::InPlace => {
                let dtype = served.signature().outputs.get(usize::from(self.index))?.dtype;
                let (shape, range) = self.prepared?;
                let payload = match buffer {
                    Some(buffer) => Payload::new(buffer.clone(), range),
                    // Nothing but empty outputs was prepared: there is no buffer, and nothing in it.
                    None => Payload::new(work.memory.clone(), 0..0),
                };
                Some(Output { dtype, shape, content: Content::Payload(payload) })
            }
            Produced::Lent { shape, dtype, owner } => {
                let bytes = (*owner).as_ref().len();
                let fits = shape.bytes(dtype) == Some(bytes as u64);
                fits.then(|| Output { dtype, shape, content: Content::Payload(Payload::lent(owner, 0..bytes)) })
            }
            Produced::OfInput { position, start, shape, dtype } => {
                let (owner, range) = work.payload_owner(&work.inputs.get(position)?.place)?;
                let start = range.start.checked_add(start)?;
                let end =
                    start.checked_add(usize::try_from(shape.bytes(dtype)?).ok()?).filter(|&end| end <= range.end)?;
                let payload = Payload::new(owner.clone(), start..end);
                Some(Output { dtype, shape, content: Content::Payload(payload) })
            }
            Produced::SameAsInput(position) => {
                let input = work.inputs.get(position)?;
                let content = match work.payload_owner(&input.place) {
                    Some((owner, range)) => Content::Payload(Payload::new(owner.clone(), range)),
                    None => owned(served, strings.get(position)?.iter().map(|element| element.to_vec()).collect()),
                };
                Some(Output { dtype: input.dtype, shape: input.shape, content })
            }
            Produced::Strings { shape, elements } => {
                let fits = shape.elements() == Some(elements.len() as u64);
                fits.then(|| Output { dtype: DType::String, shape, content: owned(served, elements) })
            }
        }
    }
}

/// Strings of a reply, counted.
fn owned(served: &Served, elements: Vec<Vec<u8>>) -> Content {
    served.counters.copied_strings.add(elements.iter().map(|element| element.len() as u64).sum());
    Content::Strings(elements)
}
