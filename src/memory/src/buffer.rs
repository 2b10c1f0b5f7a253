//! A reservation: one block with one owner, and what it becomes when writing ends. Never shared while it can be
//! written.

use crate::BASE_ALIGN;
use crate::class::Block;
use crate::pool::Shared;
use std::sync::Arc;

/// A run buffer with one owner. Dropping it returns it to its pool.
pub struct Buffer {
    pool: Arc<Shared>,
    /// There until the drop takes it.
    block: Option<Block>,
    class_index: u16,
    len: usize,
}

impl Buffer {
    pub(crate) fn new(pool: Arc<Shared>, class_index: u16, block: Block, len: usize) -> Buffer {
        assert!(len <= block.len(), "a block of {} bytes is too small for {len}", block.len());
        assert!(
            block.as_ptr().addr().is_multiple_of(BASE_ALIGN),
            "mappings begin at pages, and pages are aligned to more"
        );
        Buffer { pool, block: Some(block), class_index, len }
    }

    /// Bytes that were asked for.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether zero bytes were asked for.
    pub fn is_empty(&self) -> bool {
        self.len == 0
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
        &self.block.as_ref().expect(HAS_BLOCK)[..self.len]
    }

    /// All of it.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.block.as_mut().expect(HAS_BLOCK)[..self.len]
    }

    /// Ends writing.
    pub fn freeze(self) -> Arc<Frozen> {
        Arc::new(Frozen(self))
    }
}

const HAS_BLOCK: &str = "only the drop takes the block";

impl Drop for Buffer {
    fn drop(&mut self) {
        self.pool.release(self.class_index, self.block.take().expect(HAS_BLOCK));
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the content: it is somebody's request.
        f.debug_struct("Buffer").field("bytes", &self.len).finish_non_exhaustive()
    }
}

/// A buffer that is only read from now on. The last owner's drop returns it to its pool.
#[derive(Debug)]
pub struct Frozen(Buffer);

impl AsRef<[u8]> for Frozen {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

#[cfg(test)]
mod tests {
    use crate::{BASE_ALIGN, Payload, Pool};

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
        assert_eq!(moved.freeze().as_ref().as_ref().as_ptr(), address.cast_const());
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
    fn its_debug_form_does_not_show_the_content() {
        let pool = Pool::new(1 << 20);
        let mut buffer = pool.reserve(6).unwrap();
        buffer.as_mut_slice().copy_from_slice(b"secret");
        assert_eq!(format!("{buffer:?}"), "Buffer { bytes: 6, .. }");
    }
}
