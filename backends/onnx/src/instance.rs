//! One run: values over the caller's memory in, the results in place or lent.
//!
//! The shape that memory was prepared for comes from the names in the signature, which a model may contradict. ONNX
//! Runtime compares it with the shape that it computes and refuses the run; then the run is done once more with ONNX
//! Runtime's own memory, and the output is not predicted again. An output that is asked for more than once is computed
//! once, and lent to each.

use crate::attempt::{self, Made, Plan, attempt};
use crate::model::Shared;
use crate::value::{Lent, List, Readable, Value};
use graphpipe_schema::DType;
use graphpiped_backend_api::{Elements, Input, Inputs, Instance, OutputSlot, Produced, RunError, check, one_line};
use std::ffi::CStr;
use std::ptr::NonNull;
use std::sync::Arc;

/// The right to run a model. Instances share one session; see [`crate::value`] for why they may.
pub(crate) struct OnnxInstance {
    shared: Arc<Shared>,
}

impl OnnxInstance {
    pub fn new(shared: Arc<Shared>) -> OnnxInstance {
        OnnxInstance { shared }
    }
}

impl Instance for OnnxInstance {
    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut [OutputSlot<'_>]) -> Result<(), RunError> {
        let shared = &*self.shared;
        let values = inputs.iter().map(|input| readable(shared, input)).collect::<Result<List<_>, _>>()?;
        check::outputs(shared.signature(), outputs)?;
        let plans = attempt::plans(shared, outputs);
        let mut made = attempt(shared, &values, outputs, &plans);
        if matches!(&made, Err(failed) if failed.may_be_of_prepared()) && plans.contains(&Plan::Prepared) {
            made = attempt(shared, &values, outputs, &attempt::without_prepared(&plans));
        }
        for (position, made) in made?.into_iter().enumerate() {
            let produced = match made {
                Made::InPlace => Produced::InPlace,
                Made::Value(value) => produced(shared, value, inputs)
                    .map_err(|cause| of_output(shared, outputs[position].index, &cause))?,
                Made::SameAs(earlier) => outputs[earlier]
                    .produced
                    .as_ref()
                    .and_then(Produced::again)
                    .expect("a shared output is planned as a value, and set before this one"),
            };
            remember(shared, &outputs[position], &produced);
            outputs[position].produced = Some(produced);
        }
        Ok(())
    }
}

/// Remembers a prediction that turned out wrong.
fn remember(shared: &Shared, slot: &OutputSlot<'_>, produced: &Produced) {
    if let (Produced::Lent { shape, .. }, Some(prepared)) = (produced, &slot.prepared)
        && prepared.shape != *shape
    {
        shared.set_unpredictable(slot.index);
    }
}

/// The value of an input, over its memory.
fn readable<'a>(shared: &'a Shared, input: &Input<'a>) -> Result<(&'a CStr, Readable<'a>), RunError> {
    let name = shared
        .input_name(input.index)
        .ok_or_else(|| RunError::Model(format!("the model has no input {}", input.index)))?;
    let spec = &shared.signature().inputs[input.index];
    // Whether type and shape are those of the signature is compared by ONNX Runtime, and told in its words.
    check::bools(spec, input)?;
    let value = match input.elements {
        Elements::Strings(elements) => Readable::strings(shared.library(), input.shape, elements),
        Elements::Bytes(bytes) => Readable::bytes(shared.library(), input.dtype, input.shape, bytes),
    };
    match value {
        Ok(value) => Ok((name, value)),
        Err(cause) => Err(RunError::Model(format!("input {}: {}", spec.name, one_line(&cause)))),
    }
}

/// What became of an output that ONNX Runtime has made.
fn produced(shared: &Shared, value: Value<'static>, inputs: &[Input<'_>]) -> Result<Produced, String> {
    let (dtype, shape) = value.kind()?;
    if dtype == DType::String {
        let count = shape.elements().ok_or("its shape has no size")?;
        return Ok(Produced::Strings { shape, elements: value.read_strings(count as usize)? });
    }
    let bytes = shape.bytes(dtype).ok_or("its shape has no size")? as usize;
    let Some(start) = NonNull::new(value.start()?.cast_mut()).filter(|_| bytes > 0) else {
        return Ok(Produced::Lent { shape, dtype, owner: Arc::new([0_u8; 0]) });
    };
    // A graph may name an input as an output, and ONNX Runtime then gives back the caller's own memory, which is not the
    // value's to lend.
    if let Some(produced) = Produced::in_an_input(inputs, dtype, shape, start.as_ptr()) {
        return Ok(produced);
    }
    // SAFETY: the value was made by a run of this session over these inputs, and has just told where its elements are
    // and how many; that they lie in no input has just been checked.
    let owner = unsafe { Lent::new(value, start, bytes, Arc::clone(shared.session())) };
    Ok(Produced::Lent { shape, dtype, owner: Arc::new(owner) })
}

fn of_output(shared: &Shared, index: usize, cause: &str) -> RunError {
    let name = shared.signature().outputs.get(index).map_or("", |spec| spec.name.as_str());
    RunError::Model(format!("output {name}: {}", one_line(cause)))
}
