//! Whether anything is copied on the way, seen from outside: the daemon's time outside of the kernel must not grow with the
//! request as a copy's would. Beside it, what the daemon itself counts.

use super::{NO_SPIN, PICTURES_BYTES};
use crate::address::Family;
use crate::cores;
use crate::daemon::Daemon;
use crate::exchange::{Caller, Exchange};
use crate::metrics;
use crate::options::Bench;
use crate::socket::{self, Wait};
use crate::spread::Spread;
use crate::table::Table;
use crate::usage::{Cpu, tick_seconds};
use anyhow::Result;
use std::time::{Duration, Instant};

/// A thousandth of the large one, and above the size that is copied on purpose.
const LESS_BYTES: usize = PICTURES_BYTES / 1000 / 4 * 4;
/// How much longer than other measurements these take: user time comes in ticks, and there should be some.
const LONGER: u32 = 4;
/// What the daemon counts.
const COUNTER: &str = "graphpiped_copied_bytes_total";

/// What is measured in each round.
struct Case {
    family: Family,
    exchange: Exchange,
    /// Of each round.
    user_us: Vec<f64>,
    /// Of all rounds together: a round alone has few ticks.
    cpu: Cpu,
    requests: u64,
}

impl Case {
    fn user_us(&self) -> f64 {
        self.cpu.micros_per(self.requests) * self.cpu.user_part()
    }
}

/// Measures and prints.
pub fn run(bench: &Bench) -> Result<()> {
    // One that spins would use time outside of the kernel while it waits.
    let daemon = Daemon::start(bench, &NO_SPIN)?;
    let mut cases = Vec::new();
    for family in Family::ALL {
        for payload_bytes in [LESS_BYTES, PICTURES_BYTES] {
            let exchange = Exchange::learn(&daemon.address(family), payload_bytes)?;
            cases.push(Case { family, exchange, user_us: vec![], cpu: Cpu::default(), requests: 0 });
        }
    }
    let counted_before = metrics::read(&daemon.address(Family::Unix), COUNTER)?;
    let mut memcpy_us = Vec::new();
    for round in 0..bench.rounds {
        memcpy_us.push(memcpy(bench)?);
        for index in bench.order(round, cases.len()) {
            measure(bench, &daemon, &mut cases[index])?;
        }
    }
    print(&cases, &memcpy_us);
    let counted = metrics::read(&daemon.address(Family::Unix), COUNTER)?;
    print_counted(&counted_before, &counted, cases.iter().map(|case| case.requests).sum());
    daemon.stop()
}

fn measure(bench: &Bench, daemon: &Daemon, case: &mut Case) -> Result<()> {
    let mut caller = Caller::connect(&daemon.address(case.family), &case.exchange, Wait::Block)?;
    // The first one of a connection may come another way than all others.
    caller.ask()?;
    let (before, begin, mut requests) = (Cpu::of(daemon.pid())?, Instant::now(), 0);
    while begin.elapsed() < bench.duration * LONGER {
        caller.ask()?;
        requests += 1;
    }
    let cpu = Cpu::of(daemon.pid())?.since(&before);
    case.user_us.push(cpu.micros_per(requests) * cpu.user_part());
    case.cpu = case.cpu.and(&cpu);
    case.requests += requests;
    Ok(())
}

/// Microseconds of copying as many bytes as the large payload has more than the small one, from warm memory to warm memory,
/// on the daemon's core.
fn memcpy(bench: &Bench) -> Result<f64> {
    const TIMES_MIN: u32 = 3;
    let bytes = PICTURES_BYTES - LESS_BYTES;
    let (from, mut to) = (socket::warm_memory(bytes)?, socket::warm_memory(bytes)?);
    cores::elsewhere(&[bench.server_core], || {
        let (begin, mut times) = (Instant::now(), 0);
        while times < TIMES_MIN || begin.elapsed() < Duration::from_millis(200) {
            to.copy_from_slice(std::hint::black_box(&from));
            std::hint::black_box(&mut to);
            times += 1;
        }
        begin.elapsed().as_secs_f64() * 1e6 / f64::from(times)
    })
}

fn print(cases: &[Case], memcpy_us: &[f64]) {
    let memcpy = Spread::of(memcpy_us);
    println!(
        "The daemon's time for each request in microseconds, of all rounds together, because the kernel counts user"
    );
    println!("time in ticks. A memcpy of {} bytes takes {memcpy} µs.\n", PICTURES_BYTES - LESS_BYTES);
    let mut table = Table::new(&[
        "sockets",
        "payload",
        "all CPU µs",
        "of these user",
        "by round",
        "a tick is",
        "growth of user / memcpy, %",
    ]);
    for pair in cases.chunks_exact(2) {
        let growth = 100.0 * (pair[1].user_us() - pair[0].user_us()) / memcpy.median();
        for (case, bytes, growth) in
            [(&pair[0], LESS_BYTES, String::new()), (&pair[1], PICTURES_BYTES, format!("{growth:.1}"))]
        {
            table.row(&[
                &case.family,
                &format!("{} KB", bytes / 1000),
                &format!("{:.0}", case.cpu.micros_per(case.requests)),
                &format!("{:.2}", case.user_us()),
                &Spread::of(&case.user_us),
                &format!("{:.2}", tick_seconds() * 1e6 / case.requests as f64),
                &growth,
            ]);
        }
    }
    table.print();
}

fn print_counted(before: &[metrics::Sample], after: &[metrics::Sample], requests: u64) {
    println!("\nWhat the daemon counts, over all {requests} requests:\n");
    let mut table = Table::new(&["counter", "before", "after"]);
    for (name, value) in after {
        let earlier = before.iter().find(|(other, _)| other == name).map_or(0, |(_, value)| *value);
        table.row(&[&format!("`{name}`"), &earlier, value]);
    }
    table.print();
}
