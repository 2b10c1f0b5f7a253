//! The ring: every operation that the kernel carries out on our memory, behind a safe interface.
//!
//! This module and its children are the only unsafe code of the crate. What makes it sound, in one page:
//!
//! * **Ownership.** Memory that the kernel may touch belongs to the entry of its operation in [`ops::Table`] from the
//!   submission to the operation's last completion: a [`Destination`] being filled (a buffer, or claimed rows of an
//!   arena), a [`Batch`] being sent. It is *moved* in and comes back in the [`Event`]; there is no way to keep a
//!   reference to it meanwhile. A connection that closes early cannot free anything: it cancels, and the completion
//!   still arrives.
//! * **Loans.** A large payload may be sent without a copy: the network card reads it where it lies, until the peer has
//!   acknowledged it. Such a send lends *one* payload and sends nothing else (heads and small payloads before it are
//!   copied by a send of their own), and the loan owns a clone of the payload, which nobody can write to while it is
//!   owned. The first completion says how much was sent: the batch comes back in [`Event::Sent`] like any other, and
//!   its connection goes on with the next bytes, of the same payload even. If that completion has `IORING_CQE_F_MORE`,
//!   the entry becomes [`ops::Op::Lent`] and keeps the clone until the second one, `IORING_CQE_F_NOTIF`, which is
//!   [`Event::Returned`]. It has the name of its send, comes behind it, and comes exactly if it was announced.
//! * **Names.** `user_data` is an entry's index and its generation. A completion whose generation is not the entry's is
//!   an impossibility, and aborts; an entry is reused only after the completion without `IORING_CQE_F_MORE`.
//! * **Shared receive buffers** belong to [`buffers::SharedBuffers`], which outlives the ring's file. The kernel picks
//!   one, its completion names it, [`Ring::recycle`] gives it back; the [`BufferId`] in between is not `Copy`, so a
//!   buffer is handed back once, and its bytes are borrowed only while the id exists.
//! * **Descriptors.** Operations name sockets by number. The caller keeps a socket open until all its operations have
//!   completed ([`Event`]s carry the key with which they were submitted, so it can count them). A loan that is out
//!   names no socket: the kernel has the stream's buffers, not the descriptor, and ends them with the stream. If the
//!   socket had to stay open for it, a peer that acknowledges nothing could keep it open for ever; a closed one the
//!   kernel gives up.
//! * **The end.** Dropping a ring cancels what is left and waits for the completions; memory of an operation that does
//!   not end within a second is leaked, because freeing it would be worse.
//! * **One thread.** The ring is set up with `SINGLE_ISSUER` by the thread that makes it, and `Ring` is not `Send`.

mod batch;
mod buffers;
mod event;
mod ops;
mod queues;
mod socket;
#[cfg(test)]
mod tests;

pub use batch::{BATCH_SEGMENTS_MAX, Batch, Segment};
pub use buffers::BufferId;
pub use event::{Event, Usage};
pub use socket::{is_to_another_machine, unsent_bytes};

use buffers::SharedBuffers;
use graphpiped_memory::Destination;
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
/// Asks for [`NOTIF_USAGE_ZC_COPIED`]; Linux 6.2. Both are `linux/io_uring.h`'s, and not part of the crate's interface.
const SEND_ZC_REPORT_USAGE: u16 = 1 << 3;
/// In the result of a notification: the kernel has copied what it was lent.
const NOTIF_USAGE_ZC_COPIED: u32 = 1 << 31;

/// Names an operation, to cancel it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(u64);

