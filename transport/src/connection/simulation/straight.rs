//! Connections on which everything goes straight: each receive brings what was asked for, each send succeeds, each
//! reply is there at once. What is left to look at is what a connection asks for, what it copies, and when its time is
//! up.

use super::super::{Connection, Cx, Phase, Spare, Want};
use crate::counters::Counters;
use crate::fake::Fake;
use crate::fake::random::Random;
use crate::fake::samples::{Data, Sample, legacy, read_frames, read_reply, stream_ready};
use crate::limits::{DISCARD_BYTES_MAX, Limits};
use graphpipe_schema::metadata::metadata_request;
use graphpipe_schema::{Code, DType};
use graphpiped_memory::Pool;
use std::time::{Duration, Instant};

pub(super) struct Straight {
    pub connection: Connection<Fake>,
    pub service: Fake,
    pub limits: Limits,
    pub counters: Counters,
    pub(super) spare: Spare,
    backlog: usize,
    now: Instant,
    pub output: Vec<u8>,
    /// Everything that was wanted, in order.
    wants: Vec<Want>,
}

impl Straight {
    fn new() -> Straight {
        Straight::with_service(Fake::inline(&Pool::new(64 << 20)))
    }

    pub(super) fn with_service(service: Fake) -> Straight {
        let now = Instant::now();
        Straight {
            connection: Connection::new(0, 0, now),
            service,
            limits: Limits::default(),
            counters: Counters::default(),
            spare: Spare::default(),
            backlog: 0,
            now,
            output: Vec::new(),
            wants: Vec::new(),
        }
    }

    pub(super) fn with<R>(&mut self, act: impl FnOnce(&mut Connection<Fake>, &mut Cx<'_, Fake>) -> R) -> R {
        let mut cx = Cx {
            service: &mut self.service,
            limits: &self.limits,
            counters: &self.counters,
            spare: &mut self.spare,
            backlog: &mut self.backlog,
            now: self.now,
            is_draining: false,
        };
        act(&mut self.connection, &mut cx)
    }

    /// Receives once, at most `max` bytes; returns how many were taken.
    pub(super) fn receive(&mut self, bytes: &[u8], max: usize) -> usize {
        let want = self.connection.wants(&self.limits);
        self.wants.push(want);
        match want {
            Want::Nothing => 0,
            Want::Fill => {
                let (mut destination, range) = self.connection.take_fill().expect("a fill was wanted");
                let count = range.len().min(bytes.len()).min(max);
                destination.slice_mut(range.start..range.start + count).copy_from_slice(&bytes[..count]);
                self.with(|connection, cx| connection.filled(destination, count, cx));
                count
            }
            Want::Stream | Want::Bytes(_) => {
                let wanted = if let Want::Bytes(wanted) = want { wanted } else { usize::MAX };
                let count = wanted.min(16 * 1024).min(bytes.len()).min(max);
                self.with(|connection, cx| connection.received(&bytes[..count], cx));
                count
            }
        }
    }

    pub(super) fn send(&mut self) {
        while let Some(batch) = self.connection.next_batch(&mut self.spare) {
            let bytes = batch.bytes_for_test();
            self.output.extend_from_slice(&bytes);
            self.with(|connection, cx| connection.sent(batch, bytes.len(), cx));
        }
    }

    /// Receives and sends until all of `bytes` is taken; returns how many receives that took.
    pub(super) fn exchange(&mut self, bytes: &[u8]) -> usize {
        let before = self.wants.len();
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = self.receive(rest, usize::MAX);
            assert!(count > 0, "stuck with {} bytes left", rest.len());
            rest = &rest[count..];
            self.send();
        }
        self.wants.len() - before
    }

    pub(super) fn replies(&self) -> Vec<Result<Vec<Sample>, i64>> {
        let (frames, rest) = read_frames(&self.output);
        assert_eq!(rest, 0);
        frames.into_iter().map(|(_, message)| read_reply(message)).collect()
    }
}

pub(super) fn floats(random: &mut Random, bytes: usize) -> Sample {
    Sample { dtype: DType::Float32, shape: vec![bytes as i64 / 4], data: Data::Bytes(random.bytes(bytes)) }
}

