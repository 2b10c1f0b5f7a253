//! The command line, and what it comes down to: which binary, which cores, how long.

use crate::cores;
use crate::programs::Program;
use crate::spread;
use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Measures graphpiped, each number beside a floor of the same run.
#[derive(Debug, Parser)]
#[command(name = "graphpiped-benches", max_term_width = 100)]
pub struct Options {
    /// What to measure. Default: everything but `instrument`, and `allocator` without its flag.
    #[arg(value_enum, value_name = "PROGRAM")]
    programs: Vec<Program>,
    /// The daemon's binary. Default: graphpiped beside this program.
    #[arg(long, value_name = "PATH")]
    daemon: Option<PathBuf>,
    /// The load generator's binary. Default: graphpipe-loadgen beside this program.
    #[arg(long, value_name = "PATH")]
    loadgen: Option<PathBuf>,
    /// A daemon that was built to use the system's allocator; `allocator` compares it with the other one.
    #[arg(long, value_name = "PATH")]
    pub system_allocator: Option<PathBuf>,
    /// How often everything is measured; what is printed is the median, and the least and the most.
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
    /// Seconds of each measurement.
    #[arg(long, value_name = "N", default_value_t = 0.5)]
    seconds: f64,
    /// Where chance begins, by which each round's order is made.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The connections of `idle`, if the limit of open files allows as many.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub connections: usize,
    /// The core of the server. Default: the first one that this process may use.
    #[arg(long, value_name = "CORE")]
    server_core: Option<usize>,
    /// The core of the client. Default: the second one.
    #[arg(long, value_name = "CORE")]
    client_core: Option<usize>,
}

/// What every program needs to know.
#[derive(Debug)]
pub struct Bench {
    /// The daemon's binary.
    pub daemon: PathBuf,
    /// Where the load generator's binary should be.
    pub loadgen: PathBuf,
    /// How often everything is measured.
    pub rounds: usize,
    /// How long each measurement takes.
    pub duration: Duration,
    /// Where chance begins.
    pub seed: u64,
    /// The cores that this process was given.
    pub cores: Vec<usize>,
    /// Where the daemon and the floors run.
    pub server_core: usize,
    /// Where this program runs.
    pub client_core: usize,
}

impl Options {
    /// What to measure.
    pub fn chosen(&self) -> Vec<Program> {
        if !self.programs.is_empty() {
            return self.programs.clone();
        }
        let is_possible = |program: &Program| match program {
            // Without a second binary there is nothing to compare.
            Program::Allocator => self.system_allocator.is_some(),
            // Others' programs are asked for by name.
            Program::Instrument => false,
            _ => true,
        };
        Program::ALL.into_iter().filter(is_possible).collect()
    }

    /// Checks all that can be checked before the first measurement, and moves this thread to its core.
    pub fn bench(&self) -> Result<Bench> {
        ensure!(!cfg!(debug_assertions), "this is a debug build; run `cargo run --release -p graphpiped-benches`");
        ensure!(self.rounds > 0, "--rounds 0 measures nothing");
        ensure!((0.01..=600.0).contains(&self.seconds), "--seconds is not between 0.01 and 600");
        let allowed = cores::allowed()?;
        let (Some(first), Some(second)) = (allowed.first(), allowed.get(1)) else {
            bail!("two cores are needed, one for each side; this process may use {allowed:?}");
        };
        let server_core = self.server_core.unwrap_or(*first);
        let client_core = self.client_core.unwrap_or(*second);
        ensure!(server_core != client_core, "--server-core and --client-core are the same");
        cores::pin(client_core)?;
        Ok(Bench {
            daemon: checked_binary(&or_beside(self.daemon.as_deref(), "graphpiped")?, "--daemon")?,
            loadgen: or_beside(self.loadgen.as_deref(), "graphpipe-loadgen")?,
            rounds: self.rounds,
            duration: Duration::from_secs_f64(self.seconds),
            seed: self.seed,
            cores: allowed,
            server_core,
            client_core,
        })
    }
}

impl Bench {
    /// In which order so many cases are measured in a round.
    pub fn order(&self, round: usize, count: usize) -> Vec<usize> {
        spread::order(self.seed, round, count)
    }
}

/// The path that was named, or the one of a program beside this one.
fn or_beside(named: Option<&Path>, name: &str) -> Result<PathBuf> {
    match named {
        Some(path) => Ok(path.to_owned()),
        None => Ok(std::env::current_exe().context("where this program lies")?.with_file_name(name)),
    }
}

/// A binary that can be run, and was not built for debugging. `flag` names another one.
pub fn checked_binary(path: &Path, flag: &str) -> Result<PathBuf> {
    let hint = format!("build it with `cargo build --release`, or name another one with {flag} PATH");
    let found = path.canonicalize().with_context(|| format!("{} is not there; {hint}", path.display()))?;
    let is_debug = found.components().any(|part| part.as_os_str() == "debug");
    ensure!(!is_debug, "{} is a debug build; {hint}", found.display());
    Ok(found)
}
