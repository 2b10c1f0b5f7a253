//! What a process has used, as the kernel counts it: processor time and memory.

use anyhow::{Context, Result};
use rustix::param::clock_ticks_per_second;
use std::time::Duration;

/// Processor time of a process since its start.
///
/// The whole is exact (`schedstat`, nanoseconds). How it divides into user and system is sampled by the kernel at its timer
/// ticks, so it is good to some ticks in all: what is measured has to take long enough.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    total: Duration,
    user_ticks: u64,
    system_ticks: u64,
}

impl Cpu {
    /// That of a process, all its threads together.
    pub fn of(pid: u32) -> Result<Cpu> {
        let mut nanoseconds = 0;
        for task in std::fs::read_dir(format!("/proc/{pid}/task")).context("the threads of the server")? {
            let text = std::fs::read_to_string(task?.path().join("schedstat")).context("its processor time")?;
            nanoseconds += number(text.split_whitespace().next())?;
        }
        let [user_ticks, system_ticks, ..] = ticks(&pid.to_string())?;
        Ok(Cpu { total: Duration::from_nanos(nanoseconds), user_ticks, system_ticks })
    }

    /// What was used since then.
    pub fn since(&self, then: &Cpu) -> Cpu {
        Cpu {
            total: self.total.saturating_sub(then.total),
            user_ticks: self.user_ticks.saturating_sub(then.user_ticks),
            system_ticks: self.system_ticks.saturating_sub(then.system_ticks),
        }
    }

    /// This and that together.
    pub fn and(&self, that: &Cpu) -> Cpu {
        Cpu {
            total: self.total + that.total,
            user_ticks: self.user_ticks + that.user_ticks,
            system_ticks: self.system_ticks + that.system_ticks,
        }
    }

    /// Microseconds, for each of so many requests.
    pub fn micros_per(&self, requests: u64) -> f64 {
        self.total.as_secs_f64() * 1e6 / requests.max(1) as f64
    }

    /// Seconds.
    pub fn seconds(&self) -> f64 {
        self.total.as_secs_f64()
    }

    /// The part of it that was spent outside of the kernel, between 0 and 1.
    pub fn user_part(&self) -> f64 {
        self.user_ticks as f64 / (self.user_ticks + self.system_ticks).max(1) as f64
    }
}

/// User and system time of a process, and those of its children that have ended and been waited for.
pub fn ticks(process: &str) -> Result<[u64; 4]> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).context("its processor time")?;
    // The name of the program may contain anything, and ends at the last parenthesis. What follows begins with field 3.
    let (_, fields) = text.rsplit_once(')').context("/proc/PID/stat has a name in parentheses")?;
    let mut fields = fields.split_whitespace().skip(14 - 3);
    Ok([number(fields.next())?, number(fields.next())?, number(fields.next())?, number(fields.next())?])
}

/// Seconds of one tick.
pub fn tick_seconds() -> f64 {
    1.0 / clock_ticks_per_second() as f64
}

/// Memory of a process.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Bytes that are resident.
    pub resident: u64,
    /// The same with shared pages divided between those who share them.
    pub proportional: u64,
}

impl Memory {
    /// That of a process, now.
    pub fn of(pid: u32) -> Result<Memory> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).context("the memory of the server")?;
        Ok(Memory { resident: kibibytes(&text, "Rss:")?, proportional: kibibytes(&text, "Pss:")? })
    }
}

/// Bytes of kernel objects, of the whole machine.
pub fn kernel_memory() -> Result<u64> {
    kibibytes(&std::fs::read_to_string("/proc/meminfo").context("the machine's memory")?, "Slab:")
}

/// The bytes of a line such as `Rss:   1234 kB`.
fn kibibytes(text: &str, key: &str) -> Result<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key)).with_context(|| format!("no line {key}"))?;
    Ok(number(rest.split_whitespace().next())? * 1024)
}

fn number(text: Option<&str>) -> Result<u64> {
    let text = text.context("a number is missing")?;
    text.parse().with_context(|| format!("{text:?} is not a number"))
}
