//! Threads that reserve, set aside, write, freeze, share and drop at random from one small pool: nobody ever sees
//! another's bytes, the budget holds at every look, and everything comes back.

use graphpiped_batch::{Claim, Lane, Layout, Region};
use graphpiped_memory::{Buffer, Frozen, Pool};
use proptest::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

const BUDGET_BYTES: u64 = 1 << 20;
/// Less than all threads may want at once, so that eviction and refusal take part.
const HELD_MAX: usize = 6;

#[derive(Clone, Copy, Debug)]
enum Step {
    Reserve(usize),
    SetAside(usize),
    Drop(usize),
    Freeze(usize),
    Share(usize),
}

/// What a thread holds, and the byte with which it filled it.
enum Held {
    Writing(Buffer, u8),
    Reading(Frozen, u8),
    /// All rows of a lane of one arena, which lives as long as its claim.
    Arena(Claim, u8),
}

impl Held {
    fn check(&mut self) {
        let (bytes, pattern) = match self {
            Held::Writing(buffer, pattern) => (buffer.as_slice(), *pattern),
            Held::Reading(frozen, pattern) => (Frozen::as_ref(frozen), *pattern),
            Held::Arena(claim, pattern) => (&*claim.slice_mut(0..claim.len()), *pattern),
        };
        assert!(bytes.iter().all(|&byte| byte == pattern), "another owner wrote into memory that holds {pattern}");
    }

    /// Bytes that nobody else can have meanwhile. Readers of one block count nothing: they share it.
    fn own_bytes(&self) -> u64 {
        match self {
            Held::Writing(buffer, _) => buffer.len() as u64,
            Held::Reading(..) => 0,
            Held::Arena(claim, _) => claim.len() as u64,
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..400_000).prop_map(Step::Reserve),
        2 => (0_usize..20_000).prop_map(Step::Reserve),
        1 => (1_usize..400_000).prop_map(Step::SetAside),
        3 => (0..HELD_MAX).prop_map(Step::Drop),
        1 => (0..HELD_MAX).prop_map(Step::Freeze),
        1 => (0..HELD_MAX).prop_map(Step::Share),
    ]
}

/// A thread that walks through its steps.
struct Walker<'a> {
    pool: &'a Pool,
    /// What all threads together have and nobody else can have: counted on after it was given, off before it goes back.
    owned_bytes: &'a AtomicU64,
    held: Vec<Held>,
}

impl Walker<'_> {
    /// Each memory that it gets is filled with a pattern that no other thread uses.
    fn walk(&mut self, steps: &[Step], thread_index: u8) {
        for (count, &step) in steps.iter().enumerate() {
            let pattern = thread_index << 6 | (count % 64) as u8;
            let is_full = self.held.len() >= HELD_MAX;
            match step {
                Step::Reserve(bytes) if !is_full => self.reserve(bytes, pattern),
                Step::SetAside(bytes) if !is_full => self.set_aside(bytes, pattern),
                Step::Reserve(_) | Step::SetAside(_) => self.held.iter_mut().for_each(Held::check),
                Step::Drop(index) if index < self.held.len() => drop(self.take(index)),
                Step::Freeze(index) if index < self.held.len() => {
                    let frozen = match self.take(index) {
                        Held::Writing(buffer, pattern) => Held::Reading(buffer.freeze(), pattern),
                        other => other,
                    };
                    self.keep(frozen);
                }
                Step::Share(index) if index < self.held.len() && !is_full => {
                    if let Held::Reading(frozen, pattern) = &self.held[index] {
                        self.held.push(Held::Reading(frozen.clone(), *pattern));
                    }
                }
                Step::Drop(_) | Step::Freeze(_) | Step::Share(_) => {}
            }
        }
        while !self.held.is_empty() {
            drop(self.take(0));
        }
    }

    fn reserve(&mut self, bytes: usize, pattern: u8) {
        match self.pool.reserve(bytes) {
            Ok(mut buffer) => {
                assert_eq!(buffer.len(), bytes);
                buffer.as_mut_slice().fill(pattern);
                self.keep(Held::Writing(buffer, pattern));
            }
            Err(refused) => assert_eq!(refused.wanted_bytes, bytes as u64),
        }
    }

    fn set_aside(&mut self, bytes: usize, pattern: u8) {
        match self.pool.set_aside(bytes) {
            Ok(mapping) => {
                let arena: Box<dyn Region> = Box::new(mapping);
                let layout = Layout::new(1, &[arena.bytes()]).expect("an arena of one row");
                let mut claim = Lane::<()>::new(layout, vec![arena]).claim(1).expect("the lane is new");
                claim.slice_mut(0..claim.len()).fill(pattern);
                self.keep(Held::Arena(claim, pattern));
            }
            Err(refused) => assert_eq!(refused.wanted_bytes, bytes as u64),
        }
    }

    fn keep(&mut self, held: Held) {
        let before = self.owned_bytes.fetch_add(held.own_bytes(), Ordering::Relaxed);
        assert!(before + held.own_bytes() <= BUDGET_BYTES, "more was given than there is");
        self.held.push(held);
    }

    fn take(&mut self, index: usize) -> Held {
        let mut held = self.held.swap_remove(index);
        held.check();
        self.owned_bytes.fetch_sub(held.own_bytes(), Ordering::Relaxed);
        held
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_two_owners_share_a_byte_and_the_budget_always_holds(
        plans in prop::collection::vec(prop::collection::vec(step(), 1..200), 4),
    ) {
        let pool = Pool::new(BUDGET_BYTES);
        let finished = AtomicBool::new(false);
        let owned_bytes = AtomicU64::new(0);
        let over_budget = thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut over_budget = 0;
                while !finished.load(Ordering::Acquire) {
                    over_budget += u64::from(pool.mapped_bytes() > BUDGET_BYTES);
                    thread::yield_now();
                }
                over_budget
            });
            let walkers: Vec<_> = plans
                .iter()
                .enumerate()
                .map(|(index, steps)| {
                    let mut walker = Walker { pool: &pool, owned_bytes: &owned_bytes, held: Vec::new() };
                    scope.spawn(move || walker.walk(steps, index as u8))
                })
                .collect();
            let walked: Vec<_> = walkers.into_iter().map(thread::ScopedJoinHandle::join).collect();
            finished.store(true, Ordering::Release);
            let over_budget = watcher.join().expect("the watcher does not panic");
            for outcome in walked {
                outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            }
            over_budget
        });
        prop_assert_eq!(over_budget, 0);
        let stats = pool.stats();
        prop_assert_eq!((stats.in_use_bytes, stats.set_aside_bytes), (0, 0));
        prop_assert_eq!(stats.idle_blocks, stats.mapped_total - stats.unmapped_total);
        prop_assert!(stats.mapped_bytes <= BUDGET_BYTES);
        // Whatever is idle now can be had as one arena, and then as one block: nothing has leaked.
        prop_assert!(pool.set_aside(BUDGET_BYTES as usize).is_ok());
        prop_assert!(pool.reserve(BUDGET_BYTES as usize).is_ok());
    }
}
