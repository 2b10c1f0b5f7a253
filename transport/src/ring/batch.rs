//! What is to be sent, and what of it one operation sends: bytes that the kernel copies, or a part of a payload that it
//! is lent. What becomes of operations is not decided here.

use crate::limits::{CHUNK_BYTES, LENT_BYTES_MAX};
use graphpiped_memory::Payload;
use smallvec::SmallVec;
use std::ops::Range;

/// The most parts of one send; the kernel looks at each on its own.
pub const BATCH_SEGMENTS_MAX: usize = 16;
/// So many are a reply of one output with the replies around it: the common batch needs no memory of its own for them.
const INLINE_SEGMENTS: usize = 3;

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
    segments: SmallVec<[Segment; INLINE_SEGMENTS]>,
    /// Bytes of the first segment that are sent already.
    sent: usize,
    /// Whether the kernel has refused to be lent some of it.
    is_only_copied: bool,
}

impl Batch {
    /// An empty one with memory for as many segments as one may have.
    pub fn with_list() -> Batch {
        Batch { segments: SmallVec::with_capacity(BATCH_SEGMENTS_MAX), ..Batch::default() }
    }

    /// Whether it has memory of its own for its list of segments.
    pub fn has_list(&self) -> bool {
        self.segments.spilled()
    }

    /// Whether so many segments more need such memory, and it has none.
    pub fn needs_list(&self, more: usize) -> bool {
        !self.has_list() && self.segments.len() + more > INLINE_SEGMENTS
    }

    /// The same batch in the memory of `list`, which is empty.
    pub fn moved_to(mut self, list: Batch) -> Batch {
        let mut segments = list.segments;
        debug_assert!(segments.is_empty(), "whoever gives a list has no use for it");
        segments.append(&mut self.segments);
        Batch { segments, ..self }
    }

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

    /// Has the kernel copy whatever is not sent yet.
    pub(super) fn copy_from_now_on(&mut self) {
        self.is_only_copied = true;
    }

    /// What the next operation lends to the kernel, if that is to be lent: of the first segment, if it is a payload
    /// with `bytes_min` or more to be sent.
    pub(super) fn to_be_lent(&self, bytes_min: usize) -> Option<Loan> {
        match self.segments.first()? {
            Segment::Payload(payload) if self.is_lent(payload, self.sent, bytes_min) => {
                let range = self.sent..payload.len().min(self.sent + LENT_BYTES_MAX);
                Some(Loan { payload: payload.clone(), range })
            }
            _ => None,
        }
    }

    fn is_lent(&self, payload: &Payload, skip: usize, bytes_min: usize) -> bool {
        !self.is_only_copied && payload.len() - skip >= bytes_min
    }

    /// What the next operation has copied: what comes before the first payload that is lent.
    pub(super) fn to_be_copied(&self, lent_bytes_min: usize) -> Parts<'_> {
        let mut left = CHUNK_BYTES;
        let mut skip = self.sent;
        let mut parts = Parts { slices: SmallVec::new(), is_before_lent: false };
        // No more than there are vectors, whatever was pushed.
        for segment in self.segments.iter().take(BATCH_SEGMENTS_MAX) {
            if let Segment::Payload(payload) = segment
                && self.is_lent(payload, skip, lent_bytes_min)
            {
                parts.is_before_lent = true;
                break;
            }
            let bytes = &segment.as_slice()[skip..];
            skip = 0;
            let bytes = &bytes[..bytes.len().min(left)];
            left -= bytes.len();
            parts.slices.push(bytes);
            if left == 0 {
                break;
            }
        }
        parts
    }

    /// What the next operation sends of it.
    #[cfg(test)]
    pub(crate) fn bytes_for_test(&self) -> Vec<u8> {
        self.to_be_copied(usize::MAX).slices.concat()
    }
}

/// What a plain send sends.
pub(super) struct Parts<'a> {
    /// The bytes, in order.
    pub slices: SmallVec<[&'a [u8]; BATCH_SEGMENTS_MAX]>,
    /// Whether a payload that is lent comes right behind them.
    pub is_before_lent: bool,
}

/// A part of a payload that the kernel sends from where it lies, and may look at until it says otherwise: a payload is
/// never written to while anybody owns it, and this is an owner.
pub(super) struct Loan {
    payload: Payload,
    range: Range<usize>,
}

impl Loan {
    /// All of the payload, by another owner.
    pub(super) fn payload(&self) -> Payload {
        self.payload.clone()
    }

    /// The bytes.
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.payload.as_slice()[self.range.clone()]
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
        assert_eq!(batch.bytes_for_test(), b"efg");
        batch.advance(3, |_| done += 1);
        assert_eq!(done, 2);
        assert!(batch.is_empty());
    }

    #[test]
    fn one_operation_sends_no_more_than_a_chunk() {
        let batch = batch(&[&[1; 10], &vec![2; CHUNK_BYTES]]);
        let parts = batch.to_be_copied(usize::MAX).slices;
        assert_eq!(parts.iter().map(|part| part.len()).sum::<usize>(), CHUNK_BYTES);
        assert_eq!(parts[1].len(), CHUNK_BYTES - 10);
    }

    #[test]
    fn a_batch_of_more_segments_than_vectors_is_sent_in_parts() {
        let parts: Vec<[u8; 1]> = (0..20).map(|byte| [byte]).collect();
        let mut batch = batch(&parts.iter().map(<[u8; 1]>::as_slice).collect::<Vec<_>>());
        assert_eq!(batch.to_be_copied(usize::MAX).slices.len(), BATCH_SEGMENTS_MAX);
        batch.advance(BATCH_SEGMENTS_MAX, drop);
        assert_eq!(batch.bytes_for_test(), [16, 17, 18, 19]);
    }
}
