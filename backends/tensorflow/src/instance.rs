//! One run: tensors over the caller's memory in, TensorFlow's own memory lent.
//!
//! TensorFlow compares neither the shapes that are fed with those of the graph nor, everywhere, the types, so that is done
//! here. Memory that is prepared for outputs stays as it is: there is no way to tell TensorFlow of it. An output that is
//! asked for more than once is computed once; one that is an input, not at all.

use crate::graph::List;
use crate::model::Shared;
use crate::status::Failure;
use crate::tensor::{ALIGN, Lent, Tensor};
use graphpipe_schema::{DType, Shape};
use graphpiped_backend_api::{
    Elements, Input, Inputs, Instance, Kept, OutputSlot, Produced, RunError, check, one_line,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of inputs that did not begin at a multiple of 64, and were copied therefore: TensorFlow computes with vectors of
/// that size. Of all models of the process, since it began.
pub fn copied_input_bytes() -> u64 {
    COPIED_BYTES.load(Ordering::Relaxed)
}

/// Relaxed, as nothing hangs on it.
static COPIED_BYTES: AtomicU64 = AtomicU64::new(0);

/// The right to run a model. Instances share one session; see [`crate::graph`] for why they may.
pub(crate) struct TensorflowInstance {
    shared: Arc<Shared>,
    /// Of the run: where each input is in the list.
    positions: Vec<usize>,
}

impl TensorflowInstance {
    pub fn new(shared: Arc<Shared>) -> TensorflowInstance {
        TensorflowInstance { shared, positions: Vec::new() }
    }
}

impl Instance for TensorflowInstance {
    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut [OutputSlot<'_>]) -> Result<(), RunError> {
        let shared = &*self.shared;
        let positions = &mut self.positions;
        check::places(&shared.signature, inputs, positions)?;
        for (spec, &position) in shared.signature.inputs.iter().zip(&*positions) {
            check::input(spec, &inputs[position])?;
        }
        check::outputs(&shared.signature, outputs)?;
        let values = values(shared, inputs, positions)?;
        let computed: List<usize> =
            outputs.iter().map(|slot| slot.index).filter(|&index| shared.passed[index].is_none()).collect();
        let fetched = shared.combinations.fetched(&computed);
        let mut made: List<Option<Tensor>> = List::new();
        if !computed.is_empty() {
            let tensors = shared.session.run(&values, fetched).map_err(Failure::of_run)?;
            made.extend(tensors.into_iter().map(Some));
        }
        // TensorFlow's references to the inputs end here, but for those in what it has made.
        drop(values);
        for at in 0..outputs.len() {
            let index = outputs[at].index;
            let earlier = outputs[..at].iter().find(|slot| slot.index == index);
            let produced = match (shared.passed[index], earlier) {
                (Some(input), _) => Produced::SameAsInput(positions[input]),
                (None, Some(slot)) => slot
                    .produced
                    .as_ref()
                    .and_then(Produced::again)
                    .expect("what is computed is in no prepared memory, and set before this slot"),
                (None, None) => {
                    let place = fetched.iter().position(|fetched| *fetched == index);
                    let tensor = place.and_then(|place| made.get_mut(place)?.take());
                    let tensor = tensor.expect("what is asked for is fetched, and taken once");
                    produced(tensor, inputs).map_err(|cause| of_output(shared, index, &cause))?
                }
            };
            outputs[at].produced = Some(produced);
        }
        Ok(())
    }
}

/// A tensor for each input, in the signature's order.
fn values(shared: &Shared, inputs: &Inputs<'_>, positions: &[usize]) -> Result<List<Tensor>, RunError> {
    // Asked for once, and only if somebody may refer to the caller's memory.
    let mut kept = None;
    let value = |&position: &usize| {
        let input = &inputs[position];
        value(shared, inputs, input, &mut kept).map_err(|cause| {
            let name = &shared.signature.inputs[input.index].name;
            RunError::Model(format!("input {name}: {}", one_line(&cause)))
        })
    };
    positions.iter().map(value).collect()
}

fn value(shared: &Shared, inputs: &Inputs<'_>, input: &Input<'_>, kept: &mut Option<Kept>) -> Result<Tensor, String> {
    let bytes = match input.elements {
        Elements::Strings(elements) => return Tensor::strings(shared.api, input.shape, elements),
        Elements::Bytes(bytes) => bytes,
    };
    if bytes.is_empty() || !bytes.as_ptr().addr().is_multiple_of(ALIGN) {
        COPIED_BYTES.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        return Tensor::copied(shared.api, input.dtype, input.shape, bytes);
    }
    let kept = Arc::clone(kept.get_or_insert_with(|| inputs.keep()));
    // SAFETY: `bytes` are elements of one of the inputs, which is what `Inputs::keep` keeps as they are.
    unsafe { Tensor::over(shared.api, input.dtype, input.shape, bytes, kept) }
}

/// What became of an output that TensorFlow has made.
fn produced(tensor: Tensor, inputs: &Inputs<'_>) -> Result<Produced, String> {
    let (dtype, shape) = tensor.kind()?;
    let count = shape.elements().ok_or("its shape has no size")?;
    if dtype == DType::String {
        return Ok(Produced::Strings { shape, elements: tensor.read_strings(count as usize)? });
    }
    if shape.bytes(dtype) != Some(tensor.bytes() as u64) {
        return Err(format!("{} bytes are not a {dtype} tensor of shape {shape}", tensor.bytes()));
    }
    // A graph may give back an input, or a part of it. Then TensorFlow's reference ends here.
    if let Some(produced) = Produced::in_an_input(inputs, dtype, shape, tensor.start()) {
        return Ok(produced);
    }
    let lent = |shape: Shape, owner| Ok(Produced::Lent { shape, dtype, owner });
    match count {
        0 => lent(shape, Arc::new([0_u8; 0])),
        _ => lent(shape, Arc::new(Lent::new(tensor).ok_or("its elements are nowhere")?)),
    }
}

fn of_output(shared: &Shared, index: usize, cause: &str) -> RunError {
    let name = &shared.signature.outputs[index].name;
    RunError::Model(format!("output {name}: {}", one_line(cause)))
}
