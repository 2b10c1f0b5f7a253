//! Opening models, and running them on numbers: what all tests of this binary share.

pub use crate::subject::{backend, path_of};

use graphpipe_schema::DType;
use graphpiped_backend_api::{
    Backend, Elements, Input, Inputs, Instance, Model, OpenError, Options, OutputSlot, Produced, RunError,
};
use graphpiped_backend_conformance::{Aligned, Watched};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder of a part of this crate.
pub fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Opens a file.
pub fn try_open(path: &Path) -> Result<Arc<dyn Model>, OpenError> {
    backend().open(path, &Options::default())
}

/// Opens one of the models.
pub fn open(name: &str) -> Arc<dyn Model> {
    try_open(&path_of(&format!("{name}.pt"))).unwrap_or_else(|error| panic!("{error}"))
}

/// An instance of one of the models.
pub fn instance(name: &str) -> Box<dyn Instance> {
    open(name).instance().expect("an open model has instances")
}

/// Fixed-size numbers with a shape, for an input of the index that is its position.
pub struct Numbers {
    /// Their type.
    pub dtype: DType,
    /// Their shape.
    pub shape: Vec<i64>,
    /// Their bytes.
    pub bytes: Vec<u8>,
}

/// Float32 numbers.
pub fn floats(shape: &[i64], values: &[f32]) -> Numbers {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Numbers { dtype: DType::Float32, shape: shape.to_vec(), bytes }
}

/// What a run gave for one output.
#[derive(Debug)]
pub struct Answer {
    /// The shape.
    pub shape: Vec<i64>,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How it was given.
    pub how: Produced,
}

impl Answer {
    /// As float32 numbers.
    pub fn floats(&self) -> Vec<f32> {
        self.bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect()
    }

    /// As int64 numbers.
    pub fn integers(&self) -> Vec<i64> {
        self.bytes.as_chunks().0.iter().map(|&eight| i64::from_le_bytes(eight)).collect()
    }
}

/// The memory of inputs, watched.
pub fn memory_of(inputs: &[Numbers]) -> Watched {
    Watched::new(inputs.iter().map(|input| Aligned::of(&input.bytes)).collect())
}

/// Runs a model for the outputs of these indices.
pub fn run(instance: &mut dyn Instance, inputs: &[Numbers], outputs: &[usize]) -> Result<Vec<Answer>, RunError> {
    run_in(instance, &memory_of(inputs), inputs, outputs)
}

/// The same in memory that the caller watches.
pub fn run_in(
    instance: &mut dyn Instance,
    memory: &Watched,
    inputs: &[Numbers],
    outputs: &[usize],
) -> Result<Vec<Answer>, RunError> {
    let input = |(index, numbers): (usize, &Numbers)| {
        // The numbers are borrowed by the list, which the run does not outlive.
        (index, numbers.dtype, numbers.shape.clone())
    };
    let kinds: Vec<_> = inputs.iter().enumerate().map(input).collect();
    let list: Vec<_> = kinds
        .iter()
        .map(|(index, dtype, shape)| Input {
            index: *index,
            dtype: *dtype,
            shape,
            elements: Elements::Bytes(memory.piece(*index)),
        })
        .collect();
    let mut slots: Vec<_> = outputs.iter().map(|&index| OutputSlot { index, prepared: None, produced: None }).collect();
    instance.run(&Inputs::new(&list, memory), &mut slots)?;
    Ok(slots
        .into_iter()
        .map(|slot| answer(slot.produced.expect("a run that succeeds sets every slot"), memory))
        .collect())
}

fn answer(how: Produced, memory: &Watched) -> Answer {
    let (shape, bytes) = match &how {
        Produced::Lent { shape, owner, .. } => (shape.to_vec(), (**owner).as_ref().to_vec()),
        Produced::OfInput { position, start, shape, dtype } => {
            let bytes = shape.bytes(*dtype).expect("it has a size") as usize;
            (shape.to_vec(), memory.piece(*position)[*start..*start + bytes].to_vec())
        }
        other => panic!("PyTorch gives no such thing: {other:?}"),
    };
    Answer { shape, bytes, how }
}
