//! Random rows, and runs of them.
//!
//! Inputs are copied into aligned memory for each run, outputs out of what the framework lends or has written: nothing
//! here is fast, and nothing outlives the probe.

use crate::faults;
use crate::units::ByteSize;
use fastrand::Rng;
use graphpipe_schema::{DType, Shape};
use graphpiped_backend_api::{
    Dim, Elements, Input, Inputs, Instance, Keep, Kept, Model, OutputSlot, Prepared, Produced, RunError, Signature,
};
use half::{bf16, f16};
use std::sync::Arc;

/// Sizes that are tried for inner axes of any size, one for all of them: as short as a model may be fast with, what
/// models for pictures and for text usually have, and the number of colours.
const SIZES: [u64; 5] = [8, 32, 224, 64, 3];
/// Rows of the run that tries a size.
const ROWS_TRIED: usize = 3;
/// Bytes of the inputs and outputs of a run: as many as the largest lane has. A size that makes longer ones is not
/// tried.
pub(super) const RUN_BYTES_MAX: u64 = 64 << 20;
/// Rows that have to fit into that.
const ROWS_LEAST: u64 = 8;

/// The shape of a row of each input, without the first axis, for which a run of several rows succeeds.
pub(super) fn find_shapes(runner: &mut Runner<'_>, rng: &mut Rng) -> Result<Vec<Shape>, String> {
    let signature = runner.model.signature();
    let mut first_why = None;
    for (attempt, size) in SIZES.into_iter().enumerate() {
        let Some((shapes, is_any_dynamic)) = row_shapes(signature, size) else {
            return Err("an input has more axes, or longer ones, than a request can have".into());
        };
        if attempt > 0 && !is_any_dynamic {
            break;
        }
        let why = match sized(signature, &shapes) {
            Err(why) => why,
            Ok(()) => {
                match runner.run(&Rows::random(signature, &shapes, &[1.0; ROWS_TRIED], rng).pick(&[0, 1, 2]), None) {
                    Ok(_) => return Ok(shapes),
                    Err(why) => format!("{ROWS_TRIED} rows of {}: {why}", listed(&shapes)),
                }
            }
        };
        first_why.get_or_insert(why);
    }
    Err(format!("no trial run succeeded ({})", first_why.unwrap_or_default()))
}

/// The shapes of rows in which every axis that may have any size has this one, and whether there is such an axis.
fn row_shapes(signature: &Signature, size: u64) -> Option<(Vec<Shape>, bool)> {
    let mut is_any_dynamic = false;
    let mut shapes = Vec::with_capacity(signature.inputs.len());
    for spec in &signature.inputs {
        let mut shape = Shape::SCALAR;
        for dim in spec.dims.as_deref()?.get(1..)? {
            let size = match dim {
                Dim::Fixed(size) => *size,
                Dim::Symbol(_) | Dim::Any => {
                    is_any_dynamic = true;
                    size
                }
            };
            shape.push(i64::try_from(size).ok()?)?;
        }
        shapes.push(shape);
    }
    Some((shapes, is_any_dynamic))
}

/// Checks that some rows of these shapes are not too much.
fn sized(signature: &Signature, shapes: &[Shape]) -> Result<(), String> {
    let mut bytes = signature.inputs.iter().zip(shapes).map(|(spec, shape)| shape.bytes(spec.dtype));
    let row = bytes.try_fold(0_u64, |sum, bytes| sum.checked_add(bytes?));
    let most = RUN_BYTES_MAX / ROWS_LEAST;
    match row {
        Some(bytes) if bytes <= most => Ok(()),
        _ => Err(format!("rows of {} have more than {}", listed(shapes), ByteSize(most))),
    }
}

