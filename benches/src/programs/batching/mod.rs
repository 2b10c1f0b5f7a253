//! What batching gains, what it costs, and what it must not let happen: one part for each question, one file for each part.
//! Every number stands beside another one of the same run, measured in turn with it, and every part ends with what was aimed
//! at and how far from it the daemon is.

mod alone;
mod idle;
mod mlp;
mod overload;
mod resnet;
mod slow;

use crate::crowd::Load;
use crate::daemon::Daemon;
use crate::generator::Generator;
use crate::models::Model;
use crate::options::Bench;
use anyhow::{Context, Result};
use std::time::Duration;

/// One of its questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A small model under many loads.
    Mlp,
    /// One client, with batching and without.
    Alone,
    /// Good clients beside a slow sender.
    Slow,
    /// Ten times as many requests as can be answered.
    Overload,
    /// A large model, beside its framework.
    Resnet,
    /// Active connections among idle ones.
    Idle,
}

impl Part {
    /// All of them, in the order in which they are measured.
    pub const ALL: [Part; 6] = [Part::Mlp, Part::Alone, Part::Slow, Part::Overload, Part::Resnet, Part::Idle];

    /// As on the command line, behind `batching`.
    pub fn name(self) -> &'static str {
        match self {
            Part::Mlp => "mlp",
            Part::Alone => "alone",
            Part::Slow => "slow",
            Part::Overload => "overload",
            Part::Resnet => "resnet",
            Part::Idle => "idle",
        }
    }

    /// The part of this name.
    pub fn named(name: &str) -> Option<Part> {
        Part::ALL.into_iter().find(|part| part.name() == name)
    }

    /// What `--help` says.
    pub fn help(self) -> &'static str {
        match self {
            Part::Mlp => "Part of batching: a small model under many loads, beside its framework",
            Part::Alone => "Part of batching: one client, with batching and without",
            Part::Slow => "Part of batching: good clients beside one that sends a byte at a time",
            Part::Overload => "Part of batching: ten times as many requests as can be answered",
            Part::Resnet => "Part of batching: a large model, beside its framework",
            Part::Idle => "Part of batching: active connections among idle ones",
        }
    }
}

/// What every part needs.
struct Stage<'a> {
    bench: &'a Bench,
    generator: Generator,
    /// How many connections are idle.
    connections: usize,
}

impl Stage<'_> {
    /// Starts a daemon that serves this model as well.
    fn daemon(&self, model: &Model, flags: &[&str]) -> Result<Daemon> {
        let argument = model.argument();
        Daemon::start(self.bench, &[&["--model", argument.as_str()], flags].concat())
    }

    /// The same, on one core from the beginning: for models that keep it busy.
    fn daemon_on_its_core(&self, model: &Model, flags: &[&str]) -> Result<Daemon> {
        let argument = model.argument();
        Daemon::start_on_its_core(self.bench, &[&["--model", argument.as_str()], flags].concat())
    }

    /// How many pairs are measured: for an interval it takes more than for a median.
    fn pairs(&self, for_each_round: usize, least: usize) -> usize {
        if self.bench.is_quick { QUICK_PAIRS } else { (self.bench.rounds * for_each_round).max(least) }
    }

    /// How long is warmed up and verified, before anything is measured.
    fn first(&self) -> Duration {
        self.bench.duration.max(Duration::from_millis(100))
    }
}

/// Pairs of a run that only shows whether everything works.
const QUICK_PAIRS: usize = 3;
/// How an answer may differ from one to the same request in a batch of another size, absolutely and relatively: sums of
/// f32 are added up in another order there.
const TOLERANCE: [&str; 4] = ["--verify", "first", "--tolerance", "1e-3"];
/// The load at which most is asked for: one request of each under way.
const MANY: Load = Load { connections: 64, depth: 1 };

/// What the generator asks a model for: one row.
fn one_row(model: &Model) -> Vec<String> {
    ["--model", model.name, "--rows", "1"].map(str::to_owned).into()
}

/// Measures and prints.
pub fn run(bench: &Bench, parts: &[Part], connections: usize) -> Result<()> {
    let stage = Stage { bench, generator: Generator::find(bench)?, connections };
    for part in parts {
        println!("\n### {}\n", part.name());
        let outcome = match part {
            Part::Mlp => mlp::run(&stage),
            Part::Alone => alone::run(&stage),
            Part::Slow => slow::run(&stage),
            Part::Overload => overload::run(&stage),
            Part::Resnet => resnet::run(&stage),
            Part::Idle => idle::run(&stage),
        };
        outcome.with_context(|| part.name().to_owned())?;
    }
    Ok(())
}
