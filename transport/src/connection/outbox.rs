//! What a connection has to say: encoded replies, waiting to be sent in order.
//!
//! Small replies are appended to one growing buffer, so that many of them leave with one send. Large payloads are
//! queued as they are and sent from where they lie. Buffers come from a [`Spare`] that all connections of a reactor
//! share: an idle connection holds none.

use crate::ring::{BATCH_SEGMENTS_MAX, Batch, Segment};
use graphpiped_memory::Payload;
use std::collections::VecDeque;

/// A buffer of small replies is not appended to beyond this.
const BYTES_SEGMENT_MAX: usize = 64 * 1024;
/// Buffers that have grown beyond this are freed instead of kept.
const SPARE_BYTES_MAX: usize = 2 * BYTES_SEGMENT_MAX;
/// Bytes that all buffers together take that are kept: a batch is answered to some hundred connections in one turn, and
/// the next one needs as many.
const SPARE_BUFFERS_BYTES_MAX: usize = 4 << 20;
/// What an empty buffer takes beside its bytes: its place here, and what the allocator needs to know of it.
const BUFFER_BYTES: usize = size_of::<Vec<u8>>() + 16;
/// Boxes that are kept: a mebibyte of them.
const SPARE_BOXES_MAX: usize = (1 << 20) / size_of::<Batch>();
/// Lists of segments that are kept: a mebibyte of them.
const SPARE_LISTS_MAX: usize = (1 << 20) / (BATCH_SEGMENTS_MAX * size_of::<Segment>());

/// Empty buffers, boxes and lists to be used again. What is kept of each is bounded by the bytes that it takes, so that
/// there is enough for some hundred connections that answer at the same time.
#[derive(Debug, Default)]
pub struct Spare {
    buffers: Vec<Vec<u8>>,
    /// What the buffers take.
    buffers_bytes: usize,
    #[expect(clippy::vec_box, reason = "the boxes themselves are what is kept")]
    batches: Vec<Box<Batch>>,
    /// Empty batches with memory for many segments.
    lists: Vec<Batch>,
}

impl Spare {
    /// An empty buffer.
    pub fn take(&mut self) -> Vec<u8> {
        let buffer = self.buffers.pop().unwrap_or_default();
        if buffer.capacity() > 0 {
            self.buffers_bytes -= BUFFER_BYTES + buffer.capacity();
        }
        buffer
    }

    /// Takes a buffer back.
    pub fn give(&mut self, mut buffer: Vec<u8>) {
        let bytes = self.buffers_bytes + BUFFER_BYTES + buffer.capacity();
        if buffer.capacity() > 0 && buffer.capacity() <= SPARE_BYTES_MAX && bytes <= SPARE_BUFFERS_BYTES_MAX {
            buffer.clear();
            self.buffers.push(buffer);
            self.buffers_bytes = bytes;
        }
    }

    fn boxed(&mut self, batch: Batch) -> Box<Batch> {
        let mut place = self.batches.pop().unwrap_or_default();
        *place = batch;
        place
    }

    fn unboxed(&mut self, mut place: Box<Batch>) -> Batch {
        let batch = std::mem::take(&mut *place);
        if self.batches.len() < SPARE_BOXES_MAX {
            self.batches.push(place);
        }
        batch
    }

    /// The same batch, with memory for many segments.
    fn listed(&mut self, batch: Batch) -> Batch {
        batch.moved_to(self.lists.pop().unwrap_or_else(Batch::with_list))
    }

    /// Takes the memory of a batch back of which everything is sent.
    fn give_batch(&mut self, batch: Batch) {
        if batch.has_list() && self.lists.len() < SPARE_LISTS_MAX {
            self.lists.push(batch);
        }
    }

    fn give_segment(&mut self, segment: Segment) {
        if let Segment::Bytes(buffer) = segment {
            self.give(buffer);
        }
    }
}

/// Replies that wait to be sent, and whether a send is under way.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: VecDeque<Segment>,
    /// The rest of a batch that was sent in part. Boxed: it is rare, and every idle connection has room for it.
    unfinished: Option<Box<Batch>>,
    waiting_bytes: usize,
    /// Bytes in buffers of its own, waiting or given to a send.
    held_bytes: usize,
    sending: bool,
}

