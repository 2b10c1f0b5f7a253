//! How often the life of a warm buffer calls the allocator. A binary of its own: the count is that of the process, and
//! no other test may run beside it.

use graphpiped_memory::{Destination, Payload, Pool};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Calls of the allocator while `life` runs. The least of several counts, because the test harness has a thread too.
fn calls(mut life: impl FnMut()) -> usize {
    let counts = (0..16).map(|_| {
        let region = Region::new(ALLOCATOR);
        life();
        let change = region.change();
        change.allocations + change.reallocations + change.deallocations
    });
    counts.min().expect("there are several")
}

#[test]
fn a_warm_buffer_is_received_into_frozen_sent_and_given_back_without_an_allocation() {
    let pool = Pool::new(1 << 20);
    let life = || {
        let mut destination = Destination::from(pool.reserve(1000).expect("it is within the budget"));
        destination.slice_mut(0..1000).fill(1);
        let Destination::Buffer(buffer) = destination else { panic!("it was made of a buffer") };
        let frozen = buffer.freeze();
        let payloads = [Payload::new(frozen.clone(), 0..500), Payload::new(frozen, 500..1000)];
        black_box(payloads.clone());
    };
    assert!(calls(|| drop(black_box(vec![0_u8; 1000]))) > 0, "the count counts");
    // The first life maps the block.
    life();
    assert_eq!(calls(life), 0);
}