#[test]
fn after_the_first_large_frame_no_payload_byte_is_copied() {
    let mut random = Random::new(1);
    let mut straight = Straight::new();
    let frame = stream_ready(&[floats(&mut random, 600_000)], false).frame(1);
    straight.exchange(&frame);
    let first = straight.counters.copied_surprise.get();
    assert!(first > 0 && first <= 5_120, "what the first receive brought: {first}");
    for _ in 0..3 {
        // A header, a head, and 600,000 bytes in pieces of 262,144.
        assert_eq!(straight.exchange(&frame), 1 + 1 + 3);
    }
    assert_eq!(straight.counters.copied_surprise.get(), first);
    assert_eq!(straight.counters.copied_small_in.get(), 0);
    assert_eq!(straight.counters.copied_small_out.get(), 0);
    assert_eq!(straight.replies().len(), 4);
}

#[test]
fn a_small_frame_after_a_large_one_takes_two_receives() {
    let mut random = Random::new(2);
    let mut straight = Straight::new();
    straight.exchange(&stream_ready(&[floats(&mut random, 600_000)], false).frame(1));
    let small = stream_ready(&[floats(&mut random, 800)], false).frame(2);
    assert_eq!(straight.exchange(&small), 2, "{:?}", straight.wants);
    assert_eq!(straight.replies().len(), 2);
}

#[test]
fn frames_that_follow_each_other_without_a_pause_have_a_head_timeout_each() {
    let mut random = Random::new(3);
    let mut straight = Straight::new();
    let frames: Vec<u8> = (0..100).flat_map(|id| stream_ready(&[floats(&mut random, 800)], false).frame(id)).collect();
    // 700 bytes end in the middle of a frame nearly every time, and a frame is never older than two of them.
    for piece in frames.chunks(700) {
        straight.now += Duration::from_secs(4);
        let deadline = straight.connection.deadline(&straight.limits).expect("it waits for its peer");
        assert!(deadline > straight.now, "timed out after {} replies", straight.replies().len());
        assert_eq!(straight.receive(piece, usize::MAX), piece.len());
        straight.send();
    }
    assert_eq!(straight.replies().len(), 100);
}

#[test]
fn requests_over_http_that_follow_each_other_without_a_pause_have_a_head_timeout_each() {
    let mut straight = Straight::new();
    let requests = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100);
    for piece in requests.chunks(30) {
        straight.now += Duration::from_secs(4);
        let deadline = straight.connection.deadline(&straight.limits).expect("it waits for its peer");
        assert!(deadline > straight.now);
        assert_eq!(straight.receive(piece, usize::MAX), piece.len());
        straight.send();
    }
    assert_eq!(String::from_utf8_lossy(&straight.output).matches("HTTP/1.1 200 OK").count(), 100);
}

#[test]
fn a_head_that_comes_byte_by_byte_runs_out_of_time() {
    for bytes in [
        legacy(&[floats(&mut Random::new(4), 20_000)], false).frame(1),
        stream_ready(&[floats(&mut Random::new(4), 20_000)], false).frame(1),
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n".to_vec(),
    ] {
        let mut straight = Straight::new();
        let begun = straight.now;
        for byte in bytes[..50].chunks(1) {
            assert_eq!(straight.receive(byte, 1), 1);
            straight.now += Duration::from_millis(100);
        }
        assert_eq!(straight.connection.deadline(&straight.limits), Some(begun + straight.limits.head_timeout));
    }
}

