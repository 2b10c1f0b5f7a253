//! Threads that reserve, write, freeze and drop at random from one small pool: nobody ever sees another's bytes, the
//! budget holds at every look, and everything comes back.

use graphpiped_memory::{Buffer, Frozen, Pool};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const BUDGET_BYTES: u64 = 1 << 20;
/// Less than all threads may want at once, so that eviction and refusal take part.
const HELD_MAX: usize = 6;

#[derive(Clone, Copy, Debug)]
enum Step {
    Reserve(usize),
    Drop(usize),
    Freeze(usize),
}

/// What a thread holds, and the byte with which it filled it.
enum Held {
    Writing(Buffer, u8),
    Reading(Arc<Frozen>, u8),
}

impl Held {
    fn check(&self) {
        let (bytes, pattern) = match self {
            Held::Writing(buffer, pattern) => (buffer.as_slice(), *pattern),
            Held::Reading(frozen, pattern) => ((**frozen).as_ref(), *pattern),
        };
        assert!(bytes.iter().all(|&byte| byte == pattern), "another owner wrote into a block that holds {pattern}");
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..400_000).prop_map(Step::Reserve),
        2 => (0_usize..20_000).prop_map(Step::Reserve),
        3 => (0..HELD_MAX).prop_map(Step::Drop),
        1 => (0..HELD_MAX).prop_map(Step::Freeze),
    ]
}

/// Walks through the steps. Each reservation gets a pattern that no other thread uses.
fn walk(pool: &Pool, steps: &[Step], thread_index: u8) {
    let mut held: Vec<Held> = Vec::new();
    for (count, &step) in steps.iter().enumerate() {
        match step {
            Step::Reserve(bytes) if held.len() < HELD_MAX => match pool.reserve(bytes) {
                Ok(mut buffer) => {
                    assert_eq!(buffer.len(), bytes);
                    let pattern = thread_index << 6 | (count % 64) as u8;
                    buffer.as_mut_slice().fill(pattern);
                    held.push(Held::Writing(buffer, pattern));
                }
                Err(refused) => assert_eq!(refused.wanted_bytes, bytes as u64),
            },
            Step::Reserve(_) => held.iter().for_each(Held::check),
            Step::Drop(index) if index < held.len() => held.swap_remove(index).check(),
            Step::Freeze(index) if index < held.len() => {
                let frozen = match held.swap_remove(index) {
                    Held::Writing(buffer, pattern) => Held::Reading(buffer.freeze(), pattern),
                    reading @ Held::Reading(..) => reading,
                };
                held.push(frozen);
            }
            Step::Drop(_) | Step::Freeze(_) => {}
        }
    }
    held.iter().for_each(Held::check);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_two_owners_share_a_byte_and_the_budget_always_holds(
        plans in prop::collection::vec(prop::collection::vec(step(), 1..200), 4),
    ) {
        let pool = Pool::new(BUDGET_BYTES);
        let finished = AtomicBool::new(false);
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
                    let pool = pool.clone();
                    scope.spawn(move || walk(&pool, steps, index as u8))
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
        prop_assert_eq!(stats.in_use_bytes, 0);
        prop_assert_eq!(stats.idle_blocks, stats.mapped_total - stats.unmapped_total);
        prop_assert!(stats.mapped_bytes <= BUDGET_BYTES);
        // Whatever is idle now can be had as one block: nothing has leaked.
        prop_assert!(pool.reserve(BUDGET_BYTES as usize).is_ok());
    }
}
