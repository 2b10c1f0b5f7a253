//! What all reactors of the daemon share: models, memory, counters and the ways back. Made once at start; what changes
//! in it changes atomically.

use crate::registry::Registry;
use crate::returns::Returns;
use graphpiped_memory::Pool;
use graphpiped_transport::counters::Counters;
use graphpiped_transport::reactor::Control;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What all reactors share.
#[derive(Debug)]
pub struct Daemon {
    /// The models.
    pub registry: Registry,
    /// Memory for requests and outputs.
    pub pool: Pool,
    /// What each reactor counts.
    pub counters: Vec<Arc<Counters>>,
    /// The way back to each reactor.
    pub returns: Arc<[Returns]>,
    /// Whether all of this is coming to its end.
    pub control: Arc<Control>,
    /// How many executors are running something now.
    pub running: Arc<AtomicUsize>,
    /// Cores that the process may use.
    pub cores: usize,
}

impl Daemon {
    /// Whether a reactor that polls would take a core from somebody who works. While reactors and runs together do not
    /// exceed the cores, it takes nobody's. On a single core it would starve even its own clients.
    pub fn wants_core(&self) -> bool {
        self.cores == 1 || self.returns.len() + self.running.load(Ordering::Relaxed) > self.cores
    }
}
