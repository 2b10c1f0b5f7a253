//! What the tests of the daemon share: starting and stopping it, frames by hand, metrics, random numbers. No assertion
//! about the daemon lives here, but that it starts.

pub mod daemon;
pub mod http;
pub mod metrics;
pub mod native;
pub mod random;
pub mod rows;

pub use daemon::{Daemon, graphpiped};
pub use http::HttpConnection;
pub use metrics::Metrics;
pub use native::{Address, Connection, Reply, Tensor};
pub use random::Random;

use std::time::{Duration, Instant};

/// Reached only when something is broken; long, because machines that run tests are slow.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Asks again and again until it is so.
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "never {what}");
        std::thread::yield_now();
    }
}
