//! The identity over any number of tensors of any dtype and shape: the floor of every latency.
//!
//! Its outputs *are* its inputs, so nothing is computed, copied or allocated. It has no framework and reads no file:
//! the path it is opened with says nothing.
#![forbid(unsafe_code)]

use graphpipe_schema::DType;
use graphpiped_backend_api::{
    Backend, Inputs, Instance, Model, OpenError, Options, OutputSlot, Produced, RunError, Signature, TensorSpec,
};
use std::path::Path;
use std::sync::Arc;

/// The backend of `NAME=echo:`.
#[derive(Clone, Copy, Debug, Default)]
pub struct EchoBackend;

impl Backend for EchoBackend {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn open(&self, _path: &Path, _options: &Options) -> Result<Arc<dyn Model>, OpenError> {
        Ok(Arc::new(Echo { signature: signature() }))
    }
}

/// Any tensors are taken. Metadata has no word for that; one float32 of unknown rank is an example that every client
/// understands.
fn signature() -> Signature {
    let example = |name: &str| TensorSpec { name: name.to_string(), dtype: DType::Float32, dims: None };
    Signature { inputs: vec![example("input")], outputs: vec![example("output")], variadic: true }
}

struct Echo {
    signature: Signature,
}

impl Model for Echo {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn effective_options(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn is_cheap(&self) -> bool {
        true
    }

    fn instance(&self) -> Result<Box<dyn Instance>, OpenError> {
        Ok(Box::new(EchoInstance))
    }
}

struct EchoInstance;

impl Instance for EchoInstance {
    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut [OutputSlot<'_>]) -> Result<(), RunError> {
        if let Some(slot) = outputs.iter().find(|slot| slot.index >= inputs.len()) {
            let (wanted, count) = (slot.index, inputs.len());
            return Err(RunError::Model(format!(
                "output {wanted} was asked for, but there are {count} inputs to echo"
            )));
        }
        for slot in outputs {
            slot.produced = Some(Produced::SameAsInput(slot.index));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graphpiped_backend_api::{Elements, Input, Keep, Kept};

    fn instance() -> Box<dyn Instance> {
        let model = EchoBackend.open(Path::new(""), &Options::default()).expect("the echo backend opens anything");
        model.instance().expect("it needs nothing")
    }

    /// The echo refers to nothing of a run that has ended.
    struct Never;

    impl Keep for Never {
        fn keep(&self) -> Kept {
            panic!("the echo keeps no input")
        }
    }

    fn run(inputs: &[Input<'_>], outputs: &mut [OutputSlot<'_>]) -> Result<(), RunError> {
        instance().run(&Inputs::new(inputs, &Never), outputs)
    }

    fn slot(index: usize) -> OutputSlot<'static> {
        OutputSlot { index, prepared: None, produced: None }
    }

    fn same_as(slot: &OutputSlot<'_>) -> usize {
        match slot.produced {
            Some(Produced::SameAsInput(position)) => position,
            ref other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_output_is_the_input_of_its_index() {
        let numbers = Input { index: 0, dtype: DType::Float64, shape: &[1], elements: Elements::Bytes(&[0; 8]) };
        let words =
            Input { index: 1, dtype: DType::String, shape: &[2], elements: Elements::Strings(&[b"", b"\0\xff"]) };
        let mut outputs = [slot(1), slot(0), slot(1)];
        run(&[numbers, words], &mut outputs).expect("two inputs");
        assert_eq!(outputs.each_ref().map(same_as), [1, 0, 1]);
    }

    #[test]
    fn an_output_without_an_input_is_refused() {
        let input = Input { index: 0, dtype: DType::Uint8, shape: &[], elements: Elements::Bytes(&[7]) };
        let error = run(&[input], &mut [slot(0), slot(1)]).expect_err("there is one input");
        assert_eq!(error.to_string(), "output 1 was asked for, but there are 1 inputs to echo");
    }

    #[test]
    fn no_inputs_give_no_outputs() {
        run(&[], &mut []).expect("nothing is asked for");
    }

    #[test]
    fn the_example_in_its_signature_has_a_type_that_every_client_knows() {
        let model = EchoBackend
            .open(Path::new("anything"), &Options { intra_threads: 3, ..Options::default() })
            .expect("it opens anything");
        let signature = model.signature();
        assert!(signature.variadic && model.is_cheap());
        assert_eq!(signature.inputs[0].to_string(), "input float32 […]");
        assert_eq!(signature.outputs[0].to_string(), "output float32 […]");
    }
}
