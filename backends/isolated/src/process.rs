//! Processes: how one is started, ended, and how it has ended. Not what is said to it.

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

/// Starts the processes of a model, one after the other.
pub trait Launch: Send + Sync {
    /// Starts one that [hosts](crate::host::serve) a model, and that `control` is for. Called by the thread that lives as long as
    /// the process.
    fn launch(&self, control: OwnedFd) -> io::Result<Box<dyn Process>>;
}

/// A process that was started.
pub trait Process: Send {
    /// Its number, if it has one: nobody else's until it was waited for.
    fn number(&self) -> Option<Pid> {
        None
    }
    /// What can be read from as soon as it has ended, if there is such a thing. Its sockets do not tell: what it has forked
    /// has them, too.
    fn end(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    /// Ends it, if it has not ended.
    fn kill(&mut self);
    /// Waits for its end, and says how it has ended, in words that go on after "ended".
    fn wait(&mut self) -> String;
}

/// Processes of a program. They find their socket as their standard input.
pub struct Program<F>(pub F);

impl<F: Fn() -> Command + Send + Sync> Launch for Program<F> {
    fn launch(&self, control: OwnedFd) -> io::Result<Box<dyn Process>> {
        let child = (self.0)().stdin(Stdio::from(control)).spawn()?;
        // Nobody has waited for it, so the number is its own. Without such a descriptor its socket has to do.
        let end = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).ok();
        Ok(Box::new(Started { child, end }))
    }
}

struct Started {
    child: Child,
    end: Option<OwnedFd>,
}

impl Process for Started {
    fn number(&self) -> Option<Pid> {
        Some(Pid::from_child(&self.child))
    }

    fn end(&self) -> Option<BorrowedFd<'_>> {
        self.end.as_ref().map(AsFd::as_fd)
    }

    fn kill(&mut self) {
        // It fails only if the process has ended, which is as well.
        let _ = self.child.kill();
    }

    fn wait(&mut self) -> String {
        self.child.wait().map_or_else(|error| format!("in an unknown way: {error}"), how)
    }
}

fn how(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => {
            let name = NAMES.iter().find(|(number, _)| *number == signal);
            name.map_or_else(|| format!("by signal {signal}"), |(_, name)| format!("by signal {signal}, {name}"))
        }
        (None, Some(code)) => format!("with exit code {code}"),
        (None, None) => status.to_string(),
    }
}

/// The signals by which programs end, on all architectures alike.
const NAMES: [(i32, &str); 7] = [
    (libc::SIGILL, "SIGILL"),
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGKILL, "SIGKILL"),
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGTERM, "SIGTERM"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::{Mailbag, Socket};

    fn shell(command: &'static str) -> Program<impl Fn() -> Command + Send + Sync> {
        Program(move || {
            let mut shell = Command::new("sh");
            shell.args(["-c", command]);
            shell
        })
    }

    #[test]
    fn how_a_process_ended_is_said_with_the_name_of_its_signal() {
        let ends = |command, end: &str| {
            let (_ours, theirs) = Socket::pair().expect("a pair");
            let mut process = shell(command).launch(theirs).expect("a shell");
            assert_eq!(process.wait(), end);
        };
        ends("kill -SEGV $$", "by signal 11, SIGSEGV");
        ends("kill -USR1 $$", "by signal 10");
        ends("exit 3", "with exit code 3");
    }

    #[test]
    fn the_end_of_a_process_is_the_end_of_its_socket() {
        let (ours, theirs) = Socket::pair().expect("a pair");
        let mut process = shell("read line").launch(theirs).expect("a shell");
        process.kill();
        assert_eq!(process.wait(), "by signal 9, SIGKILL");
        assert!(ours.receive(&mut Mailbag::new()).expect("the end").0.is_empty());
    }
}
