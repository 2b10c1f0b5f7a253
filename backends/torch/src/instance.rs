//! One run: what came is compared with the signature, then the plugin computes, then what it gave is compared.
//!
//! PyTorch's models check little by themselves: one that doubles its input doubles any tensor. So nothing reaches them that the
//! description does not allow, and what they give against it is an error instead of an answer. Outputs are lent where
//! PyTorch made them; memory that was prepared is left alone, because no model can be told where to write.

use crate::model::Shared;
use crate::plugin::{Given, Output};
use crate::words::cause_of;
use graphpiped_backend_api::{
    Dim, Elements, Input, Inputs, Instance, OutputSlot, Produced, RunError, TensorSpec, check,
};
use std::sync::Arc;

/// The right to run a model. Instances share one; see [`crate::plugin`] for why they may.
pub(crate) struct TorchInstance {
    shared: Arc<Shared>,
    /// Of the run: where each input is in the list.
    positions: Vec<usize>,
}

impl TorchInstance {
    pub fn new(shared: Arc<Shared>) -> TorchInstance {
        TorchInstance { shared, positions: Vec::new() }
    }
}

impl Instance for TorchInstance {
    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut [OutputSlot<'_>]) -> Result<(), RunError> {
        let (module, signature) = (&self.shared.module, &self.shared.signature);
        check::outputs(signature, outputs)?;
        check::places(signature, inputs, &mut self.positions)?;
        let places = signature.inputs.iter().zip(&self.positions);
        let given = places.map(|(spec, &position)| given(spec, &inputs[position], inputs));
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
                None => outputs[..position]
                    .iter()
                    .find(|earlier| earlier.index == index)
                    .and_then(|earlier| earlier.produced.as_ref()?.again())
                    .ok_or_else(|| RunError::Framework(format!("output {}: the plugin gives none", spec.name)))?,
            };
            outputs[position].produced = Some(produced);
        }
        Ok(())
    }
}

/// An input of the run, which is this one of the signature.
fn given<'a>(spec: &TensorSpec, input: &Input<'a>, inputs: &Inputs<'_>) -> Result<Given<'a>, RunError> {
    check::input(spec, input)?;
    let failed = |cause: String| RunError::Model(format!("input {}: {cause}", spec.name));
    let Elements::Bytes(bytes) = input.elements else { return Err(failed("PyTorch has no strings".into())) };
    Given::new(input.dtype, input.shape, bytes, inputs.keep()).map_err(failed)
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

/// What became of an output that PyTorch has made.
fn produced(spec: &TensorSpec, output: Output, inputs: &[Input<'_>]) -> Result<Produced, String> {
    let shape = output.shape.ok_or("it has more axes than GraphPipe can carry")?;
    let dtype = output.dtype.ok_or("it has a type that GraphPipe does not have")?;
    if dtype != spec.dtype || !spec.admits(shape.dims()) {
        return Err(format!("the model gives {dtype} {:?}, and its description says {spec}", shape.dims()));
    }
    check::sized(dtype, shape.dims(), output.as_ref().len())?;
    // What lies in an input goes back as such, and PyTorch's reference to it is dropped.
    if let Some(produced) = Produced::in_an_input(inputs, dtype, shape, output.start()) {
        return Ok(produced);
    }
    Ok(Produced::Lent { shape, dtype, owner: Arc::new(output) })
}
