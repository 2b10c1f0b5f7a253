//! Times of the daemon's pieces, taken by criterion, and a table of them beside their floors.
//!
//! `cargo bench -p graphpiped-benches --bench pieces`; a word behind `--` chooses pieces by name, and criterion's own options
//! work (`--help`). The table is of those that were measured in this run.
#![forbid(unsafe_code)]

mod across;
#[path = "../common/mod.rs"]
mod common;
#[path = "../../src/table.rs"]
mod table;

use common::PIECES;
use criterion::Criterion;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use table::Table;

/// Shorter than criterion's own: a piece takes a microsecond, and there are two dozen measurements.
const WARM_UP: Duration = Duration::from_millis(500);
const MEASUREMENT: Duration = Duration::from_secs(2);

fn main() {
    let folder = results_folder();
    let begun = SystemTime::now();
    let short = Criterion::default().warm_up_time(WARM_UP).measurement_time(MEASUREMENT);
    let mut criterion = short.output_directory(&folder).configure_from_args();
    let mut pairs = Vec::new();
    for make in PIECES {
        let mut piece = make();
        let mut group = criterion.benchmark_group(piece.name);
        group.bench_function("piece", |bencher| bencher.iter(&mut piece.run));
        group.bench_function("floor", |bencher| bencher.iter(&mut piece.floor));
        group.finish();
        pairs.push((piece.name, piece.floor_name));
    }
    let [(name, mut run), (floor_name, mut floor)] = across::threads();
    let mut group = criterion.benchmark_group(name);
    group.bench_function("piece", |bencher| bencher.iter_custom(&mut run));
    group.bench_function("floor", |bencher| bencher.iter_custom(&mut floor));
    group.finish();
    pairs.push((name, floor_name));
    criterion.final_summary();
    print(&folder, &pairs, begun);
}

/// Where criterion keeps its results, to say at the next run what has changed: beside what is built.
fn results_folder() -> PathBuf {
    let program = std::env::current_exe().expect("this program lies somewhere");
    // target/release/deps/pieces-…
    let target = program.ancestors().nth(3).expect("Cargo puts it three folders deep");
    target.join("criterion")
}

fn print(folder: &Path, pairs: &[(&str, &str)], begun: SystemTime) {
    let mut table = Table::new(&["piece", "ns", "floor", "ns", "piece / floor"]);
    let mut is_empty = true;
    for (name, floor_name) in pairs {
        let nanoseconds = |which: &str| median(&folder.join(folder_name(name)).join(which), begun);
        if let (Some(piece), Some(floor)) = (nanoseconds("piece"), nanoseconds("floor")) {
            table.row(&[
                name,
                &format!("{piece:.1}"),
                floor_name,
                &format!("{floor:.1}"),
                &format!("{:.2}", piece / floor),
            ]);
            is_empty = false;
        }
    }
    if !is_empty {
        println!("\nMedians of this run:\n");
        table.print();
    }
}

/// What criterion makes of a name where it is a folder's.
fn folder_name(name: &str) -> String {
    name.replace(['/', '\\', '?', '"', ':', '<', '>', '*', '|'], "_")
}

/// The median that criterion has written since then.
fn median(folder: &Path, begun: SystemTime) -> Option<f64> {
    let file = folder.join("new").join("estimates.json");
    if file.metadata().and_then(|data| data.modified()).ok()? < begun {
        return None;
    }
    let estimates: Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    estimates["median"]["point_estimate"].as_f64()
}
