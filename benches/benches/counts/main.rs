//! Counts instead of times: instructions and allocations of the daemon's pieces, each beside its floor, and allocations of
//! the whole daemon for each request. On a machine that others use they are what they are on a quiet one.
//!
//! `cargo bench -p graphpiped-benches --bench counts`; needs valgrind. Everything is counted twice, and what differs is said.
#![forbid(unsafe_code)]

mod callgrind;
#[path = "../common/mod.rs"]
mod common;
mod daemon;
#[path = "../../src/table.rs"]
mod table;

use anyhow::{Context, Result, bail};
use callgrind::{Which, instructions};
use common::PIECES;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::process::ExitCode;
use table::Table;

/// Counts every call. It is not the daemon's allocator, so that what an allocation takes differs; how many there are does
/// not.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How often a piece is done to count its allocations.
const TIMES: u32 = 1000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.first().map(String::as_str) {
        Some(callgrind::COMMAND) => be_counted(&arguments[1..]),
        // Cargo's own argument for benchmarks.
        None | Some("--bench") => count(),
        Some(other) => Err(anyhow::anyhow!("{other:?}: there is nothing to choose, everything is counted")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does one piece, or its floor, so many times.
fn be_counted(arguments: &[String]) -> Result<()> {
    let [index, which, times] = arguments else { bail!("{} is for this program's own use", callgrind::COMMAND) };
    let piece = PIECES[index.parse::<usize>()?]();
    let mut act = if which == Which::Run.name() { piece.run } else { piece.floor };
    for _ in 0..callgrind::WARM_UP + times.parse::<u32>()? {
        act();
    }
    Ok(())
}

/// Allocations for each time, in a thousandth.
fn allocations(mut act: impl FnMut()) -> f64 {
    (0..callgrind::WARM_UP).for_each(|_| act());
    let region = Region::new(ALLOCATOR);
    (0..TIMES).for_each(|_| act());
    let change = region.change();
    (change.allocations + change.reallocations) as f64 / f64::from(TIMES)
}

/// All that is counted of a piece.
#[derive(Clone, Copy, PartialEq)]
struct Counts {
    run: f64,
    floor: f64,
    allocations: f64,
}

fn counts(index: usize) -> Result<Counts> {
    let piece = PIECES[index]();
    let allocations = allocations(piece.run);
    let count = |which| instructions(index, which).context(piece.name);
    Ok(Counts { run: count(Which::Run)?, floor: count(Which::Floor)?, allocations })
}

fn count() -> Result<()> {
    println!("# counts\n\nInstructions by {}; calls of the allocator.\n", callgrind::version()?);
    let all = || (0..PIECES.len()).map(counts).collect::<Result<Vec<Counts>>>();
    let (first, second) = (all()?, all()?);
    let mut table = Table::new(&["piece", "instructions", "floor", "instructions", "piece / floor", "allocations"]);
    for (make, counts) in PIECES.iter().zip(&first) {
        let piece = make();
        table.row(&[
            &piece.name,
            &format!("{:.1}", counts.run),
            &piece.floor_name,
            &format!("{:.1}", counts.floor),
            &format!("{:.2}", counts.run / counts.floor),
            &counts.allocations,
        ]);
    }
    table.print();
    println!("\n{}", agreement(&first, &second));
    println!("\n## Allocations of the whole daemon\n");
    daemon::count()
}

/// How far two counts of the same are apart.
fn agreement(first: &[Counts], second: &[Counts]) -> String {
    let pairs = || first.iter().zip(second);
    let equal = pairs().filter(|(first, second)| first == second).count();
    let apart = |of: fn(&Counts) -> f64| {
        pairs().map(move |(first, second)| (of(first) - of(second)).abs() / of(first).max(f64::MIN_POSITIVE))
    };
    let most = apart(|counts| counts.run).chain(apart(|counts| counts.floor)).fold(0.0, f64::max);
    format!(
        "Counted twice: {equal} of {} rows are the same; the largest difference is {:.5} %.",
        first.len(),
        100.0 * most
    )
}
