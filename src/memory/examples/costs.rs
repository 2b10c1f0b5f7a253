//! What a reservation costs, and what reuse saves: the numbers of this crate's README.
//!
//! `cargo run --release -p graphpiped-memory --example costs`

use graphpiped_memory::Pool;
use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: usize = 7;

fn main() {
    let pool = Pool::new(8 << 30);
    reserve_warm(&pool);
    freeze_warm(&pool);
    for bytes in [602_112, 77_070_336] {
        fill(&pool, bytes);
    }
    after_a_burst(602_112, 256);
}

/// A reservation and its return, from a class with an idle block.
fn reserve_warm(pool: &Pool) {
    const COUNT: u32 = 1_000_000;
    drop(pool.reserve(800));
    let time = best(|| (0..COUNT).for_each(|_| drop(black_box(pool.reserve(800)))));
    println!("reserve and drop, warm class:            {:6.1} ns", time.as_nanos() as f64 / f64::from(COUNT));
}

/// The same, with an end of the writing and a second reader in between.
fn freeze_warm(pool: &Pool) {
    const COUNT: u32 = 1_000_000;
    let read = || pool.reserve(800).map(|buffer| black_box(buffer.freeze()).clone());
    drop(read());
    let time = best(|| (0..COUNT).for_each(|_| drop(black_box(read()))));
    println!("the same, frozen, with two readers:      {:6.1} ns", time.as_nanos() as f64 / f64::from(COUNT));
}

/// Filling a buffer that is used again, and one that is mapped anew.
fn fill(pool: &Pool, bytes: usize) {
    let source = vec![1_u8; bytes];
    let rate = |time: Duration| bytes as f64 / time.as_nanos() as f64;
    let reused = best(|| pool.reserve(bytes).expect("it is within the budget").as_mut_slice().copy_from_slice(&source));
    // Made before the clock runs, and kept: only the mapping and its first use are timed.
    let pools: Vec<Pool> = (0..ROUNDS).map(|_| Pool::new(8 << 30)).collect();
    let mut unused = pools.iter();
    let anew = best(|| {
        let fresh = unused.next().expect("there is one for each round");
        fresh.reserve(bytes).expect("it is within the budget").as_mut_slice().copy_from_slice(&source);
    });
    println!("fill {bytes:>8} bytes, reused block:      {:6.1} GB/s", rate(reused));
    println!("fill {bytes:>8} bytes, fresh mapping:     {:6.1} GB/s", rate(anew));
}

/// One request at a time after a burst has left many blocks behind: in the block that came back last, as the pool gives
/// it, and in every block in turn, as a plain queue would.
fn after_a_burst(bytes: usize, burst: usize) {
    let pool = Pool::new(8 << 30);
    let source = vec![1_u8; bytes];
    let mut blocks: Vec<_> = (0..burst).map(|_| pool.reserve(bytes).expect("it is within the budget")).collect();
    let in_turn = best(|| blocks.iter_mut().for_each(|block| block.as_mut_slice().copy_from_slice(&source)));
    drop(blocks);
    let warmest = best(|| {
        for _ in 0..burst {
            pool.reserve(bytes).expect("it is within the budget").as_mut_slice().copy_from_slice(&source);
        }
    });
    let rate = |time: Duration| (bytes * burst) as f64 / time.as_nanos() as f64;
    println!("after a burst of {burst}, the warmest block:  {:6.1} GB/s", rate(warmest));
    println!("after a burst of {burst}, every one in turn:  {:6.1} GB/s", rate(in_turn));
}

/// The best of a few rounds: what the machine can do when nobody disturbs it.
fn best(mut round: impl FnMut()) -> Duration {
    let timed = |_| {
        let start = Instant::now();
        round();
        start.elapsed()
    };
    (0..ROUNDS).map(timed).min().expect("there is at least one round")
}
