//! A start that nobody else is to notice: until the process of a model that crashed is ready again, its threads have the
//! processor time that others leave, and no more.
//!
//! A program, a framework and its model keep a core busy while they are loaded again, and whoever wants that core waits for it.
//! Linux has a policy for such work, `SCHED_IDLE`, which every thread may take. To come back from it takes leave: CAP_SYS_NICE, or
//! a limit of nice values that has the present one in it (RLIMIT_NICE, `LimitNICE=` of a service). So a thread of the daemon tries
//! that first, and without leave the start is like any other work.
//!
//! ```text
//! daemon    started ── push: its one thread ──► Open (it is in the background)
//! process              its program is loaded     opens the model ──► is asked for an instance ──► comes back: all threads
//! ```
//!
//! A policy is a thread's own, and a thread that is made begins with its maker's, so those that a framework makes meanwhile come
//! back with the others; one that is being made is in no list yet, so they are looked for until there are none, and once more.
//! Where all cores are busy nothing is left for such work, so on either side a clock ends it.

use rustix::process::Pid;
use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// For how long a program is loaded with what others leave, and a model opened. Either takes less where a core is half idle; where
/// none is, the model should be served again soon.
const PATIENCE: Duration = Duration::from_secs(2);

/// Leave to put what is started into the background. Looked for before something is started: it runs meanwhile.
pub(crate) struct Leave(());

impl Leave {
    /// Whether a thread of the usual policy that takes what others leave can have the usual one again. So can those of a process
    /// that it starts: leave is inherited.
    pub fn find() -> Option<Leave> {
        let there_and_back =
            || set_policy(THIS, libc::SCHED_IDLE).and_then(|()| set_policy(THIS, libc::SCHED_OTHER)).is_ok();
        let may = policy(THIS) == Some(libc::SCHED_OTHER)
            && Builder::new().spawn(there_and_back).is_ok_and(|thread| thread.join().unwrap_or(false));
        may.then_some(Leave(()))
    }
}

/// Puts a process that has one thread into the background while it loads its program. It comes back by itself, as soon as it has
/// begun to run, or when what this returns has waited for too long.
pub(crate) fn push(process: Pid, leave: &Leave) -> Option<Alarm> {
    push_for(process, PATIENCE, leave)
}

fn push_for(process: Pid, patience: Duration, _: &Leave) -> Option<Alarm> {
    let thread = process.as_raw_pid();
    // Nothing is worse than before if it fails: it may have ended.
    let _ = set_policy(thread, libc::SCHED_IDLE);
    let back = move || {
        put_one_back(thread);
    };
    let alarm = Alarm::set(patience, back);
    if alarm.is_none() {
        back();
    }
    alarm
}

/// This process is in the background. Dropped, it has come back.
pub(crate) struct Background(Option<Alarm>);

impl Background {
    /// Comes back by itself after a while.
    pub fn of_this_process() -> Background {
        Background::until(PATIENCE)
    }

    fn until(patience: Duration) -> Background {
        // The alarm must not wait for what others leave: it is made as if nothing were in the background.
        put_one_back(THIS);
        let alarm = Alarm::set(patience, put_back);
        if alarm.is_some() {
            let _ = set_policy(THIS, libc::SCHED_IDLE);
        }
        Background(alarm)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        put_back();
        // Its thread has ended before others are looked for once more.
        drop(self.0.take());
        put_back();
    }
}

/// Acts after a while, unless it is dropped before.
pub(crate) struct Alarm(Option<(Sender<()>, JoinHandle<()>)>);

impl Alarm {
    /// `None` if there is no thread for it.
    fn set(patience: Duration, act: impl FnOnce() + Send + 'static) -> Option<Alarm> {
        let (dropped, end) = channel::<()>();
        let wait = move || {
            if end.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                act();
            }
        };
        let thread = Builder::new().name("background".into()).spawn(wait).ok()?;
        Some(Alarm(Some((dropped, thread))))
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let Some((dropped, thread)) = self.0.take() else { return };
        drop(dropped);
        // It neither panics nor waits.
        let _ = thread.join();
    }
}

/// Gives all threads of this process the usual policy that take what others leave.
fn put_back() {
    // Those that were found may have made others meanwhile.
    while threads().into_iter().filter(|thread| put_one_back(*thread)).count() > 0 {}
}

/// Gives a thread the usual policy if it takes what others leave; whether that is so.
fn put_one_back(thread: i32) -> bool {
    policy(thread) == Some(libc::SCHED_IDLE) && set_policy(thread, libc::SCHED_OTHER).is_ok()
}

