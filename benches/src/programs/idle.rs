//! What a connection costs the daemon that has made one request and then does nothing. The floor is a bare epoll server,
//! which keeps a descriptor and a number for each.

use super::SMALL_BYTES;
use crate::address::{Address, Family};
use crate::daemon::Daemon;
use crate::exchange::{Caller, Exchange};
use crate::floor::{Floor, Shape};
use crate::options::Bench;
use crate::socket::Wait;
use crate::table::Table;
use crate::usage::{Memory, kernel_memory};
use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::os::fd::OwnedFd;

/// Connections that come and go first, so that what is made once is not counted for each.
const WARM_UP: usize = 200;
/// Descriptors that either side needs for itself.
const SPARE_FILES: u64 = 256;

/// Measures and prints.
pub fn run(bench: &Bench, wanted: usize) -> Result<()> {
    let connections = wanted.min(raise_file_limit()?);
    ensure!(connections > 0, "the limit of open files leaves no room for connections");
    if connections < wanted {
        println!("The hard limit of open files allows {connections} connections instead of {wanted}.");
    }
    println!("Bytes for each of {connections} connections that have made one request.\n");
    let mut table = Table::new(&[
        "sockets",
        "server",
        "resident",
        "proportional",
        "resident in all, before → after (KiB)",
        "kernel, both sides",
    ]);
    let limit = (connections + WARM_UP).to_string();
    for family in Family::ALL {
        // Each is a process without a past: memory that an earlier crowd has left would be used again.
        let daemon = Daemon::start(bench, &["--connections-max", &limit])?;
        let exchange = Exchange::learn(&daemon.address(family), SMALL_BYTES)?;
        let growth = measure(&daemon.address(family), daemon.pid(), &exchange, connections)?;
        daemon.stop()?;
        growth.add_to(&mut table, family, "daemon", connections);

        let exchange = exchange.with_floor();
        let floor = Floor::start(bench, Shape::Many, family, &exchange)?;
        let growth = measure(floor.address(), floor.pid(), &exchange, connections)?;
        growth.add_to(&mut table, family, "floor: bare epoll", connections);
    }
    table.print();
    println!("\nThe kernel's memory is the machine's (`Slab`), so what others do meanwhile is in it.");
    Ok(())
}

/// Memory before and after.
struct Growth {
    before: Memory,
    after: Memory,
    kernel_before: u64,
    kernel_after: u64,
}

impl Growth {
    fn add_to(&self, table: &mut Table, family: Family, server: &str, connections: usize) {
        let each = |before: u64, after: u64| {
            let bytes = (after as f64 - before as f64) / connections as f64;
            format!("{bytes:.0}")
        };
        table.row(&[
            &family,
            &server,
            &each(self.before.resident, self.after.resident),
            &each(self.before.proportional, self.after.proportional),
            &format!("{} → {}", self.before.resident >> 10, self.after.resident >> 10),
            &each(self.kernel_before, self.kernel_after),
        ]);
    }
}

fn measure(address: &Address, pid: u32, exchange: &Exchange, connections: usize) -> Result<Growth> {
    drop(crowd(address, exchange, WARM_UP)?);
    let (before, kernel_before) = (Memory::of(pid)?, kernel_memory()?);
    let crowd = crowd(address, exchange, connections)?;
    let growth = Growth { before, after: Memory::of(pid)?, kernel_before, kernel_after: kernel_memory()? };
    drop(crowd);
    Ok(growth)
}

/// Connections that have made one request each.
pub fn crowd(address: &Address, exchange: &Exchange, connections: usize) -> Result<Vec<OwnedFd>> {
    let mut sockets = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut caller = Caller::connect(address, exchange, Wait::Block)?;
        caller.ask()?;
        sockets.push(caller.into_socket());
    }
    Ok(sockets)
}

/// Raises the limit of open files as far as it goes, for this process and those that it starts; returns how many connections
/// either side can have.
pub fn raise_file_limit() -> Result<usize> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("RLIMIT_NOFILE")?;
    Ok(maximum.map_or(usize::MAX, |files| files.saturating_sub(SPARE_FILES) as usize))
}
