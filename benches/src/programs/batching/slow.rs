//! What good clients notice of one that announces rows of the same model and then sends a byte at a time. The payloads are
//! received where the batch is, so this is where one neighbour could hold up all others.

use super::{MANY, Stage, TOLERANCE, one_row};
use crate::address::{Address, Family};
use crate::aim::{self, Aim};
use crate::exchange::write_request;
use crate::generator::Found;
use crate::interval::Interval;
use crate::models::{self, Model};
use crate::programs::transport::Transport;
use crate::socket::{self, Wait};
use crate::spread::Spread;
use crate::table::Table;
use anyhow::{Context, Result, ensure};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// So many rounds for each one that was asked for, and so many at least.
const ROUNDS: (usize, usize) = (4, 20);
/// How much longer the slowest of a hundred may take beside a slow sender.
const FARTHEST: f64 = 1.1;
/// Rows that the slow sender announces: one, as many as there are good clients, and more than any batch has.
const ROWS: [i64; 3] = [1, 64, 1024];
/// How long it takes for each byte.
const PAUSE: Duration = Duration::from_millis(10);

/// What is measured in each round: rows of the slow sender, if there is one.
struct Case {
    rows: Option<i64>,
    found: Vec<Found>,
}

impl Case {
    fn values(&self, of: fn(&Found) -> f64) -> Vec<f64> {
        self.found.iter().map(of).collect()
    }
}

/// Measures and prints.
pub fn run(stage: &Stage<'_>) -> Result<()> {
    let model = models::wide()?;
    let daemon = stage.daemon(&model, &[])?;
    let address = daemon.address(Family::Unix);
    let question = Transport::Unix.question(&daemon, one_row(&model));
    stage.generator.run(&question, MANY, stage.first(), &TOLERANCE)?;
    let rounds = stage.pairs(ROUNDS.0, ROUNDS.1);
    let rows = std::iter::once(None).chain(ROWS.map(Some));
    let mut cases: Vec<Case> = rows.map(|rows| Case { rows, found: vec![] }).collect();
    for round in 0..rounds {
        for index in stage.bench.order(round, cases.len()) {
            let case = &mut cases[index];
            let sender = case.rows.map(|rows| SlowSender::start(&address, &model, rows)).transpose()?;
            case.found.push(stage.generator.run(&question, MANY, stage.bench.duration, &[])?);
            sender.map_or(Ok(()), SlowSender::stop)?;
        }
    }
    println!(
        "A model of 12288 → 16 numbers, 48 KiB a row; {} good clients over UDS with one request of one row under way each, and \
         one slow sender that has announced so many rows and sends a byte every {PAUSE:?}. {rounds} rounds of {:?}; ratios \
         to the rate and p99 without it, with their intervals of 95 % confidence.\n",
        MANY.connections, stage.bench.duration
    );
    print(&cases)?;
    daemon.stop()
}

fn print(cases: &[Case]) -> Result<()> {
    let mut table =
        Table::new(&["slow sender", "1000 requests/s", "p50 (µs)", "p99 (µs)", "rate / without", "p99 / without", "n"]);
    let without = &cases[0];
    let mut worst: Option<Interval> = None;
    for case in cases {
        let ratio = |of| Interval::of_ratios(&case.values(of), &without.values(of));
        let (mut rate, mut p99) = (String::new(), String::new());
        if case.rows.is_some() {
            let slowest = ratio(|found| found.p99_us)?;
            if worst.is_none_or(|worst| slowest.ratio > worst.ratio) {
                worst = Some(slowest);
            }
            rate = ratio(|found| found.rate)?.to_string();
            p99 = slowest.to_string();
        }
        let sender = case.rows.map_or("none".to_owned(), |rows| format!("rows: {rows}"));
        table.row(&[
            &sender,
            &Spread::of(&case.values(|found| found.rate / 1e3)),
            &Spread::of(&case.values(|found| found.p50_us)),
            &Spread::of(&case.values(|found| found.p99_us)),
            &rate,
            &p99,
            &case.found.len(),
        ]);
    }
    table.print();
    let worst = worst.context("there is a slow sender")?;
    aim::print("p99 with a slow sender / without, of the worst of these", Aim::AtMost(FARTHEST), "", worst.ratio);
    Ok(())
}

/// A client that sends a request a byte at a time.
struct SlowSender {
    stop: Sender<()>,
    thread: JoinHandle<Result<u64>>,
}

impl SlowSender {
    /// Announces so many rows, all names and shapes at once; from then on it is slow.
    fn start(address: &Address, model: &Model, rows: i64) -> Result<SlowSender> {
        let (request, payload_at) = write_request(model.name, &[rows, model.row_numbers() as i64])?;
        let connection = socket::connect(address)?;
        socket::transmit(&connection, &request[..payload_at], Wait::Block)?;
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            let mut sent = 0;
            // It never comes to the end: that would take minutes even for a single row.
            for byte in &request[payload_at..] {
                match stopped.recv_timeout(PAUSE) {
                    Err(RecvTimeoutError::Timeout) => {
                        socket::transmit(&connection, std::slice::from_ref(byte), Wait::Block)?;
                        sent += 1;
                    }
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            Ok(sent)
        });
        Ok(SlowSender { stop, thread })
    }

    /// Hangs up in the middle of it, and checks that it was there all the time.
    fn stop(self) -> Result<()> {
        drop(self.stop);
        let sent =
            self.thread.join().ok().context("the slow sender panicked")?.context("the slow sender was cut off")?;
        ensure!(sent > 0, "the slow sender has not sent a byte");
        Ok(())
    }
}
