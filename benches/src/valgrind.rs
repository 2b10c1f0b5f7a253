//! A process under callgrind, which counts its instructions outside of the kernel, whatever else the machine does. What is
//! counted is between two orders from outside, so the process is the one that users run, and nothing is built into it.

use crate::companion;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// How to get it.
const REMEDY: &str = "valgrind is needed; get it with `apt-get install valgrind`";

/// Counts the instructions of one process.
#[derive(Debug)]
pub struct Callgrind {
    folder: TempDir,
    dumps: u32,
}

impl Callgrind {
    /// A place for its files.
    pub fn new() -> Result<Callgrind> {
        Ok(Callgrind { folder: tempfile::tempdir().context("a temporary folder")?, dumps: 0 })
    }

    /// What to start the process with.
    pub fn command(&self) -> Result<Command> {
        let mut command = companion::command("valgrind")?;
        command.args(["--quiet", "--tool=callgrind"]);
        command.arg(format!("--callgrind-out-file={}", self.file().display())).arg(self.pipes());
        Ok(command)
    }

    /// Instructions of the process while `act` is at work.
    pub fn during(&mut self, process: u32, act: impl FnOnce() -> Result<()>) -> Result<u64> {
        self.order(process, "zero")?;
        act()?;
        self.order(process, "dump")?;
        self.dumps += 1;
        total(&self.file().with_extension(self.dumps.to_string()))
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("callgrind")
    }

    /// Where valgrind and `vgdb` have their pipes. They stay behind when the process is killed, so not in `/tmp`.
    fn pipes(&self) -> String {
        format!("--vgdb-prefix={}", self.folder.path().join("vgdb").display())
    }

    /// `vgdb` is a part of valgrind.
    fn order(&self, process: u32, order: &str) -> Result<()> {
        let mut command = Command::new("vgdb");
        command.arg(self.pipes()).arg(format!("--pid={process}")).arg(order);
        let output = command.output().context(REMEDY)?;
        ensure!(output.status.success(), "vgdb {order}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

/// The version of valgrind, or how to get it and `vgdb`.
pub fn version() -> Result<String> {
    let output = Command::new("valgrind").arg("--version").output().context(REMEDY)?;
    let pipes = Command::new("vgdb").arg("--help").output().context(REMEDY)?;
    ensure!(output.status.success() && pipes.status.success(), REMEDY);
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The sum at the end of a dump.
fn total(file: &Path) -> Result<u64> {
    let text = std::fs::read_to_string(file).context("what callgrind has counted")?;
    let number = text.lines().rev().find_map(|line| line.strip_prefix("totals:")).context("callgrind gives no sum")?;
    number.trim().parse().with_context(|| format!("{number:?} is not a number"))
}
