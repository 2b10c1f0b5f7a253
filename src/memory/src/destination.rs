//! Where a request's payload is received: memory of its own, or rows that it shares an arena for. Decides neither.

use crate::Buffer;
use graphpiped_batch::Claim;
use std::ops::Range;

/// Memory into which one request is received, with one owner. The operation that receives into it owns it meanwhile;
/// the crate's documentation says why that is enough.
///
/// Offsets mean the same in both kinds, so what was planned for one can be received into the other.
#[derive(Debug)]
pub enum Destination {
    /// A buffer of the request's own.
    Buffer(Buffer),
    /// Rows of an arena. Dropping them makes them void: they are never run.
    Rows(Claim),
}

impl Destination {
    /// How far offsets go.
    pub fn len(&self) -> usize {
        match self {
            Destination::Buffer(buffer) => buffer.len(),
            Destination::Rows(claim) => claim.len(),
        }
    }

    /// Whether nothing can be received.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A part of it, whose address stays when the `Destination` moves. Panics if the range is not inside, or if it
    /// reaches from one input's rows to those of the next, which do not lie beside each other in an arena.
    ///
    /// The address may be written through until the next call of a method of this destination.
    pub fn slice_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        match self {
            Destination::Buffer(buffer) => &mut buffer.as_mut_slice()[range],
            Destination::Rows(claim) => claim.slice_mut(range),
        }
    }
}

impl From<Buffer> for Destination {
    fn from(buffer: Buffer) -> Destination {
        Destination::Buffer(buffer)
    }
}

impl From<Claim> for Destination {
    fn from(claim: Claim) -> Destination {
        Destination::Rows(claim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pool;
    use graphpiped_batch::{Lane, Layout, Region};
    use std::sync::Arc;

    /// A lane of one arena of four rows, with 100 bytes in one column and 8 in the other.
    fn lane(pool: &Pool) -> Arc<Lane<()>> {
        let layout = Layout::new(4, &[100, 8]).unwrap();
        let region: Box<dyn Region> = Box::new(pool.set_aside(layout.arena_bytes()).unwrap());
        Lane::new(layout, vec![region])
    }

    #[test]
    fn the_same_plan_fits_a_buffer_and_rows() {
        let pool = Pool::new(1 << 20);
        let claim = lane(&pool).claim(2).unwrap();
        // Two rows: 200 bytes at 0, and 16 bytes at the next multiple of 256.
        for mut destination in [Destination::from(pool.reserve(272).unwrap()), Destination::from(claim)] {
            assert_eq!((destination.len(), destination.is_empty()), (272, false));
            destination.slice_mut(100..200).fill(1);
            destination.slice_mut(256..272).fill(2);
            assert_eq!(destination.slice_mut(100..200), [1; 100]);
            assert_eq!(destination.slice_mut(256..272), [2; 16]);
        }
    }

    #[test]
    fn what_is_received_into_rows_is_what_the_batch_has() {
        let pool = Pool::new(1 << 20);
        let lane = lane(&pool);
        for row in 1..=3 {
            let mut destination = Destination::from(lane.claim(1).unwrap());
            destination.slice_mut(0..100).fill(row);
            destination.slice_mut(256..264).fill(10 * row);
            let Destination::Rows(claim) = destination else { panic!("it was made of rows") };
            lane.commit(claim, ());
        }
        let batch = lane.take(4, |(), _| graphpiped_batch::Verdict::Take, drop).unwrap();
        assert_eq!(batch.column(0), [[1; 100], [2; 100], [3; 100]].concat());
        assert_eq!(batch.column(1), [[10; 8], [20; 8], [30; 8]].concat());
    }

    #[test]
    fn the_address_stays_when_the_destination_moves() {
        let pool = Pool::new(1 << 20);
        let claim = lane(&pool).claim(4).unwrap();
        for mut destination in [Destination::from(pool.reserve(400).unwrap()), Destination::from(claim)] {
            let address = destination.slice_mut(7..9).as_mut_ptr();
            let mut moved = Box::new(destination);
            assert_eq!(moved.slice_mut(7..9).as_mut_ptr(), address);
        }
    }

    #[test]
    fn rows_outlive_the_handles_of_their_lane_and_pool() {
        let pool = Pool::new(1 << 20);
        let lane = lane(&pool);
        let mut destination = Destination::from(lane.claim(1).unwrap());
        drop(lane);
        assert!(pool.stats().set_aside_bytes > 0, "the claim keeps its arena");
        destination.slice_mut(0..100).fill(1);
        drop(destination);
        assert_eq!((pool.stats().set_aside_bytes, pool.mapped_bytes()), (0, 0));
    }

    #[test]
    #[should_panic(expected = "range end index 7 out of range for slice of length 6")]
    fn a_range_outside_of_a_buffer_is_refused() {
        Destination::from(Pool::new(4096).reserve(6).unwrap()).slice_mut(0..7);
    }

    #[test]
    #[should_panic(expected = "0..101 is not within a column")]
    fn a_range_outside_of_a_claim_is_refused() {
        Destination::from(lane(&Pool::new(4096)).claim(1).unwrap()).slice_mut(0..101);
    }

    #[test]
    fn its_debug_form_does_not_show_the_content() {
        let pool = Pool::new(1 << 20);
        let mut destination = Destination::from(pool.reserve(6).unwrap());
        destination.slice_mut(0..6).copy_from_slice(b"secret");
        assert_eq!(format!("{destination:?}"), "Buffer(Buffer { bytes: 6, .. })");
        let mut destination = Destination::from(lane(&pool).claim(1).unwrap());
        destination.slice_mut(0..6).copy_from_slice(b"secret");
        assert_eq!(format!("{destination:?}"), "Rows(Claim { arena: 0, first: 0, rows: 1 })");
    }
}
