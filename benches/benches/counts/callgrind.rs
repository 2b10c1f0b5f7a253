//! How many instructions a piece takes: this program again, under callgrind, which counts every one of them. The numbers do not
//! depend on what else the machine does.
//!
//! A process does a piece N times, another one 2·N times: the difference is N times the piece, and nothing of how the
//! program starts, makes the piece and warms it up. gungraun does the same with more comfort; it wants a second binary of
//! exactly its own version to be installed, and has no place for a floor.

use anyhow::{Context, Result, ensure};
use std::process::Command;

/// How to get it.
const REMEDY: &str = "valgrind is needed; get it with `apt-get install valgrind`";

/// Which of the two is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The piece.
    Run,
    /// Its floor.
    Floor,
}

impl Which {
    /// Its name on the command line of the process that does it.
    pub fn name(self) -> &'static str {
        match self {
            Which::Run => "run",
            Which::Floor => "floor",
        }
    }
}

/// The first argument of this program when it is to be counted.
pub const COMMAND: &str = "counted";
/// How often a piece is done before; what is made once is made then.
pub const WARM_UP: u32 = 32;
/// How often the shorter process does it.
const TIMES: u32 = 50;

/// The version of valgrind, or how to get it.
pub fn version() -> Result<String> {
    let output = Command::new("valgrind").arg("--version").output().context(REMEDY)?;
    ensure!(output.status.success(), REMEDY);
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Instructions that the `index`-th piece or its floor takes.
pub fn instructions(index: usize, which: Which) -> Result<f64> {
    let (once, twice) = (collected(index, which, TIMES)?, collected(index, which, 2 * TIMES)?);
    let difference = twice.checked_sub(once).context("twice the work took fewer instructions")?;
    Ok(difference as f64 / f64::from(TIMES))
}

/// Instructions of a process that does it so many times.
fn collected(index: usize, which: Which, times: u32) -> Result<u64> {
    let program = std::env::current_exe().context("where this program lies")?;
    let output = Command::new("valgrind")
        // Nobody gives it orders, so it needs no pipes for them in /tmp.
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--vgdb=no"])
        .arg(program)
        // As many digits for each: a longer command line moves the stack, and with it alignments.
        .args([COMMAND, &format!("{index:03}"), which.name(), &format!("{times:06}")])
        .env_clear()
        .output()
        .context(REMEDY)?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "under valgrind it ended with {}:\n{text}", output.status);
    let collected = text.lines().find_map(|line| line.split_once("Collected : "));
    let (_, number) = collected.with_context(|| format!("callgrind did not say what it has collected:\n{text}"))?;
    number.trim().parse().with_context(|| format!("{number:?} is not a number"))
}
