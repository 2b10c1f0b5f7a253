//! What batching costs somebody who has the daemon alone: one client, whose requests are never joined by another's. Two
//! daemons, one that batches and one that does not, are asked in turn in many short measurements.
//!
//! A process keeps the places that it got in memory, and with them a few percent of speed, for as long as it lives; so the
//! daemons are started anew again and again, and what is compared are starts.

use super::{Stage, TOLERANCE, one_row};
use crate::aim;
use crate::crowd::Load;
use crate::daemon::Daemon;
use crate::generator::Found;
use crate::interval::Interval;
use crate::models;
use crate::programs::transport::Transport;
use crate::spread::Spread;
use crate::table::Table;
use anyhow::Result;

/// So often for each round, and so often at least, both daemons are started.
const STARTS: (usize, usize) = (9, 45);
/// So many pairs of measurements for each transport and start.
const PAIRS: usize = 2;
/// How far the ends of the interval may be from 1, as a part.
const FARTHEST: f64 = 0.03;
/// One request under way.
const ALONE: Load = Load { connections: 1, depth: 1 };

/// What is measured in turn: with batching, and without. One value for each start, which is the geometric mean of its
/// measurements.
struct Case {
    transport: Transport,
    found: [Vec<Found>; 2],
}

/// Measures and prints.
pub fn run(stage: &Stage<'_>) -> Result<()> {
    let model = models::mlp()?;
    let starts = stage.pairs(STARTS.0, STARTS.1);
    let window = stage.bench.duration / 2;
    let mut cases = Transport::ALL.map(|transport| Case { transport, found: [vec![], vec![]] });
    for start in 0..starts {
        let daemons = [stage.daemon(&model, &["--batch", "on"])?, stage.daemon(&model, &["--batch", "off"])?];
        for case in &mut cases {
            let questions = daemons.each_ref().map(|daemon| case.transport.question(daemon, one_row(&model)));
            for question in questions.iter().filter(|_| start == 0) {
                stage.generator.run(question, ALONE, stage.first(), &TOLERANCE)?;
            }
            let mut found = [vec![], vec![]];
            for pair in 0..PAIRS {
                for index in stage.bench.order(start * PAIRS + pair, questions.len()) {
                    found[index].push(stage.generator.run(&questions[index], ALONE, window, &[])?);
                }
            }
            for (all, found) in case.found.iter_mut().zip(&found) {
                all.push(mean(found));
            }
        }
        daemons.into_iter().try_for_each(Daemon::stop)?;
    }
    println!(
        "The small model (784 → 128 → 10, f32), one client with one request under way. Both daemons are started {starts} times; \
         each time {PAIRS} pairs of {window:?} for each transport, in orders by chance, of which the geometric mean is taken. On / \
         off with its interval of 95 % confidence (Student's, of the logarithms of the starts' ratios).\n"
    );
    print(&cases)
}

fn mean(found: &[Found]) -> Found {
    let of = |value: fn(&Found) -> f64| {
        (found.iter().map(|found| value(found).ln()).sum::<f64>() / found.len() as f64).exp()
    };
    Found {
        rate: of(|found| found.rate),
        p50_us: of(|found| found.p50_us),
        server_us: of(|found| found.server_us),
        ..Found::default()
    }
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
        "starts",
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
