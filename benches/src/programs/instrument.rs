//! Whether `graphpipe-loadgen` can be trusted. Over HTTP it stands beside wrk: the same body to the same daemon on as many
//! connections. Over a Unix socket, one request at a time, it stands beside a bare client that does nothing but send and
//! receive. Both times the processor time of the client is the kernel's count.

use super::{NO_SPIN, SMALL_BYTES};
use crate::address::{Address, Family};
use crate::crowd::Load;
use crate::daemon::Daemon;
use crate::exchange::{Caller, Exchange};
use crate::generator::{Found, Generator, Question};
use crate::npy::npy;
use crate::options::Bench;
use crate::socket::Wait;
use crate::spread::{Spread, quantile};
use crate::table::Table;
use crate::usage::Cpu;
use crate::wrk::Wrk;
use anyhow::{Context, Result};
use std::path::Path;
use std::time::{Duration, Instant};

/// Numbers of connections over HTTP.
const CONNECTIONS: [usize; 3] = [1, 16, 64];

/// What is measured in each round: the generator, and what it is compared with.
struct Case {
    setting: String,
    other_name: &'static str,
    generator: Vec<Found>,
    other: Vec<Found>,
}

impl Case {
    fn new(setting: String, other_name: &'static str) -> Case {
        Case { setting, other_name, generator: vec![], other: vec![] }
    }
}

/// Measures and prints.
pub fn run(bench: &Bench) -> Result<()> {
    let generator = Generator::find(bench)?;
    let (sleeping, spinning) = (Daemon::start(bench, &NO_SPIN)?, Daemon::start(bench, &[])?);
    println!(
        "Beside wrk, {SMALL_BYTES} bytes of payload in a POST, to a daemon that does not spin; the congestion control of \
         both clients is the system's:\n"
    );
    print(&beside_wrk(bench, &generator, &sleeping)?, "connections");
    println!("\nBeside a bare client, {SMALL_BYTES} bytes over a Unix socket, one request at a time:\n");
    let daemons = [("daemon --spin-us 0", &sleeping), ("daemon", &spinning)];
    print(&beside_bare(bench, &generator, &daemons)?, "server");
    spinning.stop()?;
    sleeping.stop()
}

fn beside_wrk(bench: &Bench, generator: &Generator, daemon: &Daemon) -> Result<Vec<Case>> {
    let address = daemon.address(Family::Tcp);
    let exchange = Exchange::learn(&daemon.address(Family::Unix), SMALL_BYTES)?;
    let wrk = Wrk::new(exchange.message())?;
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let body = folder.path().join("body.npy");
    std::fs::write(&body, npy("|u1", &[exchange.message().len()], exchange.message()))
        .context("the body for the generator")?;
    let question = raw(&address, &body);
    // wrk counts in whole seconds.
    let window = Duration::from_secs(bench.duration.mul_f64(4.0).as_secs_f64().ceil() as u64);
    let mut cases = CONNECTIONS.map(|connections| Case::new(connections.to_string(), "wrk"));
    for round in 0..bench.rounds {
        for index in bench.order(round, cases.len()) {
            let load = Load { connections: CONNECTIONS[index], depth: 1 };
            // Each goes first in every other round.
            for turn in [round, round + 1] {
                if turn.is_multiple_of(2) {
                    cases[index].generator.push(generator.run(&question, load, window, &[])?);
                } else {
                    cases[index].other.push(wrk.run(&address, load.connections, window)?);
                }
            }
        }
    }
    Ok(cases.into())
}

/// Posts the bytes of a file as they are. The congestion control is the system's, because wrk knows no other.
fn raw(address: &Address, body: &Path) -> Question {
    let target = address.to_string().replace("tcp://", "http://") + "/";
    let request = vec!["--input".to_owned(), body.display().to_string()];
    Question { target, protocol: "raw", request, congestion: None, server: None }
}

fn beside_bare(bench: &Bench, generator: &Generator, daemons: &[(&str, &Daemon)]) -> Result<Vec<Case>> {
    let load = Load { connections: 1, depth: 1 };
    let mut cases: Vec<Case> = daemons.iter().map(|(name, _)| Case::new((*name).to_owned(), "bare client")).collect();
    for round in 0..bench.rounds {
        for index in bench.order(round, cases.len()) {
            let address = daemons[index].1.address(Family::Unix);
            let exchange = Exchange::learn(&address, SMALL_BYTES)?;
            let request = ["--shape", "1,200"].map(str::to_owned).into();
            let target = address.to_string();
            let question = Question { target, protocol: "native", request, congestion: None, server: None };
            for turn in [round, round + 1] {
                if turn.is_multiple_of(2) {
                    cases[index].generator.push(generator.run(&question, load, bench.duration, &[])?);
                } else {
                    cases[index].other.push(bare(&address, &exchange, bench.duration)?);
                }
            }
        }
    }
    Ok(cases)
}

/// Sends, receives, and looks at the clock.
fn bare(address: &Address, exchange: &Exchange, window: Duration) -> Result<Found> {
    let mut caller = Caller::connect(address, exchange, Wait::Block)?;
    let warm = Instant::now() + window / 5;
    while Instant::now() < warm {
        caller.ask()?;
    }
    let mut nanoseconds = Vec::with_capacity(window.as_micros() as usize + 1);
    let cpu = Cpu::of(std::process::id())?;
    let begin = Instant::now();
    let mut before = begin;
    while before < begin + window {
        caller.ask()?;
        let now = Instant::now();
        nanoseconds.push(now.duration_since(before).as_nanos() as u64);
        before = now;
    }
    let cpu = Cpu::of(std::process::id())?.since(&cpu);
    nanoseconds.sort_unstable();
    let micros = |part| quantile(&nanoseconds, part) as f64 / 1e3;
    Ok(Found {
        rate: nanoseconds.len() as f64 / window.as_secs_f64(),
        p50_us: micros(0.5),
        p99_us: micros(0.99),
        client_us: cpu.micros_per(nanoseconds.len() as u64),
        request_bytes: exchange.request().len(),
        reply_bytes: exchange.reply_bytes(),
        ..Found::default()
    })
}

fn print(cases: &[Case], setting: &str) {
    let mut table = Table::new(&[
        setting,
        "client",
        "1000 requests/s",
        "rate / other",
        "p50 µs",
        "p50 / other",
        "p99 µs",
        "client's CPU µs per request",
    ]);
    for case in cases {
        for (client, found) in [("graphpipe-loadgen", &case.generator), (case.other_name, &case.other)] {
            let is_other = client == case.other_name;
            let values = |found: &[Found], of: fn(&Found) -> f64| found.iter().map(of).collect::<Vec<f64>>();
            let ratio = |of| {
                let ratios = Spread::of_ratios(&values(found, of), &values(&case.other, of));
                if is_other { String::new() } else { ratios.to_string() }
            };
            table.row(&[
                &case.setting,
                &client,
                &Spread::of(&values(found, |found| found.rate / 1e3)),
                &ratio(|found| found.rate),
                &Spread::of(&values(found, |found| found.p50_us)),
                &ratio(|found| found.p50_us),
                &Spread::of(&values(found, |found| found.p99_us)),
                &Spread::of(&values(found, |found| found.client_us)),
            ]);
        }
    }
    table.print();
}
