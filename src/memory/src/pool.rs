//! The pool: one budget, the classes under it, and the count of what is mapped, handed out and set aside.
//!
//! Invariant: bytes of all mappings ≤ `mapped` ≤ budget, at every moment. A mapping is counted before it is made and
//! counted off after it is gone; memory of others that is counted here is to be treated likewise. `in_use` + `set_aside` +
//! `counted` ≤ `mapped` holds whenever no call is on its way.
//!
//! Idle blocks stay mapped: mapping anew makes a receive 2.4-2.8 times as expensive. They are unmapped in two cases
//! only: a class has no place for one more, or another class or an arena needs the budget. So resident memory rises to
//! the highest use of each size and stays there; `--memory` is what bounds it.

use crate::block::Block;
use crate::class::{self, Class, PAGE_BYTES};
use crate::{Buffer, Companion, Exhausted, Limit, Mapping, Shareable};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use triomphe::UniqueArc;

/// Buffers from one budget.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Shared>);

/// What a pool has done and has, for metrics. Read piece by piece while others go on: sums may be off by a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The budget.
    pub budget_bytes: u64,
    /// Bytes that are mapped: handed out, idle, set aside or counted.
    pub mapped_bytes: u64,
    /// Bytes of the blocks that are handed out.
    pub in_use_bytes: u64,
    /// Bytes of the mappings that are set aside.
    pub set_aside_bytes: u64,
    /// Bytes that others have made, and that are counted here.
    pub counted_bytes: u64,
    /// Blocks that wait to be handed out.
    pub idle_blocks: u64,
    /// Blocks mapped since the start: reservations that no idle block could serve.
    pub mapped_total: u64,
    /// Blocks unmapped since the start, to make room for another size or for want of a place.
    pub unmapped_total: u64,
    /// Reservations that were refused since the start.
    pub exhausted_total: u64,
}

impl Pool {
    /// A pool that will never map more than `budget_bytes`.
    pub fn new(budget_bytes: u64) -> Pool {
        Pool(Arc::new(Shared::new(budget_bytes)))
    }

    /// A buffer of at least `bytes` bytes, its content unspecified (but never another process's).
    ///
    /// Where a block of that size is idle, this takes a pop, an add and a reference: no lock, no allocation, no system
    /// call. Otherwise it maps a block, after unmapping idle ones of other sizes if the budget wants it.
    pub fn reserve(&self, bytes: usize) -> Result<Buffer, Exhausted> {
        let Some((class_index, class)) = self.0.class_for(bytes) else {
            return Err(self.0.refuse(bytes, Limit::Budget));
        };
        let mut block = match class.take() {
            Some(block) => block,
            None => self.0.map(class, class_index).map_err(|limit| self.0.refuse(bytes, limit))?,
        };
        self.0.in_use_bytes.fetch_add(class.block_bytes(), Ordering::Relaxed);
        block.lend(Arc::clone(&self.0), bytes);
        Ok(Buffer::new(block))
    }

    /// Memory for one arena, of at least `bytes` bytes, all zero and resident. What was idle makes room if it must.
    ///
    /// This takes as long as the system needs to find and clear the memory: it belongs to the loading of a model, not
    /// between requests.
    pub fn set_aside(&self, bytes: usize) -> Result<Mapping, Exhausted> {
        let counted = class::pages(bytes).ok_or(Limit::Budget).and_then(|pages| SetAside::new(&self.0, pages));
        counted.and_then(Mapping::new).map_err(|limit| self.0.refuse(bytes, limit))
    }

    /// The same, of memory that one other process may read: `share` is given what that takes, and what it returns is
    /// dropped when the arena is gone.
    pub fn set_aside_shared(
        &self,
        bytes: usize,
        share: &mut dyn FnMut(Shareable) -> Companion,
    ) -> Result<Mapping, Exhausted> {
        let counted = class::pages(bytes).ok_or(Limit::Budget).and_then(|pages| SetAside::new(&self.0, pages));
        counted.and_then(|counted| Mapping::shared(counted, share)).map_err(|limit| self.0.refuse(bytes, limit))
    }

