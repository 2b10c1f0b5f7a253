//! `graphpipe-loadgen`: asks a server of tensors as often as it is told to, and says what came of it.
//!
//! It knows the protocols and nothing of the daemon, so that it measures every server alike.
#![forbid(unsafe_code)]

mod ask;
mod check;
mod cli;
mod compare;
mod engine;
mod inputs;
mod knee;
mod machine;
mod measure;
mod plot;
mod progress;
mod protocol;
mod replay;
mod result;
mod run;
mod server;
mod session;
mod signature;
mod socket;
mod sweep;
mod target;
mod tensor;
mod units;

use anyhow::{Context, Result};
use clap::Parser;
use cli::{Cli, Command};
use result::verdict::verdict;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// It ran, but not every request was answered, or not every number is the server's.
const NOT_CLEAN: u8 = 2;
/// It did not run: what was asked for is not possible.
const NOT_RUN: u8 = 1;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are printed the same way, and are no error. Nobody may read what is printed.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { NOT_RUN } else { 0 });
        }
    };
    match obey(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOT_CLEAN),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(if error.is::<session::Silent>() { NOT_CLEAN } else { NOT_RUN })
        }
    }
}

/// Does what the command line says; returns whether the outcome is clean.
fn obey(cli: &Cli) -> Result<bool> {
    match &cli.command {
        None => {
            let (report, files) = run::run(&cli.run)?;
            let written = run::write(&report, files, &cli.run.results)?;
            if cli.run.results.json.as_deref() == Some(Path::new("-")) {
                // Where there is no table, the sentence that ends it is all there is for people.
                eprintln!("{}", verdict(&report).sentence);
            }
            Ok(written && is_clean(&report))
        }
        Some(Command::Compare { a, b }) => {
            say(&compare::compare(&read(a)?, &read(b)?))?;
            Ok(true)
        }
        Some(Command::Ab { a, b, rounds, seed }) => {
            let options = compare::AbOptions { a: a.clone(), b: b.clone(), rounds: *rounds, seed: *seed };
            say(&compare::ab(&options)?.to_string())?;
            Ok(true)
        }
        Some(Command::Plot { results, bars: Some(bars), out, .. }) if results.is_empty() => {
            let text = std::fs::read_to_string(bars).with_context(|| bars.display().to_string())?;
            let bars = serde_json::from_str(&text).with_context(|| bars.display().to_string())?;
            plot::draw_bars(out, &bars).map_err(anyhow::Error::msg)?;
            Ok(true)
        }
        Some(Command::Plot { results, out, title, .. }) => {
            plot_results(results, out, title)?;
            Ok(true)
        }
    }
}

/// Writes to the standard output. Who has read enough (`| head`) is no error.
fn say(text: &str) -> Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.context("the standard output"),
    }
}

/// Whether every request was answered and every number is the server's. A search asks for more than the server can do
/// on purpose; it is clean if it has found what it looked for.
fn is_clean(report: &result::Report) -> bool {
    if let Some(knee) = &report.knee {
        return knee.rate.is_some();
    }
    let mut rounds = report.points.iter().flat_map(|point| &point.rounds);
    verdict(report).clean && rounds.all(|round| round.generator.bottleneck.is_none())
}

fn read(path: &Path) -> Result<result::Report> {
    result::json::read(path).map_err(anyhow::Error::msg)
}

/// Draws several results; each is called what stands before its `=`, or after its file.
fn plot_results(results: &[String], out: &Path, title: &str) -> Result<()> {
    let mut named = Vec::new();
    for result in results {
        let (name, path) = result.split_once('=').unwrap_or((result, result));
        named.push((name.to_owned(), read(Path::new(path))?));
    }
    let series: Vec<plot::Series<'_>> =
        named.iter().map(|(name, report)| plot::Series { name: name.clone(), report }).collect();
    plot::draw(out, title, &series).map_err(anyhow::Error::msg)
}
