//! The shared receive buffers: 256 of 16 KiB, from which the kernel picks one whenever bytes arrive.
//!
//! Two mappings: the buffers, and the ring of descriptors through which they are offered to the kernel. A buffer is
//! either offered (the kernel may write to it) or out (a [`BufferId`] for it exists, and we may read it). `tail` counts
//! the offers; the kernel reads it with acquire semantics, so the release store in [`SharedBuffers::recycle`] makes the
//! descriptor visible before the offer, and our reads of the buffer happen before it.

use crate::limits::RECEIVE_RING_BYTES;
use io_uring::IoUring;
use io_uring::types::BufRingEntry;
use memmap2::MmapMut;
use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

/// The group that receive operations name.
pub(super) const GROUP: u16 = 0;
/// Bytes of one buffer: some hundred small frames.
pub(super) const BUFFER_BYTES: usize = 16 * 1024;
/// How many there are; a power of two.
const BUFFERS: u16 = (RECEIVE_RING_BYTES / BUFFER_BYTES) as u16;

/// A shared buffer that holds received bytes. To be given back with `Ring::recycle`.
#[derive(Debug)]
#[must_use = "a buffer that is not recycled is lost to its ring"]
pub struct BufferId {
    id: u16,
    bytes: usize,
}

impl BufferId {
    /// Whether nothing was received.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

pub(super) struct SharedBuffers {
    // `Option` only so that both can be leaked: see `leak`.
    memory: Option<MmapMut>,
    descriptors: Option<MmapMut>,
    tail: u16,
}

impl SharedBuffers {
    pub(super) fn register(uring: &IoUring) -> io::Result<SharedBuffers> {
        let mut memory = MmapMut::map_anon(RECEIVE_RING_BYTES)?;
        // A first touch here costs less than a page fault inside each of the first receives.
        memory.fill(0);
        let mut descriptors = MmapMut::map_anon(usize::from(BUFFERS) * size_of::<BufRingEntry>())?;
        let address = descriptors.as_mut_ptr() as u64;
        // SAFETY: the address is that of a mapping of exactly `BUFFERS` entries, which lives until the ring is gone:
        // `Ring` drops its `IoUring` first, and leaks this if operations are left.
        unsafe { uring.submitter().register_buf_ring_with_flags(address, BUFFERS, GROUP, 0)? };
        let mut buffers = SharedBuffers { memory: Some(memory), descriptors: Some(descriptors), tail: 0 };
        for id in 0..BUFFERS {
            buffers.recycle(BufferId { id, bytes: 0 });
        }
        Ok(buffers)
    }

    /// The kernel has put `bytes` bytes into buffer `id`.
    pub(super) fn received(id: u16, bytes: usize) -> BufferId {
        assert!(id < BUFFERS && bytes <= BUFFER_BYTES, "the kernel names a buffer that it was not offered");
        BufferId { id, bytes }
    }

    pub(super) fn bytes(&self, id: &BufferId) -> &[u8] {
        let start = usize::from(id.id) * BUFFER_BYTES;
        &self.memory()[start..start + id.bytes]
    }

    #[expect(clippy::needless_pass_by_value, reason = "taking the id is what makes a buffer be handed back once")]
    pub(super) fn recycle(&mut self, id: BufferId) {
        let address = self.memory().as_ptr() as u64 + u64::from(id.id) * BUFFER_BYTES as u64;
        let slot = usize::from(self.tail & (BUFFERS - 1));
        let base = self.base();
        // SAFETY: `slot` is below `BUFFERS`, the length of the mapping.
        let entry = unsafe { base.add(slot) };
        // SAFETY: the kernel does not read the entry before the tail below has passed it, and nobody else writes it.
        // The first entry's reserved field is the tail itself, which these three setters leave alone.
        let entry = unsafe { &mut *entry };
        entry.set_addr(address);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(id.id);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: `base` points to the first entry of the mapping.
        let tail = unsafe { BufRingEntry::tail(base) };
        // SAFETY: the tail is a u16 inside the mapping, aligned, and accessed by us and the kernel as an atomic only.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        // Pairs with the kernel's acquire load when it picks a buffer.
        tail.store(self.tail, Ordering::Release);
    }

    /// Keeps both mappings for ever, for a ring whose operations did not end.
    pub(super) fn leak(&mut self) {
        std::mem::forget(self.memory.take());
        std::mem::forget(self.descriptors.take());
    }

    fn memory(&self) -> &MmapMut {
        self.memory.as_ref().expect("leaked only when the ring is dropped")
    }

    fn base(&mut self) -> *mut BufRingEntry {
        self.descriptors.as_mut().expect("leaked only when the ring is dropped").as_mut_ptr().cast()
    }
}
