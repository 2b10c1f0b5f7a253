//! Reports for tests: small ones, with latencies that are given and not measured.

use super::{Arrivals, FORMAT, Generator, Load, Machine, Point, Report, Round, Target, hdr};
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// A window of ten seconds with one reply for each latency, in microseconds.
pub fn round(rate: f64, latencies_us: &[f64]) -> Round {
    let mut histogram = Histogram::<u64>::new(3).expect("three digits are allowed");
    for us in latencies_us {
        histogram.record((us * 1e3) as u64).expect("an automatic histogram takes every value");
    }
    Round {
        seconds: 10.0,
        intended: latencies_us.len() as u64,
        answered: latencies_us.len() as u64,
        rate,
        sent_bytes_per_s: rate * 1_000.0,
        received_bytes_per_s: rate * 100.0,
        latency_us: hdr::latency(&histogram),
        histogram: hdr::encode(&histogram).expect("memory takes every histogram"),
        errors: BTreeMap::new(),
        error_texts: BTreeMap::new(),
        late: None,
        generator: Generator { busy: 0.25, bottleneck: None },
        server: None,
        batches: None,
        verified: None,
    }
}

/// A closed loop of 8 clients.
pub fn point(label: &str, rounds: Vec<Round>) -> Point {
    let load = Load { clients: 8, pipeline: 4, threads: 2, arrivals: Arrivals::Closed, rate: None };
    Point { label: label.to_owned(), load, rounds }
}

/// A report of a machine and a server that do not exist.
pub fn report(points: Vec<Point>) -> Report {
    Report {
        format: FORMAT,
        version: "0.1.0".to_owned(),
        command: vec!["graphpipe-loadgen".to_owned(), "tcp://127.0.0.1:9000".to_owned()],
        began_unix_s: 1_700_000_000,
        machine: Machine {
            processor: "Example 3000".to_owned(),
            cores: 2,
            system: "Linux 6.12 x86_64".to_owned(),
            congestion: "cubic".to_owned(),
            others_busy: Some(0.004),
        },
        target: Target {
            address: "tcp://127.0.0.1:9000".to_owned(),
            protocol: "native".to_owned(),
            model: "digits".to_owned(),
            server: "graphpiped 0.1.0".to_owned(),
            signature: "digits: image float32[?,64] -> digit int64[?]".to_owned(),
            request_bytes: 1_240,
            rows: 4,
            distinct: 16,
        },
        points,
        knee: None,
    }
}
