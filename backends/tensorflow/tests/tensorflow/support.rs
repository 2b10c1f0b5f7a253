//! Opening models, aligned memory, and asking for outputs: what all tests of this binary share.

pub use crate::subject::{backend, path_of};

use graphpipe_schema::DType;
use graphpiped_backend_api::{
    Backend, Elements, Input, Inputs, Instance, Model, OpenError, Options, OutputSlot, Produced, RunError,
};
use graphpiped_backend_conformance::{Aligned, Watched};
use std::path::Path;
use std::sync::Arc;

/// Opens what is at a path.
pub fn try_open(path: &Path, options: &Options) -> Result<Arc<dyn Model>, OpenError> {
    backend().open(path, options)
}

/// Opens one of the models: a folder, or a file that ends in `.pb`.
pub fn open(name: &str) -> Arc<dyn Model> {
    open_with(name, &Options::default())
}

/// The same with options.
pub fn open_with(name: &str, options: &Options) -> Arc<dyn Model> {
    try_open(&path_of(name), options).unwrap_or_else(|error| panic!("{error}"))
}

/// Options with these inputs and outputs.
pub fn names(inputs: &[&str], outputs: &[&str]) -> Options {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    Options { inputs: owned(inputs), outputs: owned(outputs), ..Options::default() }
}

/// Memory of one input, which begins at a multiple of 256 and holds these numbers.
pub fn floats(values: &[f32]) -> Watched {
    Watched::new(vec![Aligned::floats(values)])
}

/// An input of numbers.
pub fn input<'a>(index: usize, shape: &'a [i64], bytes: &'a [u8]) -> Input<'a> {
    Input { index, dtype: DType::Float32, shape, elements: Elements::Bytes(bytes) }
}

/// A slot without prepared memory.
pub fn slot(index: usize) -> OutputSlot<'static> {
    OutputSlot { index, prepared: None, produced: None }
}

/// Runs for these outputs, over memory with one input.
pub fn run(
    instance: &mut dyn Instance,
    memory: &Watched,
    shape: &[i64],
    outputs: &[usize],
) -> Result<Vec<Produced>, RunError> {
    run_list(instance, memory, &[input(0, shape, memory.piece(0))], outputs)
}

/// The same with any inputs.
pub fn run_list(
    instance: &mut dyn Instance,
    memory: &Watched,
    inputs: &[Input<'_>],
    outputs: &[usize],
) -> Result<Vec<Produced>, RunError> {
    let mut slots: Vec<_> = outputs.iter().map(|&index| slot(index)).collect();
    instance.run(&Inputs::new(inputs, memory), &mut slots)?;
    Ok(slots.into_iter().map(|slot| slot.produced.expect("a run that succeeds sets every slot")).collect())
}

/// The float32 numbers of a result that was computed, and its shape.
pub fn lent(produced: &Produced) -> (Vec<f32>, Vec<i64>) {
    let Produced::Lent { shape, dtype: DType::Float32, owner } = produced else { panic!("{produced:?}") };
    let bytes = (**owner).as_ref();
    (bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect(), shape.to_vec())
}
