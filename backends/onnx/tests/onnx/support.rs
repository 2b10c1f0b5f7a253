//! Opening models, aligned memory, and asking for outputs: what all tests of this binary share.

pub use crate::subject::{backend, path_of};

use graphpipe_schema::{DType, Shape};
use graphpiped_backend_api::{
    Backend, Elements, Input, Inputs, Instance, Keep, Kept, Model, OpenError, Options, OutputSlot, Prepared, Produced,
    RunError,
};
use graphpiped_backend_conformance::Aligned;
use std::path::Path;
use std::sync::Arc;

/// Opens a file.
pub fn try_open(path: &Path) -> Result<Arc<dyn Model>, OpenError> {
    backend().open(path, &Options::default())
}

/// Opens one of the models.
pub fn open(name: &str) -> Arc<dyn Model> {
    try_open(&path_of(&format!("{name}.onnx"))).unwrap_or_else(|error| panic!("{error}"))
}

/// An instance of one of the models.
pub fn instance(name: &str) -> Box<dyn Instance> {
    open(name).instance().expect("an open model has instances")
}

/// An input of fixed-size elements.
pub fn input<'a>(index: usize, dtype: DType, shape: &'a [i64], bytes: &'a Aligned) -> Input<'a> {
    Input { index, dtype, shape, elements: Elements::Bytes(bytes.as_ref()) }
}

/// An input of float32.
pub fn floats<'a>(index: usize, shape: &'a [i64], bytes: &'a Aligned) -> Input<'a> {
    input(index, DType::Float32, shape, bytes)
}

/// Inputs that nobody keeps for longer than a run: ONNX Runtime refers to nothing of a run that has ended.
pub fn unkept<'a>(list: &'a [Input<'a>]) -> Inputs<'a> {
    Inputs::new(list, &Never)
}

struct Never;

impl Keep for Never {
    fn keep(&self) -> Kept {
        panic!("ONNX Runtime keeps no input")
    }
}

/// A slot without prepared memory.
pub fn slot(index: usize) -> OutputSlot<'static> {
    OutputSlot { index, prepared: None, produced: None }
}

/// A slot whose output is expected to have this shape.
pub fn prepared<'a>(index: usize, shape: &[i64], memory: &'a mut Aligned) -> OutputSlot<'a> {
    let shape = Shape::new(shape).expect("a shape of a test");
    OutputSlot { index, prepared: Some(Prepared { shape, bytes: memory.as_mut() }), produced: None }
}

/// The one output of a model, in ONNX Runtime's own memory.
pub fn run_one(instance: &mut dyn Instance, inputs: &[Input<'_>]) -> Result<Produced, RunError> {
    let mut slots = [slot(0)];
    instance.run(&unkept(inputs), &mut slots)?;
    let [slot] = slots;
    Ok(slot.produced.expect("a run that succeeds sets every slot"))
}

/// Where the bytes of a result are, and its shape.
pub fn bytes_of<'a>(slot: &'a OutputSlot<'_>, inputs: &'a [Input<'_>]) -> (&'a [u8], Vec<i64>) {
    match slot.produced.as_ref().expect("a run that succeeds sets every slot") {
        Produced::InPlace => {
            let prepared = slot.prepared.as_ref().expect("a result is in place only if there is one");
            (&*prepared.bytes, prepared.shape.to_vec())
        }
        Produced::Lent { shape, owner, .. } => ((**owner).as_ref(), shape.to_vec()),
        Produced::OfInput { position, start, shape, dtype } => {
            let Elements::Bytes(bytes) = inputs[*position].elements else { panic!("strings") };
            let length = shape.bytes(*dtype).expect("a shape of a test") as usize;
            (&bytes[*start..*start + length], shape.to_vec())
        }
        other @ (Produced::SameAsInput(_) | Produced::Strings { .. }) => panic!("{other:?}"),
    }
}

/// The float32 numbers of a result, and its shape.
pub fn floats_of(slot: &OutputSlot<'_>, inputs: &[Input<'_>]) -> (Vec<f32>, Vec<i64>) {
    let (bytes, shape) = bytes_of(slot, inputs);
    (bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().expect("four bytes"))).collect(), shape)
}

/// The int64 numbers of a result, and its shape.
pub fn integers_of(slot: &OutputSlot<'_>, inputs: &[Input<'_>]) -> (Vec<i64>, Vec<i64>) {
    let (bytes, shape) = bytes_of(slot, inputs);
    (bytes.chunks_exact(8).map(|eight| i64::from_le_bytes(eight.try_into().expect("eight bytes"))).collect(), shape)
}
