//! `graphpipe-loadgen` as a process, on this program's core, and what its report says. It is the binary that users run.

use crate::companion;
use crate::crowd::Load;
use crate::options::{Bench, checked_binary};
use crate::watch;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use tempfile::TempDir;

/// Its exit code after errors, and after numbers that are its own and not the server's.
const NOT_CLEAN: i32 = 2;

/// What a run at a fixed rate has found.
#[derive(Clone, Debug)]
pub struct Paced {
    /// The median of the latency of replies with outputs, in microseconds.
    pub p50_us: f64,
    /// Its 99th percentile.
    pub p99_us: f64,
    /// Replies with outputs,
    pub right: u64,
    /// and those that were refused or failed, by what the report calls them.
    pub errors: BTreeMap<String, u64>,
    /// Requests that should have been sent.
    pub intended: u64,
    /// Whether the generator says that it was late by itself.
    pub is_client_bound: bool,
}

/// What to ask whom.
#[derive(Clone, Debug)]
pub struct Question {
    /// The TARGET.
    pub target: String,
    /// `--protocol`.
    pub protocol: &'static str,
    /// What else describes the request: model, shapes, files.
    pub request: Vec<String>,
    /// `--congestion` over TCP; without it, the system's.
    pub congestion: Option<&'static str>,
    /// The process of the server, if its processor time is of interest.
    pub server: Option<u32>,
}

/// What one run has found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    /// Replies per second.
    pub rate: f64,
    /// The median of the latency in microseconds.
    pub p50_us: f64,
    /// Its 99th percentile.
    pub p99_us: f64,
    /// The server's processor time for each request, in microseconds; 0 if it was not asked for.
    pub server_us: f64,
    /// The client's, by the kernel's count.
    pub client_us: f64,
    /// Bytes of a request on the wire.
    pub request_bytes: usize,
    /// Bytes of a reply.
    pub reply_bytes: usize,
    /// Whether the client says that it was busier than the server, so that rate and latency are its own.
    pub is_client_bound: bool,
    /// Rows of a batch on average, if the server counts them.
    pub batch_rows: Option<f64>,
}

/// What a run has found in which a server was asked for more than it can do.
#[derive(Clone, Copy, Debug)]
pub struct Overload {
    /// Replies with outputs per second.
    pub goodput: f64,
    /// Requests per second that should have been sent.
    pub intended: f64,
    /// Of these, the part that was answered with `busy`, between 0 and 1.
    pub busy_part: f64,
}

/// How the report calls a request that was refused because the server was busy.
const BUSY: &str = "busy (5)";

/// The load generator.
#[derive(Debug)]
pub struct Generator {
    binary: PathBuf,
}

impl Generator {
    /// The binary of this run.
    pub fn find(bench: &Bench) -> Result<Generator> {
        Ok(Generator { binary: checked_binary(&bench.loadgen, "--loadgen")? })
    }

    /// Asks for so long, after a while for warming up. An error among the replies is an error here.
    pub fn run(&self, question: &Question, load: Load, window: Duration, more: &[&str]) -> Result<Found> {
        let (report, busy) = self.report(question, load, window, more)?;
        let mut found = read(&report)?;
        found.client_us = busy? * 1e6 / found.rate;
        ensure!(question.server.is_none() || found.server_us > 0.0, "the report says nothing of the server");
        Ok(found)
    }

    /// Asks so many times a second, whatever the server does. That it is busy is no error here, anything else is.
    pub fn overload(&self, question: &Question, load: Load, window: Duration, rate: f64) -> Result<Overload> {
        let (report, _) = self.report(question, load, window, &["--rate", &format!("{rate:.0}")])?;
        read_overload(&report)
    }

    /// Begins to ask so many times a second, whatever the server does, beside others that do the same.
    pub fn begin(&self, question: &Question, load: Load, window: Duration, rate: f64) -> Result<Begun> {
        let folder = tempfile::tempdir().context("a temporary folder")?;
        let report = folder.path().join("report.json");
        let mut command = self.command(question, load, window, &report)?;
        command.args(["--rate", &format!("{rate:.0}")]);
        Ok(Begun { running: watch::begin("graphpipe-loadgen", &mut command)?, folder })
    }

