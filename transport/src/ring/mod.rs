//! The ring: every operation that the kernel carries out on our memory, behind a safe interface.
//!
//! This module and its children are the only unsafe code of the crate. What makes it sound, in one page:
//!
//! * **Ownership.** Memory that the kernel may touch belongs to the entry of its operation in [`ops::Table`] from the
//!   submission to the operation's last completion: a [`Buffer`] being filled, a [`Batch`] being sent. It is *moved* in
//!   and comes back in the [`Event`]; there is no way to keep a reference to it meanwhile. A connection that closes
//!   early cannot free anything: it cancels, and the completion still arrives.
//! * **Names.** `user_data` is an entry's index and its generation. A completion whose generation is not the entry's is
//!   an impossibility, and aborts; an entry is reused only after the completion without `IORING_CQE_F_MORE`.
//! * **Shared receive buffers** belong to [`buffers::SharedBuffers`], which outlives the ring's file. The kernel picks
//!   one, its completion names it, [`Ring::recycle`] gives it back; the [`BufferId`] in between is not `Copy`, so a
//!   buffer is handed back once, and its bytes are borrowed only while the id exists.
//! * **Descriptors.** Operations name sockets by number. The caller keeps a socket open until all its operations have
//!   completed ([`Event`]s carry the key with which they were submitted, so it can count them).
//! * **The end.** Dropping a ring cancels what is left and waits for the completions; memory of an operation that does
//!   not end within a second is leaked, because freeing it would be worse.
//! * **One thread.** The ring is set up with `SINGLE_ISSUER` by the thread that makes it, and `Ring` is not `Send`.

mod buffers;
mod ops;
mod socket;
#[cfg(test)]
mod tests;

pub use buffers::BufferId;
pub use ops::{Batch, Segment};
pub use socket::unsent_bytes;

use buffers::SharedBuffers;
use graphpiped_memory::Buffer;
use io_uring::{IoUring, cqueue, opcode, squeue, types};
use ops::{Op, OpId, Table};
use std::io;
use std::marker::PhantomData;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Names the connection (or listener) that an operation was submitted for.
pub type Key = u32;

/// Entries of the submission queue; a full queue is submitted and goes on.
const SQ_ENTRIES: u32 = 1024;
/// Entries of the completion queue: room for a burst on every connection; beyond it the kernel keeps them.
const CQ_ENTRIES: u32 = 8192;
/// `user_data` of cancellations, whose own completions say nothing that the cancelled operation's does not.
const CANCEL: u64 = u64::MAX;

/// What a completion says.
#[derive(Debug)]
pub enum Event {
    /// A listener has a new socket, or an error. `armed`: it goes on listening by itself.
    Accepted {
        /// The listener.
        key: Key,
        /// The socket.
        socket: io::Result<OwnedFd>,
        /// Whether more may come from this operation.
        armed: bool,
    },
    /// Bytes arrived in a shared buffer; `None` at the end of the stream.
    Received {
        /// The connection.
        key: Key,
        /// The buffer, to be recycled.
        bytes: io::Result<Option<BufferId>>,
        /// Whether more may come from this operation.
        armed: bool,
    },
    /// A receive into a buffer has ended; no bytes mean that the stream did, fewer than were asked for that it did or that
    /// the receive was cancelled.
    Filled {
        /// The connection.
        key: Key,
        /// The buffer, back again.
        buffer: Buffer,
        /// Bytes received.
        bytes: io::Result<usize>,
    },
    /// A send has ended.
    Sent {
        /// The connection.
        key: Key,
        /// What was to be sent, back again; not yet advanced.
        batch: Batch,
        /// Bytes sent.
        bytes: io::Result<usize>,
    },
    /// The descriptor given to [`Ring::watch`] is readable.
    Readable {
        /// Whether the ring goes on watching by itself.
        armed: bool,
    },
}

/// Names an operation, to cancel it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(u64);

/// An io_uring and the memory that its operations own.
pub struct Ring {
    // Dropped before the shared buffers, which the kernel writes to for as long as the ring exists.
    uring: IoUring,
    ops: Table,
    buffers: SharedBuffers,
    /// A ring belongs to the thread that made it.
    not_send: PhantomData<*const ()>,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("operations", &self.ops.len()).finish_non_exhaustive()
    }
}

