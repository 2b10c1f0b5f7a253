//! What is left of a framework's rate when it is behind the daemon: the same models in three formats, asked for so many rows at
//! a time, beside a loop of the framework on one thread. Twice: with all of the daemon on the loop's core, where whatever it
//! does is at the framework's cost; and with only what runs the model there, which is how one has it where cores are free.
//!
//! A framework's own rate drifts by several percent within seconds, on machines that others share. So what is compared takes
//! turns that are as short as runs allow.

use crate::address::{Address, Family};
use crate::aim::{self, Aim};
use crate::clients::{self, Demand};
use crate::daemon::Daemon;
use crate::framework::{BareLoop, Framework, Kind};
use crate::interval::Interval;
use crate::metrics;
use crate::models::{self, Model};
use crate::options::Bench;
use crate::spread::Spread;
use crate::table::Table;
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

/// Rows of each request, and of each batch.
const SIZES: [usize; 3] = [1, 8, 32];
/// So that one runs, one is ready, and one is on its way.
const CLIENTS: usize = 3;
/// Replies to each client in a measurement, at least, and runs of the loop.
const REPLIES: usize = 2;
const RUNS: u32 = 4;
/// Where runs are shorter than this, each round is so many turns, which together take as long.
const SHORT: Duration = Duration::from_millis(5);
const TURNS: u32 = 5;
/// The part of the loop's rate that is to be left,
const LEFT: f64 = 0.97;
/// with so many rows at a time.
const LEFT_FROM: usize = 8;
/// By how much an answer may differ from the loop's: the daemon may run the rows in batches of another size.
const TOLERANCE: f32 = 1e-3;

/// So many rows at a time, and what was found: rows per second of the loop, and of each daemon.
struct Case {
    rows: usize,
    found: [Vec<f64>; 3],
}

/// Looks for the frameworks.
pub fn check(bench: &Bench) -> Result<()> {
    ensure!(bench.rounds > 1, "`frameworks` takes two rounds at least: one says nothing of how sure it is");
    for kind in Kind::ALL {
        Framework::open(kind, &models::perceptron(kind)?.path, 1)?;
    }
    Ok(())
}

/// Measures and prints.
pub fn run(bench: &Bench) -> Result<()> {
    println!(
        "*perceptron*: 784 → 512 → 512 → 10; *resnet*: the shape of ResNet-50; f32, weights by chance, the same in each format. \
         {CLIENTS} clients over UDS with one request under way each; batches of as many rows as a request has; one thread \
         within a run on either side; {} rounds of {:?}, or {REPLIES} replies to each client; \
         where runs are shorter than {SHORT:?}, each round is {TURNS} turns. Ratios are the median of those of each turn, with its \
         interval of 95 % confidence.",
        bench.rounds, bench.duration
    );
    for model in [models::perceptron, models::resnet] {
        for kind in Kind::ALL {
            let model = model(kind)?;
            print(kind, model.name, &measure_all(bench, kind, &model).with_context(|| kind.title())?)?;
        }
    }
    Ok(())
}

fn measure_all(bench: &Bench, kind: Kind, model: &Model) -> Result<Vec<Case>> {
    let framework = Framework::open(kind, &model.path, 1)?;
    // Minutes of a large model show nothing more when nobody looks at the numbers.
    let sizes = SIZES.into_iter().filter(|rows| !bench.is_quick || *rows < SIZES[SIZES.len() - 1]);
    sizes.map(|rows| measure(bench, &framework, model, rows)).collect()
}