    /// Counts memory that somebody else makes, of whole pages, until what this returns is dropped. What was idle makes room if it
    /// must.
    pub fn count(&self, bytes: usize) -> Result<Counted, Exhausted> {
        let pages = class::pages(bytes).ok_or(Limit::Budget);
        let counted = pages.and_then(|pages| self.0.make_room(pages * PAGE_BYTES));
        let bytes = counted.map_err(|limit| self.0.refuse(bytes, limit))?;
        self.0.counted_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(Counted { pool: Arc::clone(&self.0), bytes })
    }

    /// The budget.
    pub fn budget_bytes(&self) -> u64 {
        self.0.budget_bytes
    }

    /// Bytes of the blocks that are handed out.
    pub fn in_use_bytes(&self) -> u64 {
        self.0.in_use_bytes.load(Ordering::Relaxed)
    }

    /// Bytes that are mapped: handed out, waiting to be, or set aside.
    pub fn mapped_bytes(&self) -> u64 {
        self.0.mapped_bytes.load(Ordering::Relaxed)
    }

    /// What the pool has and has done.
    pub fn stats(&self) -> Stats {
        Stats {
            budget_bytes: self.budget_bytes(),
            mapped_bytes: self.mapped_bytes(),
            in_use_bytes: self.in_use_bytes(),
            set_aside_bytes: self.0.set_aside_bytes.load(Ordering::Relaxed),
            counted_bytes: self.0.counted_bytes.load(Ordering::Relaxed),
            idle_blocks: self.0.classes.iter().map(Class::idle_blocks).sum(),
            mapped_total: self.0.mapped_total.load(Ordering::Relaxed),
            unmapped_total: self.0.unmapped_total.load(Ordering::Relaxed),
            exhausted_total: self.0.exhausted_total.load(Ordering::Relaxed),
        }
    }
}

/// What all handles of a pool and all its buffers share.
#[derive(Debug)]
pub(crate) struct Shared {
    budget_bytes: u64,
    mapped_bytes: AtomicU64,
    in_use_bytes: AtomicU64,
    set_aside_bytes: AtomicU64,
    counted_bytes: AtomicU64,
    classes: Box<[Class]>,
    mapped_total: AtomicU64,
    unmapped_total: AtomicU64,
    exhausted_total: AtomicU64,
}

impl Shared {
    fn new(budget_bytes: u64) -> Shared {
        Shared {
            budget_bytes,
            mapped_bytes: AtomicU64::new(0),
            in_use_bytes: AtomicU64::new(0),
            set_aside_bytes: AtomicU64::new(0),
            counted_bytes: AtomicU64::new(0),
            classes: classes(budget_bytes),
            mapped_total: AtomicU64::new(0),
            unmapped_total: AtomicU64::new(0),
            exhausted_total: AtomicU64::new(0),
        }
    }

    /// The class that serves so many bytes; `None` if they are more than the budget.
    fn class_for(&self, bytes: usize) -> Option<(u16, &Class)> {
        let pages = class::pages(bytes)?;
        let index = class::index(pages);
        let class = self.classes.get(index)?;
        // The last class ends at the budget, which may lie below the regular size.
        (pages * PAGE_BYTES <= class.block_bytes()).then_some((index as u16, class))
    }

    /// Maps a block for `class`, evicting idle blocks of any size until the budget has room for it.
    fn map(&self, class: &Class, class_index: u16) -> Result<UniqueArc<Block>, Limit> {
        let bytes = class.block_bytes();
        while !self.account(bytes) {
            if !self.evict() {
                return Err(Limit::Budget);
            }
            // Somebody may have given back just what is needed, and then nothing is to be mapped.
            if let Some(block) = class.take() {
                return Ok(block);
            }
        }
        let Ok(block) = Block::map(bytes, class_index) else {
            self.mapped_bytes.fetch_sub(bytes, Ordering::Release);
            return Err(Limit::System);
        };
        self.mapped_total.fetch_add(1, Ordering::Relaxed);
        Ok(block)
    }

