//! The two queues that a ring shares with the kernel: how entries get in, and how completions are waited for. What is
//! in an entry, and what becomes of a completion, is not decided here.

use super::ops::OpId;
use super::{Handle, Ring};
use io_uring::{squeue, types};
use std::io;
use std::time::Duration;

impl Ring {
    /// Submits what is queued and collects what has completed, without waiting. No system call if there is neither.
    pub fn poll(&mut self) -> io::Result<()> {
        let submission = self.uring.submission();
        let queued = submission.len() as u32;
        if queued == 0 && !submission.taskrun() && !submission.cq_overflow() {
            return Ok(());
        }
        drop(submission);
        let flags = io_uring::EnterFlags::GETEVENTS.bits();
        // SAFETY: no argument is passed, the count is the queue's own length, and every queued entry points to memory
        // that its entry in the table owns.
        let entered = unsafe { self.uring.submitter().enter::<libc::sigset_t>(queued, 0, flags, None) };
        harmless(entered)
    }

    /// Whether a completion, or work that will become one, is there: a look at shared memory, not a system call.
    pub fn is_ready(&mut self) -> bool {
        !self.uring.completion().is_empty() || self.uring.submission().taskrun()
    }

    /// Submits what is queued and sleeps until something completes, or for `timeout`.
    pub fn sleep(&mut self, timeout: Duration) -> io::Result<()> {
        let timespec = types::Timespec::from(timeout);
        let arguments = types::SubmitArgs::new().timespec(&timespec);
        harmless(self.uring.submitter().submit_with_args(1, &arguments))
    }

    /// Operations and cancellations that are not submitted yet.
    #[cfg(test)]
    pub fn queued(&mut self) -> usize {
        self.uring.submission().len()
    }

    pub(super) fn push(&mut self, id: OpId, entry: squeue::Entry) -> Handle {
        let handle = Handle(id.user_data());
        self.push_entry(&entry.user_data(handle.0));
        handle
    }

    pub(super) fn push_entry(&mut self, entry: &squeue::Entry) {
        loop {
            // SAFETY: the entry's memory is owned by the operations table until its completion (or it has none), and
            // its descriptor is kept open by the caller.
            let pushed = unsafe { self.uring.submission().push(entry) };
            if pushed.is_ok() {
                return;
            }
            // The queue is full. Submitting empties it; a busy kernel (EBUSY, EAGAIN) is asked again.
            if let Err(error) = self.poll() {
                panic!("the ring takes no more operations: {error}");
            }
        }
    }
}

/// Interruptions, timeouts and a completion queue that must be drained first are not errors of the ring.
fn harmless(entered: io::Result<usize>) -> io::Result<()> {
    match entered {
        Ok(_) => Ok(()),
        Err(error) => match error.raw_os_error() {
            Some(libc::EINTR | libc::ETIME | libc::EBUSY | libc::EAGAIN) => Ok(()),
            _ => Err(error),
        },
    }
}
