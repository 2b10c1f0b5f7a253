//! Peers that go away while requests of them are in flight: those are told to the service, and nobody else.

use super::server::{Client, Replies, Server, until};
use super::{floats, post};
use crate::fake::random::Random;
use crate::fake::samples::{Sample, stream_ready};
use crate::limits::Limits;
use crate::service::{Reply, Ticket};
use std::sync::Arc;

/// A request in a native frame and one over HTTP, and what they are answered with.
fn requests() -> ([Vec<u8>; 2], Vec<Sample>) {
    let samples = floats(&mut Random::new(1), 800);
    let message = stream_ready(&samples, false);
    ([message.frame(1), post("/models/some", &message.bytes)], samples)
}

/// Has a request in flight; returns its ticket and its reply.
fn in_flight(server: &Server, client: &mut Client, request: &[u8]) -> (Ticket, Reply) {
    client.send(request).unwrap();
    server.next_pending()
}

fn assert_told(server: &Server, ticket: Ticket, count: u64) {
    let told = (ticket.connection, ticket.generation);
    until("the service is told", || server.talk.gone().len() as u64 == count);
    assert_eq!(server.talk.gone().last(), Some(&told));
    assert_eq!(server.counters.connections_gone.get(), count);
    until("the connection is closed", || server.control.connections() == 0);
}

#[test]
fn a_client_that_closes_its_unix_socket_or_resets_its_connection_is_told() {
    for in_flight_max in [1, 100] {
        let server = Server::start(Limits { in_flight_max, ..Limits::default() }, Replies::ByTheTest);
        let mut count = 0;
        for request in requests().0 {
            for mut client in server.both() {
                let (ticket, reply) = in_flight(&server, &mut client, &request);
                client.reset();
                count += 1;
                assert_told(&server, ticket, count);
                server.mailbox.deliver(ticket, reply);
            }
        }
        server.assert_nothing_is_held();
    }
}

#[test]
fn those_who_wait_when_the_reactor_ends_are_told() {
    let server = Server::start(Limits::default(), Replies::ByTheTest);
    let mut clients: Vec<Client> = server.both().collect();
    for client in &mut clients {
        in_flight(&server, client, &requests().0[0]);
    }
    let idle = server.tcp();
    let talk = Arc::clone(&server.talk);
    drop(server);
    assert_eq!(talk.gone().len(), 2);
    drop(idle);
}

#[test]
fn a_client_that_only_ends_its_side_is_not_told_and_gets_its_reply() {
    let server = Server::start(Limits::default(), Replies::ByTheTest);
    let (requests, samples) = requests();
    for (request, is_http) in requests.iter().zip([false, true]) {
        for mut client in server.both() {
            let (ticket, reply) = in_flight(&server, &mut client, request);
            client.end_sending();
            server.let_it_look();
            server.mailbox.deliver(ticket, reply);
            if is_http {
                assert_eq!(client.read_response().0, "HTTP/1.1 200 OK");
            } else {
                assert!(client.read_reply() == (1, Ok(samples.clone())));
            }
            assert!(client.is_ended());
        }
    }
    assert_eq!((server.talk.gone().len(), server.counters.connections_broken.get()), (0, 0));
    server.assert_nothing_is_held();
}

#[test]
fn a_client_from_which_nothing_is_received_any_more_is_missed_after_a_while() {
    let server = Server::start(Limits::default(), Replies::ByTheTest);
    let [native, http] = requests().0;
    // It has ended its side, and then goes away.
    let mut client = server.unix();
    let (ticket, reply) = in_flight(&server, &mut client, &native);
    client.end_sending();
    server.let_it_look();
    drop(client);
    assert_told(&server, ticket, 1);
    server.mailbox.deliver(ticket, reply);
    // It has sent a second request, which waits for the reply to the first.
    let mut client = server.unix();
    let (ticket, reply) = in_flight(&server, &mut client, &http);
    client.send(&http).unwrap();
    server.let_it_look();
    drop(client);
    assert_told(&server, ticket, 2);
    server.mailbox.deliver(ticket, reply);
    server.assert_nothing_is_held();
}

#[test]
fn a_client_that_goes_away_with_all_its_replies_is_not_told() {
    let server = Server::start(Limits::default(), Replies::Elsewhere);
    let samples = requests().1;
    for mut client in server.both() {
        client.call(1, &stream_ready(&samples, false), &samples);
        client.reset();
    }
    server.assert_nothing_is_held();
    assert_eq!((server.talk.gone().len(), server.counters.connections_gone.get()), (0, 0));
}