    /// Counts a mapping that is about to be made, unless it would exceed the budget.
    fn account(&self, bytes: u64) -> bool {
        // Acquire pairs with the Release in `unmap`, `map` and the drop of `SetAside`: the mapping that made room is
        // gone before ours is made.
        self.mapped_bytes
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |mapped| {
                mapped.checked_add(bytes).filter(|&sum| sum <= self.budget_bytes)
            })
            .is_ok()
    }

    /// Counts so many bytes, evicting idle blocks until the budget has room for them; returns how many they are.
    fn make_room(&self, bytes: u64) -> Result<u64, Limit> {
        // What can never fit evicts nothing.
        if bytes > self.budget_bytes {
            return Err(Limit::Budget);
        }
        while !self.account(bytes) {
            if !self.evict() {
                return Err(Limit::Budget);
            }
        }
        Ok(bytes)
    }

    /// Unmaps one idle block, of the largest size that has one: the fewest system calls for the room they make.
    fn evict(&self) -> bool {
        let Some((class, block)) = self.classes.iter().rev().find_map(|class| Some((class, class.take_cold()?))) else {
            return false;
        };
        self.unmap(class, block);
        true
    }

    fn unmap(&self, class: &Class, block: UniqueArc<Block>) {
        drop(block);
        self.mapped_bytes.fetch_sub(class.block_bytes(), Ordering::Release);
        self.unmapped_total.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes back the block of a buffer.
    pub(crate) fn release(&self, block: UniqueArc<Block>) {
        let class = &self.classes[block.class_index()];
        // Counted off before the block can be taken again, so that no block is counted twice.
        self.in_use_bytes.fetch_sub(class.block_bytes(), Ordering::Relaxed);
        if let Some(block) = class.keep(block) {
            self.unmap(class, block);
        }
    }

    fn refuse(&self, bytes: usize, limit: Limit) -> Exhausted {
        self.exhausted_total.fetch_add(1, Ordering::Relaxed);
        Exhausted {
            budget_bytes: self.budget_bytes,
            in_use_bytes: [&self.in_use_bytes, &self.set_aside_bytes, &self.counted_bytes]
                .map(|bytes| bytes.load(Ordering::Relaxed))
                .iter()
                .sum(),
            wanted_bytes: bytes as u64,
            limit,
        }
    }
}

/// The place in the budget of memory that others have made, which should be gone when this is dropped.
#[derive(Debug)]
pub struct Counted {
    pool: Arc<Shared>,
    bytes: u64,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.pool.counted_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.pool.mapped_bytes.fetch_sub(self.bytes, Ordering::Release);
    }
}

/// The place of one mapping in the budget, from before it is made until after it is gone.
#[derive(Debug)]
pub(crate) struct SetAside {
    pool: Arc<Shared>,
    bytes: u64,
}

impl SetAside {
    /// Counts a mapping that is about to be made, evicting idle blocks until the budget has room for it.
    fn new(pool: &Arc<Shared>, pages: u64) -> Result<SetAside, Limit> {
        let bytes = pool.make_room(pages * PAGE_BYTES)?;
        pool.set_aside_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(SetAside { pool: Arc::clone(pool), bytes })
    }

    /// How long the mapping may be: the bytes asked for, in whole pages.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for SetAside {
    fn drop(&mut self) {
        self.pool.set_aside_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.pool.mapped_bytes.fetch_sub(self.bytes, Ordering::Release);
    }
}

