//! Memory for replies: aligned, so that numbers can be looked at in place, and used again, because receiving into memory
//! that the system has just mapped costs more than twice as much. Knows no message.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The alignment of a message's first byte. The writer aligns payloads to as much, relative to it.
const ALIGN: usize = graphpipe_schema::PAYLOAD_ALIGN;
/// Sizes are rounded up to this, so that replies of about one size share memory.
const STEP_BYTES: usize = 4096;
/// The most pieces that wait to be used again. A caller who keeps more replies than this at a time has a memory of its own.
const SPARES_MAX: usize = 16;
/// The most bytes that wait to be used again: three replies of 77 MB, with room.
const SPARE_BYTES_MAX: usize = 256 << 20;

/// A message that is received, or being received. Its drop gives the memory to the next one.
#[derive(Debug)]
pub(crate) struct Message {
    memory: Box<[u8]>,
    start: usize,
    length: usize,
    spares: Arc<Spares>,
}

impl Message {
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.length]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.length]
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.spares.put(std::mem::take(&mut self.memory));
    }
}

/// Pieces of memory that wait to be used again; shared by a client and all replies that it has handed out.
#[derive(Debug, Default)]
pub(crate) struct Spares(Mutex<VecDeque<Box<[u8]>>>);

impl Spares {
    /// Memory for a message of so many bytes, a number that its caller has compared with a limit. Fresh memory is zeroed
    /// by the system page by page as bytes arrive, so a length that is announced and not sent takes no memory.
    pub(crate) fn message(self: &Arc<Spares>, length: usize) -> Message {
        let wanted = (length + ALIGN - 1).next_multiple_of(STEP_BYTES);
        let memory = self.take(wanted).unwrap_or_else(|| vec![0; wanted].into_boxed_slice());
        let start = memory.as_ptr().addr().wrapping_neg() % ALIGN;
        Message { memory, start, length, spares: Arc::clone(self) }
    }

    /// The smallest piece that will do, unless it is far too large: then a large reply will want it more.
    fn take(&self, wanted: usize) -> Option<Box<[u8]>> {
        let mut pieces = self.lock();
        let candidates = pieces.iter().enumerate().filter(|(_, piece)| (wanted..=4 * wanted).contains(&piece.len()));
        let (index, _) = candidates.min_by_key(|(_, piece)| piece.len())?;
        pieces.remove(index)
    }

    /// Keeps a piece; the ones that have waited longest make room for it.
    fn put(&self, piece: Box<[u8]>) {
        let mut pieces = self.lock();
        pieces.push_back(piece);
        let mut bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
        while pieces.len() > SPARES_MAX || bytes > SPARE_BYTES_MAX {
            bytes -= pieces.pop_front().expect("more than none are left").len();
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Box<[u8]>>> {
        // Nothing in here panics half-way, and a list of spare memory has no state that could be wrong.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(spares: &Spares) -> Vec<usize> {
        spares.lock().iter().map(|piece| piece.len()).collect()
    }

    #[test]
    fn a_message_begins_at_a_multiple_of_64() {
        let spares = Arc::new(Spares::default());
        for length in [0, 1, 63, 64, 4096, 100_000] {
            let mut message = spares.message(length);
            assert!(message.as_slice().as_ptr().addr().is_multiple_of(64));
            assert_eq!(message.as_mut_slice().len(), length);
        }
    }

    #[test]
    fn the_memory_of_a_dropped_message_is_used_again() {
        let spares = Arc::new(Spares::default());
        let first = spares.message(600_000);
        let address = first.as_slice().as_ptr();
        drop(first);
        assert_eq!(spares.message(599_000).as_slice().as_ptr(), address);
        assert_eq!(waiting(&spares).len(), 1);
    }

    #[test]
    fn a_small_message_does_not_take_the_memory_of_a_large_one() {
        let spares = Arc::new(Spares::default());
        drop(spares.message(10 << 20));
        let small = spares.message(100);
        assert_eq!(waiting(&spares).len(), 1);
        drop(small);
        assert_eq!(waiting(&spares), [10_489_856, 4096]);
    }

    #[test]
    fn what_waits_is_bounded_in_number_and_in_bytes() {
        let spares = Arc::new(Spares::default());
        drop((0..40).map(|_| spares.message(1)).collect::<Vec<_>>());
        assert_eq!(waiting(&spares).len(), 16);
        drop([200 << 20, 100 << 20, 100 << 20].map(|bytes| spares.message(bytes)));
        // The largest, and what came before it, had to go for the last.
        assert_eq!(waiting(&spares), [104_861_696, 104_861_696]);
    }
}
