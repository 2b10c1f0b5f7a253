//! What is said to a process on its control socket, and heard from it. Not when, nor what follows from it.

use crate::arenas::Arena;
use crate::kept::KeptRuns;
use crate::socket::{Mailbag, Socket};
use crate::wire::Garbage;
use crate::wire::control::{FromProcess, ToProcess};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, Weak};

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
    /// Sockets of its instances, for as long as somebody has them; none any more once it is over.
    instances: Mutex<Option<Vec<Weak<Socket>>>>,
}

impl Connection {
    pub fn new(epoch: u64, control: Socket) -> Connection {
        let instances = Mutex::new(Some(Vec::new()));
        Connection { epoch, control, kept: KeptRuns::default(), runs: AtomicU64::new(0), instances }
    }

    /// Says something, and waits for what it says to that; nothing if it is gone, which `end` tells as well.
    pub fn ask(
        &self,
        message: &[u8],
        end: Option<BorrowedFd<'_>>,
        mailbag: &mut Mailbag,
    ) -> Option<Result<FromProcess, Garbage>> {
        self.control.send(message, &[]).ok()?;
        let (answer, _) = self.control.receive_until(end, mailbag).ok()?;
        (!answer.is_empty()).then(|| FromProcess::read(answer))
    }

    /// Reads what it says until its end, or until it says what cannot be.
    pub fn listen(&self, end: Option<BorrowedFd<'_>>, mailbag: &mut Mailbag) -> Result<(), Garbage> {
        loop {
            let Ok((message, _)) = self.control.receive_until(end, mailbag) else { return Ok(()) };
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

    /// Has an instance be made, which is spoken to over what this returns: an end that says nothing if the process is gone.
    pub fn make_instance(&self) -> io::Result<Arc<Socket>> {
        let (ours, theirs) = Socket::pair()?;
        let ours = Arc::new(ours);
        let mut instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(instances) = &mut *instances {
            instances.retain(|other| other.strong_count() > 0);
            instances.push(Arc::downgrade(&ours));
            // The process has the only other end then. One that is not told has none, and ours ends.
            self.tell(&ToProcess::Instance, &[theirs.as_fd()]);
        }
        Ok(ours)
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
    fn tell(&self, what: &ToProcess, descriptors: &[BorrowedFd<'_>]) {
        let mut message = Vec::new();
        what.write(&mut message);
        if self.control.send(&message, descriptors).is_err() {
            self.control.end();
        }
    }

    /// Ends its socket, and with that the process.
    pub fn end(&self) {
        self.control.end();
    }

    /// The process is gone: whoever waits for its instances is woken, though others may have its sockets.
    pub fn is_over(&self) {
        self.control.end();
        let instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner).take();
        instances.iter().flatten().filter_map(Weak::upgrade).for_each(|socket| socket.end());
    }
}
