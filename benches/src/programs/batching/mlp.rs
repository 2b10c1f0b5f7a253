//! A small model under many loads: how many requests are answered, how long they take, what each costs the daemon and how
//! many rows its batches have, beside the bare framework at the same sizes of batches. And where batches run: on the reactor
//! or on an executor, side by side.

use super::{MANY, Stage, TOLERANCE, one_row};
use crate::aim::{self, Aim};
use crate::crowd::Load;
use crate::daemon::Daemon;
use crate::framework::{BareLoop, Framework, Kind};
use crate::generator::{Found, Question};
use crate::models;
use crate::programs::transport::Transport;
use crate::spread::Spread;
use crate::table::Table;
use anyhow::{Context, Result};
use std::fmt::Display;

/// Connections with one request under way each.
const CONNECTIONS: [usize; 4] = [1, 16, 64, 256];
/// The same with several, where the transport knows more than one.
const PIPELINED: [usize; 3] = [1, 16, 64];
const DEPTH: usize = 8;
/// Daemons side by side: what they are called, and their flags.
const MODES: [(&str, &[&str]); 4] = [
    ("--inline auto", &["--inline", "auto"]),
    ("--inline always", &["--inline", "always"]),
    ("--inline never", &["--inline", "never"]),
    ("--batch off", &["--batch", "off"]),
];
/// The one that the others stand beside: what users have who say nothing.
const DEFAULT: usize = 0;
/// Over this transport the others are measured as well.
const BESIDE: Transport = Transport::Unix;
/// Sizes of batches of the bare framework.
const SIZES: [usize; 5] = [1, 8, 16, 64, 128];
/// Over each transport, with many connections: requests per second, and microseconds of the daemon's CPU for each.
const AIMS: [(Transport, f64, f64); 3] =
    [(Transport::Unix, 170_000.0, 9.0), (Transport::Tcp, 170_000.0, 9.0), (Transport::Http, 90_000.0, 18.0)];

/// What is measured in each round.
struct Case {
    transport: Transport,
    load: Load,
    mode: usize,
    question: Question,
    found: Vec<Found>,
}

impl Case {
    fn values(&self, of: fn(&Found) -> f64) -> Vec<f64> {
        self.found.iter().map(of).collect()
    }

    fn spread(&self, of: fn(&Found) -> f64) -> Spread {
        Spread::of(&self.values(of))
    }

    fn is(&self, transport: Transport, load: Load, mode: usize) -> bool {
        self.transport == transport && self.load == load && self.mode == mode
    }
}

/// The bare framework with so many rows at a time, and what a run took in each round, in microseconds.
struct Bare {
    rows: usize,
    inner: BareLoop,
    run_us: Vec<f64>,
}

/// Measures and prints.
pub fn run(stage: &Stage<'_>) -> Result<()> {
    let bench = stage.bench;
    let model = models::mlp()?;
    let daemons = MODES.iter().map(|(_, flags)| stage.daemon(&model, flags)).collect::<Result<Vec<Daemon>>>()?;
    let mut cases = Vec::new();
    for (mode, daemon) in daemons.iter().enumerate() {
        for transport in Transport::ALL.into_iter().filter(|transport| mode == DEFAULT || *transport == BESIDE) {
            let question = transport.question(daemon, one_row(&model));
            stage.generator.run(&question, MANY, stage.first(), &TOLERANCE)?;
            let case = |load| Case { transport, load, mode, question: question.clone(), found: vec![] };
            cases.extend(loads(transport).into_iter().map(case));
        }
    }
    let framework = Framework::open(Kind::Onnx, &model.path, 1)?;
    let bare = SIZES.map(|rows| Ok(Bare { rows, inner: framework.rows(rows)?, run_us: vec![] }));
    let mut bare = bare.into_iter().collect::<Result<Vec<Bare>>>()?;
    for round in 0..bench.rounds {
        for bare in &mut bare {
            bare.run_us.push(bare.inner.run(bench)?.p50_us);
        }
        for index in bench.order(round, cases.len()) {
            let case = &mut cases[index];
            case.found.push(stage.generator.run(&case.question, case.load, bench.duration, &[])?);
        }
    }
    println!(
        "784 → 128 → 10, f32, one row in each request; clients × requests of each under way; {} rounds of {:?}. The daemon \
         spins as it does by default, so what it uses at low load is mostly waiting. *Bare* is ONNX Runtime in a loop on one \
         thread, with as many rows at a time as the daemon's batches had on average (between two sizes, in proportion).\n",
        bench.rounds, bench.duration
    );
    print_bare(&bare);
    print_default(&cases, &bare)?;
    print_modes(&cases)?;
    print_aims(&cases)?;
    daemons.into_iter().try_for_each(Daemon::stop)
}

