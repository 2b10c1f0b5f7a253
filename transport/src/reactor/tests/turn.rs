//! The service's turns: what it answers in them arrives, whoever waits for it, and as long as there is more the reactor
//! does not wait.

use super::super::slots::Sending;
use super::super::{Control, Reactor};
use super::server::{Replies, Server, until};
use super::{floats, pipeline, spins};
use crate::connection::Connection;
use crate::fake::Fake;
use crate::fake::random::Random;
use crate::fake::samples::stream_ready;
use crate::limits::Limits;
use crate::mailbox::Mailbox;
use graphpiped_memory::Pool;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[test]
fn what_is_answered_in_a_turn_is_sent() {
    for limits in spins() {
        let server = Server::start(Limits { in_flight_max: 5, ..limits }, Replies::InTurn);
        for client in server.both() {
            // No more than a thousand: they are answered in order.
            pipeline(&client, 1, 1_000);
        }
        assert_eq!(server.counters.replies_ok.get(), 2_000);
        server.assert_nothing_is_held();
    }
}

#[test]
fn a_service_that_has_more_to_run_is_asked_again_without_waiting() {
    for limits in spins() {
        let server = Server::start(limits, Replies::InTurn);
        let samples = floats(&mut Random::new(2), 800);
        // A second of waiting in each would take longer than any client here is willing to wait.
        server.talk.idle_turns.store(300, Ordering::Relaxed);
        server.tcp().call(1, &stream_ready(&samples, false), &samples);
    }
}

#[test]
fn a_request_that_waited_behind_an_answer_of_the_turn_is_run_without_waiting() {
    // Spinning would look again as well.
    let limits = Limits { in_flight_max: 1, spin: Duration::ZERO, ..Limits::default() };
    let server = Server::start(limits, Replies::InTurn);
    let mut random = Random::new(3);
    let (large, small) = (floats(&mut random, 20_000_000), floats(&mut random, 8));
    let mut client = server.unix();
    let mut answered = 0;
    let mut send = |frame: &[u8], count: u64| {
        client.send(frame).unwrap();
        answered += count;
        until("all are answered", || server.counters.replies_ok.get() == answered);
    };
    // Nobody reads this reply: no end of a send tells the reactor anything from here on.
    send(&stream_ready(&large, false).frame(0), 1);
    let frame = |id| stream_ready(&small, false).frame(id);
    (1..=20).for_each(|id| send(&frame(id), 1));
    // These arrive together, and are run one after the other. A second of waiting for each would be too long.
    let frames: Vec<u8> = (21..=90).flat_map(frame).collect();
    assert!(frames.len() <= 16 * 1024);
    send(&frames, 70);
    assert!(client.read_reply() == (0, Ok(large)));
    (1..=90).for_each(|id| assert!(client.read_reply() == (id, Ok(small.clone()))));
    drop(client);
    server.assert_nothing_is_held();
}

#[test]
fn an_answer_of_the_turn_to_a_client_that_is_gone_is_dropped() {
    let server = Server::start(Limits::default(), Replies::InTurn);
    let mut random = Random::new(4);
    server.talk.is_holding.store(true, Ordering::Relaxed);
    let mut gone = server.tcp();
    gone.send(&stream_ready(&floats(&mut random, 400), false).frame(1)).unwrap();
    until("it is in flight", || server.counters.requests_native.get() == 1);
    gone.reset();
    until("its connection is closed", || server.control.connections() == 0);
    // The next connection has the same place, and must not get the answer.
    let samples = floats(&mut random, 800);
    let mut next = server.tcp();
    next.send(&stream_ready(&samples, false).frame(2)).unwrap();
    until("the next one is in flight", || server.counters.requests_native.get() == 2);
    server.talk.is_holding.store(false, Ordering::Relaxed);
    server.mailbox.ring();
    assert!(next.read_reply() == (2, Ok(samples)));
    next.end_sending();
    assert!(next.is_ended());
    assert_eq!(server.counters.replies_ok.get(), 1);
    server.assert_nothing_is_held();
}

#[test]
fn replies_that_come_while_others_are_delivered_wait_for_the_next_turn() {
    let mailbox = Mailbox::new(4).unwrap();
    let control = Control::new(vec![Arc::clone(&mailbox)]);
    // Whoever runs requests is faster than the reactor: each is answered as soon as it is committed.
    let answers = Arc::clone(&mailbox);
    let service = Fake::later(&Pool::new(1 << 20), move |ticket, reply| answers.put(ticket, reply));
    let limits = Limits { in_flight_max: 1, ..Limits::default() };
    let mut reactor = Reactor::new(&limits, vec![], mailbox, Arc::default(), control, service).unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let small = floats(&mut Random::new(5), 8);
    theirs.write_all(&(1..=5).flat_map(|id| stream_ready(&small, false).frame(id)).collect::<Vec<u8>>()).unwrap();
    let now = reactor.world.now;
    reactor.slots.insert(ours.into(), Sending::Copied, |key, generation| Connection::new(key, generation, now));
    while reactor.mailbox.is_empty() {
        reactor.flush();
        reactor.wait(true).unwrap();
        reactor.handle_completions();
    }
    for answered in 1..=5 {
        reactor.deliver_replies();
        assert_eq!(reactor.world.counters.replies_ok.get(), answered);
    }
    assert!(reactor.mailbox.is_empty());
}
