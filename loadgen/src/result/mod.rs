//! What a run has found: the one form that tables, files, pictures and comparisons are made from. It is what `--json`
//! writes and what `compare`, `ab` and `plot` read again.

pub mod csv;
#[cfg(test)]
pub mod examples;
pub mod grid;
pub mod hdr;
pub mod json;
pub mod number;
pub mod summary;
pub mod table;
pub mod verdict;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the form; another one is refused by name.
pub const FORMAT: u32 = 1;

/// All that one command has measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// The version of this program.
    pub version: String,
    /// The command line.
    pub command: Vec<String>,
    /// Seconds since 1970 when it began.
    pub began_unix_s: u64,
    /// Where it ran.
    pub machine: Machine,
    /// Whom it asked.
    pub target: Target,
    /// One for each setting of a sweep or step of a search; otherwise there is one.
    pub points: Vec<Point>,
    /// What `--find-knee` has found.
    pub knee: Option<Knee>,
}

/// The machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many cores this process may use.
    pub cores: usize,
    /// System, release, architecture.
    pub system: String,
    /// The system's TCP congestion control, where it says.
    pub congestion: String,
    /// The part of the machine's processor time that neither this program nor the servers used meanwhile, 0 to 1; absent without `--server-pid`.
    pub others_busy: Option<f64>,
}

/// The server that was asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// As on the command line.
    pub address: String,
    /// As on the command line.
    pub protocol: String,
    /// The model's name.
    pub model: String,
    /// What the server says it is.
    pub server: String,
    /// The model's signature, in words.
    pub signature: String,
    /// Bytes of one request on the wire (the first one).
    pub request_bytes: u64,
    /// Rows of one request.
    pub rows: u64,
    /// How many different requests there were.
    pub distinct: usize,
}

/// One setting, measured several times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// What distinguishes it: `clients=8`; empty if it is the only one.
    pub label: String,
    /// How it was asked.
    pub load: Load,
    /// Each round.
    pub rounds: Vec<Round>,
}

/// How requests are sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Connections.
    pub clients: usize,
    /// The most requests under way on each.
    pub pipeline: usize,
    /// Threads of the generator.
    pub threads: usize,
    /// Who decides when a request is sent.
    pub arrivals: Arrivals,
    /// The intended rate in requests per second, of an open loop.
    pub rate: Option<f64>,
}

/// Who decides when a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// The reply before it: a closed loop.
    Closed,
    /// A clock.
    Constant,
    /// A clock and chance: independent users.
    Poisson,
    /// A file.
    Replay,
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Length of the window that counts, warm-up not included.
    pub seconds: f64,
    /// Requests that should have been sent in the window.
    pub intended: u64,
    /// Of these, those with outputs. All latencies are theirs.
    pub answered: u64,
    /// Replies with outputs that came in the window, per second.
    pub rate: f64,
    /// Bytes per second that were sent, and received.
    pub sent_bytes_per_s: f64,
    #[allow(missing_docs)]
    pub received_bytes_per_s: f64,
    /// Latency in microseconds, from when a request should have been sent. Absent if nothing was answered.
    pub latency_us: Option<Latency>,
    /// The histogram of it, in nanoseconds: HdrHistogram's V2 format, compressed, base64.
    pub histogram: String,
    /// Requests without outputs, by kind: `busy (5)`, `connect`, `timeout`, `wrong`, …
    pub errors: BTreeMap<String, u64>,
    /// The first text of each kind.
    pub error_texts: BTreeMap<String, String>,
    /// How far the generator was behind; of a closed loop nothing is late.
    pub late: Option<Late>,
    /// The generator itself.
    pub generator: Generator,
    /// The server, with `--server-pid`.
    pub server: Option<Server>,
    /// The sizes of batches, where the server counts them.
    pub batches: Option<Batches>,
    /// Replies that were compared, with `--verify`.
    pub verified: Option<u64>,
}

/// Percentiles of latency in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Latency {
    pub min: f64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub p999: f64,
    pub p9999: f64,
    pub max: f64,
}

/// How far sends were behind their intended times.
// `sent` alone would read as all that were sent.
#[allow(clippy::struct_field_names)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Late {
    /// Requests that were sent more than a millisecond late.
    pub sent_late: u64,
    /// Requests that were as late because the generator was busy: its own fault.
    pub own_fault: u64,
    /// Percentiles of the delay in microseconds.
    pub p50_us: f64,
    #[allow(missing_docs)]
    pub p99_us: f64,
    #[allow(missing_docs)]
    pub max_us: f64,
}

/// What the generator needed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generator {
    /// The part of the window in which its busiest thread was not asleep, 0 to 1.
    pub busy: f64,
    /// Why the numbers of this round are the generator's and not the server's, in a sentence; if there is one, rate and latency
    /// are not printed as the server's.
    pub bottleneck: Option<String>,
}

/// What the server needed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// Processor time for each reply, in microseconds.
    pub cpu_us_per_request: f64,
    /// Cores that were busy on average.
    pub cores: f64,
    /// Resident bytes at the end, of all its processes.
    pub rss_bytes: u64,
}

/// How many rows the server's batches had.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batches {
    /// How many batches ran.
    pub count: u64,
    /// Rows of all of them.
    pub rows: f64,
    /// For each upper bound in rows (inclusive; infinity is `null`), how many batches had at most that and more than the one before.
    pub buckets: Vec<(Option<f64>, u64)>,
}

/// The highest rate that held an objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Knee {
    /// `p99<5ms`.
    pub objective: String,
    /// Requests per second; `None` if not even the lowest rate held.
    pub rate: Option<f64>,
    /// The lowest rate that did not hold.
    pub failed_at: Option<f64>,
    /// What is to be known besides, in a sentence: why there is no rate, or what it is bound by.
    pub remark: Option<String>,
}
