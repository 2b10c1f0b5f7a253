//! One run: inputs are compared with the signature, copied in, and outputs copied out, to where they are to be.
//!
//! What the signature does not allow never reaches MXNet, which would take another shape for a wish to be served in that shape.

use crate::handles::{Failed, Handles, Ready, Shared};
use crate::words;
use graphpipe_schema::DType;
use graphpiped_backend_api::{
    Elements, Input, Inputs, Instance, OutputSlot, Prepared, Produced, RunError, Signature, TensorSpec, check,
};
use std::sync::Arc;

/// What runs of a model have to know.
pub(crate) struct Plan {
    /// What the instances share.
    pub shared: Arc<Shared>,
    /// What the model takes and gives.
    pub signature: Signature,
    /// For each output of the signature, which one of the predictor's it is.
    pub outputs: Vec<usize>,
    /// Threads of a run, where MXNet lets a run choose.
    pub intra_threads: usize,
}

/// The right to run a model.
pub(crate) struct MxnetInstance {
    plan: Arc<Plan>,
    handles: Handles,
    /// Of the run: sizes of all inputs, one behind the other, and where each input is in the list.
    sizes: Vec<u32>,
    positions: Vec<usize>,
}

impl MxnetInstance {
    pub fn new(plan: Arc<Plan>, handles: Handles) -> MxnetInstance {
        MxnetInstance { plan, handles, sizes: Vec::new(), positions: Vec::new() }
    }
}

impl Instance for MxnetInstance {
    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut [OutputSlot<'_>]) -> Result<(), RunError> {
        let plan = &*self.plan;
        check::places(&plan.signature, inputs, &mut self.positions)?;
        self.sizes.clear();
        for (spec, &position) in plan.signature.inputs.iter().zip(&self.positions) {
            admit(spec, &inputs[position], &mut self.sizes)?;
        }
        check::outputs(&plan.signature, outputs)?;
        if self.handles.have_ended() {
            self.handles = Handles::again(&plan.shared).map_err(not_made)?;
        }
        let ready = self.handles.of(&self.sizes).map_err(not_made)?;
        set_threads(plan)?;
        for (index, (name, _)) in plan.shared.recipe.inputs.iter().enumerate() {
            let input = &inputs[self.positions[index]];
            if let Elements::Bytes(bytes) = input.elements {
                ready.predictor.set_input(name, input.dtype, elements(input.shape), bytes).map_err(refused)?;
            }
        }
        ready.predictor.forward().map_err(refused)?;
        for slot in outputs {
            let spec = &plan.signature.outputs[slot.index];
            let produced = produced(ready, plan.outputs[slot.index], spec.dtype, slot.prepared.as_mut());
            slot.produced = Some(produced?);
        }
        Ok(())
    }
}

/// Compares an input with its specification, and adds its sizes to the others.
fn admit(spec: &TensorSpec, input: &Input<'_>, sizes: &mut Vec<u32>) -> Result<(), RunError> {
    check::input(spec, input)?;
    let wrong = |cause: String| RunError::Model(format!("input {}: {cause}", spec.name));
    let Elements::Bytes(bytes) = input.elements else { return Err(wrong("MXNet knows no strings".into())) };
    if input.shape.contains(&0) {
        return Err(wrong("an axis of size 0 is to MXNet one of unknown size".into()));
    }
    let shape = check::sized(spec.dtype, input.shape, bytes.len()).map_err(wrong)?;
    if shape.elements().is_none_or(|elements| elements > u32::MAX.into()) {
        return Err(wrong(format!("MXNet takes {} elements at most", u32::MAX)));
    }
    // No size is larger than their product.
    sizes.extend(input.shape.iter().map(|&size| size as u32));
    Ok(())
}

/// The elements of a shape that was admitted.
fn elements(shape: &[i64]) -> u32 {
    shape.iter().product::<i64>() as u32
}

/// Tells the calling thread how many threads its operators may use; this is a setting of OpenMP's for each thread.
fn set_threads(plan: &Plan) -> Result<(), RunError> {
    let library = plan.shared.recipe.library;
    if !library.runs_on_the_calling_thread {
        return Ok(());
    }
    let threads = i32::try_from(plan.intra_threads).unwrap_or(i32::MAX);
    // SAFETY: the function takes a number, and sets a variable of this thread.
    let returned = unsafe { (library.functions.set_threads)(threads) };
    library.check(returned).map_err(RunError::Framework)
}

