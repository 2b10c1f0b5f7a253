//! What active connections notice of idle ones, and what these cost. Two daemons: to one of them thousands are connected that
//! have made one request each; both are asked in turn.

use super::{Stage, TOLERANCE, one_row};
use crate::address::Family;
use crate::aim::{self, Aim};
use crate::crowd::Load;
use crate::daemon::Daemon;
use crate::exchange::Exchange;
use crate::generator::Found;
use crate::interval::Interval;
use crate::models::{self, Model};
use crate::programs::idle::{crowd, raise_file_limit};
use crate::programs::transport::Transport;
use crate::spread::Spread;
use crate::table::Table;
use crate::usage::Memory;
use anyhow::{Result, ensure};
use std::os::fd::OwnedFd;

/// So many pairs for each round, and so many at least.
const PAIRS: (usize, usize) = (4, 20);
/// The active ones.
const ACTIVE: Load = Load { connections: 16, depth: 1 };
/// Connections that come and go first, so that what is made once is not counted for each.
const WARM_UP: usize = 200;
/// How much the slowest of a hundred may differ and still count as the same.
const FARTHEST: f64 = 1.05;
/// Bytes that an idle connection may cost.
const BYTES_MOST: f64 = 1024.0;

/// What is measured in turn.
struct Case {
    transport: Transport,
    bytes_each: f64,
    /// With the crowd, and without.
    found: [Vec<Found>; 2],
}

/// Measures and prints.
pub fn run(stage: &Stage<'_>) -> Result<()> {
    let connections = stage.connections.min(raise_file_limit()?.saturating_sub(ACTIVE.connections));
    ensure!(connections > 0, "the limit of open files leaves no room for connections");
    if connections < stage.connections {
        println!("The hard limit of open files allows {connections} idle connections.");
    }
    let model = models::mlp()?;
    let pairs = stage.pairs(PAIRS.0, PAIRS.1);
    let mut cases = Vec::new();
    for transport in [Transport::Unix, Transport::Tcp] {
        cases.push(measure(stage, &model, transport, connections, pairs)?);
    }
    println!(
        "The small model (784 → 128 → 10, f32); {} active clients with one request under way each, with {connections} idle \
         connections beside them that have made one request, and without. {pairs} pairs of {:?}; resident memory of the \
         daemon, after and before they came; ratios with their intervals of 95 % confidence.\n",
        ACTIVE.connections, stage.bench.duration
    );
    print(&cases)
}

fn measure(stage: &Stage<'_>, model: &Model, transport: Transport, connections: usize, pairs: usize) -> Result<Case> {
    let limit = (connections + WARM_UP + 2 * ACTIVE.connections).to_string();
    let flags = ["--connections-max", limit.as_str()];
    let daemons = [stage.daemon(model, &flags)?, stage.daemon(model, &flags)?];
    let questions = daemons.each_ref().map(|daemon| transport.question(daemon, one_row(model)));
    for question in &questions {
        stage.generator.run(question, ACTIVE, stage.first(), &TOLERANCE)?;
    }
    let (crowd, bytes) = idle_crowd(&daemons[0], transport.family(), model, connections)?;
    let mut found = [vec![], vec![]];
    for pair in 0..pairs {
        for index in stage.bench.order(pair, questions.len()) {
            found[index].push(stage.generator.run(&questions[index], ACTIVE, stage.bench.duration, &[])?);
        }
    }
    drop(crowd);
    daemons.into_iter().try_for_each(Daemon::stop)?;
    Ok(Case { transport, bytes_each: bytes / connections as f64, found })
}

/// Connects them all; and by how many bytes the daemon has grown.
fn idle_crowd(daemon: &Daemon, family: Family, model: &Model, connections: usize) -> Result<(Vec<OwnedFd>, f64)> {
    let address = daemon.address(family);
    let exchange = Exchange::with_model(&address, model.name, &[1, model.row_numbers() as i64])?;
    drop(crowd(&address, &exchange, WARM_UP)?);
    let before = Memory::of(daemon.pid())?.resident;
    let sockets = crowd(&address, &exchange, connections)?;
    let after = Memory::of(daemon.pid())?.resident;
    Ok((sockets, after as f64 - before as f64))
}

fn print(cases: &[Case]) -> Result<()> {
    let mut table = Table::new(&[
        "transport",
        "bytes each",
        "1000 requests/s, with",
        "without",
        "rate, with / without",
        "p99, with (µs)",
        "without",
        "p99, with / without",
        "pairs",
    ]);
    let mut aims = Vec::new();
    for case in cases {
        let values =
            |of: fn(&Found) -> f64| case.found.each_ref().map(|found| found.iter().map(of).collect::<Vec<_>>());
        let [with, without] = values(|found| found.rate / 1e3);
        let [with_p99, without_p99] = values(|found| found.p99_us);
        let p99 = Interval::of_ratios(&with_p99, &without_p99)?;
        table.row(&[
            &case.transport,
            &format!("{:.0}", case.bytes_each),
            &Spread::of(&with),
            &Spread::of(&without),
            &Interval::of_ratios(&with, &without)?,
            &Spread::of(&with_p99),
            &Spread::of(&without_p99),
            &p99,
            &p99.pairs,
        ]);
        aims.push((case, p99));
    }
    table.print();
    for (case, p99) in aims {
        aim::print(
            &format!("an idle connection over {}", case.transport),
            Aim::AtMost(BYTES_MOST),
            " bytes",
            case.bytes_each,
        );
        let what = format!("p99 of active connections among idle ones / without them, over {}", case.transport);
        aim::print(&what, Aim::AtMost(FARTHEST), "", p99.ratio);
    }
    Ok(())
}
