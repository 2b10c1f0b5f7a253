//! One run: what came is compared with the signature, then the plugin computes, then what it gave is compared.
//!
//! PyTorch's models check little by themselves: one that doubles its input doubles any tensor. So nothing reaches them that the
//! description does not allow, and what they give against it is an error instead of an answer. Outputs are lent where
//! PyTorch made them; memory that was prepared is left alone, because no model can be told where to write.

use crate::model::Shared;
use crate::plugin::{Given, Output};
use crate::words::cause_of;
use graphpipe_schema::DType;
use graphpiped_backend_api::{Dim, Elements, Input, Inputs, Instance, OutputSlot, Produced, RunError, TensorSpec};
use std::sync::Arc;

/// The right to run a model. Instances share one; see [`crate::plugin`] for why they may.
pub(crate) struct TorchInstance {
    shared: Arc<Shared>,
}

impl TorchInstance {
    pub fn new(shared: Arc<Shared>) -> TorchInstance {
        TorchInstance { shared }
    }
}

impl Instance for TorchInstance {
    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut [OutputSlot<'_>]) -> Result<(), RunError> {
        let (module, signature) = (&self.shared.module, &self.shared.signature);
        if let Some(slot) = outputs.iter().find(|slot| slot.index >= signature.outputs.len()) {
            return Err(RunError::Model(format!("the model has no output {}", slot.index)));
        }
        if let Some(input) = inputs.iter().find(|input| input.index >= signature.inputs.len()) {
            return Err(RunError::Model(format!("the model has no input {}", input.index)));
        }
        let given = signature.inputs.iter().enumerate().map(|(index, spec)| given(spec, index, inputs));
        let given = given.collect::<Result<Vec<_>, _>>()?;
        check_symbols(&signature.inputs, &given)?;
        let made = module.run(given).map_err(|failure| {
            let words = cause_of(&failure.words);
            failure.of_run(words)
        })?;
        let mut made: Vec<Option<Output>> = made.into_iter().map(Some).collect();
        for position in 0..outputs.len() {
            let index = outputs[position].index;
            let spec = &signature.outputs[index];
            let produced = match made.get_mut(index).and_then(Option::take) {
                Some(output) => produced(spec, output, inputs)
                    .map_err(|cause| RunError::Model(format!("output {}: {cause}", spec.name)))?,
                None => again(outputs[..position].iter().find(|earlier| earlier.index == index))
                    .ok_or_else(|| RunError::Framework(format!("output {}: the plugin gives none", spec.name)))?,
            };
            outputs[position].produced = Some(produced);
        }
        Ok(())
    }
}

/// The input of a run that belongs to this one of the signature.
fn given<'a>(spec: &TensorSpec, index: usize, inputs: &Inputs<'a>) -> Result<Given<'a>, RunError> {
    let failed = |cause: String| RunError::Model(format!("input {}: {cause}", spec.name));
    let mut found = inputs.iter().filter(|input| input.index == index);
    let (Some(input), None) = (found.next(), found.next()) else {
        return Err(failed("it has to be given, once".into()));
    };
    let Input { dtype, shape, elements, .. } = *input;
    let Elements::Bytes(bytes) = elements else {
        return Err(failed("PyTorch has no strings".into()));
    };
    if dtype != spec.dtype {
        return Err(failed(format!("it is {dtype}, and {} is taken", spec.dtype)));
    }
    if !is_allowed(spec, shape) {
        return Err(failed(format!("its shape is {shape:?}, and {spec} is taken")));
    }
    if dtype == DType::Bool
        && let Some(at) = bytes.iter().position(|&byte| byte > 1)
    {
        // To C++ any other byte in a bool is undefined behaviour, and the client wrote these bytes.
        let cause = format!("element {at} is {}, and a bool is 0 or 1", bytes[at]);
        return Err(RunError::Request(format!("input {}: {cause}", spec.name)));
    }
    Given::new(dtype, shape, bytes, inputs.keep()).map_err(failed)
}

/// Whether a name of the description stands for one size in all inputs. A compiled model believes it, and would read behind
/// the end of the shorter one.
fn check_symbols(specs: &[TensorSpec], given: &[Given<'_>]) -> Result<(), RunError> {
    let mut bound: Vec<(&str, i64)> = Vec::new();
    for (spec, given) in specs.iter().zip(given) {
        for (dim, &size) in spec.dims.iter().flatten().zip(given.shape) {
            let Dim::Symbol(name) = dim else { continue };
            match bound.iter().find(|(other, _)| **other == **name) {
                Some((_, other)) if *other != size => {
                    let cause = format!("{name} is {size} here, and {other} elsewhere");
                    return Err(RunError::Model(format!("input {}: {cause}", spec.name)));
                }
                Some(_) => {}
                None => bound.push((name, size)),
            }
        }
    }
    Ok(())
}

/// Whether a tensor may have this shape, as far as its own sizes tell.
fn is_allowed(spec: &TensorSpec, shape: &[i64]) -> bool {
    let fits = |(dim, &size): (&Dim, &i64)| match dim {
        Dim::Fixed(fixed) => u64::try_from(size) == Ok(*fixed),
        Dim::Symbol(_) | Dim::Any => size >= 0,
    };
    spec.dims.as_ref().is_none_or(|dims| dims.len() == shape.len() && dims.iter().zip(shape).all(fits))
}

/// What became of an output that PyTorch has made.
fn produced(spec: &TensorSpec, output: Output, inputs: &[Input<'_>]) -> Result<Produced, String> {
    let shape = output.shape.ok_or("it has more axes than GraphPipe can carry")?;
    let dtype = output.dtype.ok_or("it has a type that GraphPipe does not have")?;
    if dtype != spec.dtype || !is_allowed(spec, shape.dims()) {
        return Err(format!("the model gives {dtype} {:?}, and its description says {spec}", shape.dims()));
    }
    let bytes = output.as_ref().len();
    if shape.bytes(dtype) != Some(bytes as u64) {
        return Err(format!("{bytes} bytes are not a {dtype} tensor of shape {:?}", shape.dims()));
    }
    // What lies in an input goes back as such, and PyTorch's reference to it is dropped.
    if let Some(produced) = Produced::in_an_input(inputs, dtype, shape, output.start()) {
        return Ok(produced);
    }
    Ok(Produced::Lent { shape, dtype, owner: Arc::new(output) })
}

/// The result of an earlier slot, for another slot that asks for the same output.
fn again(earlier: Option<&OutputSlot<'_>>) -> Option<Produced> {
    match earlier?.produced.as_ref()? {
        Produced::Lent { shape, dtype, owner } => {
            Some(Produced::Lent { shape: *shape, dtype: *dtype, owner: Arc::clone(owner) })
        }
        &Produced::OfInput { position, start, shape, dtype } => {
            Some(Produced::OfInput { position, start, shape, dtype })
        }
        Produced::InPlace | Produced::SameAsInput(_) | Produced::Strings { .. } => None,
    }
}
