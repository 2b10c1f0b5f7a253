//! Which core runs what. Daemon and client never share one: what is measured is the daemon, not the scheduler.

use anyhow::{Context, Result};
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores that this process may use.
pub fn allowed() -> Result<Vec<usize>> {
    let set = sched_getaffinity(None).context("the cores of this process")?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

/// Moves this thread to a core. Processes that it starts from now on begin there.
pub fn pin(core: usize) -> Result<()> {
    sched_setaffinity(None, &only(&[core])).with_context(|| format!("core {core} cannot be used"))
}

/// Moves all threads of a process to a core. Threads that they start from now on begin there.
pub fn pin_process(process: u32, core: usize) -> Result<()> {
    threads_of(process)?.into_iter().try_for_each(|thread| pin_thread(thread, core))
}

/// Moves those threads of a process to a core that are not kept to another one already.
pub fn pin_others(process: u32, kept: usize, core: usize) -> Result<()> {
    for thread in threads_of(process)? {
        match sched_getaffinity(Some(thread)) {
            Ok(set) if set.is_set(kept) && set.count() == 1 => {}
            Ok(_) => pin_thread(thread, core)?,
            // It has ended.
            Err(Errno::SRCH) => {}
            Err(error) => return Err(error).context("the cores of a thread of the server"),
        }
    }
    Ok(())
}

fn threads_of(process: u32) -> Result<Vec<Pid>> {
    let mut threads = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{process}/task")).context("the threads of the server")? {
        let name = task?.file_name();
        let thread = name.to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        threads.push(thread.with_context(|| format!("{} is not a thread", name.display()))?);
    }
    Ok(threads)
}

fn pin_thread(thread: Pid, core: usize) -> Result<()> {
    match sched_setaffinity(Some(thread), &only(&[core])) {
        // A thread that has ended needs no core.
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("core {core} for a thread of the server")),
    }
}

fn only(cores: &[usize]) -> CpuSet {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    set
}

/// Does something on other cores, such as starting a process, which begins there; this thread comes back to where it was.
pub fn elsewhere<T>(cores: &[usize], act: impl FnOnce() -> T) -> Result<T> {
    let here = sched_getaffinity(None).context("the cores of this thread")?;
    sched_setaffinity(None, &only(cores)).with_context(|| format!("cores {cores:?} cannot be used"))?;
    let outcome = act();
    sched_setaffinity(None, &here).context("back to the core of the client")?;
    Ok(outcome)
}
