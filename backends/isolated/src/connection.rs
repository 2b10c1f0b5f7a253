//! What is said to a process on its control socket, and heard from it. Not when, nor what follows from it.

use crate::arenas::Arena;
use crate::kept::KeptRuns;
use crate::socket::{Mailbag, Socket};
use crate::wire::Garbage;
use crate::wire::control::{FromProcess, ToProcess};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicU64;

/// A process that was started.
pub(crate) struct Connection {
    /// The epoch that it is up in.
    pub epoch: u64,
    /// Anybody sends; one packet is not mixed with another. The watcher alone receives.
    control: Socket,
    /// Inputs that it goes on referring to.
    pub kept: KeptRuns,
    /// Names of runs that have been given.
    pub runs: AtomicU64,
}

impl Connection {
    pub fn new(epoch: u64, control: Socket) -> Connection {
        Connection { epoch, control, kept: KeptRuns::default(), runs: AtomicU64::new(0) }
    }

    /// Says something, and waits for what it says to that; nothing if it is gone.
    pub fn ask(&self, message: &[u8], mailbag: &mut Mailbag) -> Option<Result<FromProcess, Garbage>> {
        self.control.send(message, &[]).ok()?;
        let (answer, _) = self.control.receive(mailbag).ok()?;
        (!answer.is_empty()).then(|| FromProcess::read(answer))
    }

    /// Reads what it says until its end, or until it says what cannot be.
    pub fn listen(&self, mailbag: &mut Mailbag) -> Result<(), Garbage> {
        loop {
            let Ok((message, _)) = self.control.receive(mailbag) else { return Ok(()) };
            if message.is_empty() {
                return Ok(());
            }
            match FromProcess::read(message)? {
                FromProcess::Released { run } => self.kept.release(run)?,
                FromProcess::Opened(_) | FromProcess::NotOpened(_) => {
                    return Err(Garbage("it opens a model that is open"));
                }
            }
        }
    }

    /// Has an instance be made, which is spoken to over the other end of this one.
    pub fn make_instance(&self, theirs: &OwnedFd) -> bool {
        self.tell(&ToProcess::Instance, &[theirs.as_fd()])
    }

    /// Lets it read an arena.
    pub fn share(&self, arena: &Arena) {
        let Arena { id, bytes, ref descriptor, .. } = *arena;
        self.tell(&ToProcess::Share { arena: id, bytes }, &[descriptor.as_fd()]);
    }

    /// Has it forget one.
    pub fn unshare(&self, arena: u64) {
        self.tell(&ToProcess::Forget { arena }, &[]);
    }

    /// Tells the process something. One that does not take it for seconds is given up.
    fn tell(&self, what: &ToProcess, descriptors: &[BorrowedFd<'_>]) -> bool {
        let mut message = Vec::new();
        what.write(&mut message);
        let is_told = self.control.send(&message, descriptors).is_ok();
        if !is_told {
            self.control.end();
        }
        is_told
    }

    /// Ends its socket, and with that the process.
    pub fn end(&self) {
        self.control.end();
    }
}
