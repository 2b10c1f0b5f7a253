//! Slow senders that have rows while others wait for some.

use super::super::slots::{Armed, Sending};
use super::super::{Control, Reactor};
use super::server::{Client, Replies, Server, until};
use super::{floats, post};
use crate::connection::Connection;
use crate::fake::random::Random;
use crate::fake::samples::{Sample, stream_ready};
use crate::fake::{Fake, rows};
use crate::limits::Limits;
use crate::mailbox::Mailbox;
use graphpipe_schema::writer;
use graphpiped_memory::Pool;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// Lets the service be impatient for one look, and waits until the reactor has looked.
fn hurry(server: &Server) {
    server.talk.hurry_once();
    server.mailbox.ring();
    until("the reactor looks", || server.talk.is_calm());
    server.let_it_look();
}

/// A client whose large frames go straight into their rows, so that its next bytes are received where they belong.
fn known(server: &Server, client: &mut Client, samples: &[Sample]) {
    client.call(1, &stream_ready(samples, false), samples);
    assert_eq!(server.rows_out(), 0);
}

#[test]
fn a_sender_is_set_apart_when_it_has_made_no_progress_and_not_before() {
    let server = Server::start_with_rows(Limits::default(), Replies::Inline);
    let samples = floats(&mut Random::new(1), 100_000);
    let frame = stream_ready(&samples, false).frame(2);
    let head = frame.len() - 100_000;
    for (round, mut client) in (1..).zip(server.both()) {
        known(&server, &mut client, &samples);
        client.send(&frame[..head]).unwrap();
        until("it has rows", || server.rows_out() > 0);
        server.let_it_look();
        // Received, but into an operation that waits for more: nobody knows yet that something has come.
        client.send(&frame[head..50_000]).unwrap();
        server.let_it_look();
        let before = server.counters.received_bytes.get();
        hurry(&server);
        until("what has come is known", || server.counters.received_bytes.get() >= before + 50_000 - head as u64);
        assert_eq!((server.talk.apart().len(), server.counters.rows_set_apart.get()), (round - 1, round as u64 - 1));
        assert!(server.rows_out() > 0, "it has made progress");
        hurry(&server);
        until("it has no rows", || server.rows_out() == 0);
        assert_eq!(server.talk.apart().last(), Some(&vec![(0, 50_000 - head)]));
        assert_eq!(server.counters.rows_set_apart.get(), round as u64);
        client.send(&frame[50_000..]).unwrap();
        assert!(client.read_reply() == (2, Ok(samples.clone())));
    }
    server.assert_nothing_is_held();
}

#[test]
fn a_sender_that_stops_between_two_payloads_is_set_apart() {
    let server = Server::start_with_rows(Limits::default(), Replies::Inline);
    let mut random = Random::new(2);
    let samples = [floats(&mut random, 20_000), floats(&mut random, 30_000)].concat();
    let message = stream_ready(&samples, false);
    let gap = writer::gap(20_000, 30_000).as_ref().len();
    for (round, mut client) in (1..).zip(server.both()) {
        known(&server, &mut client, &samples);
        let frame = message.frame(2);
        let end = frame.len() - 30_000 - gap + 1;
        let before = server.counters.received_bytes.get();
        client.send(&frame[..end]).unwrap();
        until("the first payload is there", || server.counters.received_bytes.get() - before == end as u64);
        hurry(&server);
        until("it has no rows", || server.rows_out() == 0);
        assert_eq!(server.talk.apart().last(), Some(&vec![(0, 20_000)]));
        client.send(&frame[end..]).unwrap();
        assert!(client.read_reply() == (2, Ok(samples.clone())));
        assert_eq!(server.counters.rows_set_apart.get(), round);
    }
    server.assert_nothing_is_held();
}

#[test]
fn nobody_is_set_apart_while_nobody_waits() {
    let server = Server::start_with_rows(Limits::default(), Replies::Inline);
    let samples = floats(&mut Random::new(3), 100_000);
    let request = post("/models/some", &stream_ready(&samples, false).bytes);
    for mut client in server.both() {
        client.send(&request[..50_000]).unwrap();
        until("it has rows", || server.rows_out() > 0);
        server.let_it_look();
        client.send(&request[50_000..]).unwrap();
        assert_eq!(client.read_response().0, "HTTP/1.1 200 OK");
    }
    assert_eq!(server.talk.apart().len(), 0);
    server.assert_nothing_is_held();
}

#[test]
fn those_that_have_no_rows_are_not_on_the_list_of_those_that_have() {
    let server = Server::start_with_rows(Limits::default(), Replies::Inline);
    let samples = floats(&mut Random::new(4), 100_000);
    let frame = stream_ready(&samples, false).frame(2);
    let mut clients: Vec<Client> = (0..6).flat_map(|_| server.both()).collect();
    for client in &mut clients {
        client.send(&frame[..50_000]).unwrap();
    }
    // 25 rows each. Some of them finish, some are gone, in an order that mixes up the places of the others.
    until("all have rows", || server.rows_out() == 12 * 25);
    for index in [1, 0, 6] {
        let mut client = clients.swap_remove(index);
        client.send(&frame[50_000..]).unwrap();
        assert!(client.read_reply() == (2, Ok(samples.clone())));
    }
    for index in [3, 0, 4] {
        clients.swap_remove(index).reset();
    }
    until("they have given up their rows", || server.rows_out() == 6 * 25);
    // One look finds what has come, a second one that nothing more does.
    while server.rows_out() > 0 {
        hurry(&server);
    }
    assert_eq!(server.counters.rows_set_apart.get(), 6);
    for mut client in clients {
        client.send(&frame[50_000..]).unwrap();
        assert!(client.read_reply() == (2, Ok(samples.clone())));
    }
    server.assert_nothing_is_held();
}

/// A reactor that is driven by the test, and its one connection, which has sent a part of a payload into its rows.
fn by_hand() -> (Reactor<Fake>, UnixStream) {
    let mut service = Fake::inline(&Pool::new(1 << 20));
    service.lane = Some(rows::lane());
    let mailbox = Mailbox::new(1).unwrap();
    let control = Control::new(vec![Arc::clone(&mailbox)]);
    let mut reactor = Reactor::new(&Limits::default(), vec![], mailbox, Arc::default(), control, service).unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(&stream_ready(&floats(&mut Random::new(5), 100_000), false).frame(1)[..50_000]).unwrap();
    let now = reactor.world.now;
    reactor.slots.insert(ours.into(), Sending::Copied, |key, generation| Connection::new(key, generation, now));
    while !matches!(reactor.slots.get(0).unwrap().armed, Armed::Fill(_)) {
        reactor.flush();
        reactor.wait(true).unwrap();
        reactor.handle_completions();
    }
    (reactor, theirs)
}

#[test]
fn a_reactor_sleeps_no_longer_than_the_patience_lasts() {
    let (mut reactor, _peer) = by_hand();
    let armed = reactor.world.now;
    reactor.next_sweep = armed + Duration::from_secs(1);
    reactor.heed_patience();
    assert!(reactor.timeout() > Duration::from_millis(900), "there is all the time");
    reactor.world.service.patience = Some(Duration::from_millis(20));
    reactor.world.now = armed + Duration::from_millis(15);
    reactor.heed_patience();
    let asked = reactor.receivers.take_asked(0);
    assert!(!asked && reactor.timeout() <= Duration::from_millis(5), "{asked} {:?}", reactor.timeout());
    reactor.world.now = armed + Duration::from_millis(20);
    reactor.heed_patience();
    assert_eq!((reactor.receivers.take_asked(0), reactor.timeout()), (true, Duration::from_millis(20)));
}
