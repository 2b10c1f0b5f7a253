//! The daemon's instructions for each request, outside of the kernel: the binary that users run, under callgrind. They are the
//! same on a noisy machine. The floor is the bare epoll server, counted in the same way.
//!
//! One client waits for each reply. So a request pays for a turn of the loop of its own, with a sleep and a wake-up; where
//! many requests are under way they share one. The daemon does not spin, because what it did while it waits would depend on
//! how fast valgrind is.

use super::{NO_SPIN, PICTURE_BYTES, SMALL_BYTES};
use crate::address::{Address, Family};
use crate::daemon::Daemon;
use crate::exchange::{Caller, Exchange};
use crate::floor::{Floor, Shape};
use crate::options::Bench;
use crate::socket::Wait;
use crate::table::Table;
use crate::valgrind::{self, Callgrind};
use anyhow::{Context, Result};

/// Requests of the shorter run; the longer one has twice as many, and the difference is what so many take.
const TIMES: u64 = 400;
/// Requests before that.
const WARM_UP: u64 = 100;

/// Measures and prints.
pub fn run(bench: &Bench) -> Result<()> {
    println!("Instructions for each request by {}; {TIMES} requests, counted twice.\n", valgrind::version()?);
    let mut callgrind = Callgrind::new()?;
    let mut command = callgrind.command()?;
    command.arg(&bench.daemon);
    let daemon = Daemon::start_command(command, bench, &NO_SPIN)?;
    let mut table =
        Table::new(&["payload", "sockets", "daemon", "again", "floor: bare epoll", "again", "daemon / floor"]);
    for payload_bytes in [SMALL_BYTES, PICTURE_BYTES] {
        for family in Family::ALL {
            let address = daemon.address(family);
            let exchange = Exchange::learn(&address, payload_bytes)?;
            let ours = measure(&mut callgrind, daemon.pid(), &address, &exchange);
            let ours = ours.with_context(|| format!("the daemon, {payload_bytes} bytes over {family}"))?;
            let floors = floor(bench, family, &exchange.with_floor());
            let floors = floors.with_context(|| format!("the floor, {payload_bytes} bytes over {family}"))?;
            let payload = if payload_bytes < 1000 {
                format!("{payload_bytes} B")
            } else {
                format!("{} KB", payload_bytes / 1000)
            };
            let cells = [ours[0], ours[1], floors[0], floors[1]].map(|count| format!("{count:.1}"));
            let ratio = format!("{:.2}", ours[0] / floors[0]);
            table.row(&[&payload, &family, &cells[0], &cells[1], &cells[2], &cells[3], &ratio]);
        }
    }
    table.print();
    // Under valgrind no signal reaches a thread that sleeps in its ring, so there is no end in order.
    drop(daemon);
    Ok(())
}

fn floor(bench: &Bench, family: Family, exchange: &Exchange) -> Result<[f64; 2]> {
    let mut callgrind = Callgrind::new()?;
    let floor = Floor::start_within(Some(callgrind.command()?), bench, Shape::Many, family, exchange)?;
    measure(&mut callgrind, floor.pid(), floor.address(), exchange)
}

/// Instructions for each request, counted twice.
fn measure(callgrind: &mut Callgrind, process: u32, address: &Address, exchange: &Exchange) -> Result<[f64; 2]> {
    let mut caller = Caller::connect(address, exchange, Wait::Block)?;
    (0..WARM_UP).try_for_each(|_| caller.ask())?;
    let mut count = || -> Result<f64> {
        let mut ask = |times: u64| callgrind.during(process, || (0..times).try_for_each(|_| caller.ask()));
        let (once, twice) = (ask(TIMES)?, ask(2 * TIMES)?);
        let difference = twice.checked_sub(once).context("twice the requests took fewer instructions")?;
        Ok(difference as f64 / TIMES as f64)
    };
    Ok([count()?, count()?])
}
