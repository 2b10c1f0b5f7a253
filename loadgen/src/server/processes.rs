//! What the server's processes use: processor time and memory, of those that were named and all that they have started.

use anyhow::{Context, Result};
use procfs::ProcResult;
use procfs::process::{Process, all_processes};
use std::collections::{BTreeMap, BTreeSet};

/// The server's processes.
#[derive(Clone, Debug)]
pub struct Processes {
    roots: Vec<u32>,
}

/// Processor time so far, by process.
#[derive(Clone, Debug, Default)]
pub struct Cpu(BTreeMap<i32, ProcessTime>);

/// One process' time, as the kernel says it twice.
#[derive(Clone, Debug, Default)]
struct ProcessTime {
    /// Of each thread that there is, in nanoseconds (`schedstat`).
    threads: BTreeMap<i32, u64>,
    /// Of all threads that have ever been, in nanoseconds too, but counted in ticks (`stat`).
    whole: u64,
}

impl Processes {
    /// Those named; each must be there.
    pub fn new(roots: &[u32]) -> Result<Processes> {
        for pid in roots {
            Process::new(*pid as i32).with_context(|| format!("--server-pid {pid}: there is no such process"))?;
        }
        Ok(Processes { roots: roots.to_vec() })
    }

    /// Whether all that were named are still there.
    pub fn are_there(&self) -> bool {
        self.roots.iter().all(|pid| Process::new(*pid as i32).is_ok_and(|process| process.is_alive()))
    }

    /// Them and their descendants but this program, as of now. A process that ends meanwhile is left out.
    fn all(&self) -> Result<BTreeSet<i32>> {
        let mut parents = BTreeMap::new();
        for process in all_processes().context("/proc")?.flatten() {
            if let Ok(stat) = process.stat() {
                parents.insert(stat.pid, stat.ppid);
            }
        }
        let roots: BTreeSet<i32> = self.roots.iter().map(|pid| *pid as i32).collect();
        let belongs = |pid: &i32| {
            // A chain of parents is short; the bound is for a table that changed while it was read.
            let chain = std::iter::successors(Some(*pid), |child| parents.get(child).copied());
            chain.take(64).any(|pid| roots.contains(&pid))
        };
        // Who started the server may have started us.
        let own = std::process::id() as i32;
        Ok(parents.keys().copied().filter(|pid| *pid != own && belongs(pid)).collect())
    }

    /// Processor time so far.
    pub fn cpu(&self) -> Result<Cpu> {
        let times = self.all()?.into_iter().filter_map(|pid| Some((pid, process_time(pid).ok()?)));
        Ok(Cpu(times.collect()))
    }

    /// Bytes that are resident, of all of them; what they share is counted once for each.
    pub fn resident(&self) -> Result<u64> {
        let pages = self.all()?.into_iter().filter_map(|pid| Some(Process::new(pid).ok()?.statm().ok()?.resident));
        Ok(pages.sum::<u64>() * procfs::page_size())
    }
}

fn process_time(pid: i32) -> ProcResult<ProcessTime> {
    let process = Process::new(pid)?;
    let mut time = ProcessTime::default();
    for task in process.tasks()?.flatten() {
        if let Ok(schedule) = task.schedstat() {
            time.threads.insert(task.tid, schedule.sum_exec_runtime);
        }
    }
    let stat = process.stat()?;
    time.whole = (stat.utime + stat.stime) * tick_ns();
    Ok(time)
}

fn tick_ns() -> u64 {
    1_000_000_000 / procfs::ticks_per_second()
}

impl Cpu {
    /// Nanoseconds since `before`; `None` if a process that was named is in one of the two and not in the other.
    pub fn since(&self, before: &Cpu, of: &Processes) -> Option<u64> {
        let known =
            of.roots.iter().all(|pid| self.0.contains_key(&(*pid as i32)) && before.0.contains_key(&(*pid as i32)));
        let nothing = ProcessTime::default();
        known.then(|| self.0.iter().map(|(pid, time)| time.since(before.0.get(pid).unwrap_or(&nothing))).sum())
    }
}

impl ProcessTime {
    /// The threads say it exactly, but those that have ended are missing; the process misses none, and is a tick off at most.
    fn since(&self, before: &ProcessTime) -> u64 {
        let one = |(tid, time): (&i32, &u64)| time.saturating_sub(before.threads.get(tid).copied().unwrap_or(0));
        let threads: u64 = self.threads.iter().map(one).sum();
        threads.max(self.whole.saturating_sub(before.whole).saturating_sub(tick_ns()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_process_is_counted_with_what_it_has_started() {
        // The shell waits for its child, which waits for its input to end.
        let mut shell =
            Command::new("/bin/sh").args(["-c", "cat; true"]).stdin(Stdio::piped()).spawn().expect("a shell");
        let processes = Processes::new(&[shell.id()]).unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while processes.all().unwrap().len() < 2 {
            assert!(std::time::Instant::now() < deadline, "the shell starts cat");
            std::thread::yield_now();
        }
        assert!(processes.resident().unwrap() > 0);
        let cpu = processes.cpu().unwrap();
        assert_eq!(cpu.0.len(), 2);
        assert!(cpu.0.values().all(|time| !time.threads.is_empty()), "{cpu:?}");
        assert_eq!(cpu.since(&cpu, &processes), Some(0));
        assert_eq!(cpu.since(&Cpu::default(), &processes), None, "nothing is known from before");
        drop(shell.stdin.take());
        shell.wait().expect("it ends");
    }

    #[test]
    fn threads_that_have_ended_are_counted_by_their_process() {
        let now = || process_time(std::process::id() as i32).unwrap();
        let before = now();
        let work = || {
            let began = thread_ns();
            while thread_ns() < began + 200_000_000 {}
        };
        std::thread::spawn(work).join().expect("it ends");
        let since = now().since(&before);
        // A tick is 10 ms, or less.
        assert!(since >= 180_000_000, "{since} ns");
    }

    fn thread_ns() -> u64 {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        let error = Processes::new(&[u32::MAX >> 1]).unwrap_err();
        assert!(error.to_string().contains("--server-pid 2147483647"), "{error:#}");
    }
}