    /// Runs it: its report, and how many cores it kept busy.
    fn report(&self, question: &Question, load: Load, window: Duration, more: &[&str]) -> Result<(Value, Result<f64>)> {
        let folder = tempfile::tempdir().context("a temporary folder")?;
        let report = folder.path().join("report.json");
        let mut command = self.command(question, load, window, &report)?;
        command.args(more);
        let (output, busy) = watch::run("graphpipe-loadgen", &mut command, warm_up(window), window)?;
        Ok((parse(&output, &report)?, busy))
    }

    fn command(&self, question: &Question, load: Load, window: Duration, report: &Path) -> Result<Command> {
        let mut command = companion::command(&self.binary)?;
        command
            .arg(&question.target)
            .args(["--protocol", question.protocol])
            .args(&question.request)
            .args(["--clients", &load.connections.to_string(), "--pipeline", &load.depth.to_string()])
            .args(["--threads", "1", "--rounds", "1"])
            .args(["--warmup", &seconds(warm_up(window)), "--duration", &seconds(window)])
            .arg("--json")
            .arg(report);
        if let Some(name) = question.congestion {
            command.args(["--congestion", name]);
        }
        if let Some(pid) = question.server {
            command.args(["--server-pid", &pid.to_string()]);
        }
        Ok(command)
    }
}

/// A run that goes on.
#[derive(Debug)]
pub struct Begun {
    running: watch::Begun,
    folder: TempDir,
}

impl Begun {
    /// Waits for its end.
    pub fn found(self) -> Result<Paced> {
        let output = self.running.end()?;
        read_paced(&parse(&output, &self.folder.path().join("report.json"))?)
    }
}

/// For how long is asked before it counts.
pub fn warm_up(window: Duration) -> Duration {
    window.mul_f64(0.2)
}

/// The report of a run that has ended.
fn parse(output: &Output, report: &Path) -> Result<Value> {
    let said = String::from_utf8_lossy(&output.stderr);
    // It ran, but something is not as it should be: the report says what.
    let is_report_there = output.status.success() || output.status.code() == Some(NOT_CLEAN);
    ensure!(is_report_there, "graphpipe-loadgen ended with {}:\n{said}", output.status);
    let report = std::fs::read(report).context("the report of graphpipe-loadgen")?;
    let report: Value = serde_json::from_slice(&report).context("the report of graphpipe-loadgen")?;
    ensure!(report["format"] == 1, "its format is {}, not 1", report["format"]);
    Ok(report)
}

fn seconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

/// What a report says of its only round.
fn read(report: &Value) -> Result<Found> {
    let round = &report["points"][0]["rounds"][0];
    if let Some(errors) = round["errors"].as_object().filter(|errors| !errors.is_empty()) {
        bail!("there were errors: {errors:?}; {}", round["error_texts"]);
    }
    let rate = number(round, "rate")?;
    ensure!(rate > 0.0, "nothing was answered");
    Ok(Found {
        rate,
        p50_us: number(&round["latency_us"], "p50")?,
        p99_us: number(&round["latency_us"], "p99")?,
        server_us: round["server"]["cpu_us_per_request"].as_f64().unwrap_or_default(),
        client_us: 0.0,
        request_bytes: number(&report["target"], "request_bytes")? as usize,
        is_client_bound: !round["generator"]["bottleneck"].is_null(),
        // At the ends of the window a part of a reply may count, so this is good to a byte only in a long one.
        reply_bytes: (number(round, "received_bytes_per_s")? / rate).round() as usize,
        batch_rows: batch_rows(&round["batches"])?,
    })
}

/// Rows of a batch on average.
fn batch_rows(batches: &Value) -> Result<Option<f64>> {
    if batches.is_null() {
        return Ok(None);
    }
    Ok(Some(number(batches, "rows")? / number(batches, "count")?))
}

fn read_overload(report: &Value) -> Result<Overload> {
    let round = &report["points"][0]["rounds"][0];
    let errors = round["errors"].as_object().context("the report of graphpipe-loadgen has no errors")?;
    if errors.keys().any(|kind| kind != BUSY) {
        bail!("there were other errors than {BUSY}: {errors:?}; {}", round["error_texts"]);
    }
    let (seconds, intended) = (number(round, "seconds")?, number(round, "intended")?);
    let busy = errors.get(BUSY).and_then(Value::as_f64).unwrap_or_default();
    ensure!(seconds > 0.0 && intended > 0.0, "nothing was sent");
    Ok(Overload { goodput: number(round, "rate")?, intended: intended / seconds, busy_part: busy / intended })
}

