//! Ten times as many requests as can be answered, by a clock that does not wait for replies. Those that are too many should
//! be refused at once, and the others get all that there is.
//!
//! The model is made for this machine: every row costs the same, alone or with others, and more than a millisecond.

use super::{MANY, Stage, TOLERANCE, one_row};
use crate::aim::{self, Aim};
use crate::crowd::Load;
use crate::framework::{Framework, Kind};
use crate::generator::Overload;
use crate::models::{self, Model};
use crate::options::Bench;
use crate::programs::idle::raise_file_limit;
use crate::programs::transport::Transport;
use crate::spread::Spread;
use crate::table::Table;
use anyhow::{Result, ensure};

/// How many times the capacity is asked for.
const TIMES: f64 = 10.0;
/// The part of the capacity that is to be left.
const LEFT: f64 = 0.95;
/// What a row is made to cost in microseconds, and what it has to cost at least.
const ROW_US: f64 = 2000.0;
const ROW_US_LEAST: f64 = 1000.0;
/// Layers of the model with which the cost of one is found out.
const TRIAL_LAYERS: usize = 8;
/// So many rows of a batch at most, so that replies come many times in a measurement.
const BATCH_ROWS: usize = 16;
/// Requests that may wait, which is fewer than there are places to ask from.
const FLAGS: [&str; 4] = ["--max-batch", "16", "--queue-max", "256"];
/// As many places to ask from: more than may wait or run, so that there is always somebody to be refused.
const CROWD: Load = Load { connections: 512, depth: 4 };
/// Sizes of batches whose cost is printed.
const SIZES: [usize; 3] = [1, 4, BATCH_ROWS];

/// Measures and prints.
pub fn run(stage: &Stage<'_>) -> Result<()> {
    raise_file_limit()?;
    let bench = stage.bench;
    let model = made_for(bench)?;
    print_costs(bench, &model)?;
    let daemon = stage.daemon_on_its_core(&model, &FLAGS)?;
    let question = Transport::Unix.question(&daemon, one_row(&model));
    // Replies come in batches, which the ends of a window cut: it has to have many of them.
    let window = bench.duration * 8;
    stage.generator.run(&question, MANY, window, &TOLERANCE)?;
    let capacity = || stage.generator.run(&question, MANY, window, &[]).map(|found| found.rate);
    let mut capacities = vec![capacity()?];
    let mut overloads = Vec::new();
    for round in 0..bench.rounds {
        let rate = TIMES * capacities[round];
        overloads.push(stage.generator.overload(&question, CROWD, window, rate)?);
        capacities.push(capacity()?);
    }
    println!(
        "\nCapacity: a closed loop of {} clients. Overload: {TIMES} × that, at equal distances, over {} connections with up to \
         {} requests each; {}. Over UDS, {} rounds of {window:?}; the capacity beside an overload is the mean of those \
         before and after it.\n",
        MANY.connections,
        CROWD.connections,
        CROWD.depth,
        FLAGS.join(" "),
        bench.rounds
    );
    print(&capacities, &overloads);
    daemon.stop()
}

/// A model whose rows cost what they are to cost.
fn made_for(bench: &Bench) -> Result<Model> {
    let trial = row_us(bench, &models::costly(TRIAL_LAYERS)?, BATCH_ROWS)?;
    let layers = (ROW_US / trial * TRIAL_LAYERS as f64).ceil() as usize;
    models::costly(layers.clamp(1, 1000))
}

/// What a row costs the bare framework in a batch of so many.
fn row_us(bench: &Bench, model: &Model, rows: usize) -> Result<f64> {
    Ok(Framework::open(Kind::Onnx, &model.path, 1)?.rows(rows)?.run(bench)?.p50_us / rows as f64)
}

fn print_costs(bench: &Bench, model: &Model) -> Result<()> {
    println!("What a row costs the bare ONNX Runtime on one thread (median of the runs in {:?}):\n", bench.duration);
    let mut table = Table::new(&["rows of a batch", "µs for each"]);
    let mut least = f64::INFINITY;
    for rows in SIZES {
        let cost = row_us(bench, model, rows)?;
        least = least.min(cost);
        table.row(&[&rows, &format!("{cost:.0}")]);
    }
    table.print();
    ensure!(least >= ROW_US_LEAST, "a row costs {least:.0} µs, less than {ROW_US_LEAST}");
    Ok(())
}

fn print(capacities: &[f64], overloads: &[Overload]) {
    let beside: Vec<f64> = capacities.windows(2).map(|pair| f64::midpoint(pair[0], pair[1])).collect();
    let values = |of: fn(&Overload) -> f64| overloads.iter().map(of).collect::<Vec<f64>>();
    let left = Spread::of_ratios(&values(|overload| overload.goodput), &beside);
    let mut table = Table::new(&[
        "capacity (replies/s)",
        "asked for (requests/s)",
        "goodput (replies/s)",
        "goodput / capacity",
        "busy (% of requests)",
        "n",
    ]);
    table.row(&[
        &Spread::of(capacities),
        &Spread::of(&values(|overload| overload.intended)),
        &Spread::of(&values(|overload| overload.goodput)),
        &left,
        &Spread::of(&values(|overload| 100.0 * overload.busy_part)),
        &overloads.len(),
    ]);
    table.print();
    aim::print(&format!("goodput at {TIMES} × capacity / capacity"), Aim::AtLeast(LEFT), "", left.median());
}
