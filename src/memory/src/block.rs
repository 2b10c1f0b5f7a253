//! Blocks: the mapping behind one buffer, and whose it is. Where memory comes from the system; knows no budget.
//!
//! A block lives in a [`UniqueArc`] from the moment it is mapped until it is unmapped. That allocation is the one in
//! which its readers are counted later, so ending the writing turns a handle into another and allocates nothing.

use crate::pool::Shared;
use memmap2::{Advice, MmapMut};
use std::io;
use std::sync::Arc;
use triomphe::UniqueArc;

/// Mappings from this size on ask for huge pages. Smaller ones cannot contain one.
pub(crate) const HUGE_BYTES: u64 = 2 << 20;

/// Memory for one buffer.
pub(crate) struct Block {
    memory: MmapMut,
    class_index: u16,
    /// Where the block returns to; `None` while it is idle, or the pool would keep itself alive through its own lists.
    pool: Option<Arc<Shared>>,
    /// Bytes that its owner asked for, the first of `memory`.
    len: usize,
}

impl Block {
    /// Maps a block. Its pages are not touched: they become resident as bytes arrive, so a peer that declares much and
    /// sends nothing costs addresses, not memory, and a reactor never stops for the milliseconds that faulting in 77 MB
    /// takes.
    pub(crate) fn map(bytes: u64, class_index: u16) -> io::Result<UniqueArc<Block>> {
        Ok(UniqueArc::new(Block { memory: map_anonymous(bytes)?, class_index, pool: None, len: 0 }))
    }

    /// Hands the block to an owner that wants `len` bytes of it.
    pub(crate) fn lend(&mut self, pool: Arc<Shared>, len: usize) {
        assert!(len <= self.memory.len(), "a block of {} bytes is too small for {len}", self.memory.len());
        self.pool = Some(pool);
        self.len = len;
    }

    /// Ends the owner's time with it.
    pub(crate) fn give_back(mut block: UniqueArc<Block>) {
        let pool = block.pool.take().expect("a block that is handed out knows its pool");
        pool.release(block);
    }

    /// All bytes of the mapping.
    pub(crate) fn mapped_bytes(&self) -> u64 {
        self.memory.len() as u64
    }

    /// Which of its pool's classes it belongs to.
    pub(crate) fn class_index(&self) -> usize {
        usize::from(self.class_index)
    }

    /// How many bytes its owner asked for.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What its owner asked for.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.memory[..self.len]
    }

    /// What its owner asked for.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.memory[..self.len]
    }
}

/// An anonymous private mapping. It begins at a page, which is aligned to more than [`BASE_ALIGN`](crate::BASE_ALIGN).
pub(crate) fn map_anonymous(bytes: u64) -> io::Result<MmapMut> {
    let memory = MmapMut::map_anon(usize::try_from(bytes).map_err(|_| io::ErrorKind::OutOfMemory)?)?;
    if bytes >= HUGE_BYTES {
        // A kernel built without huge pages refuses the advice; the memory serves as well, only somewhat slower.
        let _ = memory.advise(Advice::HugePage);
    }
    Ok(memory)
}