/// All classes that fit into the budget, and one that ends at it, so that one request may have all of it.
fn classes(budget_bytes: u64) -> Box<[Class]> {
    let budget_pages = (budget_bytes / PAGE_BYTES).min(1 << 40);
    let regular = (0..).map(class::pages_of).take_while(|&pages| pages < budget_pages);
    let last = Some(budget_pages).filter(|&pages| pages > 0);
    regular.chain(last).map(|pages| Class::new(pages * PAGE_BYTES, budget_bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_dropped_buffer_is_reused_and_stays_mapped() {
        let pool = Pool::new(MIB);
        let mut first = pool.reserve(5000).unwrap();
        let address = first.as_mut_ptr();
        assert_eq!((pool.in_use_bytes(), pool.mapped_bytes()), (8192, 8192));
        drop(first);
        assert_eq!((pool.in_use_bytes(), pool.mapped_bytes()), (0, 8192));
        assert_eq!(pool.reserve(8192).unwrap().as_mut_ptr(), address);
        assert_eq!(pool.stats().mapped_total, 1);
    }

    #[test]
    fn one_request_may_have_the_whole_budget() {
        // 1,060,864 bytes = 259 pages: between two regular sizes.
        let pool = Pool::new(1_060_864 + 100);
        let all = pool.reserve(1_060_864).unwrap();
        assert_eq!(pool.in_use_bytes(), 1_060_864);
        assert!(pool.reserve(1_060_865).is_err(), "260 pages are of the same class, but over the budget");
        let refused = pool.reserve(1).unwrap_err();
        assert_eq!((refused.limit, refused.in_use_bytes), (Limit::Budget, 1_060_864));
        drop(all);
        assert!(pool.reserve(1).is_ok());
    }

    #[test]
    fn what_others_make_is_counted_while_it_is_there() {
        let pool = Pool::new(MIB);
        drop(pool.reserve(MIB as usize).unwrap());
        let counted = pool.count(600_000).unwrap();
        let stats = pool.stats();
        assert_eq!((stats.counted_bytes, stats.mapped_bytes), (602_112, 602_112), "147 pages; what was idle is gone");
        assert!(pool.reserve(500_000).is_err() && pool.count(500_000).is_err());
        drop(counted);
        assert_eq!(pool.mapped_bytes(), 0);
        assert!(pool.count(MIB as usize).is_ok());
    }

    #[test]
    fn a_request_larger_than_the_budget_is_refused_by_name() {
        let pool = Pool::new(MIB);
        let refused = pool.reserve(1_048_577).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "1048577 bytes are wanted, the memory budget has 1048576 bytes in all; raise --memory"
        );
        assert!(pool.reserve(usize::MAX).is_err());
        assert_eq!(pool.stats().exhausted_total, 2);
    }

    #[test]
    fn a_budget_below_one_page_has_room_for_nothing() {
        assert!(Pool::new(4095).reserve(0).is_err());
        assert!(Pool::new(0).reserve(0).is_err());
        assert!(Pool::new(4096).reserve(0).is_ok());
    }

    #[test]
    fn a_spent_budget_says_what_is_in_use() {
        let pool = Pool::new(MIB);
        let _held = pool.reserve(1_000_000).unwrap();
        let refused = pool.reserve(100_000).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the memory budget of 1048576 bytes is in use (1048576 bytes; 100000 more were wanted); raise --memory"
        );
    }

    #[test]
    fn idle_blocks_of_other_sizes_make_room() {
        let pool = Pool::new(MIB);
        drop((0..16).map(|_| pool.reserve(65_536).unwrap()).collect::<Vec<_>>());
        assert_eq!(pool.mapped_bytes(), MIB);
        let large = pool.reserve(500_000).unwrap();
        assert_eq!(large.len(), 500_000);
        let stats = pool.stats();
        assert_eq!((stats.unmapped_total, stats.idle_blocks), (8, 8));
        assert!(stats.mapped_bytes <= MIB);
    }

    #[test]
    fn what_the_system_refuses_is_told_apart_and_not_counted() {
        // 2^50 bytes are more than a process can address on any machine with 47 or 48 bits of addresses.
        let pool = Pool::new(1 << 60);
        let refused = pool.reserve(1 << 50).unwrap_err();
        assert_eq!(refused.limit, Limit::System);
        assert!(refused.to_string().starts_with("the system has no 1125899906842624 bytes more"), "{refused}");
        assert_eq!(pool.mapped_bytes(), 0);
    }

    #[test]
    fn buffers_outlive_the_handles_of_their_pool() {
        let pool = Pool::new(MIB);
        let mut buffer = pool.reserve(10).unwrap();
        drop(pool);
        buffer.as_mut_slice().fill(1);
        assert_eq!(buffer.freeze().as_ref(), [1; 10]);
    }
}
