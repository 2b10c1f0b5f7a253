//! Round trips of one client with small requests. Both sides sleep, or both sides poll; the floor is a ping-pong of exactly
//! the same sizes in which both sides do the same.

use super::{NO_SPIN, SMALL_BYTES};
use crate::address::{Address, Family};
use crate::daemon::Daemon;
use crate::exchange::{Caller, Exchange};
use crate::floor::{Floor, Shape};
use crate::options::Bench;
use crate::socket::{CONGESTION, Wait};
use crate::spread::{Spread, quantile};
use crate::table::Table;
use anyhow::Result;
use std::time::{Duration, Instant};

/// What is measured in each round.
struct Case {
    family: Family,
    wait: Wait,
    server: Server,
    exchange: Exchange,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Server {
    /// The daemon, and a client that sends bytes which were made before.
    Daemon,
    /// The floor, and the same client.
    Floor,
    /// The daemon, and the client library.
    Library,
}

/// Measures and prints.
pub fn run(bench: &Bench) -> Result<()> {
    let sleeping = Daemon::start(bench, &NO_SPIN)?;
    let spinning = Daemon::start(bench, &[])?;
    let daemon_of = |wait| if wait == Wait::Block { &sleeping } else { &spinning };
    let mut cases = Vec::new();
    for family in Family::ALL {
        let exchange = Exchange::learn(&sleeping.address(family), SMALL_BYTES)?;
        for (wait, server) in [
            (Wait::Block, Server::Daemon),
            (Wait::Block, Server::Floor),
            (Wait::Block, Server::Library),
            (Wait::Spin, Server::Daemon),
            (Wait::Spin, Server::Floor),
        ] {
            cases.push(Case { family, wait, server, exchange: exchange.clone(), p50: vec![], p99: vec![] });
        }
    }
    for round in 0..bench.rounds {
        for index in bench.order(round, cases.len()) {
            let case = &mut cases[index];
            let address = daemon_of(case.wait).address(case.family);
            let (p50, p99) = match case.server {
                Server::Daemon => bare_client(&address, &case.exchange, case.wait, bench.duration)?,
                Server::Library => library_client(&address, bench.duration)?,
                Server::Floor => {
                    let floor = Floor::start(bench, Shape::One(case.wait), case.family, &case.exchange)?;
                    bare_client(floor.address(), &case.exchange.with_floor(), case.wait, bench.duration)?
                }
            };
            case.p50.push(p50);
            case.p99.push(p99);
        }
    }
    print(&cases);
    spinning.stop()?;
    sleeping.stop()
}

fn print(cases: &[Case]) {
    if let Some(case) = cases.first() {
        let (request, reply) = (case.exchange.request().len(), case.exchange.reply_bytes());
        println!("Requests of {request} bytes and replies of {reply}, frames and all; microseconds.\n");
    }
    let mut table = Table::new(&["sockets", "both sides", "server", "p50", "p50 / floor", "p99"]);
    for case in cases {
        let is_floor =
            |other: &&Case| other.server == Server::Floor && other.wait == case.wait && other.family == case.family;
        let ratio = match cases.iter().find(is_floor) {
            Some(floor) if case.server != Server::Floor => Spread::of_ratios(&case.p50, &floor.p50).to_string(),
            _ => String::new(),
        };
        let wait = if case.wait == Wait::Block { "block" } else { "spin" };
        let server = match case.server {
            Server::Daemon => "daemon",
            Server::Floor => "floor: bare ping-pong",
            Server::Library => "daemon, asked by graphpipe-client",
        };
        table.row(&[&case.family, &wait, &server, &Spread::of(&case.p50), &ratio, &Spread::of(&case.p99)]);
    }
    table.print();
}

/// Round trips of bytes that were made before: median and 99th percentile in microseconds.
fn bare_client(address: &Address, exchange: &Exchange, wait: Wait, duration: Duration) -> Result<(f64, f64)> {
    let mut caller = Caller::connect(address, exchange, wait)?;
    round_trips(duration, || caller.ask())
}

/// Round trips of a program that uses the client library.
fn library_client(address: &Address, duration: Duration) -> Result<(f64, f64)> {
    use graphpipe_client::{Options, Request, Tensor};
    let options = match address {
        Address::Unix(_) => Options::new(),
        Address::Tcp(_) => Options::new().congestion(CONGESTION),
    };
    let mut client = options.connect(&address.to_string())?;
    let numbers = [0.5_f32; SMALL_BYTES / 4];
    let request = Request::new().input(Tensor::new(&[1, (SMALL_BYTES / 4) as i64], &numbers));
    round_trips(duration, || {
        client.infer(&request)?;
        Ok(())
    })
}

fn round_trips(duration: Duration, mut ask: impl FnMut() -> Result<()>) -> Result<(f64, f64)> {
    let begin = Instant::now();
    while begin.elapsed() < duration / 10 {
        ask()?;
    }
    // Room for more round trips than any machine makes, so that no measurement is disturbed by a larger list.
    let mut nanoseconds: Vec<u64> = Vec::with_capacity(duration.as_micros() as usize + 1);
    let mut before = Instant::now();
    let deadline = before + duration;
    while before < deadline {
        ask()?;
        let now = Instant::now();
        nanoseconds.push(now.duration_since(before).as_nanos() as u64);
        before = now;
    }
    nanoseconds.sort_unstable();
    let micros = |part| quantile(&nanoseconds, part) as f64 / 1e3;
    Ok((micros(0.5), micros(0.99)))
}
