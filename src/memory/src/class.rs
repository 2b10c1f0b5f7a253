//! Size classes: which sizes blocks come in, and the bounded lock-free list of idle blocks of one size.
//!
//! Sizes are whole pages: 1, 2, 3, 4 pages, then four sizes per doubling (5, 6, 7, 8, 10, 12, 14, 16, 20 … pages). A
//! block is therefore less than a quarter larger than the pages that were asked for. Knows no budget: the pool counts.

use crate::block::Block;
use crossbeam::queue::ArrayQueue;
use triomphe::UniqueArc;

/// The unit of all sizes. Where the system's pages are larger, a mapping takes more than is counted, never less.
pub(crate) const PAGE_BYTES: u64 = 4096;

/// The most idle blocks that one class keeps. 1024 requests of one size waiting for replies at once is what a box of
/// 10,000 connections does in bursts; an idle list costs 16 bytes per place, so all classes together stay below 2 MiB.
const IDLE_BLOCKS_MAX: u64 = 1024;

/// Bytes in whole pages, at least one; `None` if no address space has so many.
pub(crate) fn pages(bytes: usize) -> Option<u64> {
    let pages = (bytes as u64).div_ceil(PAGE_BYTES).max(1);
    (pages <= 1 << 40).then_some(pages)
}

/// The class that a block of so many pages (at least one) belongs to. Classes count from 0, in the order of their
/// sizes.
pub(crate) fn index(pages: u64) -> usize {
    if pages <= 4 {
        return pages as usize - 1;
    }
    // pages lies in (2^k, 2^(k+1)], k ≥ 2; that doubling has the classes 4(k-2)+4 … 4(k-2)+7.
    let k = (pages - 1).ilog2() as usize;
    let quarters = pages.div_ceil(1 << (k - 2)) as usize;
    4 * (k - 2) + quarters - 1
}

/// Pages of the blocks of a class: the inverse of [`index`], rounded up.
pub(crate) fn pages_of(index: usize) -> u64 {
    if index < 4 {
        return index as u64 + 1;
    }
    let doubling = index / 4 - 1;
    (index as u64 % 4 + 5) << doubling
}

/// The idle blocks of one size.
///
/// Two lists: `hot` has the block that came back last, `idle` the others in the order in which they came. A queue alone
/// would walk through every block that a burst has left behind, and each would be out of the caches by its next turn;
/// with the hot place, one request at a time keeps running in the same warm memory.
#[derive(Debug)]
pub(crate) struct Class {
    block_bytes: u64,
    hot: ArrayQueue<UniqueArc<Block>>,
    idle: ArrayQueue<UniqueArc<Block>>,
}

impl Class {
    /// A class of a pool with this budget, which must hold at least one block.
    pub(crate) fn new(block_bytes: u64, budget_bytes: u64) -> Class {
        let idle_max = (budget_bytes / block_bytes).clamp(1, IDLE_BLOCKS_MAX);
        Class { block_bytes, hot: ArrayQueue::new(1), idle: ArrayQueue::new(idle_max as usize) }
    }

    /// Bytes of each block.
    pub(crate) fn block_bytes(&self) -> u64 {
        self.block_bytes
    }

    /// Takes the warmest idle block.
    pub(crate) fn take(&self) -> Option<UniqueArc<Block>> {
        self.hot.pop().or_else(|| self.idle.pop())
    }

    /// Takes the coldest idle block.
    pub(crate) fn take_cold(&self) -> Option<UniqueArc<Block>> {
        self.idle.pop().or_else(|| self.hot.pop())
    }

    /// Keeps a block. Returns one for which there is no place; it is to be unmapped.
    pub(crate) fn keep(&self, block: UniqueArc<Block>) -> Option<UniqueArc<Block>> {
        debug_assert_eq!(block.mapped_bytes(), self.block_bytes);
        let cooler = self.hot.force_push(block)?;
        self.idle.push(cooler).err()
    }

    /// Idle blocks now; other threads may change it at any time.
    pub(crate) fn idle_blocks(&self) -> u64 {
        (self.hot.len() + self.idle.len()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_classes_are_the_sizes_of_the_table() {
        let sizes: Vec<u64> = (0..18).map(pages_of).collect();
        assert_eq!(sizes, [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48]);
    }

    #[test]
    fn every_size_is_its_own_class() {
        for class in 0..150 {
            assert_eq!(index(pages_of(class)), class);
        }
    }

    #[test]
    fn zero_bytes_take_a_page() {
        assert_eq!(pages(0), Some(1));
        assert_eq!(pages(1), Some(1));
        assert_eq!(pages(4096), Some(1));
        assert_eq!(pages(4097), Some(2));
    }

    #[test]
    fn what_no_address_space_has_is_refused() {
        assert_eq!(pages(usize::MAX), None);
    }

    proptest! {
        #[test]
        fn a_class_is_large_enough_and_less_than_a_quarter_too_large(pages in 1_u64..1 << 40) {
            let class = pages_of(index(pages));
            prop_assert!(class >= pages);
            prop_assert!((class - pages) * 4 < pages, "{class} pages for {pages}");
        }

        #[test]
        fn no_smaller_class_would_do(pages in 2_u64..1 << 40) {
            let class = index(pages);
            prop_assert!(class == 0 || pages_of(class - 1) < pages);
        }
    }

    fn address(block: &UniqueArc<Block>) -> *const u8 {
        block.as_slice().as_ptr()
    }

    #[test]
    fn the_block_that_came_back_last_is_taken_first() {
        let class = Class::new(4096, 1 << 20);
        let blocks: Vec<UniqueArc<Block>> = (0..3).map(|_| Block::map(4096, 0).unwrap()).collect();
        let last = address(&blocks[2]);
        for block in blocks {
            assert!(class.keep(block).is_none());
        }
        let warm = class.take().unwrap();
        assert_eq!(address(&warm), last);
        assert!(class.keep(warm).is_none());
        assert_eq!(address(&class.take().unwrap()), last);
        assert_eq!(class.idle_blocks(), 2);
    }

    #[test]
    fn the_block_that_waited_longest_is_given_up_first() {
        let class = Class::new(4096, 1 << 20);
        let blocks: Vec<UniqueArc<Block>> = (0..3).map(|_| Block::map(4096, 0).unwrap()).collect();
        let order: Vec<_> = blocks.iter().map(address).collect();
        for block in blocks {
            class.keep(block);
        }
        let given_up: Vec<UniqueArc<Block>> = std::iter::from_fn(|| class.take_cold()).collect();
        assert_eq!(given_up.iter().map(address).collect::<Vec<_>>(), order);
    }

    #[test]
    fn a_full_class_gives_a_block_back() {
        let class = Class::new(4096, 4096);
        assert!(class.keep(Block::map(4096, 0).unwrap()).is_none());
        assert!(class.keep(Block::map(4096, 0).unwrap()).is_none());
        assert!(class.keep(Block::map(4096, 0).unwrap()).is_some());
        assert_eq!(class.idle_blocks(), 2);
    }
}