fn threads() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The thread that asks.
const THIS: i32 = 0;

/// The policy of a thread, unless it has ended.
fn policy(thread: i32) -> Option<i32> {
    // SAFETY: it takes a number and gives one.
    let policy = unsafe { libc::sched_getscheduler(thread) };
    (policy >= 0).then_some(policy)
}

/// Sets the policy of a thread to one of those that have no priorities.
fn set_policy(thread: i32, policy: i32) -> io::Result<()> {
    let no_priority = libc::sched_param { sched_priority: 0 };
    // SAFETY: the parameters are read during the call alone, and no thread computes anything else for having another policy.
    match unsafe { libc::sched_setscheduler(thread, policy, &raw const no_priority) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};
    use std::sync::mpsc::{Receiver, Sender};
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::time::Instant;

    /// One test at a time: all threads of the process are put back.
    fn alone() -> MutexGuard<'static, ()> {
        static TURN: Mutex<()> = Mutex::new(());
        TURN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leave, if this process has it by what the system says of it: the capability 23 or a limit of 20 (capabilities(7),
    /// getrlimit(2): 20 is the nice value 0). Nothing comes back without it, so there is nothing else to see then.
    fn leave() -> Option<Leave> {
        let read = |file: &str, line: &str| {
            let text = std::fs::read_to_string(file).expect("it is there");
            let line = text.lines().find_map(|found| found.strip_prefix(line)).expect("it has this line").to_string();
            line.split_whitespace().next().expect("a word").to_string()
        };
        let capabilities = u64::from_str_radix(&read("/proc/self/status", "CapEff:"), 16).expect("a number");
        let nice: u64 = read("/proc/self/limits", "Max nice priority").parse().unwrap_or(u64::MAX);
        let leave = Leave::find();
        assert_eq!(leave.is_some(), capabilities & 1 << 23 != 0 || nice >= 20);
        if leave.is_none() {
            eprintln!(
                "this process has no leave to come back: neither CAP_SYS_NICE nor a limit of nice values (ulimit -e 20)"
            );
        }
        leave
    }

    #[test]
    fn the_policy_is_back_when_the_work_is_done() {
        let _alone = alone();
        let Some(_leave) = leave() else { return };
        let background = Background::of_this_process();
        assert_eq!(policy(THIS), Some(libc::SCHED_IDLE));
        drop(background);
        assert_eq!(policy(THIS), Some(libc::SCHED_OTHER));
    }

    #[test]
    fn threads_that_were_made_meanwhile_are_put_back_too() {
        let _alone = alone();
        let Some(_leave) = leave() else { return };
        // Each is asked for its policy, and answers.
        let (ask, asked): (Sender<()>, Receiver<()>) = channel();
        let (answer, answered) = channel();
        let background = Background::of_this_process();
        let answers = move || asked.iter().for_each(|()| answer.send(policy(THIS)).expect("somebody asked"));
        let thread = Builder::new().spawn(answers).expect("a thread");
        ask.send(()).expect("it lives");
        assert_eq!(answered.recv(), Ok(Some(libc::SCHED_IDLE)));
        drop(background);
        ask.send(()).expect("it lives");
        assert_eq!(answered.recv(), Ok(Some(libc::SCHED_OTHER)));
        drop(ask);
        thread.join().expect("it ended well");
    }

    #[test]
    fn work_that_takes_too_long_has_its_share() {
        let _alone = alone();
        let Some(_leave) = leave() else { return };
        let _background = Background::until(Duration::from_millis(1));
        until(THIS, libc::SCHED_OTHER);
    }

    #[test]
    fn a_process_is_pushed_and_comes_back_when_it_takes_too_long() {
        let _alone = alone();
        let Some(leave) = leave() else { return };
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("cat");
        let process = Pid::from_child(&child);
        drop(push(process, &leave));
        // Nothing comes back with the alarm: the process does that itself, in time.
        assert_eq!(policy(process.as_raw_pid()), Some(libc::SCHED_IDLE));
        let _alarm = push_for(process, Duration::from_millis(1), &leave);
        until(process.as_raw_pid(), libc::SCHED_OTHER);
        child.kill().expect("it lives");
        child.wait().expect("it ended");
    }

    /// Waits until a thread has this policy.
    fn until(thread: i32, wanted: i32) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while policy(thread) != Some(wanted) {
            assert!(Instant::now() < deadline, "it has its share never");
            std::thread::yield_now();
        }
    }
}
