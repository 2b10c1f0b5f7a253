//! A reactor that rests for the sake of others: its bell wakes it, and then it takes all that has come.

use super::floats;
use super::server::{PATIENCE, Replies, Server};
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
    server.assert_nothing_is_held();
}