impl Outbox {
    /// Lets `write` append bytes.
    pub fn write<R>(&mut self, spare: &mut Spare, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let appendable = matches!(self.waiting.back(), Some(Segment::Bytes(bytes)) if bytes.len() < BYTES_SEGMENT_MAX);
        if !appendable {
            self.waiting.push_back(Segment::Bytes(spare.take()));
        }
        let Some(Segment::Bytes(bytes)) = self.waiting.back_mut() else {
            unreachable!("a segment of bytes was there or has just been added");
        };
        let before = bytes.len();
        let result = write(bytes);
        let written = bytes.len() - before;
        self.waiting_bytes += written;
        self.held_bytes += written;
        result
    }

    /// Queues a payload, to be sent from where it lies.
    pub fn push(&mut self, payload: Payload) {
        self.waiting_bytes += payload.len();
        self.waiting.push_back(Segment::Payload(payload));
    }

    /// Bytes that no send has been given yet.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Bytes in buffers of its own: replies without their large payloads, which are counted where they lie.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Whether everything has been sent.
    pub fn is_empty(&self) -> bool {
        !self.sending && self.unfinished.is_none() && self.waiting.is_empty()
    }

    /// The next batch to be sent, if there is one and none is under way.
    pub fn next_batch(&mut self, spare: &mut Spare) -> Option<Batch> {
        if self.sending || (self.unfinished.is_none() && self.waiting.is_empty()) {
            return None;
        }
        let mut batch = self.unfinished.take().map_or_else(Batch::default, |batch| spare.unboxed(batch));
        if batch.needs_list(self.waiting.len()) {
            batch = spare.listed(batch);
        }
        while batch.has_room() {
            let Some(segment) = self.waiting.pop_front() else { break };
            self.waiting_bytes -= segment.as_slice().len();
            batch.push(segment);
        }
        if batch.is_empty() {
            spare.give_batch(batch);
            return None;
        }
        self.sending = true;
        Some(batch)
    }

    /// Takes a batch back of which `bytes` were sent.
    pub fn sent(&mut self, spare: &mut Spare, mut batch: Batch, bytes: usize) {
        self.sending = false;
        batch.advance(bytes, |segment| {
            if let Segment::Bytes(bytes) = &segment {
                // After `clear` nothing is counted any more.
                self.held_bytes = self.held_bytes.saturating_sub(bytes.len());
            }
            spare.give_segment(segment);
        });
        if batch.is_empty() {
            spare.give_batch(batch);
        } else {
            self.unfinished = Some(spare.boxed(batch));
        }
    }