impl Ring {
    /// A ring of the calling thread. The error is the kernel's; [`crate::probe`] explains it.
    pub fn new() -> io::Result<Ring> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_clamp()
            .setup_cqsize(CQ_ENTRIES)
            .build(SQ_ENTRIES)?;
        let buffers = SharedBuffers::register(&uring)?;
        Ok(Ring { uring, ops: Table::default(), buffers, not_send: PhantomData })
    }

    /// Accepts from a listening socket until cancelled or an error.
    pub fn accept(&mut self, key: Key, listener: BorrowedFd<'_>) -> Handle {
        let id = self.ops.insert(Op::Accept { key });
        let entry = opcode::AcceptMulti::new(types::Fd(listener.as_raw_fd())).flags(libc::SOCK_CLOEXEC).build();
        self.push(id, entry)
    }

    /// Receives into shared buffers: once and at most `bytes_max`, or, with `None`, again and again until cancelled.
    pub fn receive(&mut self, key: Key, socket: BorrowedFd<'_>, bytes_max: Option<usize>) -> Handle {
        let id = self.ops.insert(Op::Receive { key });
        let fd = types::Fd(socket.as_raw_fd());
        let entry = match bytes_max {
            None => opcode::RecvMulti::new(fd, buffers::GROUP).build(),
            Some(bytes) => {
                let bytes = bytes.clamp(1, buffers::BUFFER_BYTES) as u32;
                opcode::Recv::new(fd, std::ptr::null_mut(), bytes)
                    .buf_group(buffers::GROUP)
                    .build()
                    .flags(squeue::Flags::BUFFER_SELECT)
            }
        };
        self.push(id, entry)
    }

    /// Receives exactly this range of `buffer`, or until the stream ends or the operation is cancelled. Without waiting for
    /// all of it, a payload took four times as many completions and as much time of ours.
    pub fn fill(&mut self, key: Key, socket: BorrowedFd<'_>, mut buffer: Buffer, range: Range<usize>) -> Handle {
        let target = buffer.as_mut_slice()[range].as_mut_ptr_range();
        // The slice has bounded both ends, and no message is longer than u32.
        let bytes = (target.end as usize - target.start as usize) as u32;
        let id = self.ops.insert(Op::Fill { key, buffer });
        let entry =
            opcode::Recv::new(types::Fd(socket.as_raw_fd()), target.start, bytes).flags(libc::MSG_WAITALL).build();
        self.push(id, entry)
    }

    /// Sends a batch, or as much of it as fits into [`crate::limits::CHUNK_BYTES`].
    pub fn send(&mut self, key: Key, socket: BorrowedFd<'_>, batch: Batch) -> Handle {
        let fd = types::Fd(socket.as_raw_fd());
        let (id, message) = self.ops.insert_send(key, batch);
        let flags = (libc::MSG_NOSIGNAL | libc::MSG_WAITALL) as u32;
        let entry = opcode::SendMsg::new(fd, message).flags(flags).build();
        self.push(id, entry)
    }

    /// Watches a descriptor until it is readable, again and again.
    pub fn watch(&mut self, fd: BorrowedFd<'_>) {
        let id = self.ops.insert(Op::Watch);
        let events = libc::POLLIN as u32;
        let entry = opcode::PollAdd::new(types::Fd(fd.as_raw_fd()), events).multi(true).build();
        self.push(id, entry);
    }

    /// Asks for an operation to end. Its completion still arrives, and may be a success.
    pub fn cancel(&mut self, handle: Handle) {
        let entry = opcode::AsyncCancel::new(handle.0).build().user_data(CANCEL);
        self.push_entry(&entry);
    }

    /// The bytes of a shared buffer.
    pub fn shared(&self, id: &BufferId) -> &[u8] {
        self.buffers.bytes(id)
    }

    /// Gives a shared buffer back to the kernel.
    pub fn recycle(&mut self, id: BufferId) {
        self.buffers.recycle(id);
    }

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

    /// The next completion, if one is there.
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            let completion = self.uring.completion().next()?;
            if completion.user_data() != CANCEL {
                return Some(self.event(&completion));
            }
        }
    }

    /// Operations that have not ended.
    #[cfg(test)]
    pub fn operations(&self) -> usize {
        self.ops.len()
    }

    fn event(&mut self, completion: &cqueue::Entry) -> Event {
        let armed = cqueue::more(completion.flags());
        let id = OpId::from_user_data(completion.user_data());
        let result = match completion.result() {
            negative if negative < 0 => Err(io::Error::from_raw_os_error(-negative)),
            bytes => Ok(bytes as usize),
        };
        let op = if armed { self.ops.peek(id) } else { self.ops.remove(id) };
        match op {
            Op::Accept { key } => Event::Accepted { key, socket: result.map(own_socket), armed },
            Op::Receive { key } => {
                let buffer = cqueue::buffer_select(completion.flags());
                let bytes = result.map(|bytes| buffer.map(|buffer| SharedBuffers::received(buffer, bytes)));
                Event::Received { key, bytes: self.discard_empty(bytes), armed }
            }
            Op::Fill { key, buffer } => Event::Filled { key, buffer, bytes: result },
            Op::Send { key, mut send } => {
                let batch = send.take();
                self.ops.spare(send);
                Event::Sent { key, batch, bytes: result }
            }
            Op::Watch => Event::Readable { armed },
        }
    }

    /// An end of stream may come with a buffer that holds nothing.
    fn discard_empty(&mut self, bytes: io::Result<Option<BufferId>>) -> io::Result<Option<BufferId>> {
        match bytes {
            Ok(Some(id)) if id.is_empty() => {
                self.recycle(id);
                Ok(None)
            }
            other => other,
        }
    }

    fn push(&mut self, id: OpId, entry: squeue::Entry) -> Handle {
        let handle = Handle(id.user_data());
        self.push_entry(&entry.user_data(handle.0));
        handle
    }

    fn push_entry(&mut self, entry: &squeue::Entry) {
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

impl Drop for Ring {
    fn drop(&mut self) {
        let everything = opcode::AsyncCancel2::new(types::CancelBuilder::any()).build().user_data(CANCEL);
        self.push_entry(&everything);
        let deadline = Instant::now() + Duration::from_secs(1);
        while self.ops.len() > 0 && Instant::now() < deadline && self.sleep(Duration::from_millis(20)).is_ok() {
            while let Some(event) = self.next_event() {
                drop(event);
            }
        }
        self.ops.leak_what_is_left();
        if self.ops.len() > 0 {
            self.buffers.leak();
        }
    }
}

fn own_socket(number: usize) -> OwnedFd {
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows its number.
    unsafe { OwnedFd::from_raw_fd(number as i32) }
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
