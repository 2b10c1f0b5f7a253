//! What the targets share: the memory that a parser may take.
#![forbid(unsafe_code)]

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What a parser may take for nothing: buffers of a fixed size, and the words of an error.
const FIXED_BYTES: usize = 1 << 20;

/// Runs a parser, and panics if it allocates more than so many bytes for each of a number. What it has freed again on the way
/// counts as well, so that work which grows faster than what is read is found while that is still small.
pub fn bounded<T>(per_byte: usize, bytes: usize, parse: impl FnOnce() -> T) -> T {
    let region = Region::new(ALLOCATOR);
    let parsed = parse();
    let allocated = region.change().bytes_allocated;
    let limit = FIXED_BYTES + per_byte * bytes;
    assert!(allocated <= limit, "{allocated} bytes were allocated for {bytes}, and {limit} may be");
    parsed
}
