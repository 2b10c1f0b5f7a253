//! A reactor that rests for the sake of others: its bell wakes it, and then it takes all that has come.

use super::floats;
use super::server::{PATIENCE, Replies, Server, until};
use crate::fake::random::Random;
use crate::fake::samples::stream_ready;
use crate::limits::Limits;
use std::time::{Duration, Instant};

fn limits() -> Limits {
    Limits { spin: Duration::ZERO, ..Limits::default() }
}

#[test]
fn a_reactor_that_rests_is_woken_for_replies_and_for_orders() {
    let server = Server::start(limits(), Replies::ByTheTest);
    let samples = floats(&mut Random::new(1), 800);
    let request = stream_ready(&samples, false);
    let mut clients = [server.tcp(), server.unix()];
    let deliver = || {
        let (ticket, reply) = server.next_pending();
        server.mailbox.deliver(ticket, reply);
    };
    for client in &mut clients {
        client.send(&request.frame(1)).unwrap();
        deliver();
        assert_eq!(client.read_reply(), (1, Ok(samples.clone())));
    }
    let started = Instant::now();
    // It looks around once a second all the same: a hundred of these are longer than anybody's patience.
    server.talk.set_rest(Duration::from_hours(1));
    for id in 2..102 {
        let [first, second] = &mut clients;
        first.send(&request.frame(id)).unwrap();
        // Only a reactor that does not rest yet takes this before the bell.
        second.send(&request.frame(id)).unwrap();
        server.mailbox.ring();
        deliver();
        server.mailbox.ring();
        deliver();
        for client in &mut clients {
            assert_eq!(client.read_reply(), (id, Ok(samples.clone())));
        }
    }
    assert!(started.elapsed() < PATIENCE, "the bell wakes nobody");
    // The end of the server is an order; it is waited for.
    drop(server);
}

#[test]
fn what_comes_while_a_reactor_rests_is_taken_when_it_has_rested() {
    let server = Server::start(limits(), Replies::Inline);
    server.talk.set_rest(Duration::from_millis(3));
    let samples = floats(&mut Random::new(2), 800);
    for mut client in server.both() {
        for id in 0..20 {
            client.call(id, &stream_ready(&samples, false), &samples);
        }
    }
    assert!(server.talk.rests() > 0, "it never rests");
    server.assert_nothing_is_held();
}

#[test]
fn a_reactor_does_not_rest_while_a_payload_is_on_its_way() {
    let server = Server::start(limits(), Replies::Inline);
    let (small, large) = (floats(&mut Random::new(3), 800), floats(&mut Random::new(4), 1 << 20));
    let (request, frame) = (stream_ready(&small, false), stream_ready(&large, false).frame(1));
    let (mut sender, mut other) = (server.tcp(), server.unix());
    let (half, rest) = frame.split_at(frame.len() / 2);
    sender.send(half).unwrap();
    until("half of the payload is there", || server.counters.received_bytes.get() as usize >= half.len() / 2);
    // After this the receive of what is still to come has been armed.
    other.call(1, &request, &small);
    server.talk.set_rest(Duration::from_millis(1));
    for id in 2..22 {
        other.call(id, &request, &small);
    }
    assert_eq!(server.talk.rests(), 0);
    sender.send(rest).unwrap();
    assert_eq!(sender.read_reply(), (1, Ok(large)));
    other.call(22, &request, &small);
    until("it rests again", || server.talk.rests() > 0);
}