    /// Drops everything that no send has been given.
    pub fn clear(&mut self) {
        self.waiting.clear();
        self.unfinished = None;
        self.waiting_bytes = 0;
        self.held_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn text(outbox: &mut Outbox, spare: &mut Spare, text: &str) {
        outbox.write(spare, |bytes| bytes.extend_from_slice(text.as_bytes()));
    }

    fn drain(outbox: &mut Outbox, spare: &mut Spare, step: usize) -> (Vec<u8>, usize) {
        let (mut all, mut batches) = (Vec::new(), 0);
        while let Some(batch) = outbox.next_batch(spare) {
            let bytes = batch.bytes_for_test();
            let n = step.min(bytes.len());
            all.extend_from_slice(&bytes[..n]);
            outbox.sent(spare, batch, n);
            batches += 1;
        }
        (all, batches)
    }

    #[test]
    fn small_replies_leave_together() {
        let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
        text(&mut outbox, &mut spare, "one");
        text(&mut outbox, &mut spare, "two");
        assert_eq!((outbox.waiting_bytes(), outbox.held_bytes()), (6, 6));
        assert_eq!(drain(&mut outbox, &mut spare, usize::MAX), (b"onetwo".to_vec(), 1));
        assert!(outbox.is_empty());
    }

    #[test]
    fn the_order_is_kept_whatever_the_sends_manage() {
        for step in 1..12 {
            let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
            text(&mut outbox, &mut spare, "head");
            outbox.push(Payload::lent(Arc::new(b"payload".to_vec()), 1..6));
            text(&mut outbox, &mut spare, "tail");
            assert_eq!((outbox.waiting_bytes(), outbox.held_bytes()), (13, 8));
            assert_eq!(drain(&mut outbox, &mut spare, step).0, b"headayloatail");
            assert_eq!((outbox.waiting_bytes(), outbox.held_bytes()), (0, 0));
            assert!(outbox.is_empty());
        }
    }

    #[test]
    fn some_hundred_connections_that_answer_together_again_and_again_make_no_buffer_anew() {
        let mut spare = Spare::default();
        let mut outboxes: Vec<Outbox> = (0..512).map(|_| Outbox::default()).collect();
        for round in 0..3 {
            for outbox in &mut outboxes {
                let buffer = spare.take();
                assert!(round == 0 || buffer.capacity() > 0, "a buffer is made in round {round}");
                spare.give(buffer);
                text(outbox, &mut spare, &"reply".repeat(800));
            }
            // All are sent in part, and then in full.
            for half in 0..2 {
                for outbox in &mut outboxes {
                    assert!(round == 0 || half == 1 || !spare.batches.is_empty(), "a box is made in round {round}");
                    let batch = outbox.next_batch(&mut spare).unwrap();
                    outbox.sent(&mut spare, batch, 2000);
                }
            }
        }
    }

    #[test]
    fn what_spare_buffers_take_together_is_bounded() {
        let mut spare = Spare::default();
        (0..1000).for_each(|_| spare.give(Vec::with_capacity(SPARE_BYTES_MAX)));
        (0..100_000).for_each(|_| spare.give(Vec::with_capacity(1)));
        let kept: usize = std::iter::from_fn(|| Some(spare.take().capacity()).filter(|bytes| *bytes > 0)).sum();
        assert!((1 << 20..=4 << 20).contains(&kept), "{kept} bytes");
    }

    #[test]
    fn the_list_of_a_send_of_many_segments_is_used_again() {
        let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
        let large = |outbox: &mut Outbox| outbox.push(Payload::lent(Arc::new(vec![7; 5000]), 0..5000));
        for round in 0..3 {
            assert_eq!(spare.lists.len(), usize::from(round > 0), "round {round}");
            for _ in 0..8 {
                text(&mut outbox, &mut spare, "head");
                large(&mut outbox);
            }
            // One half of it stays, and goes on with what follows.
            let batch = outbox.next_batch(&mut spare).unwrap();
            assert_eq!((batch.bytes(), spare.lists.len()), (8 * 5004, 0));
            outbox.sent(&mut spare, batch, 4 * 5004);
            large(&mut outbox);
            assert_eq!(drain(&mut outbox, &mut spare, usize::MAX).0.len(), 4 * 5004 + 5000);
        }
    }

    #[test]
    fn a_send_that_was_small_and_becomes_large_keeps_its_place_and_its_order() {
        let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
        text(&mut outbox, &mut spare, "abcdef");
        let batch = outbox.next_batch(&mut spare).unwrap();
        outbox.sent(&mut spare, batch, 4);
        for part in ["gh", "ij", "kl"] {
            outbox.push(Payload::lent(Arc::new(part.as_bytes().to_vec()), 0..2));
        }
        assert_eq!(drain(&mut outbox, &mut spare, usize::MAX), (b"efghijkl".to_vec(), 1));
        assert_eq!(spare.lists.len(), 1);
    }

    #[test]
    fn no_second_batch_leaves_before_the_first_is_back() {
        let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
        text(&mut outbox, &mut spare, "a");
        let first = outbox.next_batch(&mut spare).unwrap();
        text(&mut outbox, &mut spare, "b");
        assert!(outbox.next_batch(&mut spare).is_none());
        assert!(!outbox.is_empty());
        outbox.sent(&mut spare, first, 1);
        assert!(outbox.next_batch(&mut spare).is_some());
    }
}
