//! What a small request costs the daemon in processor time: alone, with many clients that wait for each reply, and with
//! clients that pipeline. The floor is a bare epoll server that answers any bytes with bytes.
//!
//! A daemon that spins uses time while it waits. So the one that never spins shows what requests cost, and the one with the
//! default shows what a user sees in `top`.

use super::{NO_SPIN, SMALL_BYTES};
use crate::address::{Address, Family};
use crate::crowd::{Crowd, Load};
use crate::daemon::Daemon;
use crate::exchange::Exchange;
use crate::floor::{Floor, Shape};
use crate::options::Bench;
use crate::spread::Spread;
use crate::table::Table;
use crate::usage::Cpu;
use anyhow::Result;
use std::time::Instant;

/// What is measured in each round.
struct Case {
    family: Family,
    load: Load,
    server: Server,
    exchange: Exchange,
    costs: Vec<Cost>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Server {
    Sleeping,
    Spinning,
    Floor,
}

/// What one measurement has shown.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Thousands of requests per second.
    pub kilorequests: f64,
    /// The server's processor time for each.
    pub cpu_us: f64,
    /// The part of it outside of the kernel.
    pub user_us: f64,
    /// How much of its core the server used.
    pub busy_percent: f64,
}

/// Measures and prints.
pub fn run(bench: &Bench) -> Result<()> {
    let sleeping = Daemon::start(bench, &NO_SPIN)?;
    let spinning = Daemon::start(bench, &[])?;
    let mut cases = Vec::new();
    for family in Family::ALL {
        let exchange = Exchange::learn(&sleeping.address(family), SMALL_BYTES)?;
        for load in Load::ALL {
            for server in [Server::Sleeping, Server::Spinning, Server::Floor] {
                let exchange = if server == Server::Floor { exchange.with_floor() } else { exchange.clone() };
                cases.push(Case { family, load, server, exchange, costs: vec![] });
            }
        }
    }
    for round in 0..bench.rounds {
        for index in bench.order(round, cases.len()) {
            let case = &mut cases[index];
            let cost = match case.server {
                Server::Floor => {
                    let floor = Floor::start(bench, Shape::Many, case.family, &case.exchange)?;
                    measure(bench, floor.address(), floor.pid(), &case.exchange, case.load)?
                }
                server => {
                    let daemon = if server == Server::Sleeping { &sleeping } else { &spinning };
                    measure(bench, &daemon.address(case.family), daemon.pid(), &case.exchange, case.load)?
                }
            };
            case.costs.push(cost);
        }
    }
    print(&cases);
    spinning.stop()?;
    sleeping.stop()
}

/// Lets clients ask for a while, after a tenth of it for warming up.
pub fn measure(bench: &Bench, address: &Address, pid: u32, exchange: &Exchange, load: Load) -> Result<Cost> {
    let mut crowd = Crowd::connect(address, exchange, load)?;
    crowd.run(bench.duration / 10)?;
    let (before, begin) = (Cpu::of(pid)?, Instant::now());
    let requests = crowd.run(bench.duration)?;
    let (cpu, seconds) = (Cpu::of(pid)?.since(&before), begin.elapsed().as_secs_f64());
    let cpu_us = cpu.micros_per(requests);
    Ok(Cost {
        kilorequests: requests as f64 / seconds / 1e3,
        cpu_us,
        user_us: cpu_us * cpu.user_part(),
        busy_percent: 100.0 * cpu.seconds() / seconds,
    })
}

/// One column of the costs.
pub fn column(costs: &[Cost], of: impl Fn(&Cost) -> f64) -> Vec<f64> {
    costs.iter().map(of).collect()
}

fn print(cases: &[Case]) {
    println!("Clients × requests of each under way; the server's CPU time for each request in microseconds.\n");
    let mut table = Table::new(&[
        "sockets",
        "clients",
        "server",
        "CPU µs",
        "of these user",
        "CPU / floor",
        "1000 requests/s",
        "server's core %",
    ]);
    for group in cases.chunks_exact(3) {
        let floor = column(&group[2].costs, |cost| cost.cpu_us);
        for case in group {
            let cpu = column(&case.costs, |cost| cost.cpu_us);
            let (server, ratio) = match case.server {
                Server::Sleeping => ("daemon --spin-us 0", Spread::of_ratios(&cpu, &floor).to_string()),
                Server::Spinning => ("daemon", Spread::of_ratios(&cpu, &floor).to_string()),
                Server::Floor => ("floor: bare epoll", String::new()),
            };
            let of = |of: fn(&Cost) -> f64| Spread::of(&column(&case.costs, of));
            table.row(&[
                &case.family,
                &case.load,
                &server,
                &Spread::of(&cpu),
                &of(|cost| cost.user_us),
                &ratio,
                &of(|cost| cost.kilorequests),
                &of(|cost| cost.busy_percent),
            ]);
        }
    }
    table.print();
}
