//! Requests that are received into rows of a shared arena, and what becomes of those whose sender is slow.

use super::super::{Connection, Want};
use super::straight::{Straight, floats};
use crate::fake::random::Random;
use crate::fake::samples::{Sample, legacy, read_reply, stream_ready};
use crate::fake::{Fake, rows};
use graphpipe_schema::{Code, writer};
use graphpiped_memory::Pool;

fn with_rows() -> Straight {
    let mut service = Fake::inline(&Pool::new(64 << 20));
    service.lane = Some(rows::lane());
    Straight::with_service(service)
}

fn rows_out(straight: &Straight) -> usize {
    straight.service.lane.as_ref().expect("it has rows").pending_rows()
}

/// 10,000 bytes, and 20,000 whose place is the next multiple of 256.
fn two(seed: u64) -> [Sample; 2] {
    let mut random = Random::new(seed);
    [floats(&mut random, 10_000), floats(&mut random, 20_000)]
}

#[test]
fn a_request_that_is_set_apart_keeps_its_bytes_and_their_places() {
    let samples = two(1);
    let frame = stream_ready(&samples, false).frame(1);
    let payloads = frame.len() - 30_000 - writer::gap(10_000, 20_000).as_ref().len();
    let second = frame.len() - 20_000;
    let cases = [
        (payloads + 6_000, vec![(0, 6_000)]),
        (payloads + 10_000, vec![(0, 10_000)]),
        (second - 1, vec![(0, 10_000)]),
        (second + 1, vec![(0, 10_000), (10_240, 10_241)]),
        (second + 19_999, vec![(0, 10_000), (10_240, 30_239)]),
    ];
    for (at, arrived) in cases {
        let mut straight = with_rows();
        straight.exchange(&frame[..at]);
        assert!(straight.connection.is_in_rows());
        straight.with(Connection::set_apart);
        assert_eq!(straight.service.talk.apart(), [arrived]);
        assert_eq!((straight.connection.is_in_rows(), rows_out(&straight)), (false, 0));
        straight.exchange(&frame[at..]);
        assert!(straight.replies() == [Ok(samples.to_vec())]);
        assert_eq!((straight.counters.rows_set_apart.get(), straight.service.pool.in_use_bytes()), (1, 0));
    }
}

#[test]
fn rows_that_a_receive_has_are_not_given_up() {
    let samples = two(2);
    let frame = stream_ready(&samples, false).frame(1);
    let mut straight = with_rows();
    straight.exchange(&frame[..6_000]);
    assert_eq!(straight.connection.wants(&straight.limits), Want::Fill);
    let (destination, range) = straight.connection.take_fill().expect("a fill was wanted");
    straight.with(Connection::set_apart);
    assert_eq!(straight.service.talk.apart().len(), 0);
    assert!(straight.connection.is_in_rows(), "it has rows, whoever has them now");
    assert!(range.end <= destination.len() && rows_out(&straight) > 0);
    straight.with(|connection, cx| connection.filled(destination, 0, cx));
    straight.exchange(&frame[6_000..]);
    assert!(straight.replies() == [Ok(samples.to_vec())]);
    assert_eq!(rows_out(&straight), 0);
}

#[test]
fn memory_of_a_request_s_own_is_left_alone() {
    let samples = two(3);
    let frame = stream_ready(&samples, false).frame(1);
    let mut straight = Straight::with_service(Fake::inline(&Pool::new(64 << 20)));
    straight.exchange(&frame[..6_000]);
    assert!(!straight.connection.is_in_rows());
    straight.with(Connection::set_apart);
    straight.exchange(&frame[6_000..]);
    assert!(straight.replies() == [Ok(samples.to_vec())]);
    assert_eq!((straight.service.talk.apart().len(), straight.counters.rows_set_apart.get()), (0, 0));
}

