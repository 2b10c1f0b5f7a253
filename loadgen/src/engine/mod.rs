//! The engine: sends requests when they are to be sent, finds their replies, and counts. One round at a time.
//!
//! Each thread has its own connections, its own epoll and its own [`Tally`]; nothing is shared but what is only read, and
//! two live counters for whoever watches. Requests are bytes that were made before the round began, so that a request costs
//! a `sendmsg`, a reply a `recv`, and either a look at the clock.
//!
//! Latency counts from when a request *should* have been sent. In a closed loop that is when it was sent: the reply before
//! it decides. In an open loop it is what the schedule says, whatever the server, the connections or this program did
//! meanwhile; a server that stalls for half a second has made 500 requests late at 1000 per second, not one.
//!
//! What never lives here: how a request is written or a reply read (`protocol`), what a number means (`result`).

mod arrivals;
mod connection;
mod failure;
mod ledger;
mod tally;
mod thread_time;
mod worker;

pub use arrivals::{Pace, Schedule, mixed};
pub use tally::Tally;

use crate::check::Checker;
use crate::protocol::{Dialect, Encoded};
use crate::target::Endpoint;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The most requests that may be under way on one connection: their ids share a number with a counter.
pub const PIPELINE_MAX: usize = 1 << 12;
/// The most connections. Beyond it the machine's ports and descriptors are the question.
pub const CLIENTS_MAX: usize = 50_000;

/// One round.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// Where the server listens.
    pub endpoint: &'a Endpoint,
    /// How it is spoken to.
    pub dialect: &'a Dialect,
    /// What is sent, one after the other and over again. Not empty.
    pub requests: &'a [Encoded],
    /// What compares the replies.
    pub checker: Option<&'a Checker>,
    /// Connections of all threads together; at least as many as threads.
    pub clients: usize,
    /// The most requests under way on each connection.
    pub pipeline: usize,
    /// Threads.
    pub threads: usize,
    /// Who decides when a request is sent.
    pub pace: &'a Pace,
    /// How long nothing is counted.
    pub warmup: Duration,
    /// How long everything is counted, after that.
    pub window: Duration,
    /// How long a reply may take, and how late a request may be sent.
    pub timeout: Duration,
    /// Whether threads poll instead of sleeping.
    pub spin: bool,
    /// The TCP congestion control of our side; the system's if not said.
    pub congestion: Option<&'a str>,
}

/// Counts while a round is under way.
#[derive(Debug, Default)]
pub struct Live {
    /// Replies with outputs so far.
    pub answered: AtomicU64,
    /// Requests that failed so far.
    pub failed: AtomicU64,
}

/// A round that is over. Its connections stay open until it is dropped: a server that ends a thread with its connection
/// would take away what that thread has used before anyone has looked.
#[derive(Debug)]
pub struct Ended {
    /// What was counted.
    pub tally: Tally,
    /// Its connections, as they are.
    connections: Vec<connection::Connection>,
}

/// Runs one round from `start` on and returns when the last reply has come or is given up.
///
/// The error is the system's refusal of what a round needs (an epoll, a congestion control); what a server does is counted.
pub fn run(plan: &Plan<'_>, start: Instant, live: &Live) -> io::Result<Ended> {
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for index in 0..plan.threads {
            let body = move || worker::Worker::new(plan, index, start, live)?.run();
            threads.push(std::thread::Builder::new().name(format!("load-{index}")).spawn_scoped(scope, body)?);
        }
        let mut whole = Ended { tally: Tally::default(), connections: Vec::new() };
        for thread in threads {
            let (tally, connections) = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            whole.tally.merge(tally);
            whole.connections.extend(connections);
        }
        Ok(whole)
    })
}

impl Live {
    fn count(&self, good: bool) {
        let counter = if good { &self.answered } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Time as nanoseconds since the round began.
#[derive(Clone, Copy, Debug)]
struct Clock(Instant);

impl Clock {
    fn now(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

/// A length of time in nanoseconds, 584 years at most.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
