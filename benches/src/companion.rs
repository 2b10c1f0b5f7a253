//! Processes that end with this one: whatever ends it, SIGKILL too, none of them stays behind. The kernel is told by the
//! process itself, between fork and exec, which safe code cannot do. So it is this program again that is started: it tells
//! the kernel and then becomes the other program, which keeps its process id and, across exec, the order to end.

use anyhow::{Context, Result, ensure};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The first argument of this program when it is to become another one.
const COMMAND: &str = "companion";

/// A command for a program that ends with this process. It must be started by the main thread: the kernel's "parent" is the
/// thread that starts a process.
pub fn command(program: impl AsRef<OsStr>) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("where this program lies")?);
    command.arg(COMMAND).arg(std::process::id().to_string()).arg(program);
    Ok(command)
}

/// The parent's process id and the other program's command line, if this process was started to become that.
pub fn asked_for(arguments: impl Iterator<Item = OsString>) -> Option<Vec<OsString>> {
    let mut arguments = arguments.skip(1);
    (arguments.next()? == COMMAND).then(|| arguments.collect())
}

/// Becomes the other program; returns only if that fails.
pub fn become_it(plan: &[OsString]) -> Result<Infallible> {
    let [parent, program, rest @ ..] = plan else {
        anyhow::bail!("{COMMAND} is for this program's own use");
    };
    set_parent_process_death_signal(Some(Signal::KILL)).context("PR_SET_PDEATHSIG")?;
    // A parent that ended before the kernel was told would never be noticed.
    let is_there = getppid().is_some_and(|pid| *parent == *pid.as_raw_nonzero().to_string());
    ensure!(is_there, "whoever started this has ended");
    let error = Command::new(program).args(rest).exec();
    Err(error).with_context(|| format!("starting {}", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(arguments: &[&str]) -> Option<Vec<OsString>> {
        asked_for(arguments.iter().map(OsString::from))
    }

    #[test]
    fn only_the_first_argument_makes_a_companion() {
        assert_eq!(plan(&["benches", "companion", "7", "wrk", "-c"]).unwrap(), ["7", "wrk", "-c"]);
        assert_eq!(plan(&["benches", "latency", "companion"]), None);
        assert_eq!(plan(&["benches"]), None);
    }

    #[test]
    fn a_companion_of_somebody_else_does_not_start() {
        let error = become_it(&["1073741824".into(), "/no/such/program".into()]).unwrap_err();
        assert_eq!(error.to_string(), "whoever started this has ended");
        // The order of this test's process is taken back.
        set_parent_process_death_signal(None).unwrap();
    }
}