#[test]
fn a_request_that_cannot_be_set_apart_is_answered_and_the_rest_of_it_passed_over() {
    let samples = two(4);
    for frame in [stream_ready(&samples, false).frame(1), legacy(&samples[1..], false).frame(1)] {
        let mut straight = with_rows();
        straight.exchange(&frame[..6_000]);
        straight.service.is_busy = true;
        straight.with(Connection::set_apart);
        straight.send();
        assert_eq!((straight.replies(), rows_out(&straight)), (vec![Err(Code::Busy as i64)], 0));
        straight.service.is_busy = false;
        straight.exchange(&frame[6_000..]);
        let next = two(5);
        straight.exchange(&stream_ready(&next, false).frame(2));
        assert!(straight.replies() == [Err(Code::Busy as i64), Ok(next.to_vec())]);
        assert_eq!(straight.counters.rows_set_apart.get(), 0, "it was not set apart");
    }
}

#[test]
fn a_request_over_http_is_set_apart_or_answered_too() {
    let samples = two(6);
    let body = stream_ready(&samples, false).bytes;
    let head = format!("POST /models/some HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len());
    let request = [head.as_bytes(), &body].concat();
    for is_busy in [false, true] {
        let mut straight = with_rows();
        straight.exchange(&request[..9_000]);
        assert!(straight.connection.is_in_rows());
        straight.service.is_busy = is_busy;
        straight.with(Connection::set_apart);
        straight.service.is_busy = false;
        straight.exchange(&request[9_000..]);
        straight.exchange(b"GET /x HTTP/1.1\r\n\r\n");
        let text = String::from_utf8_lossy(&straight.output);
        assert!(text.ends_with("{\"path\":\"/x\"}"), "{text}");
        assert_eq!(text.starts_with("HTTP/1.1 503 "), is_busy, "{text}");
        let start = straight.output.windows(4).position(|end| end == b"\r\n\r\n").expect("a head") + 4;
        if !is_busy {
            let end = straight.output.windows(8).rposition(|start| start == b"HTTP/1.1").expect("a second response");
            assert!(read_reply(&straight.output[start..end]) == Ok(samples.to_vec()));
        }
        assert_eq!(rows_out(&straight), 0);
    }
}

#[test]
fn a_sender_that_is_slow_with_the_metadata_behind_its_payload_is_set_apart_without_a_receive_to_be_asked() {
    let samples = [floats(&mut Random::new(7), 20_000)];
    let frame = legacy(&samples, false).frame(1);
    let mut straight = with_rows();
    straight.exchange(&frame[..frame.len() - 3]);
    assert!(matches!(straight.connection.wants(&straight.limits), Want::Bytes(3)), "the payload is there");
    straight.with(Connection::set_apart);
    assert_eq!((straight.service.talk.apart(), rows_out(&straight)), (vec![vec![(0, 20_000)]], 0));
    straight.exchange(&frame[frame.len() - 3..]);
    assert!(straight.replies() == [Ok(samples.to_vec())]);
}

#[test]
fn a_request_of_which_too_much_has_come_to_be_copied_is_answered_instead() {
    // What one call copies holds up everybody else: a mebibyte takes about as long as an operation may.
    let samples = [floats(&mut Random::new(8), 3 << 19)];
    let frame = stream_ready(&samples, false).frame(1);
    let payload = frame.len() - (3 << 19);
    for (arrived, is_apart) in [(1 << 20, true), ((1 << 20) + 1, false)] {
        let mut straight = with_rows();
        straight.exchange(&frame[..payload + arrived]);
        assert!(straight.connection.is_in_rows());
        straight.with(Connection::set_apart);
        straight.send();
        let apart = straight.service.talk.apart();
        assert_eq!((apart.len(), rows_out(&straight)), (usize::from(is_apart), 0));
        assert_eq!(straight.counters.rows_set_apart.get(), u64::from(is_apart));
        straight.exchange(&frame[payload + arrived..]);
        let first = if is_apart { Ok(samples.to_vec()) } else { Err(Code::Busy as i64) };
        let next = two(9);
        straight.exchange(&stream_ready(&next, false).frame(2));
        assert!(straight.replies() == [first, Ok(next.to_vec())]);
    }
}
