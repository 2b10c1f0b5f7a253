//! The slots of a run: which outputs it is to make, and the parts of one buffer that they go to.

use graphpipe_schema::Shape;
use graphpiped_backend_api::{OutputSlot, Prepared};
use graphpiped_memory::Buffer;
use smallvec::SmallVec;
use std::ops::Range;

/// Where an output goes whose shape is known before the run: in which shape, and where in the buffer.
pub(super) type Place = (Shape, Range<usize>);

/// A slot for each of these outputs, with the memory of those that have a place. Places lie one behind the other.
pub(super) fn slots<'b, 'w>(
    wanted: impl Iterator<Item = (u16, Option<&'w Place>)>,
    buffer: Option<&'b mut Buffer>,
) -> SmallVec<[OutputSlot<'b>; 2]> {
    let mut rest: &'b mut [u8] = buffer.map(Buffer::as_mut_slice).unwrap_or_default();
    let mut at = 0;
    let slots = wanted.map(|(index, place)| {
        let prepared = place.map(|(shape, range)| {
            let (_, from_start) = std::mem::take(&mut rest).split_at_mut(range.start - at);
            let (bytes, behind) = from_start.split_at_mut(range.len());
            (rest, at) = (behind, range.end);
            Prepared { shape: *shape, bytes }
        });
        OutputSlot { index: index.into(), prepared, produced: None }
    });
    slots.collect()
}