/// Copies an output to where it is to be.
fn produced(
    ready: &mut Ready,
    output: usize,
    dtype: DType,
    prepared: Option<&mut Prepared<'_>>,
) -> Result<Produced, RunError> {
    let shape = ready.outputs[output];
    let elements = shape.elements().and_then(|elements| u32::try_from(elements).ok());
    let sized = shape.bytes(dtype).zip(elements);
    let too_many = || RunError::Model(format!("an output has more than {} elements", u32::MAX));
    let (bytes, elements) = sized.ok_or_else(too_many)?;
    if let Some(prepared) = prepared.filter(|prepared| prepared.shape == shape && prepared.bytes.len() as u64 == bytes)
    {
        ready.predictor.output(output, dtype, elements, prepared.bytes).map_err(refused)?;
        return Ok(Produced::InPlace);
    }
    let mut words = zeroed(bytes as usize)?;
    let memory: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    ready.predictor.output(output, dtype, elements, &mut memory[..bytes as usize]).map_err(refused)?;
    Ok(Produced::Lent { shape, dtype, owner: Arc::new(Copied { words, bytes: bytes as usize }) })
}

/// As many whole words as the bytes need, because words are aligned for every type. How many that is, a client may choose, so
/// there may be no memory for them.
fn zeroed(bytes: usize) -> Result<Vec<u64>, RunError> {
    let mut words = Vec::new();
    let count = bytes.div_ceil(8);
    let none = |_| RunError::Machine(format!("there is no memory for an output of {bytes} bytes"));
    words.try_reserve_exact(count).map_err(none)?;
    words.resize(count, 0);
    Ok(words)
}

/// A copy of an output.
struct Copied {
    words: Vec<u64>,
    bytes: usize,
}

impl AsRef<[u8]> for Copied {
    fn as_ref(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.bytes]
    }
}

fn refused(cause: String) -> RunError {
    if words::is_of_the_machine(&cause) { RunError::Machine(cause) } else { RunError::Model(cause) }
}

fn not_made(failed: Failed) -> RunError {
    match failed {
        Failed::Refused(cause) => refused(cause),
        Failed::Ended => RunError::Framework("MXNet has panicked; the next run starts anew".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::Library;
    use crate::model::{MxnetModel, Read};
    use crate::{Locations, WANTED};
    use graphpiped_backend_api::Options;
    use graphpiped_backend_conformance::process::{child, is_child};
    use graphpiped_backend_conformance::{Asked, Scene};
    use std::path::Path;

    #[test]
    fn an_instance_whose_thread_has_ended_starts_another_one() {
        // In a process of its own: tests of `library` are about one that has not loaded it.
        if !is_child() {
            child("instance::tests::an_instance_whose_thread_has_ended_starts_another_one", |_| {});
            return;
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let remedy = "get it with `graphpiped runtime install mxnet`";
        let locations = Locations::new(&WANTED, None, vec![folder.join("../../runtime/mxnet")], remedy);
        let path = folder.join("tests/models/double-symbol.json");
        let read = Read::files(&path).expect("the model's files");
        let library = Library::load(&locations).unwrap_or_else(|cause| panic!("{cause}"));
        let model = MxnetModel::open(library, &path, read, &Options::default()).expect("a model");
        let mut instance = model.own_instance().expect("an instance");
        let scene = Scene { model: Arc::new(model) };
        let asked = [Asked::floats(0, &[1, 4], &[1.0, 2.0, 3.0, 4.0])];
        instance.handles.end_home();
        let error = scene.try_run(&mut instance, &asked, &[0]).expect_err("nobody makes a predictor");
        assert_eq!(error, RunError::Framework("MXNet has panicked; the next run starts anew".to_string()));
        let found = scene.try_run(&mut instance, &asked, &[0]).expect("it runs");
        assert_eq!(found[0].numbers(), [2.0, 4.0, 6.0, 8.0]);
    }

    #[test]
    fn memory_that_there_is_not_is_an_error() {
        assert_eq!(zeroed(9).map(|words| words.len()), Ok(2));
        let expected = format!("there is no memory for an output of {} bytes", usize::MAX);
        assert_eq!(zeroed(usize::MAX), Err(RunError::Machine(expected)));
    }
}
