//! How long this thread was not asleep: it ran, or it wanted to and another had its core. Both make a generator late.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds so far. Where the kernel does not count the waiting (`CONFIG_SCHED_INFO`), those of running alone.
pub(super) fn awake_ns() -> u64 {
    // Time on a core and time in the queue for one, in nanoseconds: Documentation/scheduler/sched-stats.rst.
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").ok().and_then(|text| {
        let mut numbers = text.split_whitespace().map(str::parse::<u64>);
        Some(numbers.next()?.ok()? + numbers.next()?.ok()?)
    });
    counted.unwrap_or_else(|| {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    })
}
