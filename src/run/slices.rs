//! A request with more rows than a batch may have: run in place, a slice of its rows after the other.

use super::{Between, HAS_ROWS, call};
use crate::lanes::with_rows;
use crate::model::Served;
use graphpipe_schema::{Code, Shape};
use graphpiped_backend_api::{Elements, Input, Inputs, Instance, OutputSlot, Prepared, Produced};
use graphpiped_transport::service::Refusal;
use smallvec::SmallVec;
use std::ops::Range;

/// The most rows of each run, if these inputs and outputs have to be run in slices, and can be.
pub(super) fn rows_per_run(served: &Served, inputs: &[Input<'_>], slots: &[OutputSlot<'_>]) -> Option<usize> {
    let rows_max = served.batching.as_ref()?.rows_max;
    let rows = *inputs.first()?.shape.first()?;
    let have_rows =
        inputs.iter().all(|input| input.shape.first() == Some(&rows) && matches!(input.elements, Elements::Bytes(_)))
            && slots.iter().all(|slot| {
                // Where the framework gives the memory, slices would have to be put together.
                slot.prepared.as_ref().is_some_and(|prepared| prepared.shape.dims().first() == Some(&rows))
            });
    (have_rows && rows as u64 > rows_max as u64).then_some(rows_max)
}

/// Runs all rows, at most `rows_max` at a time, into the prepared memory of the slots. There may be many, and
/// each takes as long as a batch.
pub(super) fn call_in_slices(
    served: &Served,
    instance: &mut Option<Box<dyn Instance>>,
    inputs: &Inputs<'_>,
    slots: &mut [OutputSlot<'_>],
    rows_max: usize,
    between: Between<'_>,
) -> Result<(), Refusal> {
    let rows = inputs[0].shape[0] as usize;
    for start in (0..rows).step_by(rows_max) {
        if start > 0 {
            between(instance)?;
        }
        let part = start..rows.min(start + rows_max);
        run_part(served, instance, inputs, slots, rows, &part)?;
    }
    for slot in slots {
        slot.produced = Some(Produced::InPlace);
    }
    Ok(())
}

fn run_part(
    served: &Served,
    instance: &mut Option<Box<dyn Instance>>,
    inputs: &Inputs<'_>,
    slots: &mut [OutputSlot<'_>],
    rows: usize,
    part: &Range<usize>,
) -> Result<(), Refusal> {
    let bytes_of = |bytes: usize| part.start * (bytes / rows)..part.end * (bytes / rows);
    let shapes: SmallVec<[Shape; 2]> =
        inputs.iter().map(|input| with_rows(input.shape, part.len()).expect(HAS_ROWS)).collect();
    let parts = inputs.iter().zip(&shapes).map(|(input, shape)| Input {
        shape: shape.dims(),
        elements: match input.elements {
            Elements::Bytes(bytes) => Elements::Bytes(&bytes[bytes_of(bytes.len())]),
            strings @ Elements::Strings(_) => strings,
        },
        ..*input
    });
    let parts: SmallVec<[Input<'_>; 2]> = parts.collect();
    let part_slots = slots.iter_mut().map(|slot| OutputSlot {
        index: slot.index,
        prepared: slot.prepared.as_mut().map(|prepared| Prepared {
            shape: with_rows(prepared.shape.dims(), part.len()).expect(HAS_ROWS),
            bytes: {
                let range = bytes_of(prepared.bytes.len());
                &mut prepared.bytes[range]
            },
        }),
        produced: None,
    });
    let mut part_slots: SmallVec<[OutputSlot<'_>; 1]> = part_slots.collect();
    call(served, instance, &inputs.with(&parts), &mut part_slots)?;
    part_slots.iter_mut().try_for_each(|slot| settle(served, &parts, slot))
}

/// A part of an input's elements; nothing if it is not there.
fn part<'a>(inputs: &[Input<'a>], position: usize, start: usize, bytes: usize) -> &'a [u8] {
    match inputs.get(position).map(|input| input.elements) {
        Some(Elements::Bytes(elements)) => {
            start.checked_add(bytes).and_then(|end| elements.get(start..end)).unwrap_or_default()
        }
        _ => &[],
    }
}

/// Puts what a run has produced where it belongs, if it is not there.
fn settle(served: &Served, inputs: &[Input<'_>], slot: &mut OutputSlot<'_>) -> Result<(), Refusal> {
    let Some(Prepared { shape, bytes }) = &mut slot.prepared else { unreachable!("all of them are prepared") };
    let from = match &slot.produced {
        Some(Produced::InPlace) => return Ok(()),
        Some(Produced::Lent { shape: lent, owner, .. }) if lent == shape => (**owner).as_ref(),
        Some(Produced::OfInput { position, start, shape: found, .. }) if found == shape => {
            part(inputs, *position, *start, bytes.len())
        }
        Some(Produced::SameAsInput(position)) => part(inputs, *position, 0, bytes.len()),
        _ => &[],
    };
    if from.len() != bytes.len() {
        let message = format!("output {} has not one row for each row of the input", slot.index);
        return Err(Refusal::new(Code::ModelFailed, message));
    }
    bytes.copy_from_slice(from);
    served.counters.copied_slices.add(from.len() as u64);
    Ok(())
}
