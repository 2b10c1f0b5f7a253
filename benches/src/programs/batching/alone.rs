//! What batching costs somebody who has the daemon alone: one client, whose requests are never joined by another's. Two
//! daemons, one that batches and one that does not, are asked in turn in many short measurements.

use super::{Stage, TOLERANCE, one_row};
use crate::aim;
use crate::crowd::Load;
use crate::generator::Found;
use crate::interval::Interval;
use crate::models;
use crate::programs::transport::Transport;
use crate::spread::Spread;
use crate::table::Table;
use anyhow::Result;

/// So many pairs for each round, and so many at least.
const PAIRS: (usize, usize) = (8, 30);
/// How far the ends of the interval may be from 1, as a part.
const FARTHEST: f64 = 0.03;
/// One request under way.
const ALONE: Load = Load { connections: 1, depth: 1 };

/// What is measured in turn: with batching, and without.
struct Case {
    transport: Transport,
    found: [Vec<Found>; 2],
}

/// Measures and prints.
pub fn run(stage: &Stage<'_>) -> Result<()> {
    let model = models::mlp()?;
    let daemons = [stage.daemon(&model, &["--batch", "on"])?, stage.daemon(&model, &["--batch", "off"])?];
    let pairs = stage.pairs(PAIRS.0, PAIRS.1);
    let window = stage.bench.duration / 2;
    let mut cases = Transport::ALL.map(|transport| Case { transport, found: [vec![], vec![]] });
    for case in &mut cases {
        let questions = daemons.each_ref().map(|daemon| case.transport.question(daemon, one_row(&model)));
        for question in &questions {
            stage.generator.run(question, ALONE, stage.first(), &TOLERANCE)?;
        }
        for pair in 0..pairs {
            for index in stage.bench.order(pair, questions.len()) {
                case.found[index].push(stage.generator.run(&questions[index], ALONE, window, &[])?);
            }
        }
    }
    println!(
        "The small model (784 → 128 → 10, f32), one client with one request under way, {pairs} pairs of {window:?} in orders \
         by chance. On / off with its interval of 95 % confidence (Student's, of the logarithms of the pairs' ratios).\n"
    );
    print(&cases)?;
    daemons.into_iter().try_for_each(crate::daemon::Daemon::stop)
}

fn print(cases: &[Case]) -> Result<()> {
    let mut table = Table::new(&[
        "transport",
        "1000 requests/s, on",
        "off",
        "rate, on / off",
        "p50, on (µs)",
        "off",
        "p50, on / off",
        "CPU, on / off",
        "pairs",
    ]);
    let mut aims = Vec::new();
    for case in cases {
        let values =
            |of: fn(&Found) -> f64| case.found.each_ref().map(|found| found.iter().map(of).collect::<Vec<_>>());
        let [on, off] = values(|found| found.rate / 1e3);
        let [on_p50, off_p50] = values(|found| found.p50_us);
        let [on_cpu, off_cpu] = values(|found| found.server_us);
        let rate = Interval::of_ratios(&on, &off)?;
        table.row(&[
            &case.transport,
            &Spread::of(&on),
            &Spread::of(&off),
            &rate,
            &Spread::of(&on_p50),
            &Spread::of(&off_p50),
            &Interval::of_ratios(&on_p50, &off_p50)?,
            &Interval::of_ratios(&on_cpu, &off_cpu)?,
            &rate.pairs,
        ]);
        aims.push((case.transport, rate));
    }
    table.print();
    for (transport, rate) in aims {
        let what = format!("the rate with batching / without, over {transport}, with its interval");
        aim::print_same(&what, FARTHEST, &rate);
    }
    Ok(())
}
