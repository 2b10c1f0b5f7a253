//! The command line, and what it comes down to: which binary, which cores, how long.

use crate::cores;
use crate::programs::Program;
use crate::programs::batching::Part;
use crate::spread;
use anyhow::{Context, Result, bail, ensure};
use clap::builder::PossibleValue;
use clap::{Parser, ValueEnum};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

/// What `--quick` means.
const QUICK_ROUNDS: usize = 2;
const QUICK_SECONDS: f64 = 0.1;

/// Measures graphpiped, each number beside a floor of the same run.
#[derive(Debug, Parser)]
#[command(name = "graphpiped-benches", max_term_width = 100)]
pub struct Options {
    /// What to measure. Default: everything but `instrument`, `batching`, `frameworks`, `isolation` and
    /// `zero_copy`, and `allocator` without its flag.
    #[arg(value_enum, value_name = "PROGRAM [PART]")]
    words: Vec<Word>,
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
    /// Two rounds of a tenth of a second each: whether everything works, and nothing else.
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    quick: bool,
    /// Where chance begins, by which each round's order is made.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The connections of `idle`, program and part, if the limit of open files allows as many.
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
    /// Whether the numbers are not to be looked at.
    pub is_quick: bool,
}

/// What may stand on the command line: a program, or a part of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Program(Program),
    Part(Part),
}

impl ValueEnum for Word {
    fn value_variants<'a>() -> &'a [Word] {
        static WORDS: LazyLock<Vec<Word>> = LazyLock::new(|| {
            let programs = Program::value_variants().iter().map(|program| Word::Program(*program));
            // A part that is called like a program is told from it by where it stands.
            let parts = Part::ALL.into_iter().filter(|part| Program::from_str(part.name(), false).is_err());
            programs.chain(parts.map(Word::Part)).collect()
        });
        &WORDS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Word::Program(program) => program.to_possible_value(),
            Word::Part(part) => Some(PossibleValue::new(part.name()).help(part.help())),
        }
    }
}

/// Programs, and the parts that stand behind `batching`.
fn sorted(words: &[Word]) -> Result<(Vec<Program>, Vec<Part>)> {
    let (mut programs, mut parts) = (Vec::new(), Vec::new());
    for word in words {
        let is_behind = programs.last() == Some(&Program::Batching);
        match word {
            Word::Part(part) if is_behind => parts.push(*part),
            Word::Program(program) if is_behind && Part::named(program.title()).is_some() => {
                parts.extend(Part::named(program.title()));
            }
            Word::Part(part) => bail!("`{0}` is a part of `batching`: write `batching {0}`", part.name()),
            Word::Program(program) => programs.push(*program),
        }
    }
    Ok((programs, parts))
}

impl Options {
    /// What to measure.
    pub fn chosen(&self) -> Result<Vec<Program>> {
        let (programs, _) = sorted(&self.words)?;
        if !programs.is_empty() {
            return Ok(programs);
        }
        let is_possible = |program: &Program| match program {
            // Without a second binary there is nothing to compare.
            Program::Allocator => self.system_allocator.is_some(),
            // What needs others' programs or root, and what takes longer than all the rest, are asked for by name.
            Program::Instrument | Program::Batching | Program::Frameworks | Program::Isolation | Program::ZeroCopy => {
                false
            }
            _ => true,
        };
        Ok(Program::ALL.into_iter().filter(is_possible).collect())
    }

    /// Which parts of `batching`.
    pub fn parts(&self) -> Result<Vec<Part>> {
        let (_, parts) = sorted(&self.words)?;
        Ok(if parts.is_empty() { Part::ALL.into() } else { parts })
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
            rounds: if self.quick { QUICK_ROUNDS } else { self.rounds },
            duration: Duration::from_secs_f64(if self.quick { QUICK_SECONDS } else { self.seconds }),
            seed: self.seed,
            cores: allowed,
            server_core,
            client_core,
            is_quick: self.quick,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Options {
        Options::try_parse_from(["graphpiped-benches"].iter().chain(words)).expect("these words are known")
    }

    #[test]
    fn a_word_that_is_both_means_what_it_stands_behind() {
        let options = read(&["idle", "batching", "mlp", "idle", "latency"]);
        assert_eq!(options.chosen().unwrap(), [Program::Idle, Program::Batching, Program::Latency]);
        assert_eq!(options.parts().unwrap(), [Part::Mlp, Part::Idle]);
    }

    #[test]
    fn without_a_part_it_is_all_of_them() {
        let options = read(&["batching"]);
        assert_eq!(options.chosen().unwrap(), [Program::Batching]);
        assert_eq!(options.parts().unwrap(), Part::ALL);
    }

    #[test]
    fn a_part_alone_is_told_where_it_belongs() {
        let error = read(&["latency", "mlp"]).chosen().unwrap_err().to_string();
        assert_eq!(error, "`mlp` is a part of `batching`: write `batching mlp`");
    }

    #[test]
    fn what_takes_long_is_not_done_unless_it_is_asked_for() {
        let chosen = read(&[]).chosen().unwrap();
        assert!(chosen.contains(&Program::Latency) && !chosen.contains(&Program::Batching), "{chosen:?}");
    }
}