/// An io_uring and the memory that its operations own.
pub struct Ring {
    // Dropped before the shared buffers, which the kernel writes to for as long as the ring exists.
    uring: IoUring,
    ops: Table,
    buffers: SharedBuffers,
    /// Whether the kernel has not yet said that it cannot be lent payloads.
    can_lend: bool,
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
        Ok(Ring { uring, ops: Table::default(), buffers, can_lend: true, not_send: PhantomData })
    }

    /// Makes room for so many operations at a time, so that the table of them need not be moved while it is in use.
    pub fn reserve(&mut self, operations: usize) {
        self.ops.reserve(operations);
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

    /// Receives exactly this range of `destination`, or until the stream ends or the operation is cancelled. Without
    /// waiting for all of it, a payload took four times as many completions and as much time of ours.
    pub fn fill(
        &mut self,
        key: Key,
        socket: BorrowedFd<'_>,
        mut destination: Destination,
        range: Range<usize>,
    ) -> Handle {
        let target = destination.slice_mut(range).as_mut_ptr_range();
        // The slice has bounded both ends, and no message is longer than u32.
        let bytes = (target.end as usize - target.start as usize) as u32;
        let id = self.ops.insert(Op::Fill { key, destination });
        let entry =
            opcode::Recv::new(types::Fd(socket.as_raw_fd()), target.start, bytes).flags(libc::MSG_WAITALL).build();
        self.push(id, entry)
    }

    /// Sends a batch, or as much of it as one operation does: by a copy what fits into [`crate::limits::CHUNK_BYTES`],
    /// or, of a payload with `lent_bytes_min` or more to be sent, [`crate::limits::LENT_BYTES_MAX`] without one.
    pub fn send(&mut self, key: Key, socket: BorrowedFd<'_>, batch: Batch, lent_bytes_min: usize) -> Handle {
        let fd = types::Fd(socket.as_raw_fd());
        let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
        let lent_bytes_min = if self.can_lend { lent_bytes_min } else { usize::MAX };
        if let Some(loan) = batch.to_be_lent(lent_bytes_min) {
            let bytes = loan.as_slice();
            let entry = opcode::SendZc::new(fd, bytes.as_ptr(), bytes.len() as u32)
                .flags(flags)
                .zc_flags(SEND_ZC_REPORT_USAGE)
                .build();
            let id = self.ops.insert_loan(key, batch, loan);
            return self.push(id, entry);
        }
        let (id, message) = self.ops.insert_send(key, batch, lent_bytes_min);
        // What is lent follows at once, and a packet with the head alone would only cost.
        let flags = if message.is_before_lent { flags | libc::MSG_MORE } else { flags };
        let entry = opcode::SendMsg::new(fd, message.header).flags(flags as u32).build();
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
        if cqueue::notif(completion.flags()) {
            return self.returned(id, completion.result() as u32 & NOTIF_USAGE_ZC_COPIED != 0);
        }
        let result = match completion.result() {
            negative if negative < 0 => Err(io::Error::from_raw_os_error(-negative)),
            bytes => Ok(bytes as usize),
        };
        let op = if armed { self.ops.go_on(id, result.is_ok()) } else { self.ops.remove(id) };
        match op {
            Op::Accept { key } => Event::Accepted { key, socket: result.map(own_socket), armed },
            Op::Receive { key } => {
                let buffer = cqueue::buffer_select(completion.flags());
                let bytes = result.map(|bytes| buffer.map(|buffer| SharedBuffers::received(buffer, bytes)));
                Event::Received { key, bytes: self.discard_empty(bytes), armed }
            }
            Op::Fill { key, destination } => Event::Filled { key, destination, bytes: result },
            Op::Send { key, mut send, loan } => {
                let mut batch = send.take();
                self.ops.spare(send);
                let bytes = if loan.is_some() { self.lent(&mut batch, result) } else { result };
                Event::Sent { key, batch, bytes }
            }
            Op::Watch => Event::Readable { armed },
            Op::Lent { .. } => unreachable!("what ends a loan is a notification"),
        }
    }

    fn returned(&mut self, id: OpId, is_copied: bool) -> Event {
        let Op::Lent { payload, is_sent } = self.ops.remove(id) else {
            panic!("a notification that does not follow its send");
        };
        let usage = match (is_sent, is_copied) {
            (false, _) => Usage::Nothing,
            (true, false) => Usage::Sent,
            (true, true) => Usage::Copied,
        };
        Event::Returned { payload, usage }
    }

    /// What a send that was to lend has done. If it was refused for what it is, and not for what became of the socket,
    /// the same bytes are sent again by a copy.
    fn lent(&mut self, batch: &mut Batch, result: io::Result<usize>) -> io::Result<usize> {
        match result.as_ref().err().and_then(io::Error::raw_os_error) {
            // An old kernel, or a socket that cannot: the next one could not either.
            Some(libc::EOPNOTSUPP | libc::EINVAL) => self.can_lend = false,
            // More is lent than the user may lock in memory. What is out comes back, so later ones may be lent.
            Some(libc::ENOMEM | libc::ENOBUFS) => batch.copy_from_now_on(),
            _ => return result,
        }
        Ok(0)
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
