//! Slow senders that have rows while others wait for some.

use super::super::patience::Asked;
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
use crate::ring::Batch;
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
    assert_eq!(asked, Asked::Nothing);
    assert!(reactor.timeout() <= Duration::from_millis(5), "{:?}", reactor.timeout());
    reactor.world.now = armed + Duration::from_millis(20);
    reactor.heed_patience();
    assert_eq!(reactor.receivers.take_asked(0), Asked::WhatHasCome);
    assert_eq!(reactor.timeout(), Duration::from_millis(20));
}

/// Submits, and hands over what completes, until the receive under way has ended; the clock stays where the test has
/// it.
fn until_the_fill_ends(reactor: &mut Reactor<Fake>) {
    let armed = reactor.slots.get(0).unwrap().armed;
    assert!(matches!(armed, Armed::Fill(_)), "{armed:?}");
    while reactor.slots.get(0).unwrap().armed == armed {
        reactor.ring.poll().unwrap();
        while let Some(event) = reactor.ring.next_event() {
            reactor.handle(event);
        }
    }
}

#[test]
fn a_reactor_that_is_about_to_sleep_learns_of_a_shortage_that_began_since_it_last_asked() {
    let (mut reactor, _peer) = by_hand();
    reactor.world.limits.spin = Duration::ZERO;
    reactor.flush();
    reactor.heed_patience();
    assert_eq!(reactor.receivers.next_look(), None);
    // Another reactor runs out of rows, and rings for one that is awake: nobody hears it.
    reactor.world.service.patience = Some(Duration::from_millis(20));
    reactor.mailbox.ring();
    reactor.next_sweep = reactor.world.now + Duration::from_secs(3);
    reactor.wait(false).unwrap();
    assert!(reactor.receivers.next_look().is_some(), "it has slept through the shortage");
}

#[test]
fn a_sender_that_was_asked_in_vain_is_asked_again() {
    let (mut reactor, _peer) = by_hand();
    let patience = Duration::from_millis(20);
    reactor.ring.poll().unwrap();
    reactor.world.service.patience = Some(patience);
    for cancellations in 1..4 {
        reactor.world.now += patience;
        reactor.heed_patience();
        assert_eq!(reactor.ring.queued(), cancellations);
        // Not before it has had the time to answer.
        reactor.world.now += patience / 2;
        reactor.heed_patience();
        assert_eq!(reactor.ring.queued(), cancellations);
    }
}

#[test]
fn a_sender_that_trickles_keeps_its_rows_a_hundred_times_the_patience_and_no_longer() {
    let cases =
        [(Duration::from_millis(20), Duration::from_secs(2)), (Duration::from_micros(10), Duration::from_millis(100))];
    for (patience, longest) in cases {
        let (mut reactor, mut theirs) = by_hand();
        let start = reactor.world.now;
        let bytes = reactor.slots.get(0).unwrap().connection.arriving_bytes();
        // And the time that all of it would take at 10 MB/s.
        let longest = longest + Duration::from_secs(bytes.into()) / 10_000_000;
        reactor.world.service.patience = Some(patience);
        let mut looks = 0;
        while reactor.slots.get(0).unwrap().connection.is_in_rows() {
            looks += 1;
            assert!(looks <= 100, "it has rows for as long as it likes");
            theirs.write_all(&[0; 4]).unwrap();
            reactor.world.now = start + longest / 100 * looks;
            reactor.heed_patience();
            until_the_fill_ends(&mut reactor);
            reactor.flush();
        }
        // It had them a moment before the clock of this test began to stand still.
        assert!(looks > 50, "after {looks} of 100 looks, in each of which something had come");
        assert_eq!((reactor.world.service.talk.apart().len(), reactor.world.counters.rows_set_apart.get()), (1, 1));
    }
}

#[test]
fn a_look_at_many_slow_senders_is_followed_by_another_only_after_a_part_of_the_patience() {
    let (mut reactor, _peer) = by_hand();
    let patience = Duration::from_millis(20);
    reactor.world.service.patience = Some(patience);
    let place = reactor.slots.get(0).unwrap().receiver;
    reactor.receivers.armed(place, reactor.world.now);
    reactor.world.now += Duration::from_millis(19);
    reactor.heed_patience();
    assert_eq!(reactor.receivers.next_look(), Some(reactor.world.now + patience / 4));
}

#[test]
fn a_peer_that_goes_on_after_it_was_probed_is_probed_again_before_it_is_given_up() {
    let (mut reactor, mut theirs) = by_hand();
    let timeout = reactor.world.limits.progress_timeout + Duration::from_secs(1);
    let sweep_after = |reactor: &mut Reactor<Fake>, pause| {
        reactor.world.now += pause;
        reactor.next_sweep = reactor.world.now;
        reactor.sweep();
    };
    // The first probe finds what has come so far, the second nothing.
    for _ in 0..2 {
        sweep_after(&mut reactor, timeout);
        until_the_fill_ends(&mut reactor);
        reactor.flush();
    }
    // A connection with too much in flight is not read from, so the end of a send moves the deadline; then the peer sends
    // more, but not all that the receive waits for.
    let Reactor { slots, world, .. } = &mut reactor;
    let in_flight_max = std::mem::replace(&mut world.limits.in_flight_max, 0);
    slots.with(0, |connection| connection.sent(Batch::default(), 0, &mut world.cx()));
    world.limits.in_flight_max = in_flight_max;
    theirs.write_all(&vec![0; 20_000]).unwrap();
    sweep_after(&mut reactor, Duration::from_secs(1));
    sweep_after(&mut reactor, timeout);
    assert_eq!(reactor.world.counters.connections_timed_out.get(), 0);
    until_the_fill_ends(&mut reactor);
    assert!(reactor.world.counters.received_bytes.get() >= 70_000);
}
