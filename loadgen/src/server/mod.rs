//! What the server says of itself while it is asked: its processes, and its page of metrics.

mod metrics;
mod processes;

pub use metrics::Metrics;
pub use processes::{Cpu, Processes};
