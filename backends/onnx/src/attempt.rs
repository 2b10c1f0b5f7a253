//! Where the results of a run are to go, and the running of it.
//!
//! A plan is made once per run: what other threads find out about the model's outputs meanwhile changes later runs, and
//! never this one.

use crate::model::{Shared, is_lack_of_memory};
use crate::value::{self, List, Readable, Value, Writable};
use graphpiped_backend_api::{OutputSlot, RunError, one_line};
use std::ffi::CStr;

/// Where the result of a slot is to come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// ONNX Runtime writes the prepared memory.
    Prepared,
    /// ONNX Runtime makes a value.
    Own,
    /// The slot at this earlier position asks for the same output.
    Earlier(usize),
}

/// The plan of each slot, all of which are for outputs of the model, with prepared memory wherever it is worth trying.
pub(crate) fn plans(shared: &Shared, slots: &[OutputSlot<'_>]) -> List<Plan> {
    (0..slots.len()).map(|position| plan(shared, slots, position)).collect()
}

/// The same without prepared memory.
pub(crate) fn without_prepared(plans: &[Plan]) -> List<Plan> {
    let own = |plan: &Plan| if *plan == Plan::Prepared { Plan::Own } else { *plan };
    plans.iter().map(own).collect()
}

fn plan(shared: &Shared, slots: &[OutputSlot<'_>], position: usize) -> Plan {
    let slot = &slots[position];
    let is_same = |other: &OutputSlot<'_>| other.index == slot.index;
    if let Some(earlier) = slots[..position].iter().position(is_same) {
        return Plan::Earlier(earlier);
    }
    // What several slots share cannot be in the memory of one of them.
    let is_shared = slots[position + 1..].iter().any(is_same);
    let is_prepared = slot.prepared.is_some() && shared.is_predictable(slot.index) && !is_shared;
    if is_prepared { Plan::Prepared } else { Plan::Own }
}

/// What came of one slot.
#[derive(Debug)]
pub(crate) enum Made {
    /// The result is in the prepared memory.
    InPlace,
    /// ONNX Runtime made a value, whose elements may lie in an input's memory.
    Value(Value<'static>),
    /// The slot at this earlier position asks for the same output.
    SameAs(usize),
}

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Before the run: another one would fail in the same way.
    Before(RunError),
    /// ONNX Runtime refused something.
    Refused(ort::Error),
}

impl Failed {
    /// Whether it may be the outputs' prepared memory that was refused. Who lacks memory would lack it again.
    pub(crate) fn may_be_of_prepared(&self) -> bool {
        matches!(self, Failed::Refused(error) if !is_lack_of_memory(error.message()))
    }
}

impl From<Failed> for RunError {
    fn from(failed: Failed) -> RunError {
        match failed {
            Failed::Before(error) => error,
            Failed::Refused(error) if is_lack_of_memory(error.message()) => {
                RunError::Machine(one_line(error.message()))
            }
            Failed::Refused(error) => RunError::Model(one_line(error.message())),
        }
    }
}

/// Runs the session once, and tells what came of each slot.
pub(crate) fn attempt(
    shared: &Shared,
    inputs: &[(&CStr, Readable<'_>)],
    slots: &mut [OutputSlot<'_>],
    plans: &[Plan],
) -> Result<List<Made>, Failed> {
    let mut outputs: List<(&CStr, Option<Writable<'_>>)> = List::with_capacity(slots.len());
    for (slot, plan) in slots.iter_mut().zip(plans) {
        // Each index is an output of the model, as `plans` wants it.
        let Some(name) = shared.output_name(slot.index) else { continue };
        match plan {
            Plan::Earlier(_) => {}
            Plan::Own => outputs.push((name, None)),
            Plan::Prepared => outputs.push((name, writable(shared, slot).map_err(Failed::Before)?)),
        }
    }
    let mut made = value::run(shared.session(), inputs, &outputs).map_err(Failed::Refused)?.into_iter();
    let of_plan = |plan: &Plan| match plan {
        Plan::Earlier(position) => Some(Made::SameAs(*position)),
        Plan::Own => made.next().map(Made::Value),
        Plan::Prepared => Some(Made::InPlace),
    };
    Ok(plans.iter().filter_map(of_plan).collect())
}

/// The value over a slot's prepared memory.
fn writable<'a>(shared: &Shared, slot: &'a mut OutputSlot<'_>) -> Result<Option<Writable<'a>>, RunError> {
    let spec = &shared.signature().outputs[slot.index];
    let Some(prepared) = &mut slot.prepared else { return Ok(None) };
    match Writable::bytes(shared.library(), spec.dtype, &prepared.shape, prepared.bytes) {
        Ok(value) => Ok(Some(value)),
        Err(cause) => Err(RunError::Model(format!("output {}: {}", spec.name, one_line(&cause)))),
    }
}
