//! The table of operations in flight: each entry owns the memory of its operation until the last completion.
//!
//! An entry is named by its index and generation. The generation goes up whenever an entry is removed, so that a name
//! is good for one operation only.

use super::Key;
use super::batch::{BATCH_SEGMENTS_MAX, Batch, Loan};
use graphpiped_memory::{Destination, Payload};

/// Emptied sends that are kept for the next one: a mebibyte of them, for some thousand connections that send at a time.
const SPARE_SENDS_MAX: usize = (1 << 20) / size_of::<Send>();

/// A send in flight: the batch, and the vectors that tell the kernel where its bytes are. Boxed, so that the kernel's
/// pointers to the vectors stay good while the table grows; they are made when the box has its place there, so that
/// nothing moves it between then and the completion.
pub(super) struct Send {
    batch: Batch,
    vectors: [libc::iovec; BATCH_SEGMENTS_MAX],
    message: libc::msghdr,
}

impl Send {
    fn empty() -> Box<Send> {
        const NOTHING: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        // SAFETY: msghdr is a C struct of integers and pointers, for which zero is a value.
        let message = unsafe { std::mem::zeroed() };
        Box::new(Send { batch: Batch::default(), vectors: [NOTHING; BATCH_SEGMENTS_MAX], message })
    }

    /// Points the vectors to what is to be copied of the batch.
    fn point(&mut self, lent_bytes_min: usize) -> Message {
        let parts = self.batch.to_be_copied(lent_bytes_min);
        for (vector, part) in self.vectors.iter_mut().zip(&parts.slices) {
            *vector = libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() };
        }
        self.message.msg_iovlen = parts.slices.len();
        self.message.msg_iov = self.vectors.as_mut_ptr();
        Message { header: &raw const self.message, is_before_lent: parts.is_before_lent }
    }

    pub(super) fn take(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }
}

/// What the kernel reads of a plain send, which its entry in the table owns.
pub(super) struct Message {
    pub header: *const libc::msghdr,
    /// Whether a payload that is lent comes right behind it.
    pub is_before_lent: bool,
}

/// An operation and what it owns.
pub(super) enum Op {
    Accept {
        key: Key,
    },
    Receive {
        key: Key,
    },
    Fill {
        key: Key,
        destination: Destination,
    },
    /// A plain send of the batch, or one of a part of its first payload, which is then lent.
    Send {
        key: Key,
        send: Box<Send>,
        loan: Option<Loan>,
    },
    /// A send that has ended, and of which the kernel still has the payload.
    Lent {
        payload: Payload,
        /// Whether anything was sent from there.
        is_sent: bool,
    },
    Watch,
}

impl Op {
    /// What is known of an operation that goes on. Only a payload that is lent stays in it; others that go on own no
    /// memory.
    fn go_on(&mut self, is_ok: bool) -> Op {
        match self {
            Op::Accept { key } => Op::Accept { key: *key },
            Op::Receive { key } => Op::Receive { key: *key },
            Op::Watch => Op::Watch,
            Op::Send { loan: Some(loan), .. } => {
                let lent = Op::Lent { payload: loan.payload(), is_sent: is_ok };
                std::mem::replace(self, lent)
            }
            Op::Fill { .. } | Op::Send { loan: None, .. } | Op::Lent { .. } => {
                unreachable!("a receive into a destination, a plain send and a loan complete once")
            }
        }
    }
}

/// Names an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpId {
    index: u32,
    generation: u32,
}

impl OpId {
    pub(super) fn from_user_data(data: u64) -> OpId {
        OpId { index: data as u32, generation: (data >> 32) as u32 }
    }

    pub(super) fn user_data(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }
}

struct Entry {
    generation: u32,
    op: Option<Op>,
}

/// All operations in flight.
#[derive(Default)]
pub(super) struct Table {
    entries: Vec<Entry>,
    free: Vec<u32>,
    #[expect(clippy::vec_box, reason = "the kernel has pointers into a `Send`: it must not move")]
    spare: Vec<Box<Send>>,
}

