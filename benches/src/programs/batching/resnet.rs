//! A large model, of which a picture takes a large part of a second: what the daemon adds to it can hardly be seen, and a
//! batch that is not full, or an executor that waits, can. Eight clients with a picture each stand beside the bare framework
//! with as many threads on the same core.

use super::Stage;
use crate::address::Family;
use crate::aim::{self, Aim};
use crate::clients::{self, Demand};
use crate::daemon::Daemon;
use crate::framework::{BareLoop, Framework, Kind};
use crate::metrics;
use crate::models::{self, Model};
use crate::spread::Spread;
use crate::table::Table;
use anyhow::{Context, Result};
use std::time::Duration;

/// Clients with one picture under way each.
const CLIENTS: usize = 8;
/// Threads within a run, on either side.
const THREADS: usize = 1;
/// The part of the bare framework's rate that is to be left.
const LEFT: f64 = 0.99;

/// What one measurement of the daemon has found.
struct Found {
    rows_per_s: f64,
    /// Rows of a batch on average, if the daemon counts them.
    batch_rows: Option<f64>,
}

/// Measures and prints.
pub fn run(stage: &Stage<'_>) -> Result<()> {
    let bench = stage.bench;
    let model = models::resnet(Kind::Onnx)?;
    let framework = Framework::open(Kind::Onnx, &model.path, THREADS)?;
    let daemon = stage.daemon_on_its_core(&model, &["--intra-threads", &THREADS.to_string(), "--instances", "1"])?;
    // A measurement has to have many runs, each of which takes long.
    let window = bench.duration * 8;
    let mut single = framework.rows(1)?;
    let run = Duration::from_secs_f64(single.run_for(bench, bench.duration)?.p50_us / 1e6);
    let cycles = ((window.as_secs_f64() / (run.as_secs_f64() * CLIENTS as f64)).ceil() as usize).max(2);
    let first = ask(&daemon, &model, 2, run)?;
    let reached = first.batch_rows.map_or(1, |rows| (rows.round() as usize).max(1));
    let mut sizes = vec![1, reached, CLIENTS];
    sizes.dedup();
    let mut bare: Vec<(usize, BareLoop, Vec<f64>)> = Vec::new();
    for rows in sizes {
        bare.push((rows, framework.rows(rows)?, vec![]));
    }
    let mut found = Vec::new();
    for round in 0..bench.rounds {
        for index in bench.order(round, bare.len() + 1) {
            match bare.get_mut(index) {
                Some((rows, bare, rates)) => rates.push(bare.run_for(bench, window)?.rate * *rows as f64),
                None => found.push(ask(&daemon, &model, cycles, run)?),
            }
        }
    }
    println!(
        "The shape of ResNet-50 with weights by chance, f32; {CLIENTS} clients with one picture (602 KB) under way each over \
         UDS, {cycles} pictures of each in a measurement; {THREADS} thread within a run on either side, on the same core; \
         {} rounds.\n",
        bench.rounds
    );
    print(&found, &bare, reached);
    daemon.stop()
}

/// Every client asks once, and then so many times more. The clock runs from when all have had their first reply to the last
/// reply of all, and what counts is what was replied meanwhile.
fn ask(daemon: &Daemon, model: &Model, cycles: usize, run: Duration) -> Result<Found> {
    let before = metrics::batches(&daemon.address(Family::Unix), model.name)?;
    let address = daemon.address(Family::Unix);
    let window = Duration::ZERO;
    let replies =
        clients::ask(&Demand { address: &address, model, rows: 1, clients: CLIENTS, replies: cycles, window })?;
    let begin = *replies.iter().filter_map(|replies| replies.first()).max().context("there are clients")?;
    let end = *replies.iter().filter_map(|replies| replies.last()).max().context("there are clients")?;
    // Replies of the same batch come a little later and were worked for before; the next batch takes a whole run at least.
    let counted = replies.iter().flatten().filter(|reply| **reply > begin + run / 4).count();
    let rows_per_s = counted as f64 / end.duration_since(begin).as_secs_f64();
    let batch_rows = match (before, metrics::batches(&daemon.address(Family::Unix), model.name)?) {
        (Some(before), Some(after)) if after.0 > before.0 => {
            Some((after.1 - before.1) as f64 / (after.0 - before.0) as f64)
        }
        _ => None,
    };
    Ok(Found { rows_per_s, batch_rows })
}

fn print(found: &[Found], bare: &[(usize, BareLoop, Vec<f64>)], reached: usize) {
    let rates: Vec<f64> = found.iter().map(|found| found.rows_per_s).collect();
    let rows: Option<Vec<f64>> = found.iter().map(|found| found.batch_rows).collect();
    let mut table = Table::new(&["what runs it", "rows of a batch", "rows/s", "daemon / it", "n"]);
    let batch_rows = rows.map_or("not counted".to_owned(), |rows| Spread::of(&rows).to_string());
    table.row(&[&"daemon", &batch_rows, &Spread::of(&rates), &"", &rates.len()]);
    for (rows, _, bare) in bare {
        table.row(&[&"bare ONNX Runtime", rows, &Spread::of(bare), &Spread::of_ratios(&rates, bare), &bare.len()]);
    }
    table.print();
    for (rows, _, bare) in bare.iter().filter(|(rows, ..)| *rows == 1 || *rows == reached) {
        let what = format!("rows/s of the daemon / of the bare framework with {rows} at a time");
        aim::print(&what, Aim::AtLeast(LEFT), "", Spread::of_ratios(&rates, bare).median());
    }
}