/// HTTP has one request under way on a connection.
fn loads(transport: Transport) -> Vec<Load> {
    let single = CONNECTIONS.map(|connections| Load { connections, depth: 1 });
    let pipelined = PIPELINED.map(|connections| Load { connections, depth: DEPTH });
    if transport == Transport::Http { single.into() } else { single.into_iter().chain(pipelined).collect() }
}

fn print_bare(bare: &[Bare]) {
    let mut table = Table::new(&["bare: rows at a time", "µs for each run", "µs for each row", "1000 rows/s", "n"]);
    for bare in bare {
        let rows = bare.rows as f64;
        let each: Vec<f64> = bare.run_us.iter().map(|run| run / rows).collect();
        let rates: Vec<f64> = each.iter().map(|each| 1e3 / each).collect();
        let n = bare.run_us.len();
        table.row(&[&bare.rows, &Spread::of(&bare.run_us), &Spread::of(&each), &Spread::of(&rates), &n]);
    }
    table.print();
}

fn print_default(cases: &[Case], bare: &[Bare]) -> Result<()> {
    println!("\nThe daemon as it is by default:\n");
    let mut table = Table::new(&[
        "transport",
        "clients",
        "1000 requests/s",
        "p50 (µs)",
        "p99 (µs)",
        "daemon's CPU (µs)",
        "rows of a batch",
        "bare, a row (µs)",
        "CPU / bare",
        "n",
    ]);
    for case in cases.iter().filter(|case| case.mode == DEFAULT) {
        let counted: Option<Vec<f64>> = case.found.iter().map(|found| found.batch_rows).collect();
        // A daemon that does not count its batches is taken to have run each request alone.
        let rows = counted.clone().unwrap_or_else(|| vec![1.0; case.found.len()]);
        let of_round = |(round, rows): (usize, &f64)| {
            let points: Vec<(f64, f64)> = bare.iter().map(|bare| (bare.rows as f64, bare.run_us[round])).collect();
            run_us(&points, *rows).map(|run| run / rows)
        };
        let each: Option<Vec<f64>> = rows.iter().enumerate().map(of_round).collect();
        let each = each.context("there are sizes of the bare framework")?;
        table.row(&[
            &case.transport,
            &case.load,
            &case.spread(|found| found.rate / 1e3),
            &case.spread(|found| found.p50_us),
            &case.spread(|found| found.p99_us),
            &case.spread(|found| found.server_us),
            &counted.map_or("not counted".to_owned(), |rows| Spread::of(&rows).to_string()),
            &Spread::of(&each),
            &Spread::of_ratios(&case.values(|found| found.server_us), &each),
            &case.found.len(),
        ]);
    }
    table.print();
    for case in cases.iter().filter(|case| case.mode == DEFAULT) {
        let rounds = case.found.iter().filter(|found| found.is_client_bound).count();
        if rounds > 0 {
            let row = format!("{}, {}", case.transport, case.load);
            println!("\n{row}: in {rounds} of {} rounds the generator's core was the bottleneck.", case.found.len());
        }
    }
    Ok(())
}