#[test]
fn an_idle_connection_has_the_idle_timeout_and_a_payload_the_one_of_progress() {
    let mut straight = Straight::new();
    let limits = Limits::default();
    assert_eq!(straight.connection.deadline(&limits), Some(straight.now + limits.idle_timeout));
    let frame = stream_ready(&[floats(&mut Random::new(5), 600_000)], false).frame(1);
    straight.exchange(&frame[..300_000]);
    assert_eq!(straight.connection.deadline(&limits), Some(straight.now + limits.progress_timeout));
    let progressed = straight.now;
    straight.now += Duration::from_secs(20);
    straight.exchange(&frame[300_000..304_095]);
    assert_eq!(
        straight.connection.deadline(&limits),
        Some(progressed + limits.progress_timeout),
        "4095 bytes are none"
    );
    straight.exchange(&frame[304_095..304_096]);
    assert_eq!(straight.connection.deadline(&limits), Some(straight.now + limits.progress_timeout));
    straight.exchange(&frame[304_096..]);
    assert_eq!(straight.connection.deadline(&limits), Some(straight.now + limits.idle_timeout));
}

#[test]
fn a_refusal_is_said_before_too_much_of_what_follows_ends_the_connection() {
    let mut straight = Straight::new();
    let behind = vec![7; 16 * 1024];
    assert!(straight.receive(&[b"GPF2".as_slice(), &[0; 28]].concat(), usize::MAX) > 0);
    // The peer does not read: nothing of the reply leaves.
    for _ in 0..DISCARD_BYTES_MAX / 16_384 {
        assert_eq!(straight.receive(&behind, usize::MAX), behind.len());
    }
    assert_eq!(straight.connection.wants(&straight.limits), Want::Nothing);
    assert!(!straight.connection.is_finished());
    straight.send();
    assert_eq!(straight.replies(), [Err(Code::Malformed as i64)]);
    assert!(straight.connection.take_shutdown());
    assert!(straight.connection.is_finished());
}

#[test]
fn a_refused_connection_waits_for_the_peers_end_within_the_drain_timeout() {
    let mut straight = Straight::new();
    straight.exchange(&[b"GPF2".as_slice(), &[0; 28]].concat());
    assert!(straight.connection.take_shutdown());
    assert!(!straight.connection.take_shutdown(), "it is said once");
    let deadline = straight.connection.deadline(&straight.limits);
    assert_eq!(deadline, Some(straight.now + straight.limits.drain_timeout));
    straight.now += Duration::from_secs(3);
    straight.receive(&[1; 1000], usize::MAX);
    assert_eq!(straight.connection.deadline(&straight.limits), deadline, "what is thrown away buys no time");
    straight.with(|connection, cx| connection.ended(false, cx));
    assert_eq!(straight.connection.base.phase, Phase::Dead);
    assert_eq!(straight.counters.connections_broken.get(), 0);
}

#[test]
fn a_connection_that_waits_holds_no_memory() {
    let mut straight = Straight::new();
    straight.exchange(&stream_ready(&[floats(&mut Random::new(6), 600_000)], false).frame(1));
    let metadata = crate::fake::samples::Message { bytes: metadata_request("", ""), head: 0 };
    straight.exchange(&metadata.frame(2));
    assert_eq!(straight.service.pool.in_use_bytes(), 0);
    assert!(straight.connection.carry.is_empty());
    assert!(straight.connection.base.outbox.is_empty());
    assert_eq!(straight.backlog, 0);
}

#[test]
fn small_frames_between_large_ones_cause_no_copies_of_the_large_ones() {
    let mut random = Random::new(9);
    let mut straight = Straight::new();
    let large = stream_ready(&[floats(&mut random, 600_000)], false).frame(1);
    let small = stream_ready(&[floats(&mut random, 800)], false).frame(2);
    straight.exchange(&large);
    let first = straight.counters.copied_surprise.get();
    for _ in 0..3 {
        (0..15).for_each(|_| assert_eq!(straight.exchange(&small), 2));
        straight.exchange(&large);
    }
    assert_eq!(straight.counters.copied_surprise.get(), first);
    (0..16).for_each(|_| assert_eq!(straight.exchange(&small), 2));
    assert_eq!(straight.connection.wants(&straight.limits), Want::Stream, "it sends small frames now");
}

