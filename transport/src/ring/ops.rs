//! The table of operations in flight: each entry owns the memory of its operation until the last completion.
//!
//! An entry is named by its index and generation. The generation goes up whenever an entry is removed, so that a name
//! is good for one operation only.

use super::Key;
use crate::limits::CHUNK_BYTES;
use graphpiped_memory::{Buffer, Payload};
use smallvec::SmallVec;

/// The most parts of one send; the kernel looks at each on its own.
pub const BATCH_SEGMENTS_MAX: usize = 16;
/// Emptied sends that are kept for the next one.
const SPARE_SENDS_MAX: usize = 64;

/// Bytes to be sent, in one place.
#[derive(Debug)]
pub enum Segment {
    /// Heads, small replies, texts.
    Bytes(Vec<u8>),
    /// Elements of an output, from where they lie.
    Payload(Payload),
}

impl Segment {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Segment::Bytes(bytes) => bytes,
            Segment::Payload(payload) => payload.as_slice(),
        }
    }
}

/// What one send operation sends: segments in order, the first of them perhaps sent in part.
#[derive(Debug, Default)]
pub struct Batch {
    // Three are a reply of one output with the replies around it: the common batch needs no allocation.
    segments: SmallVec<[Segment; 3]>,
    /// Bytes of the first segment that are sent already.
    sent: usize,
}

impl Batch {
    /// Whether everything is sent.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Whether another segment may be added.
    pub fn has_room(&self) -> bool {
        self.segments.len() < BATCH_SEGMENTS_MAX
    }

    /// Adds a segment; empty ones are dropped.
    pub fn push(&mut self, segment: Segment) {
        if !segment.as_slice().is_empty() {
            self.segments.push(segment);
        }
    }

    /// Notes that `bytes` more are sent, and hands each segment that is sent to its end to `done`.
    pub fn advance(&mut self, bytes: usize, done: impl FnMut(Segment)) {
        self.sent += bytes;
        let mut ended = 0;
        for segment in &self.segments {
            let length = segment.as_slice().len();
            if self.sent < length {
                break;
            }
            self.sent -= length;
            ended += 1;
        }
        self.segments.drain(..ended).for_each(done);
        debug_assert!(!self.segments.is_empty() || self.sent == 0, "more bytes sent than there were");
    }

    /// Bytes that are not sent yet.
    pub fn bytes(&self) -> usize {
        self.segments.iter().map(|segment| segment.as_slice().len()).sum::<usize>() - self.sent
    }

    fn parts(&self) -> SmallVec<[&[u8]; BATCH_SEGMENTS_MAX]> {
        let mut left = CHUNK_BYTES;
        let mut skip = self.sent;
        let mut parts = SmallVec::new();
        // No more than there are vectors, whatever was pushed.
        for segment in self.segments.iter().take(BATCH_SEGMENTS_MAX) {
            let bytes = &segment.as_slice()[skip..];
            skip = 0;
            let bytes = &bytes[..bytes.len().min(left)];
            left -= bytes.len();
            parts.push(bytes);
            if left == 0 {
                break;
            }
        }
        parts
    }

    /// What the next operation sends of it.
    #[cfg(test)]
    pub(crate) fn bytes_for_test(&self) -> Vec<u8> {
        self.parts().concat()
    }
}

/// A send in flight: the batch, and the vectors that tell the kernel where its bytes are. Boxed, so that the kernel's
/// pointers to the vectors stay good while the entry moves.
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

    /// Takes a batch and points the vectors to it. Moving the batch in does not move what its segments own.
    fn load(&mut self, batch: Batch) -> *const libc::msghdr {
        self.batch = batch;
        let parts = self.batch.parts();
        for (vector, part) in self.vectors.iter_mut().zip(&parts) {
            *vector = libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() };
        }
        self.message.msg_iovlen = parts.len();
        self.message.msg_iov = self.vectors.as_mut_ptr();
        &raw const self.message
    }

    pub(super) fn take(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }
}

/// An operation and what it owns.
pub(super) enum Op {
    Accept { key: Key },
    Receive { key: Key },
    Fill { key: Key, buffer: Buffer },
    Send { key: Key, send: Box<Send> },
    Watch,
}

impl Op {
    /// A copy of what is known of an operation that goes on; those own no memory.
    fn repeat(&self) -> Op {
        match self {
            Op::Accept { key } => Op::Accept { key: *key },
            Op::Receive { key } => Op::Receive { key: *key },
            Op::Watch => Op::Watch,
            Op::Fill { .. } | Op::Send { .. } => unreachable!("a receive into a buffer and a send complete once"),
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

    pub(super) fn insert_send(&mut self, key: Key, batch: Batch) -> (OpId, *const libc::msghdr) {
        let mut send = self.spare.pop().unwrap_or_else(Send::empty);
        let message = send.load(batch);
        (self.insert(Op::Send { key, send }), message)
    }

    pub(super) fn spare(&mut self, send: Box<Send>) {
        if self.spare.len() < SPARE_SENDS_MAX {
            self.spare.push(send);
        }
    }

    pub(super) fn peek(&self, id: OpId) -> Op {
        let entry = &self.entries[id.index as usize];
        assert_eq!(entry.generation, id.generation, "a completion for an operation that has ended");
        entry.op.as_ref().expect("an entry of this generation is in use").repeat()
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

    fn batch(parts: &[&[u8]]) -> Batch {
        let mut batch = Batch::default();
        for part in parts {
            batch.push(Segment::Bytes(part.to_vec()));
        }
        batch
    }

    #[test]
    fn a_batch_goes_on_where_a_short_send_ended() {
        let mut batch = batch(&[b"abc", b"", b"defg"]);
        let mut done = 0;
        batch.advance(4, |_| done += 1);
        assert_eq!(done, 1);
        assert_eq!(batch.parts().concat(), b"efg");
        batch.advance(3, |_| done += 1);
        assert_eq!(done, 2);
        assert!(batch.is_empty());
    }

    #[test]
    fn one_operation_sends_no_more_than_a_chunk() {
        let batch = batch(&[&[1; 10], &vec![2; CHUNK_BYTES]]);
        let parts = batch.parts();
        assert_eq!(parts.iter().map(|part| part.len()).sum::<usize>(), CHUNK_BYTES);
        assert_eq!(parts[1].len(), CHUNK_BYTES - 10);
    }

    #[test]
    fn a_batch_of_more_segments_than_vectors_is_sent_in_parts() {
        let parts: Vec<[u8; 1]> = (0..20).map(|byte| [byte]).collect();
        let mut batch = batch(&parts.iter().map(<[u8; 1]>::as_slice).collect::<Vec<_>>());
        assert_eq!(batch.parts().len(), BATCH_SEGMENTS_MAX);
        batch.advance(BATCH_SEGMENTS_MAX, drop);
        assert_eq!(batch.parts().concat(), [16, 17, 18, 19]);
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
