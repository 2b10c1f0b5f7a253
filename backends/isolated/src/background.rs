//! Work that nobody else is to notice: meanwhile its threads have the processor time that others leave, and no more.
//!
//! A framework and its model keep a core busy while they are opened again, and whoever wants that core waits for it. Linux has a
//! policy for such work, `SCHED_IDLE`, which every thread may take. To come back from it takes leave: CAP_SYS_NICE, or a limit of
//! nice values that has the present one in it (RLIMIT_NICE, `LimitNICE=` of a service). So one thread tries that first, and
//! without leave the work is done like any other.
//!
//! A policy is a thread's own, and a thread that is made begins with its maker's. Those that a framework has made meanwhile are
//! put back with the others, and again when the model is first used, because one that is being made is in no list yet. Where all
//! cores are busy nothing is left for such work, so it has its share after a while.

use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// For how long work takes what others leave. Opening a model takes less where a core is half idle; where none is, the model
/// should be served again soon.
const PATIENCE: Duration = Duration::from_secs(2);

/// Does something in the background.
pub(crate) fn in_background<T>(act: impl FnOnce() -> T) -> T {
    let _background = Background::begin(PATIENCE);
    act()
}

/// Begun, and ended when it is dropped.
struct Background(Option<(Sender<()>, JoinHandle<()>)>);

impl Background {
    fn begin(patience: Duration) -> Background {
        if !may_come_back() {
            return Background(None);
        }
        let (ended, end) = channel::<()>();
        let watch = move || {
            if end.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                put_back();
            }
        };
        // Made now, while whatever is made has the usual policy.
        let Ok(watcher) = Builder::new().name("background".into()).spawn(watch) else { return Background(None) };
        // Nothing is worse than before if it fails.
        let _ = set_policy(THIS, libc::SCHED_IDLE);
        Background(Some((ended, watcher)))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let Some((ended, watcher)) = self.0.take() else { return };
        drop(ended);
        // It neither panics nor waits.
        let _ = watcher.join();
        put_back();
    }
}

/// Whether a thread of the usual policy that takes what others leave can have the usual one again.
fn may_come_back() -> bool {
    let there_and_back =
        || set_policy(THIS, libc::SCHED_IDLE).and_then(|()| set_policy(THIS, libc::SCHED_OTHER)).is_ok();
    policy(THIS) == Some(libc::SCHED_OTHER)
        && Builder::new().spawn(there_and_back).is_ok_and(|thread| thread.join().unwrap_or(false))
}

/// Gives all threads the usual policy that take what others leave.
pub(crate) fn put_back() {
    let is_put_back =
        |thread: &i32| policy(*thread) == Some(libc::SCHED_IDLE) && set_policy(*thread, libc::SCHED_OTHER).is_ok();
    // Those that were found may have made others meanwhile.
    while threads().iter().filter(|thread| is_put_back(thread)).count() > 0 {}
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
    use std::sync::mpsc::{Receiver, Sender};
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::time::Instant;

    /// One test at a time: all threads of the process are put back.
    fn alone() -> MutexGuard<'static, ()> {
        static TURN: Mutex<()> = Mutex::new(());
        TURN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The policy that this thread should have in the background: it needs leave, which is the capability 23 or a limit of 20
    /// (capabilities(7), getrlimit(2): 20 is the nice value 0).
    fn expected() -> i32 {
        let read = |file: &str, line: &str| {
            let text = std::fs::read_to_string(file).expect("it is there");
            let line = text.lines().find_map(|found| found.strip_prefix(line)).expect("it has this line").to_string();
            line.split_whitespace().next().expect("a word").to_string()
        };
        let capabilities = u64::from_str_radix(&read("/proc/self/status", "CapEff:"), 16).expect("a number");
        let nice: u64 = read("/proc/self/limits", "Max nice priority").parse().unwrap_or(u64::MAX);
        if capabilities & 1 << 23 != 0 || nice >= 20 { libc::SCHED_IDLE } else { libc::SCHED_OTHER }
    }

    #[test]
    fn the_policy_is_back_when_the_work_is_done() {
        let _alone = alone();
        let found = in_background(|| policy(THIS));
        assert_eq!(found, Some(expected()));
        assert_eq!(policy(THIS), Some(libc::SCHED_OTHER));
    }

    #[test]
    fn threads_that_were_made_meanwhile_are_put_back_too() {
        let _alone = alone();
        // Each is asked for its policy, and answers.
        let (ask, asked): (Sender<()>, Receiver<()>) = channel();
        let (answer, answered) = channel();
        let thread = in_background(|| {
            let answers = move || asked.iter().for_each(|()| answer.send(policy(THIS)).expect("somebody asked"));
            let thread = Builder::new().spawn(answers).expect("a thread");
            ask.send(()).expect("it lives");
            assert_eq!(answered.recv(), Ok(Some(expected())));
            thread
        });
        ask.send(()).expect("it lives");
        assert_eq!(answered.recv(), Ok(Some(libc::SCHED_OTHER)));
        drop(ask);
        thread.join().expect("it ended well");
    }

    #[test]
    fn work_that_takes_too_long_has_its_share() {
        let _alone = alone();
        let _background = Background::begin(Duration::from_millis(1));
        let deadline = Instant::now() + Duration::from_secs(20);
        while policy(THIS) != Some(libc::SCHED_OTHER) {
            assert!(Instant::now() < deadline, "it has its share never");
            std::thread::yield_now();
        }
    }
}