#[test]
fn a_connection_that_holds_much_is_given_up_when_all_of_them_hold_too_much() {
    let mut random = Random::new(10);
    let mut straight = Straight::new();
    straight.limits.backlog_bytes_max = 100_000;
    let frames = |random: &mut Random, count| -> Vec<u8> {
        (0..count).flat_map(|id| stream_ready(&[floats(random, 4_000)], false).frame(id)).collect()
    };
    // Nobody reads the replies: 16 KiB of them are free, and 80,000 bytes more are within the bound.
    straight.with(|connection, cx| connection.received(&frames(&mut random, 20), cx));
    assert!((60_000..100_000).contains(&straight.backlog), "{}", straight.backlog);
    assert!(!straight.connection.is_finished());
    straight.with(|connection, cx| connection.received(&frames(&mut random, 20), cx));
    assert!(straight.connection.is_finished());
    assert_eq!((straight.backlog, straight.counters.connections_overloaded.get()), (0, 1));
}

#[test]
fn an_end_that_comes_while_requests_are_held_loses_none_of_them() {
    let mut random = Random::new(7);
    let mut straight = Straight::new();
    let frames: Vec<u8> =
        (0..1000).flat_map(|id| stream_ready(&[floats(&mut random, 3_000)], false).frame(id)).collect();
    for piece in frames.chunks(16 * 1024) {
        straight.with(|connection, cx| connection.received(piece, cx));
    }
    // There is room for more replies again, and nothing has come of it yet.
    let batch = straight.connection.next_batch(&mut straight.spare).expect("replies wait");
    assert_eq!(straight.connection.wants(&straight.limits), Want::Nothing);
    straight.with(|connection, cx| connection.ended(false, cx));
    straight.with(|connection, cx| connection.sent(batch, 0, cx));
    straight.send();
    assert_eq!(straight.replies().len(), 1000);
    assert!(straight.connection.is_finished());
    assert_eq!(straight.counters.connections_broken.get(), 0);
}

#[test]
fn bytes_that_come_in_are_no_excuse_for_not_reading() {
    let mut straight = Straight::new();
    // So that what comes in has the later deadline of the two.
    straight.limits.head_timeout = Duration::from_secs(1000);
    let frame = stream_ready(&[floats(&mut Random::new(11), 3_000)], false).frame(1);
    straight.with(|connection, cx| connection.received(&frame, cx));
    let end = straight.now + straight.limits.progress_timeout;
    for byte in &frame[..20] {
        straight.now += Duration::from_millis(100);
        straight.with(|connection, cx| connection.received(&[*byte], cx));
        assert!(straight.connection.deadline(&straight.limits).unwrap() <= end);
    }
}

#[test]
fn replies_that_are_taken_are_no_excuse_for_a_payload_that_is_not_sent() {
    let mut straight = Straight::new();
    let frame = stream_ready(&[floats(&mut Random::new(11), 600_000)], false).frame(1);
    // A whole request, and half of the next one.
    let bytes = [&frame[..], &frame[..300_000]].concat();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let count = straight.receive(rest, usize::MAX);
        rest = &rest[count..];
    }
    let end = straight.now + straight.limits.progress_timeout;
    straight.now += Duration::from_secs(20);
    let batch = straight.connection.next_batch(&mut straight.spare).expect("there is a reply");
    straight.with(|connection, cx| connection.sent(batch, 100_000, cx));
    assert_eq!(straight.connection.deadline(&straight.limits), Some(end));
}

#[test]
fn a_connection_that_is_full_takes_what_a_stream_may_still_bring_before_it_ends() {
    let mut straight = Straight::new();
    straight.limits.in_flight_max = 0;
    // Six times all shared buffers: one wait, the four looks of a turn for more, and one after the cancellation.
    let buffer = stream_ready(&[floats(&mut Random::new(1), 8)], false).frame(1).repeat(1024);
    let buffer = &buffer[..16 * 1024];
    for _ in 0..6 * 256 {
        straight.with(|connection, cx| connection.received(buffer, cx));
    }
    assert_eq!((straight.connection.base.phase, straight.counters.connections_broken.get()), (Phase::Open, 0));
    straight.with(|connection, cx| connection.received(buffer, cx));
    assert_eq!((straight.connection.base.phase, straight.counters.connections_broken.get()), (Phase::Dead, 1));
}
