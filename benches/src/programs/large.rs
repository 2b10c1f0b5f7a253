//! Rates of large requests, one at a time: the request goes to the server in whole before its reply begins to come back, and
//! both count. The floor receives the same bytes into warm memory and sends as many back, which is a bare receive and a
//! bare send. Both sides sleep while they wait.

use super::{NO_SPIN, PICTURE_BYTES, PICTURES_BYTES};
use crate::address::{Address, Family};
use crate::daemon::Daemon;
use crate::exchange::{Caller, Exchange};
use crate::floor::{Floor, Shape};
use crate::options::Bench;
use crate::socket::Wait;
use crate::spread::Spread;
use crate::table::Table;
use crate::usage::Cpu;
use anyhow::Result;
use std::time::Instant;

/// What is measured in each round.
struct Case {
    family: Family,
    payload_bytes: usize,
    is_floor: bool,
    exchange: Exchange,
    gigabytes_per_second: Vec<f64>,
    cpu_us: Vec<f64>,
}

/// Measures and prints.
pub fn run(bench: &Bench) -> Result<()> {
    let daemon = Daemon::start(bench, &NO_SPIN)?;
    let mut cases = Vec::new();
    for payload_bytes in [PICTURE_BYTES, PICTURES_BYTES] {
        for family in Family::ALL {
            let exchange = Exchange::learn(&daemon.address(family), payload_bytes)?;
            for is_floor in [false, true] {
                let (gigabytes_per_second, cpu_us) = (vec![], vec![]);
                let exchange = if is_floor { exchange.with_floor() } else { exchange.clone() };
                cases.push(Case { family, payload_bytes, is_floor, exchange, gigabytes_per_second, cpu_us });
            }
        }
    }
    for round in 0..bench.rounds {
        for index in bench.order(round, cases.len()) {
            let case = &mut cases[index];
            let (rate, cpu_us) = if case.is_floor {
                let floor = Floor::start(bench, Shape::One(Wait::Block), case.family, &case.exchange)?;
                measure(bench, floor.address(), floor.pid(), &case.exchange)?
            } else {
                measure(bench, &daemon.address(case.family), daemon.pid(), &case.exchange)?
            };
            case.gigabytes_per_second.push(rate);
            case.cpu_us.push(cpu_us);
        }
    }
    print(&cases);
    daemon.stop()
}

/// Gigabytes per second, and the server's processor time for each request in microseconds.
fn measure(bench: &Bench, address: &Address, pid: u32, exchange: &Exchange) -> Result<(f64, f64)> {
    let mut caller = Caller::connect(address, exchange, Wait::Block)?;
    let begin = Instant::now();
    // The first one of a connection may come another way than all others.
    caller.ask()?;
    while begin.elapsed() < bench.duration / 10 {
        caller.ask()?;
    }
    let (before, begin, mut requests) = (Cpu::of(pid)?, Instant::now(), 0);
    while begin.elapsed() < bench.duration {
        caller.ask()?;
        requests += 1;
    }
    let seconds = begin.elapsed().as_secs_f64();
    let cpu = Cpu::of(pid)?.since(&before);
    Ok((requests as f64 * exchange.bytes() as f64 / seconds / 1e9, cpu.micros_per(requests)))
}

fn print(cases: &[Case]) {
    println!("GB/s of requests and replies together, frames and all; 10⁹ bytes are a gigabyte.\n");
    let mut table =
        Table::new(&["payload", "sockets", "server", "GB/s", "GB/s / floor", "server's CPU µs per request"]);
    for pair in cases.chunks_exact(2) {
        for case in pair {
            let (server, ratio) = if case.is_floor {
                ("floor: bare receive, bare send", String::new())
            } else {
                let ratio = Spread::of_ratios(&case.gigabytes_per_second, &pair[1].gigabytes_per_second);
                ("daemon", ratio.to_string())
            };
            let rate = Spread::of(&case.gigabytes_per_second);
            let payload = format!("{} KB", case.payload_bytes / 1000);
            table.row(&[&payload, &case.family, &server, &rate, &ratio, &Spread::of(&case.cpu_us)]);
        }
    }
    table.print();
}
