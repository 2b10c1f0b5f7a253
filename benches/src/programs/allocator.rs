//! Two builds of the daemon that differ in their allocator alone, with the loads of `cpu`.

use super::{NO_SPIN, SMALL_BYTES};
use crate::address::Family;
use crate::crowd::Load;
use crate::daemon::Daemon;
use crate::exchange::Exchange;
use crate::options::{Bench, checked_binary};
use crate::programs::cpu::{self, Cost, column};
use crate::spread::Spread;
use crate::table::Table;
use crate::usage::Memory;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// What is measured in each round.
struct Case {
    family: Family,
    load: Load,
    /// 0 = the daemon as it is, 1 = the one with the system's allocator.
    build: usize,
    costs: Vec<Cost>,
}

const NAMES: [&str; 2] = ["mimalloc", "system"];

/// Measures and prints.
pub fn run(bench: &Bench, system: Option<&Path>) -> Result<()> {
    let builds = [bench.daemon.clone(), other_build(system)?];
    let daemons =
        [Daemon::start_binary(&builds[0], bench, &NO_SPIN)?, Daemon::start_binary(&builds[1], bench, &NO_SPIN)?];
    let exchange = Exchange::learn(&daemons[0].address(Family::Unix), SMALL_BYTES)?;
    let mut cases = Vec::new();
    for family in Family::ALL {
        for load in Load::ALL {
            cases.extend([0, 1].map(|build| Case { family, load, build, costs: vec![] }));
        }
    }
    for round in 0..bench.rounds {
        for index in bench.order(round, cases.len()) {
            let case = &mut cases[index];
            let daemon = &daemons[case.build];
            let address = daemon.address(case.family);
            case.costs.push(cpu::measure(bench, &address, daemon.pid(), &exchange, case.load)?);
        }
    }
    print(&cases);
    println!();
    for (daemon, name) in daemons.iter().zip(NAMES) {
        println!("Resident at the end with {name}: {} KiB.", Memory::of(daemon.pid())?.resident >> 10);
    }
    daemons.into_iter().try_for_each(Daemon::stop)
}

/// The daemon that the one of this run is compared with.
pub fn other_build(system: Option<&Path>) -> Result<PathBuf> {
    let system = system.context("--system-allocator PATH is missing: a daemon built with the system's allocator")?;
    checked_binary(system, "--system-allocator")
}

fn print(cases: &[Case]) {
    println!("Both daemons with --spin-us 0; CPU time for each request in microseconds.\n");
    let mut table = Table::new(&["sockets", "clients", "allocator", "CPU µs", "of these user", "CPU / system"]);
    for pair in cases.chunks_exact(2) {
        let system = column(&pair[1].costs, |cost| cost.cpu_us);
        for case in pair {
            let cpu = column(&case.costs, |cost| cost.cpu_us);
            let ratio = if case.build == 0 { Spread::of_ratios(&cpu, &system).to_string() } else { String::new() };
            let user = Spread::of(&column(&case.costs, |cost| cost.user_us));
            table.row(&[&case.family, &case.load, &NAMES[case.build], &Spread::of(&cpu), &user, &ratio]);
        }
    }
    table.print();
}
