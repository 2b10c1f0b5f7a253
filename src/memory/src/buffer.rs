//! A reservation: one block with one owner, and what it becomes when writing ends. Never shared while it can be
//! written.

use crate::BASE_ALIGN;
use crate::block::Block;
use triomphe::{Arc, UniqueArc};

/// A run buffer with one owner. Dropping it returns it to its pool.
pub struct Buffer {
    /// There until freezing or the drop takes it.
    block: Option<UniqueArc<Block>>,
}

impl Buffer {
    /// A block that has been lent to this owner.
    pub(crate) fn new(block: UniqueArc<Block>) -> Buffer {
        assert!(
            block.as_slice().as_ptr().addr().is_multiple_of(BASE_ALIGN),
            "mappings begin at pages, and pages are aligned to more"
        );
        Buffer { block: Some(block) }
    }

    fn block(&self) -> &Block {
        self.block.as_ref().expect(HAS_BLOCK)
    }

    /// Bytes that were asked for.
    pub fn len(&self) -> usize {
        self.block().len()
    }

    /// Whether zero bytes were asked for.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where it begins, aligned to [`BASE_ALIGN`]. Stable for the buffer's life, also when the `Buffer` moves.
    ///
    /// The address may be written through until the next call of a method of this buffer, for which the crate's
    /// documentation says what to do with the `Buffer` meanwhile.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_slice().as_mut_ptr()
    }

    /// All of it.
    pub fn as_slice(&self) -> &[u8] {
        self.block().as_slice()
    }

    /// All of it.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.block.as_mut().expect(HAS_BLOCK).as_mut_slice()
    }

    /// Ends writing. Allocates nothing: the readers are counted beside the block.
    pub fn freeze(mut self) -> Frozen {
        Frozen { block: self.block.take().map(UniqueArc::shareable) }
    }
}

const HAS_BLOCK: &str = "only freezing and the drop take the block, and both end the buffer";

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            Block::give_back(block);
        }
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the content: it is somebody's request.
        f.debug_struct("Buffer").field("bytes", &self.len()).finish_non_exhaustive()
    }
}

/// A buffer that is only read from now on. A clone is one more reader; the last one's drop returns it to its pool.
#[derive(Clone)]
pub struct Frozen {
    /// There until the drop takes it.
    block: Option<Arc<Block>>,
}

impl AsRef<[u8]> for Frozen {
    fn as_ref(&self) -> &[u8] {
        self.block.as_ref().expect("only the drop takes the block").as_slice()
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // Of all readers exactly one gets the block, the last, and what the others have read has been read before that.
        if let Some(block) = self.block.take().and_then(Arc::into_unique) {
            Block::give_back(block);
        }
    }
}

impl std::fmt::Debug for Frozen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frozen").field("bytes", &self.as_ref().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Payload, Pool};

    #[test]
    fn every_buffer_begins_at_a_multiple_of_256() {
        let pool = Pool::new(64 << 20);
        for bytes in [0, 1, 4096, 4097, 600_000, 5 << 20] {
            let mut buffer = pool.reserve(bytes).unwrap();
            assert!(buffer.as_mut_ptr().addr().is_multiple_of(BASE_ALIGN));
            assert_eq!((buffer.len(), buffer.as_slice().len(), buffer.as_mut_slice().len()), (bytes, bytes, bytes));
        }
    }

    #[test]
    fn an_empty_buffer_has_an_address_of_its_own() {
        let pool = Pool::new(1 << 20);
        let (mut first, mut second) = (pool.reserve(0).unwrap(), pool.reserve(0).unwrap());
        assert!(first.is_empty());
        assert!(!first.as_mut_ptr().is_null());
        assert_ne!(first.as_mut_ptr(), second.as_mut_ptr());
    }

    #[test]
    fn the_address_stays_when_the_buffer_moves() {
        let pool = Pool::new(1 << 20);
        let mut buffer = pool.reserve(100).unwrap();
        let address = buffer.as_mut_ptr();
        let mut moved = Box::new(buffer);
        assert_eq!(moved.as_mut_ptr(), address);
        moved.as_mut_slice()[99] = 7;
        assert_eq!(moved.freeze().as_ref().as_ptr(), address.cast_const());
    }

    #[test]
    fn a_frozen_buffer_returns_with_its_last_owner() {
        let pool = Pool::new(1 << 20);
        let mut buffer = pool.reserve(6).unwrap();
        buffer.as_mut_slice().copy_from_slice(b"frozen");
        let frozen = buffer.freeze();
        let payload = Payload::new(frozen.clone(), 2..6);
        drop(frozen);
        assert_eq!(payload.as_slice(), b"ozen");
        assert_eq!(pool.in_use_bytes(), 4096);
        drop(payload);
        assert_eq!(pool.in_use_bytes(), 0);
    }

    #[test]
    fn a_block_that_was_frozen_can_be_written_again_by_its_next_owner() {
        let pool = Pool::new(1 << 20);
        let mut buffer = pool.reserve(5000).unwrap();
        let address = buffer.as_mut_ptr();
        let first = buffer.freeze();
        drop((first.clone(), first));
        let mut next = pool.reserve(6000).unwrap();
        assert_eq!(next.as_mut_ptr(), address);
        next.as_mut_slice().fill(7);
        assert_eq!(next.freeze().as_ref(), [7; 6000]);
        assert_eq!(pool.stats().mapped_total, 1);
    }

    #[test]
    fn readers_on_many_threads_give_a_block_back_exactly_once() {
        let pool = Pool::new(1 << 20);
        for _ in 0..200 {
            let frozen = pool.reserve(100).unwrap().freeze();
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    let reader = frozen.clone();
                    scope.spawn(move || assert_eq!(reader.as_ref().len(), 100));
                }
                drop(frozen);
            });
            let stats = pool.stats();
            assert_eq!((stats.in_use_bytes, stats.idle_blocks, stats.mapped_total), (0, 1, 1));
        }
    }

    #[test]
    fn both_states_of_a_buffer_are_one_pointer() {
        assert_eq!((size_of::<Buffer>(), size_of::<Frozen>()), (8, 8));
    }

    #[test]
    fn its_debug_form_does_not_show_the_content() {
        let pool = Pool::new(1 << 20);
        let mut buffer = pool.reserve(6).unwrap();
        buffer.as_mut_slice().copy_from_slice(b"secret");
        assert_eq!(format!("{buffer:?}"), "Buffer { bytes: 6, .. }");
        assert_eq!(format!("{:?}", buffer.freeze()), "Frozen { bytes: 6, .. }");
    }
}
