//! What stands above the numbers: the machine, the commit, the command; and how quiet the machine was.

use crate::options::Bench;
use crate::socket::CONGESTION;
use crate::usage;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// Prints all that somebody needs to know to judge the numbers, and to get them again.
pub fn print_header(bench: &Bench) -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).map(|argument| without_folders(&argument)).collect();
    println!("# graphpiped-benches {}\n", arguments.join(" "));
    println!("- machine: {}, {}, {} cores", processor(), said("uname", &["-srm"]), cores());
    println!(
        "- memory: {}; transparent huge pages: {}",
        total_memory()?,
        chosen("/sys/kernel/mm/transparent_hugepage/enabled")
    );
    println!("- commit: {}; daemon: {} ({})", commit(), daemon_name(bench), version(bench));
    println!("- server on core {}, client on core {}", bench.server_core, bench.client_core);
    println!(
        "- congestion control of all sockets here, but the clients' in `instrument`: {CONGESTION}; the system's: {}",
        chosen(SYSTEM_CONGESTION)
    );
    println!(
        "- rounds: {}, of {:?} for each measurement, in orders by chance (seed {}); median (least–most)",
        bench.rounds, bench.duration, bench.seed
    );
    Ok(())
}

/// An argument as it can be published: of a path only the last part, which may come after a flag and `=`.
fn without_folders(argument: &str) -> String {
    let (flag, value) = match argument.split_once('=') {
        Some((flag, value)) if flag.starts_with('-') => (format!("{flag}="), value),
        _ => (String::new(), argument),
    };
    let name = Path::new(value).file_name().map_or(value.into(), |name| name.to_string_lossy());
    flag + &name
}

fn daemon_name(bench: &Bench) -> String {
    without_folders(&bench.daemon.to_string_lossy())
}

const SYSTEM_CONGESTION: &str = "/proc/sys/net/ipv4/tcp_congestion_control";

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or("unknown processor", |(_, name)| name).to_owned()
}

fn cores() -> usize {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    text.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count()
}

fn total_memory() -> Result<String> {
    let text = std::fs::read_to_string("/proc/meminfo").context("the machine's memory")?;
    let rest = text.lines().find_map(|line| line.strip_prefix("MemTotal:")).context("no MemTotal")?;
    let kibibytes: f64 = rest.trim().trim_end_matches(" kB").parse().context("MemTotal")?;
    Ok(format!("{:.1} GiB", kibibytes / f64::from(1 << 20)))
}

/// The content of a file of one line; of several words the one in brackets, which is the one in effect.
fn chosen(path: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_else(|_| "unknown".into());
    let word = text.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(word, _)| word);
    word.unwrap_or(text.trim()).to_owned()
}

fn commit() -> String {
    let head = said("git", &["rev-parse", "--short=12", "HEAD"]);
    let changed = said("git", &["status", "--porcelain", "--untracked-files=no"]);
    if changed.is_empty() || head == UNKNOWN { head } else { format!("{head} with changes") }
}

fn version(bench: &Bench) -> String {
    said(bench.daemon.as_os_str(), &["--version"])
}

const UNKNOWN: &str = "unknown";

/// What a program says, or that it does not.
fn said(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
    output.map_or(UNKNOWN.to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The time that all processors have worked, and how much of it was ours.
#[derive(Clone, Copy, Debug)]
pub struct Busy {
    all: u64,
    idle: u64,
    ours: u64,
}

impl Busy {
    /// Until now. Servers count as ours once they have ended.
    pub fn now() -> Result<Busy> {
        let text = std::fs::read_to_string("/proc/stat").context("the machine's processor time")?;
        let line = text.lines().next().context("/proc/stat is empty")?;
        let fields: Vec<u64> = line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
        // user, nice, system, idle, iowait, irq, softirq, steal; what follows is part of these.
        let all = fields.iter().take(8).sum();
        let idle = fields.iter().skip(3).take(2).sum();
        Ok(Busy { all, idle, ours: usage::ticks("self")?.iter().sum() })
    }

    /// What others used of the machine since then.
    pub fn others_percent(&self) -> Result<f64> {
        let now = Busy::now()?;
        let all = now.all - self.all;
        let busy = all.saturating_sub(now.idle - self.idle);
        let others = busy.saturating_sub(now.ours - self.ours);
        Ok(100.0 * others as f64 / all.max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_names_no_folder() {
        assert_eq!(without_folders("/home/somebody/bin/graphpiped"), "graphpiped");
        assert_eq!(without_folders("--daemon=/home/somebody/bin/graphpiped"), "--daemon=graphpiped");
        assert_eq!(without_folders("--rounds=5"), "--rounds=5");
        assert_eq!(without_folders("end_to_end"), "end_to_end");
        assert_eq!(without_folders(".."), "..");
    }
}
