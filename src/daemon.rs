//! What all reactors of the daemon share: models, memory, counters and the ways back. Made once at start; what changes
//! in it changes atomically.

use crate::batching::Wishes;
use crate::cli::InlineMode;
use crate::plan::Weights;
use crate::queue::Unpark;
use crate::registry::Registry;
use crate::returns::Returns;
use crate::settings::Settings;
use crate::shortage::Shortage;
use graphpiped_memory::Pool;
use graphpiped_transport::counters::{Counter, Counters};
use graphpiped_transport::mailbox::Mailbox;
use graphpiped_transport::reactor::Control;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

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
    pub returns: Arc<[Arc<Returns>]>,
    /// Rows for which there are no lanes yet.
    pub wishes: Arc<Wishes<Unpark>>,
    /// How much of what a connection may have in flight a request takes.
    pub weights: Weights,
    /// Whether reactors run models themselves.
    pub inline: InlineMode,
    /// How long a run on a reactor may take with [`InlineMode::Auto`].
    pub inline_time_max: Duration,
    /// Whether requests find no rows free.
    pub shortage: Shortage,
    /// Bytes copied of requests whose senders were so slow that they had to leave their rows.
    pub copied_apart: Counter,
    /// Whether all of this is coming to its end.
    pub control: Arc<Control>,
    /// How many threads run something now, those inside of a run counted.
    pub running: Arc<AtomicUsize>,
    /// Cores that the process may use.
    pub cores: usize,
    /// Of these, the ones that executors may use.
    pub run_cores: usize,
}

impl Daemon {
    /// A daemon for these models, which nobody runs yet. `mailboxes` are those of its reactors, `returns` the ways back to
    /// them.
    pub fn new(
        settings: &Settings,
        cores: usize,
        registry: Registry,
        pool: Pool,
        mailboxes: Vec<Arc<Mailbox>>,
        returns: Arc<[Arc<Returns>]>,
    ) -> Daemon {
        let batchings = registry.entries().iter().filter_map(|entry| entry.served.batching.as_ref());
        Daemon {
            weights: Weights::new(batchings.map(|batching| batching.rows_max)),
            registry,
            pool,
            counters: returns.iter().map(|_| Arc::default()).collect(),
            returns,
            wishes: Arc::new(Wishes::new(Unpark::default())),
            inline: settings.inline,
            inline_time_max: settings.inline_time_max,
            shortage: Shortage::new(Instant::now()),
            copied_apart: Counter::default(),
            control: Control::new(mailboxes),
            running: Arc::default(),
            cores,
            run_cores: settings.cpus.as_ref().map_or(cores, |cpus| cpus.count().min(cores)),
        }
    }

    /// Whether a reactor that polls would take a core from somebody who works. While reactors and runs together do not
    /// exceed the cores, it takes nobody's. On a single core it would starve even its own clients.
    pub fn wants_core(&self) -> bool {
        self.cores == 1 || self.returns.len() + self.cores_with_runs() > self.cores
    }

    /// Cores on which something runs now.
    fn cores_with_runs(&self) -> usize {
        self.running.load(Ordering::Relaxed).min(self.run_cores)
    }

    /// When the next run is believed to be over, of those that are not believed to have been over by then. Of each model it
    /// is the run that was begun last.
    pub fn next_end(&self, then: Instant) -> Option<Instant> {
        self.registry.entries().iter().filter_map(|entry| entry.queue.end()).filter(|end| *end > then).min()
    }

    /// For how long a reactor may leave its sockets alone for the sake of runs that need every core: a small part of what
    /// they take, so that nobody waits much longer for it. `None` if a core is free, or if it is not worth while.
    pub fn rest(&self) -> Option<Duration> {
        if self.cores_with_runs() < self.cores {
            return None;
        }
        let runs = self.registry.entries().iter().filter_map(|entry| entry.queue.predicted());
        runs.min().map(|run| (run / REST_PART).min(REST_MAX)).filter(|rest| *rest >= REST_MIN)
    }
}

/// The part of a run for which a reactor may rest.
const REST_PART: u32 = 8;
/// At most so long, because clients of other models may wait for the answers that it has to read for them.
const REST_MAX: Duration = Duration::from_millis(4);
/// At least so long: being woken costs some microseconds, too.
const REST_MIN: Duration = Duration::from_micros(100);

impl Drop for Daemon {
    fn drop(&mut self) {
        self.wishes.close();
    }
}
