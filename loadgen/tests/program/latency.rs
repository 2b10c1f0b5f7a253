//! That latency means what it says: the tail of a server that stalls is seen, and what is the generator's own is not sold as
//! the server's.

use crate::program::{RAW, answered, is_answered, measured, number, report, signal, start};
use crate::server::{Server, ok};
use rustix::process::Signal;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Requests of an open loop meet a freeze of 500 ms for half of the time, uniformly. So of all requests, the slowest
/// 1 % waited for more than 490 ms, the slowest quarter for more than 250 ms.
#[test]
fn the_tail_of_a_server_that_freezes_is_reported_in_an_open_loop() {
    let server = Server::freezing();
    let open = ["--rate", "1000", "--clients", "32", "--duration", "3s"];
    let (outcome, report) = measured(&server.url(), &[&RAW[..], &open].concat());
    assert!(is_answered(&outcome, &report), "{} {report:#}", outcome.stderr);
    let p99 = number(&report, "/latency_us/p99");
    assert!((400_000.0..700_000.0).contains(&p99), "p99 {p99} µs");
    let p90 = number(&report, "/latency_us/p90");
    assert!((330_000.0..600_000.0).contains(&p90), "p90 {p90} µs");
    assert!(number(&report, "/latency_us/min") < 100_000.0, "between freezes it answers");
    assert!(number(&report, "/late/sent_late") > 100.0, "32 connections are too few while it is frozen, which is said");
}

/// In a closed loop one request in thousands meets the freeze, which is what a closed loop can see of it.
#[test]
fn the_same_server_looks_fast_in_a_closed_loop() {
    let server = Server::freezing();
    let (outcome, report) = measured(&server.url(), &[&RAW[..], &["--duration", "3s"]].concat());
    assert!(is_answered(&outcome, &report), "{} {report:#}", outcome.stderr);
    let p50 = number(&report, "/latency_us/p50");
    assert!(p50 < 50_000.0, "p50 {p50} µs");
    let p99 = number(&report, "/latency_us/p99");
    assert!(p99 < 200_000.0, "p99 {p99} µs");
    let max = number(&report, "/latency_us/max");
    assert!((400_000.0..800_000.0).contains(&max), "max {max} µs");
}

#[test]
fn a_rate_is_kept_and_spread_over_the_clients() {
    let seen = Arc::new(Mutex::new(HashMap::<usize, u64>::new()));
    let counts = Arc::clone(&seen);
    let server = Server::start(move |mut connection| {
        while let Some(request) = connection.request() {
            *counts.lock().expect("no panic").entry(connection.number).or_default() += 1;
            if connection.send(&ok(&request.body)).is_err() {
                return;
            }
        }
    });
    let open = ["--rate", "500", "--clients", "3", "--threads", "2", "--duration", "1s"];
    let (outcome, report) = measured(&server.url(), &[&RAW[..], &open, &["--arrivals", "poisson"]].concat());
    assert!(is_answered(&outcome, &report), "{} {report:#}", outcome.stderr);
    // A Poisson process of mean 500; the tolerance is six standard deviations.
    let answered = answered(&report);
    assert!((366..634).contains(&answered), "{answered}");
    let seen = seen.lock().expect("no panic");
    assert!(seen.len() == 3 && seen.values().all(|count| *count > 50), "{seen:?}");
}

/// The program is stopped for a third of a second of its one: what is late then is its own fault.
#[test]
fn a_generator_that_cannot_keep_up_says_so_and_gives_no_number() {
    let server = Server::echo();
    let url = server.url();
    let options = ["--rate", "1000", "--clients", "8", "--rounds", "1", "--warmup", "0s", "--duration", "1s"];
    let running = start(&[&[url.as_str()], &RAW[..], &options].concat());
    server.wait_for_requests(100);
    signal(&running, Signal::STOP);
    std::thread::sleep(Duration::from_millis(333));
    signal(&running, Signal::CONT);
    let outcome = running.outcome();
    assert_eq!(outcome.code, 2, "{}", outcome.stdout);
    assert!(outcome.stdout.contains("the generator is the bottleneck"), "{}", outcome.stdout);
    let rows: Vec<&str> = outcome.stdout.lines().filter(|line| line.trim_start().starts_with('p')).collect();
    assert!(rows.len() > 3, "{}", outcome.stdout);
    for row in rows {
        let (_, numbers) = row.trim_start().split_once(' ').expect("a percentile and its numbers");
        assert!(!numbers.contains(|c: char| c.is_ascii_digit()), "{row}");
    }
}

#[test]
fn a_trace_is_replayed_at_its_times() {
    let times = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&times);
    let server = Server::answering(move |request| {
        seen.lock().expect("no panic").push(Instant::now());
        ok(&request.body)
    });
    let folder = tempfile::tempdir().expect("a folder");
    let trace = folder.path().join("trace.csv");
    // 40 requests in 400 ms, then none.
    let lines: Vec<String> = (0..40).map(|index| format!("{}", 1_700_000_000.0 + f64::from(index) * 0.01)).collect();
    std::fs::write(&trace, lines.join("\n")).expect("a file");
    let path = trace.to_str().expect("a path");
    let replay = [server.url().as_str(), "--replay", path, "--rounds", "1", "--json", "-"].map(str::to_owned);
    let replay: Vec<&str> = replay.iter().map(String::as_str).collect();
    let (outcome, report) = report(&[&replay[..], &RAW].concat());
    assert!(is_answered(&outcome, &report), "{} {report:#}", outcome.stderr);
    assert_eq!(answered(&report), 40);
    assert_eq!(report["points"][0]["load"]["arrivals"], "replay");
    // The round is as long as the trace: 390 ms for 40 requests, not the default.
    assert!((number(&report, "/seconds") - 0.39).abs() < 0.001, "{report:#}");
    let times = times.lock().expect("no panic");
    let whole = times[39] - times[0];
    assert!((Duration::from_millis(300)..Duration::from_secs(2)).contains(&whole), "{whole:?}");
}