fn listed(shapes: &[Shape]) -> String {
    shapes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

/// Rows of random values, for each input.
pub(super) struct Rows {
    inputs: Vec<Column>,
}

struct Column {
    dtype: DType,
    row_shape: Shape,
    row_bytes: usize,
    bytes: Vec<u8>,
}

impl Rows {
    /// A row for each scale. Floating-point numbers in it are between `-scale` and `scale`; integers are 0 or 1, which
    /// is valid for all that they are used for: masks, token numbers, indices.
    pub fn random(signature: &Signature, shapes: &[Shape], scales: &[f64], rng: &mut Rng) -> Rows {
        let column = |(spec, row_shape): (&graphpiped_backend_api::TensorSpec, &Shape)| {
            // `sized` has found these to be few.
            let elements = row_shape.elements().unwrap_or(0) as usize;
            let mut bytes = Vec::new();
            for &scale in scales {
                (0..elements).for_each(|_| push_random(spec.dtype, scale, rng, &mut bytes));
            }
            let row_bytes = elements * spec.dtype.size().unwrap_or(0);
            Column { dtype: spec.dtype, row_shape: *row_shape, row_bytes, bytes }
        };
        Rows { inputs: signature.inputs.iter().zip(shapes).map(column).collect() }
    }

    /// Some of the rows, in this order.
    pub fn pick(&self, order: &[usize]) -> Batch {
        let input = |column: &Column| {
            let rows = order.iter().map(|row| &column.bytes[row * column.row_bytes..][..column.row_bytes]);
            let mut shape = vec![order.len() as i64];
            shape.extend_from_slice(&column.row_shape);
            (column.dtype, shape, Aligned::of(&rows.collect::<Vec<_>>().concat()))
        };
        Batch { rows: order.len(), inputs: self.inputs.iter().map(input).collect() }
    }

    /// How many rows have at most [`RUN_BYTES_MAX`], if these are the outputs of one.
    pub fn most(&self, outputs: &[Made]) -> usize {
        let inputs: usize = self.inputs.iter().map(|column| column.row_bytes).sum();
        let outputs: usize = outputs.iter().map(|made| made.bytes.len()).sum();
        (RUN_BYTES_MAX / inputs.saturating_add(outputs).max(1) as u64) as usize
    }
}

fn push_random(dtype: DType, scale: f64, rng: &mut Rng, bytes: &mut Vec<u8>) {
    let mut number = || scale * (2.0 * rng.f64() - 1.0);
    match dtype {
        DType::Float64 => bytes.extend(number().to_le_bytes()),
        DType::Float32 => bytes.extend((number() as f32).to_le_bytes()),
        DType::Float16 => bytes.extend(f16::from_f64(number()).to_le_bytes()),
        DType::Bfloat16 => bytes.extend(bf16::from_f64(number()).to_le_bytes()),
        _ => {
            // Little-endian: the lowest byte is the number.
            bytes.push(u8::from(rng.bool()));
            bytes.extend(std::iter::repeat_n(0, dtype.size().unwrap_or(1) - 1));
        }
    }
}

/// The inputs of one run.
pub(super) struct Batch {
    rows: usize,
    inputs: Arc<[(DType, Vec<i64>, Aligned)]>,
}

impl Keep for Batch {
    fn keep(&self) -> Kept {
        Arc::new(Arc::clone(&self.inputs))
    }
}

/// Bytes that begin where run buffers do, as a framework may ask for.
pub(super) struct Aligned {
    storage: Vec<u8>,
    start: usize,
}

/// As for run buffers.
const BASE_ALIGN: usize = 256;

impl Aligned {
    fn of(bytes: &[u8]) -> Aligned {
        let mut storage = vec![0; bytes.len() + BASE_ALIGN];
        let start = storage.as_ptr().align_offset(BASE_ALIGN);
        storage.truncate(start + bytes.len());
        storage[start..].copy_from_slice(bytes);
        Aligned { storage, start }
    }

    fn bytes(&self) -> &[u8] {
        &self.storage[self.start..]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..]
    }
}

/// One output of a run.
pub(super) struct Made {
    pub dtype: DType,
    pub shape: Shape,
    pub bytes: Vec<u8>,
}

impl Made {
    /// One of so many rows.
    pub fn row(&self, row: usize, rows: usize) -> &[u8] {
        let row_bytes = self.bytes.len() / rows;
        &self.bytes[row * row_bytes..][..row_bytes]
    }
}

/// Memory that is prepared for an output, and the shape that it is for.
pub(super) type Memory = Option<(Shape, Aligned)>;

/// What is in memory before a run.
const UNWRITTEN: u8 = 0xa5;

/// Runs a model.
pub(super) struct Runner<'m> {
    model: &'m dyn Model,
    /// Made when it is needed; made anew after a panic.
    instance: Option<Box<dyn Instance>>,
}