fn read_paced(report: &Value) -> Result<Paced> {
    let round = &report["points"][0]["rounds"][0];
    let errors = round["errors"].as_object().context("the report of graphpipe-loadgen has no errors")?;
    let right = number(round, "rate")? * number(round, "seconds")?;
    Ok(Paced {
        p50_us: number(&round["latency_us"], "p50")?,
        p99_us: number(&round["latency_us"], "p99")?,
        right: right.round() as u64,
        errors: errors.iter().map(|(kind, count)| (kind.clone(), count.as_u64().unwrap_or_default())).collect(),
        intended: number(round, "intended")? as u64,
        is_client_bound: !round["generator"]["bottleneck"].is_null(),
    })
}

fn number(value: &Value, name: &str) -> Result<f64> {
    value[name].as_f64().with_context(|| format!("the report of graphpipe-loadgen has no number {name:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report() -> Value {
        json!({
            "format": 1,
            "target": { "request_bytes": 1024 },
            "points": [{ "rounds": [{
                "rate": 1000.0,
                "received_bytes_per_s": 960_100.0,
                "latency_us": { "p50": 20.5, "p99": 31.0 },
                "errors": {},
                "generator": { "bottleneck": null },
                "error_texts": {},
                "server": { "cpu_us_per_request": 3.5 },
            }] }],
        })
    }

    #[test]
    fn a_report_is_read_by_its_names() {
        let found = read(&report()).unwrap();
        assert_eq!((found.rate, found.p50_us, found.p99_us, found.server_us), (1000.0, 20.5, 31.0, 3.5));
        assert_eq!((found.request_bytes, found.reply_bytes), (1024, 960));
    }

    #[test]
    fn a_generator_that_is_the_bottleneck_says_so() {
        let mut report = report();
        assert!(!read(&report).unwrap().is_client_bound);
        report["points"][0]["rounds"][0]["generator"]["bottleneck"] = json!("its thread was never asleep");
        assert!(read(&report).unwrap().is_client_bound);
    }

    #[test]
    fn a_run_with_errors_is_no_measurement() {
        let mut report = report();
        report["points"][0]["rounds"][0]["errors"] = json!({ "busy (5)": 2 });
        assert!(read(&report).unwrap_err().to_string().contains("busy (5)"));
    }

    #[test]
    fn a_batch_has_its_rows_on_average_where_they_are_counted() {
        let mut report = report();
        assert_eq!(read(&report).unwrap().batch_rows, None);
        report["points"][0]["rounds"][0]["batches"] = json!({ "count": 4, "rows": 50.0, "buckets": [] });
        assert_eq!(read(&report).unwrap().batch_rows, Some(12.5));
    }

    #[test]
    fn at_a_fixed_rate_what_failed_is_counted_by_its_kind() {
        let mut report = report();
        let round = &mut report["points"][0]["rounds"][0];
        round["seconds"] = json!(2.0);
        round["intended"] = json!(2003);
        round["errors"] = json!({ "busy (5)": 2, "internal (4)": 1 });
        let found = read_paced(&report).unwrap();
        assert_eq!((found.p50_us, found.p99_us, found.right, found.intended), (20.5, 31.0, 2000, 2003));
        assert_eq!(found.errors, [("busy (5)".to_owned(), 2), ("internal (4)".to_owned(), 1)].into());
    }

    #[test]
    fn of_an_overload_only_busy_replies_are_no_error() {
        let mut report = report();
        let round = &mut report["points"][0]["rounds"][0];
        round["seconds"] = json!(2.0);
        round["intended"] = json!(20_000);
        round["errors"] = json!({ "busy (5)": 15_000 });
        let found = read_overload(&report).unwrap();
        assert_eq!((found.goodput, found.intended, found.busy_part), (1000.0, 10_000.0, 0.75));
        report["points"][0]["rounds"][0]["errors"]["timeout"] = json!(1);
        assert!(read_overload(&report).unwrap_err().to_string().contains("timeout"));
    }
}
