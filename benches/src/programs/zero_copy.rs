//! What it gains, or costs, to lend outputs to the kernel instead of having them copied (`--zero-copy-send`), by the size of
//! a reply: over a wire between two network namespaces, and over the loopback interface from one address to another. Two
//! daemons, one with the option and one without, are measured in turn. In both cases there is no network card, and the
//! receiving side of the same kernel makes the copy that the sender has not made; the column of copies says so.

use super::{NO_SPIN, PICTURE_BYTES};
use crate::address::{Address, Family};
use crate::daemon::Daemon;
use crate::exchange::{Caller, Exchange};
use crate::interval::Interval;
use crate::metrics;
use crate::options::Bench;
use crate::socket::{self, Wait};
use crate::spread::Spread;
use crate::table::Table;
use crate::usage::Cpu;
use crate::wire::{CLIENT, SERVER, Wire};
use anyhow::{Context, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

/// Below the smallest payload.
const THRESHOLD: [&str; 2] = ["--zero-copy-send", "32K"];
/// Payloads of replies, and of requests.
const PAYLOADS: [usize; 5] = [64 << 10, 256 << 10, PICTURE_BYTES, 4_000_000, 64_000_000];
/// Where the two daemons listen on the wire, where nobody else does.
const PORTS: [u16; 2] = [9000, 9001];
/// An address of the loopback interface that is not the server's: who comes from the same one is never lent anything.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// How client and server are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Wire,
    Loopback,
}

/// One daemon, and how it sends.
struct Server {
    daemon: Daemon,
    port: u16,
}

impl Server {
    fn start(bench: &Bench, wire: &Wire, port: u16, arguments: &[&str]) -> Result<Server> {
        let listen = format!("tcp://{SERVER}:{port}");
        let arguments = [&NO_SPIN, &["--listen", &listen], arguments].concat();
        Ok(Server { daemon: wire.server.within(|| Daemon::start(bench, &arguments))??, port })
    }

    /// Connects within the namespace of the client.
    fn connect(&self, wire: &Wire, route: Route, exchange: &Exchange) -> Result<Caller> {
        let (host, from, to) = match route {
            Route::Wire => (&wire.client, CLIENT, Address::Tcp(SocketAddr::from((SERVER, self.port)))),
            Route::Loopback => (&wire.server, ELSEWHERE, self.daemon.address(Family::Tcp)),
        };
        Caller::over(host.within(|| socket::connect_from(from, &to))??, exchange, Wait::Block)
    }

    /// Sends without a copy, and those that were copied after all.
    fn lent(&self) -> Result<[u64; 2]> {
        let samples = metrics::read(&self.daemon.address(Family::Unix), "graphpiped_zero_copy_sends_total")?;
        let count = |how: &str| {
            let sample = samples.iter().find(|(name, _)| name.contains(how));
            sample.map(|(_, count)| *count).with_context(|| format!("no sample {how}"))
        };
        Ok([count("\"sent\"")?, count("\"copied\"")?])
    }
}

/// What is measured in each round, with either server.
struct Case {
    route: Route,
    payload_bytes: usize,
    exchange: Exchange,
    gigabytes_per_second: [Vec<f64>; 2],
    cpu_us: [Vec<f64>; 2],
    lent: [u64; 2],
}

/// Looks whether a wire can be laid.
pub fn check() -> Result<()> {
    Wire::lay().map(drop)
}

/// Measures and prints.
pub fn run(bench: &Bench) -> Result<()> {
    let wire = Wire::lay()?;
    let servers = [Server::start(bench, &wire, PORTS[0], &[])?, Server::start(bench, &wire, PORTS[1], &THRESHOLD)?];
    let mut cases = Vec::new();
    for route in [Route::Wire, Route::Loopback] {
        for payload_bytes in PAYLOADS {
            let exchange = Exchange::learn(&servers[0].daemon.address(Family::Unix), payload_bytes)?;
            let (gigabytes_per_second, cpu_us) = ([vec![], vec![]], [vec![], vec![]]);
            cases.push(Case { route, payload_bytes, exchange, gigabytes_per_second, cpu_us, lent: [0; 2] });
        }
    }
    for round in 0..bench.rounds {
        for index in bench.order(round, 2 * cases.len()) {
            let (case, which) = (&mut cases[index / 2], index % 2);
            let before = servers[which].lent()?;
            let caller = servers[which].connect(&wire, case.route, &case.exchange)?;
            let (rate, cpu_us) = measure(bench, caller, servers[which].daemon.pid(), &case.exchange)?;
            case.gigabytes_per_second[which].push(rate);
            case.cpu_us[which].push(cpu_us);
            let after = servers[which].lent()?;
            case.lent = [0, 1].map(|how| case.lent[how] + after[how] - before[how]);
        }
    }
    print(&cases)?;
    servers.into_iter().try_for_each(|server| server.daemon.stop())
}

/// Gigabytes per second, and the server's processor time for each request in microseconds.
fn measure(bench: &Bench, mut caller: Caller, pid: u32, exchange: &Exchange) -> Result<(f64, f64)> {
    let begin = Instant::now();
    // The first one of a connection may come another way than all others, and a connection begins slowly.
    caller.ask_and_check()?;
    while begin.elapsed() < bench.duration / 10 {
        caller.ask()?;
    }
    let (before, begin, mut requests) = (Cpu::of(pid)?, Instant::now(), 0);
    while requests == 0 || begin.elapsed() < bench.duration {
        caller.ask()?;
        requests += 1;
    }
    let seconds = begin.elapsed().as_secs_f64();
    let cpu = Cpu::of(pid)?.since(&before);
    Ok((requests as f64 * exchange.bytes() as f64 / seconds / 1e9, cpu.micros_per(requests)))
}

fn print(cases: &[Case]) -> Result<()> {
    println!(
        "GB/s of requests and replies together; 10⁹ bytes are a gigabyte. Requests are as long as replies, and receiving \
         them is part of the time. Ratios: with `{}` over without, and their 95 % confidence intervals of {} pairs.\n",
        THRESHOLD.join(" "),
        cases.first().map_or(0, |case| case.cpu_us[0].len()),
    );
    let columns = [
        "payload",
        "route",
        "GB/s plain",
        "zero-copy",
        "ratio",
        "CPU µs plain",
        "zero-copy",
        "ratio",
        "copied after all",
    ];
    let mut table = Table::new(&columns);
    for case in cases {
        let payload = format!("{} KB", case.payload_bytes / 1000);
        let route = match case.route {
            Route::Wire => "namespaces",
            Route::Loopback => "loopback",
        };
        let [plain, lent] = &case.gigabytes_per_second;
        let [plain_us, lent_us] = &case.cpu_us;
        let [sent, copied] = case.lent;
        table.row(&[
            &payload,
            &route,
            &Spread::of(plain),
            &Spread::of(lent),
            &Interval::of_ratios(lent, plain)?,
            &Spread::of(plain_us),
            &Spread::of(lent_us),
            &Interval::of_ratios(lent_us, plain_us)?,
            &format!("{copied} of {}", sent + copied),
        ]);
    }
    table.print();
    Ok(())
}
