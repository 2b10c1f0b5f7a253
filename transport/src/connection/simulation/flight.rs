//! Requests in flight: how much of them a connection may have, and who is told when nobody waits for them any more.

use super::super::{Connection, Want};
use super::straight::{Straight, floats};
use crate::fake::Fake;
use crate::fake::random::Random;
use crate::fake::samples::stream_ready;
use crate::service::{Reply, Ticket};
use graphpiped_memory::Pool;
use std::cell::RefCell;
use std::rc::Rc;

type Later = Rc<RefCell<Vec<(Ticket, Reply)>>>;

/// A connection whose requests weigh so much, and the replies that are not given yet.
fn later(weight: u32, weight_max: u32) -> (Straight, Later) {
    let later = Later::default();
    let queue = Rc::clone(&later);
    let pool = Pool::new(64 << 20);
    let mut service = Fake::later(&pool, move |ticket, reply| queue.borrow_mut().push((ticket, reply)));
    service.weight = weight;
    let mut straight = Straight::with_service(service);
    straight.limits.weight_max = weight_max;
    (straight, later)
}

fn frames(count: u64) -> Vec<u8> {
    let samples = [floats(&mut Random::new(1), 800)];
    (0..count).flat_map(|id| stream_ready(&samples, false).frame(id)).collect()
}

fn post() -> Vec<u8> {
    let body = stream_ready(&[floats(&mut Random::new(2), 800)], false).bytes;
    let head = format!("POST /models/some HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), &body].concat()
}

#[test]
fn the_weights_of_what_is_in_flight_are_bounded() {
    for (weight, weight_max, expected) in
        [(0, 0, 10), (0, 1, 10), (7, 0, 1), (1, 3, 3), (2, 5, 3), (5, 5, 1), (6, 5, 1), (u32::MAX, 1, 1)]
    {
        let (mut straight, later) = later(weight, weight_max);
        straight.with(|connection, cx| connection.received(&frames(10), cx));
        assert_eq!(later.borrow().len(), expected, "of weight {weight} where {weight_max} is the most");
        for replied in 1..=10 {
            let (ticket, reply) = later.borrow_mut().pop().expect("as one is answered, the next one is taken");
            assert_eq!(ticket.weight, weight);
            straight.with(|connection, cx| connection.reply(ticket, &reply, cx));
            assert_eq!(later.borrow().len(), expected.min(10 - replied));
            straight.send();
        }
        assert_eq!(straight.replies().len(), 10);
    }
}

#[test]
fn a_peer_that_goes_away_is_told_once() {
    for is_gone_at_its_end in [true, false] {
        let (mut straight, later) = later(1, 10);
        straight.with(|connection, cx| connection.received(&frames(3), cx));
        straight.with(
            |connection, cx| {
                if is_gone_at_its_end { connection.ended(true, cx) } else { connection.broken(cx) }
            },
        );
        assert!(straight.connection.is_finished());
        straight.with(Connection::broken);
        straight.with(Connection::expire);
        assert_eq!((straight.service.talk.gone(), straight.counters.connections_gone.get()), (vec![(0, 0)], 1));
        for (ticket, reply) in later.take() {
            straight.with(|connection, cx| connection.reply(ticket, &reply, cx));
        }
        assert!(straight.connection.next_batch(&mut straight.spare).is_none());
    }
}

#[test]
fn a_peer_of_which_nothing_is_in_flight_goes_away_unnoticed() {
    let (mut straight, later) = later(1, 10);
    straight.with(|connection, cx| connection.received(&frames(1), cx));
    let (ticket, reply) = later.borrow_mut().pop().expect("it is in flight");
    straight.with(|connection, cx| connection.reply(ticket, &reply, cx));
    straight.with(Connection::broken);
    assert_eq!((straight.service.talk.gone().len(), straight.counters.connections_gone.get()), (0, 0));
}

#[test]
fn a_peer_that_only_ends_its_side_is_not_gone() {
    for request in [frames(1), post()] {
        let (mut straight, later) = later(1, 10);
        straight.with(|connection, cx| connection.received(&request, cx));
        straight.with(|connection, cx| connection.ended(false, cx));
        assert!(!straight.connection.is_finished());
        let (ticket, reply) = later.borrow_mut().pop().expect("it is in flight");
        straight.with(|connection, cx| connection.reply(ticket, &reply, cx));
        straight.send();
        assert!(straight.output.len() > 800 && straight.connection.is_finished());
        assert_eq!(straight.service.talk.gone().len(), 0);
    }
}

#[test]
fn a_connection_that_takes_no_more_requests_still_learns_of_its_peers_end() {
    for request in [frames(1), post()] {
        let (mut straight, later) = later(9, 5);
        let wants = |straight: &Straight| straight.connection.wants(&straight.limits);
        straight.with(|connection, cx| connection.received(&request, cx));
        assert!(matches!(wants(&straight), Want::Bytes(_)), "{:?}", wants(&straight));
        // A request behind it waits, and then nothing more is received.
        assert_eq!(straight.receive(&request, usize::MAX), request.len());
        assert_eq!((wants(&straight), later.borrow().len()), (Want::Nothing, 1));
        for _ in 0..2 {
            let (ticket, reply) = later.borrow_mut().pop().expect("one after the other");
            straight.with(|connection, cx| connection.reply(ticket, &reply, cx));
            straight.send();
        }
        assert!(straight.output.len() > 1_600 && later.borrow().is_empty());
    }
}

#[test]
fn nothing_more_is_received_of_what_has_begun_while_the_peer_does_not_read() {
    let frame = stream_ready(&[floats(&mut Random::new(3), 600_000)], false).frame(1);
    for begun in [20, 300_000] {
        let (mut straight, later) = later(1, 10);
        for _ in 0..3 {
            straight.exchange(&frame);
        }
        let answered: Vec<_> = later.borrow_mut().drain(..2).collect();
        straight.exchange(&frame[..begun]);
        assert_ne!(straight.connection.wants(&straight.limits), Want::Nothing);
        for (ticket, reply) in answered {
            straight.with(|connection, cx| connection.reply(ticket, &reply, cx));
        }
        assert_eq!(straight.connection.wants(&straight.limits), Want::Nothing, "of {begun} bytes");
        straight.send();
        straight.exchange(&frame[begun..]);
        assert_eq!(later.borrow().len(), 2);
    }
}