impl<'m> Runner<'m> {
    pub fn new(model: &'m dyn Model) -> Runner<'m> {
        Runner { model, instance: None }
    }

    /// What an output is called.
    pub fn name(&self, output: usize) -> &'m str {
        &self.model.signature().outputs[output].name
    }

    /// Runs the model for all of its outputs, and keeps them. If the outputs of one row are given, memory is prepared
    /// for more of the same.
    pub fn run(&mut self, batch: &Batch, one: Option<&[Made]>) -> Result<Vec<Made>, String> {
        let mut memory = self.prepare(batch, one);
        let produced = self.call(batch, &mut memory)?;
        let all = produced.into_iter().zip(memory).enumerate().map(|(output, (produced, memory))| {
            let dtype = self.model.signature().outputs[output].dtype;
            let made = made(produced, dtype, memory, batch);
            let made = made.filter(|made| made.shape.bytes(made.dtype) == Some(made.bytes.len() as u64));
            made.ok_or_else(|| format!("output {} is not what the framework says it is", self.name(output)))
        });
        all.collect()
    }

    /// Memory for each output that is like this one of one row.
    pub fn prepare(&self, batch: &Batch, one: Option<&[Made]>) -> Vec<Memory> {
        let specs = self.model.signature().outputs.iter().enumerate();
        let memory = specs.map(|(output, spec)| {
            let one = one?.get(output).filter(|one| one.dtype == spec.dtype)?;
            let mut shape = Shape::new(&[batch.rows as i64])?;
            one.shape.get(1..)?.iter().try_for_each(|&dim| shape.push(dim))?;
            // What is not written is not zero by chance.
            Some((shape, Aligned::of(&vec![UNWRITTEN; batch.rows * one.bytes.len()])))
        });
        memory.collect()
    }

    /// Runs the model for all of its outputs.
    pub fn call(&mut self, batch: &Batch, memory: &mut [Memory]) -> Result<Vec<Option<Produced>>, String> {
        let inputs = batch.inputs.iter().enumerate().map(|(index, (dtype, shape, memory))| Input {
            index,
            dtype: *dtype,
            shape,
            elements: Elements::Bytes(memory.bytes()),
        });
        let inputs: Vec<_> = inputs.collect();
        let slots = memory.iter_mut().enumerate().map(|(index, memory)| {
            let prepared = memory.as_mut().map(|(shape, memory)| Prepared { shape: *shape, bytes: memory.bytes_mut() });
            OutputSlot { index, prepared, produced: None }
        });
        let mut slots: Vec<_> = slots.collect();
        let (model, instance) = (self.model, &mut self.instance);
        let result = faults::guarded(|| {
            let instance = match instance {
                Some(instance) => instance,
                None => instance.insert(model.instance().map_err(RunError::from)?),
            };
            instance.run(&Inputs::new(&inputs, batch), &mut slots)
        });
        match result {
            Ok(Ok(())) => Ok(slots.into_iter().map(|slot| slot.produced).collect()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(message) => {
                self.instance = None;
                Err(format!("the framework panicked: {message}"))
            }
        }
    }
}

/// What was produced, in memory of its own; `None` for what cannot be there.
fn made(produced: Option<Produced>, dtype: DType, memory: Memory, batch: &Batch) -> Option<Made> {
    match produced? {
        Produced::InPlace => memory.map(|(shape, memory)| Made { dtype, shape, bytes: memory.bytes().to_vec() }),
        Produced::Lent { shape, dtype, owner } => Some(Made { dtype, shape, bytes: (*owner).as_ref().to_vec() }),
        Produced::OfInput { position, start, shape, dtype } => {
            let (_, _, memory) = batch.inputs.get(position)?;
            let end = start.checked_add(usize::try_from(shape.bytes(dtype)?).ok()?)?;
            Some(Made { dtype, shape, bytes: memory.bytes().get(start..end)?.to_vec() })
        }
        Produced::SameAsInput(position) => {
            let (dtype, shape, memory) = batch.inputs.get(position)?;
            Some(Made { dtype: *dtype, shape: Shape::new(shape)?, bytes: memory.bytes().to_vec() })
        }
        // Models with strings are not tried.
        Produced::Strings { .. } => None,
    }
}
