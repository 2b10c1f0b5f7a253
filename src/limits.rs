//! Every bound of the daemon in one place, as a sum with a reason per line: printed when it starts.
//!
//! Memory of frameworks (weights, arenas) is not in it: no framework tells beforehand.

use crate::cli::IsolationMode;
use crate::plan::{ARENAS_MAX, LANES_MAX};
use crate::queue::Job;
use crate::request::Request;
use crate::settings::{ModelSettings, Settings};
use graphpiped_backend_isolated::AREAS_BYTES_MAX;
use graphpiped_transport::limits::{HELD_BYTES_FREE, Limits, RECEIVE_RING_BYTES};
use graphpiped_transport::service::{Reply, Ticket};

/// One line of the sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What is bounded.
    pub what: &'static str,
    /// How many of them, at most.
    pub count: u64,
    /// Bytes of each.
    pub bytes: u64,
    /// Who needs them, or who sets the number.
    pub why: &'static str,
}

impl Line {
    /// What the line adds to the sum.
    pub fn total(&self) -> u64 {
        self.count.saturating_mul(self.bytes)
    }
}

/// Replies that may be on their way to one reactor: those of every request that can wait for or be in a run, of which
/// `rows` may be in lanes, and as many as one connection may have in flight for those that were made and not yet taken.
pub fn replies_max(settings: &Settings, rows: usize) -> usize {
    let models = settings.models.iter().map(|model| model.queue_max + model.instances);
    models.sum::<usize>() + rows + settings.limits.in_flight_max
}

/// What the daemon may use beside its frameworks, at the most; `rows` is how many its lanes have room for.
pub fn sum(settings: &Settings, rows: usize) -> Vec<Line> {
    let Limits { connections_max, backlog_bytes_max, .. } = settings.limits;
    let reactors = settings.io_threads as u64;
    let queued: u64 = settings.models.iter().map(|model| model.queue_max as u64).sum();
    let threads = settings.models.iter().map(|model| (model.instances * model.intra_threads) as u64).sum::<u64>();
    let of = |what, count, bytes: usize, why| Line { what, count, bytes: bytes as u64, why };
    let isolated = isolated(settings).map(|model| model.instances as u64).sum();
    let mut lines = vec![
        Line { what: "requests and outputs", count: 1, bytes: settings.memory_bytes, why: "--memory" },
        of("receive buffers", reactors, RECEIVE_RING_BYTES, "one ring per reactor (--io-threads), for small requests"),
        of(
            "replies",
            reactors * replies_max(settings, rows) as u64,
            size_of::<(Ticket, Reply)>(),
            "from executors to reactors",
        ),
        of("queues", queued, size_of::<Job>(), "--queue-max, of each model"),
        of("requests in lanes", rows as u64, size_of::<Option<(Request, u16)>>(), "rows that lanes have room for"),
        of("idle connections", connections_max as u64, IDLE_CONNECTION_BYTES, "--connections-max, with nothing to do"),
        of("busy connections", connections_max as u64, HELD_BYTES_FREE, "half a request or a reply or two of each"),
        of("backlog", reactors, backlog_bytes_max, "requests that wait, metadata, replies that nobody reads"),
        of("stacks", reactors + threads + 1, STACK_BYTES, "of reactors and executors; touched as they are used"),
    ];
    if isolated > 0 {
        let why = "--isolation process, of each instance: what is on its way to and from its process";
        lines.push(of("areas", isolated, AREAS_BYTES_MAX, why));
    }
    lines
}

/// The models that have processes of their own.
fn isolated(settings: &Settings) -> impl Iterator<Item = &ModelSettings> {
    settings.models.iter().filter(|model| model.isolation == IsolationMode::Process)
}

/// A connection with no request: its state machine and its slot.
const IDLE_CONNECTION_BYTES: usize = 1024;
/// What Rust gives a thread.
const STACK_BYTES: usize = 2 << 20;

/// Descriptors that are not connections: rings, doorbells, listeners, libraries, standard streams; and the probes of
/// `accept` that end in a refusal.
pub const DESCRIPTORS_RESERVED: u64 = 64;

/// Descriptors of a model in a process of its own: one of each arena, the process's socket, and the process itself.
const DESCRIPTORS_ISOLATED: usize = ARENAS_MAX * LANES_MAX + 2;
/// And of each of its instances: a socket, both of its ends at first, and its areas.
const DESCRIPTORS_INSTANCE: usize = 5;

/// How many connections the descriptors allow, if fewer than are wanted.
pub fn clipped(settings: &Settings, descriptors: u64) -> Option<usize> {
    let listeners = (settings.listen.len().max(2) * (settings.io_threads + 1)) as u64;
    let processes = isolated(settings).map(|model| DESCRIPTORS_ISOLATED + DESCRIPTORS_INSTANCE * model.instances);
    let processes = processes.sum::<usize>() as u64;
    let others = DESCRIPTORS_RESERVED + listeners + 4 * settings.io_threads as u64 + processes;
    let left = usize::try_from(descriptors.saturating_sub(others)).unwrap_or(usize::MAX).max(1);
    (left < settings.limits.connections_max).then_some(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Options;
    use crate::settings::Machine;

    fn settings() -> Settings {
        let options = Options {
            model: vec!["a=1.onnx".parse().unwrap(), "b=2.onnx".parse().unwrap()],
            queue_max: Some(100),
            in_flight_max: Some(10),
            connections_max: Some(1000),
            instances: Some(3),
            ..Options::default()
        };
        Settings::resolve(options, None, &Machine { cores: 8, memory_bytes: 4 << 30 }).unwrap()
    }

    #[test]
    fn there_is_room_for_the_reply_of_every_request_that_can_be_away() {
        assert_eq!(replies_max(&settings(), 7), 100 + 3 + 100 + 3 + 7 + 10);
    }

    #[test]
    fn the_budget_and_every_queue_are_in_the_sum() {
        let lines = sum(&settings(), 64);
        assert_eq!((lines[0].why, lines[0].total()), ("--memory", 1 << 30));
        let queues = lines.iter().find(|line| line.what == "queues").unwrap();
        assert_eq!(queues.count, 200);
        assert!(lines.iter().all(|line| line.total() > 0));
    }

    #[test]
    fn connections_are_fewer_than_descriptors() {
        // Two reactors, two listeners with a copy for each reactor and the original.
        assert_eq!(clipped(&settings(), 1024), Some(1024 - 64 - 6 - 8));
        assert_eq!(clipped(&settings(), 1 << 20), None);
        assert_eq!(clipped(&settings(), 10), Some(1));
        // The arenas of eight row shapes, a process and its socket, and five for each of three instances.
        let mut isolated = settings();
        isolated.models[1].isolation = IsolationMode::Process;
        assert_eq!(clipped(&isolated, 1024), Some(1024 - 64 - 6 - 8 - (16 * 8 + 2 + 5 * 3)));
        assert_eq!(sum(&isolated, 64).last().map(|line| (line.what, line.count)), Some(("areas", 3)));
    }
}