/// What a run of so many rows takes, between the points that were measured: in proportion between two, by the row beyond the
/// last one, and as the first one before it. `None` if there are no points.
fn run_us(points: &[(f64, f64)], rows: f64) -> Option<f64> {
    let (first, last) = (points.first()?, points.last()?);
    if rows >= last.0 {
        return Some(last.1 * rows / last.0);
    }
    let between = points.windows(2).find(|pair| (pair[0].0..pair[1].0).contains(&rows));
    Some(between.map_or(first.1, |pair| {
        let [(rows_below, below), (rows_above, above)] = [pair[0], pair[1]];
        below + (above - below) * (rows - rows_below) / (rows_above - rows_below)
    }))
}

/// A name, and what it is.
type Column = (&'static str, fn(&Found) -> f64);

/// What is compared between ways of running batches.
const COLUMNS: [Column; 4] = [
    ("rate", |found| found.rate),
    ("p50", |found| found.p50_us),
    ("p99", |found| found.p99_us),
    ("daemon's CPU", |found| found.server_us),
];

fn print_modes(cases: &[Case]) -> Result<()> {
    let default = MODES[DEFAULT].0;
    println!("\nWhere batches run, over {BESIDE}, each beside {default} in the same round:\n");
    let names = COLUMNS.map(|(name, _)| format!("{name} / that of {default}"));
    let mut columns = vec!["daemon", "clients", "1000 requests/s", "rows of a batch"];
    columns.extend(names.iter().map(String::as_str));
    let mut table = Table::new(&columns);
    for load in loads(BESIDE) {
        let one = |mode| cases.iter().find(|case| case.is(BESIDE, load, mode)).context("every daemon was asked");
        let beside = one(DEFAULT)?;
        for (mode, (name, _)) in MODES.iter().enumerate() {
            let case = one(mode)?;
            let rows: Option<Vec<f64>> = case.found.iter().map(|found| found.batch_rows).collect();
            let rows = rows.map_or("not counted".to_owned(), |rows| Spread::of(&rows).to_string());
            let rate = case.spread(|found| found.rate / 1e3).to_string();
            let mut cells = vec![(*name).to_owned(), load.to_string(), rate, rows];
            for (_, of) in COLUMNS {
                let ratio = Spread::of_ratios(&case.values(of), &beside.values(of));
                cells.push(if mode == DEFAULT { String::new() } else { ratio.to_string() });
            }
            table.row(&cells.iter().map(|cell| cell as &dyn Display).collect::<Vec<_>>());
        }
    }
    table.print();
    Ok(())
}

fn print_aims(cases: &[Case]) -> Result<()> {
    for (transport, rate, cpu_us) in AIMS {
        let case =
            cases.iter().find(|case| case.is(transport, MANY, DEFAULT)).context("many connections were measured")?;
        let row = format!("over {transport} with {} connections", MANY.connections);
        aim::print(&format!("requests {row}"), Aim::AtLeast(rate), "/s", case.spread(|found| found.rate).median());
        let cpu = case.spread(|found| found.server_us).median();
        aim::print(&format!("the daemon's CPU for each request {row}"), Aim::AtMost(cpu_us), " µs", cpu);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line from (1, 10) to (8, 24) rises by 2 a row: 17 at 4.5 rows. Beyond the last point it is 24 / 8 = 3 a row.
    #[test]
    fn between_two_sizes_a_run_takes_its_part() {
        let points = [(1.0, 10.0), (8.0, 24.0)];
        let close = |rows, expected: f64| {
            let found = run_us(&points, rows).unwrap();
            assert!((found - expected).abs() < 1e-9, "{found} at {rows}");
        };
        close(1.0, 10.0);
        close(4.5, 17.0);
        close(8.0, 24.0);
        close(16.0, 48.0);
        close(0.5, 10.0);
        assert_eq!(run_us(&[], 1.0), None);
    }

    #[test]
    fn requests_are_pipelined_where_the_transport_can() {
        assert_eq!(loads(Transport::Http).len(), CONNECTIONS.len());
        assert!(loads(Transport::Unix).contains(&Load { connections: 16, depth: DEPTH }));
    }
}