impl Table {
    /// Makes room for so many more operations at a time.
    pub(super) fn reserve(&mut self, operations: usize) {
        self.entries.reserve(operations);
        self.free.reserve(operations);
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, op: Op) -> OpId {
        if let Some(index) = self.free.pop() {
            let entry = &mut self.entries[index as usize];
            entry.op = Some(op);
            return OpId { index, generation: entry.generation };
        }
        self.entries.push(Entry { generation: 0, op: Some(op) });
        OpId { index: self.entries.len() as u32 - 1, generation: 0 }
    }

    /// A plain send of what comes before the first payload with `lent_bytes_min` or more.
    pub(super) fn insert_send(&mut self, key: Key, batch: Batch, lent_bytes_min: usize) -> (OpId, Message) {
        let send = self.loaded(batch);
        let id = self.insert(Op::Send { key, send, loan: None });
        let Some(Op::Send { send, .. }) = &mut self.entries[id.index as usize].op else {
            unreachable!("a send has just been put there")
        };
        (id, send.point(lent_bytes_min))
    }

    /// A send of a loan of this batch.
    pub(super) fn insert_loan(&mut self, key: Key, batch: Batch, loan: Loan) -> OpId {
        let send = self.loaded(batch);
        self.insert(Op::Send { key, send, loan: Some(loan) })
    }

    /// Moving a batch in does not move what its segments own.
    fn loaded(&mut self, batch: Batch) -> Box<Send> {
        let mut send = self.spare.pop().unwrap_or_else(Send::empty);
        send.batch = batch;
        send
    }

    pub(super) fn spare(&mut self, send: Box<Send>) {
        if self.spare.len() < SPARE_SENDS_MAX {
            self.spare.push(send);
        }
    }

    /// What is known of an operation that goes on after a completion, which is one of success or not.
    pub(super) fn go_on(&mut self, id: OpId, is_ok: bool) -> Op {
        let entry = &mut self.entries[id.index as usize];
        assert_eq!(entry.generation, id.generation, "a completion for an operation that has ended");
        entry.op.as_mut().expect("an entry of this generation is in use").go_on(is_ok)
    }

    pub(super) fn remove(&mut self, id: OpId) -> Op {
        let entry = &mut self.entries[id.index as usize];
        assert_eq!(entry.generation, id.generation, "a completion for an operation that has ended");
        let op = entry.op.take().expect("an entry of this generation is in use");
        // All ones is the name of cancellations, together with an index that no table reaches.
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(id.index);
        op
    }

    /// Forgets the memory of operations that have not ended, so that it is never freed under the kernel's hands.
    pub(super) fn leak_what_is_left(&mut self) {
        for entry in &mut self.entries {
            std::mem::forget(entry.op.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_of_some_hundred_connections_are_used_again() {
        let mut table = Table::default();
        let mut made = None;
        for _ in 0..3 {
            let ids: Vec<OpId> = (0..512).map(|key| table.insert_send(key, Batch::default(), usize::MAX).0).collect();
            let mut places = Vec::new();
            for id in ids {
                let Op::Send { send, .. } = table.remove(id) else { panic!("it was a send") };
                places.push(&raw const *send as usize);
                table.spare(send);
            }
            places.sort_unstable();
            let first = made.get_or_insert_with(|| places.clone());
            assert!(*first == places, "some are made anew");
        }
    }

    #[test]
    fn a_name_is_good_for_one_operation() {
        let mut table = Table::default();
        let first = table.insert(Op::Receive { key: 7 });
        table.remove(first);
        let second = table.insert(Op::Receive { key: 8 });
        assert_eq!(first.index, second.index);
        assert_ne!(first.user_data(), second.user_data());
        assert_eq!(OpId::from_user_data(second.user_data()), second);
    }
}
