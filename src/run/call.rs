//! The call of a framework: nothing else is done where a panic is caught.

use crate::faults;
use crate::model::Served;
use graphpipe_schema::Code;
use graphpiped_backend_api::{Input, Instance, OutputSlot, RunError};
use graphpiped_transport::service::Refusal;

/// Runs the framework's code. An instance that panicked is dropped and made anew for the next run.
pub(super) fn call(
    served: &Served,
    instance: &mut Option<Box<dyn Instance>>,
    inputs: &[Input<'_>],
    slots: &mut [OutputSlot<'_>],
) -> Result<(), Refusal> {
    let result = faults::guarded(|| {
        let instance = match instance {
            Some(instance) => instance,
            None => instance.insert(served.model.instance().map_err(|error| RunError::Model(error.to_string()))?),
        };
        instance.run(inputs, slots)
    });
    match result {
        Ok(Ok(())) => Ok(()),
        Ok(Err(RunError::Model(message))) => Err(Refusal::new(Code::ModelFailed, message)),
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