fn measure(bench: &Bench, framework: &Framework, model: &Model, rows: usize) -> Result<Case> {
    let mut found = [vec![], vec![], vec![]];
    let mut bare = framework.rows(rows)?;
    let numbers: Vec<f32> = (0..rows * model.row_numbers()).map(clients::number).collect();
    bare.set_input(&numbers);
    // The first run may be the one that makes its memory.
    bare.once()?;
    let run = Duration::from_secs_f64(bare.run_for(bench, Duration::ZERO)?.p50_us / 1e6);
    let turns = if run < SHORT { TURNS } else { 1 };
    let window = bench.duration / turns;
    let (argument, size) = (model.argument(), rows.to_string());
    let flags = ["--model", &argument, "--max-batch", &size, "--intra-threads", "1", "--instances", "1"];
    let daemons = [Daemon::start_on_its_core(bench, &flags)?, Daemon::start_around_its_core(bench, &flags)?];
    let addresses = daemons.each_ref().map(|daemon| daemon.address(Family::Unix));
    let demands =
        addresses.each_ref().map(|address| Demand { address, model, rows, clients: CLIENTS, replies: REPLIES, window });
    demands.iter().try_for_each(|demand| verify(demand, &mut bare))?;
    for turn in 0..bench.rounds * turns as usize {
        for index in bench.order(turn, found.len()) {
            let rate = match index.checked_sub(1) {
                None => bare.run_for(bench, window.max(run * RUNS))?.rate * rows as f64,
                Some(daemon) => rows_per_s(&clients::ask(&demands[daemon])?, rows)?,
            };
            found[index].push(rate);
        }
    }
    for address in &addresses {
        has_batches_of(rows, address, model)?;
    }
    daemons.into_iter().try_for_each(Daemon::stop)?;
    Ok(Case { rows, found })
}

/// Whether runs were as long as the loop's. A daemon has its reasons to make shorter ones, and is no daemon to be compared then.
fn has_batches_of(rows: usize, address: &Address, model: &Model) -> Result<()> {
    let Some((batches, all)) = metrics::batches(address, model.name)? else { return Ok(()) };
    ensure!(all == batches * rows as u64, "{batches} batches of the daemon had {all} rows, and not {rows} each");
    Ok(())
}

/// Whether the daemon gives what the loop gives.
fn verify(demand: &Demand<'_>, bare: &mut BareLoop) -> Result<()> {
    bare.once()?;
    let expected =
        bare.output(0).chunks_exact(4).map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let found = clients::output(demand)?;
    ensure!(found.len() == expected.len(), "{} numbers and not {}", found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let is_close = (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0);
        ensure!(is_close, "the daemon's answer has {found} where the framework has {expected}");
    }
    Ok(())
}

/// From the last of the clients' first replies to the first of their last ones: all of them ask meanwhile, and every reply in
/// between is of one run.
fn rows_per_s(replies: &[Vec<Instant>], rows: usize) -> Result<f64> {
    let begin = *replies.iter().filter_map(|replies| replies.first()).max().context("there are clients")?;
    let end = *replies.iter().filter_map(|replies| replies.last()).min().context("there are clients")?;
    let counted = replies.iter().flatten().filter(|reply| **reply > begin && **reply <= end).count();
    ensure!(counted > 0, "one client had all its replies before another had its first");
    Ok((counted * rows) as f64 / end.duration_since(begin).as_secs_f64())
}

fn print(kind: Kind, model: &str, cases: &[Case]) -> Result<()> {
    println!("\n### {model}, {}\n", kind.title());
    let mut table = Table::new(&[
        "rows",
        "loop, rows/s",
        "daemon on its core, rows/s",
        "daemon / loop",
        "only runs on its core, rows/s",
        "daemon / loop",
        "n",
    ]);
    let mut left = vec![];
    for Case { rows, found: [bare, on, around] } in cases {
        let (on_ratio, around_ratio) = (Interval::of_median_ratio(on, bare)?, Interval::of_median_ratio(around, bare)?);
        table.row(&[
            rows,
            &Spread::of(bare),
            &Spread::of(on),
            &on_ratio,
            &Spread::of(around),
            &around_ratio,
            &around_ratio.pairs,
        ]);
        left.extend((*rows >= LEFT_FROM).then_some((rows, around_ratio.ratio)));
    }
    table.print();
    for (rows, ratio) in left {
        let what = format!("{rows} rows at a time, only runs on its core: daemon / loop");
        aim::print(&what, Aim::AtLeast(LEFT), "", ratio);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replies at 0, 2, 4, 6 s and at 1, 3, 5 s: from 1 to 5 there are those at 2, 3, 4 and 5.
    #[test]
    fn what_counts_is_between_the_first_and_the_last_replies_of_all() {
        let begin = Instant::now();
        let at = |seconds: &[u64]| seconds.iter().map(|second| begin + Duration::from_secs(*second)).collect();
        let rate = rows_per_s(&[at(&[0, 2, 4, 6]), at(&[1, 3, 5])], 8).unwrap();
        assert!((rate - 8.0).abs() < 1e-9, "{rate}");
        assert!(rows_per_s(&[at(&[0, 1]), at(&[2, 3])], 8).is_err());
    }
}
