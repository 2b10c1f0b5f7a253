//! The call of a framework: nothing else is done where a panic is caught.

use crate::faults;
use crate::model::Served;
use graphpipe_schema::Code;
use graphpiped_backend_api::{Elements, Input, Inputs, Instance, OutputSlot, Produced, RunError};
use graphpiped_transport::service::Refusal;

/// Runs the framework's code. An instance that panicked is dropped and made anew for the next run.
pub(super) fn call(
    served: &Served,
    instance: &mut Option<Box<dyn Instance>>,
    inputs: &Inputs<'_>,
    slots: &mut [OutputSlot<'_>],
) -> Result<(), Refusal> {
    let result = faults::guarded(|| {
        let instance = match instance {
            Some(instance) => instance,
            None => instance.insert(served.model.instance().map_err(RunError::from)?),
        };
        instance.run(inputs, slots)
    });
    match result {
        Ok(Ok(())) => {
            if served.model.copies() {
                served.counters.copied_framework.add(copied(inputs, slots));
            }
            Ok(())
        }
        Ok(Err(error)) => Err(refusal(error)),
        Err(message) => {
            *instance = None;
            let panics = &served.counters.panics;
            panics.add(1);
            // The first, second, fourth, eighth … so that nobody can fill a disk with them.
            if panics.get().is_power_of_two() {
                tracing::error!(model = served.name(), panics = panics.get(), message, "a framework panicked");
            }
            Err(Refusal::new(Code::ModelFailed, format!("the framework panicked: {message}")))
        }
    }
}

/// Bytes of the inputs and outputs of a run, but for outputs that are inputs as they were. Strings are counted elsewhere.
fn copied(inputs: &Inputs<'_>, slots: &[OutputSlot<'_>]) -> u64 {
    let input = |input: &Input<'_>| if let Elements::Bytes(bytes) = input.elements { bytes.len() } else { 0 };
    let output = |slot: &OutputSlot<'_>| match (&slot.produced, &slot.prepared) {
        (Some(Produced::InPlace), Some(prepared)) => prepared.bytes.len(),
        (Some(Produced::Lent { owner, .. }), _) => (**owner).as_ref().len(),
        _ => 0,
    };
    (inputs.iter().map(input).sum::<usize>() + slots.iter().map(output).sum::<usize>()) as u64
}

/// What a client is told of a run that failed.
fn refusal(error: RunError) -> Refusal {
    match error {
        RunError::Request(message) => Refusal::new(Code::Malformed, message),
        RunError::Model(message) => Refusal::new(Code::ModelFailed, message),
        RunError::Framework(message) => Refusal::new(Code::Internal, message),
        RunError::Machine(message) => Refusal::new(Code::Busy, message),
    }
}
