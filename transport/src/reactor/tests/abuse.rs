//! Clients that do what they should not: too many, too much, too slow, nonsense, or gone.

use super::server::{Client, Replies, Server, until};
use super::{floats, post};
use crate::fake::random::Random;
use crate::fake::samples::stream_ready;
use crate::limits::Limits;
use graphpipe_schema::Code;
use std::time::Duration;

#[test]
fn one_connection_more_than_allowed_is_closed_at_once() {
    let server = Server::start(Limits { connections_max: 3, ..Limits::default() }, Replies::Inline);
    let samples = floats(&mut Random::new(1), 100);
    let message = stream_ready(&samples, false);
    let mut clients: Vec<Client> = (0..3).map(|_| server.tcp()).collect();
    for client in &mut clients {
        client.call(1, &message, &samples);
    }
    assert!(server.tcp().is_ended());
    assert!(server.unix().is_ended());
    assert_eq!(server.counters.connections_refused.get(), 2);
    drop(clients.pop());
    until("there is room", || server.control.connections() == 2);
    server.unix().call(2, &message, &samples);
    for client in &mut clients {
        client.call(3, &message, &samples);
    }
    drop(clients);
    server.assert_nothing_is_held();
}

#[test]
fn a_client_that_does_not_read_is_not_read_from() {
    let server = Server::start(Limits::default(), Replies::Inline);
    // Large frames are received one by one, small ones by a stream that has to be stopped.
    for (bytes, count) in [(16_000, 3_000), (800, 30_000)] {
        for client in server.both() {
            send_without_reading(&server, client, bytes, count);
        }
    }
    server.assert_nothing_is_held();
}

fn send_without_reading(server: &Server, client: Client, bytes: usize, count: usize) {
    let samples = floats(&mut Random::new(2), bytes);
    let frame = stream_ready(&samples, false).frame(4);
    let before = server.counters.received_bytes.get();
    let received = || server.counters.received_bytes.get() - before;
    let mut writer = client.again();
    let sending = std::thread::spawn(move || {
        for _ in 0..count / 100 {
            writer.send(&frame.repeat(100)).unwrap();
        }
    });
    // Tens of megabytes are on their way, and nobody takes the replies.
    until("something is received", || received() > 1 << 20);
    let mut other = server.tcp();
    for _ in 0..200 {
        other.send(b"GET /x HTTP/1.1\r\n\r\n").unwrap();
        other.read_response();
        assert!(server.pool.in_use_bytes() < 6 << 20, "{} bytes held", server.pool.in_use_bytes());
        assert!(received() < 20 << 20, "{} bytes taken", received());
        assert!(!sending.is_finished(), "somebody holds all of it");
    }
    let mut reader = client;
    for _ in 0..count {
        assert!(reader.read_reply().1.as_ref() == Ok(&samples));
    }
    sending.join().unwrap();
}

#[test]
fn bytes_that_are_no_frame_get_a_readable_answer_and_the_end() {
    let server = Server::start(Limits::default(), Replies::Inline);
    for mut client in server.both() {
        client.send(&[b"GPF9".as_slice(), &[0; 60]].concat()).unwrap();
        assert_eq!(client.read_reply(), (0, Err(Code::Malformed as i64)));
        assert!(client.is_ended());
    }
    server.assert_nothing_is_held();
    assert_eq!(server.counters.connections_broken.get(), 0);
}

#[test]
fn a_frame_that_is_too_long_gets_a_readable_answer_while_its_sender_goes_on() {
    let limits = Limits { message_bytes_max: 1 << 20, ..Limits::default() };
    let server = Server::start(limits, Replies::Inline);
    for mut client in server.both() {
        let mut frame = stream_ready(&floats(&mut Random::new(3), 8 << 20), false).frame(5);
        let rest = frame.split_off(1 << 20);
        client.send(&frame).unwrap();
        // At some point the server has had enough; that its answer can be read after that is what matters.
        let _ = client.send(&rest);
        assert_eq!(client.read_reply(), (5, Err(Code::TooLarge as i64)));
    }
    for mut client in server.both() {
        client.send(b"POST / HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n").unwrap();
        let _ = client.send(&vec![0; 9_000_000]);
        assert_eq!(client.read_response().0, "HTTP/1.1 413 Content Too Large");
    }
    server.assert_nothing_is_held();
}

#[test]
fn no_limit_lets_a_longer_message_in_than_any_message_may_be() {
    let server = Server::start(Limits { message_bytes_max: u32::MAX, ..Limits::default() }, Replies::Inline);
    for mut client in server.both() {
        client.send(b"POST / HTTP/1.1\r\nContent-Length: 3000000000\r\n\r\n????").unwrap();
        assert_eq!(client.read_response().0, "HTTP/1.1 413 Content Too Large");
    }
    server.assert_nothing_is_held();
}

#[test]
fn a_refused_request_leaves_the_connection_as_it_was() {
    let server = Server::start(Limits::default(), Replies::Inline);
    let samples = floats(&mut Random::new(4), 100_000);
    for mut client in server.both() {
        for id in 0..5 {
            client.send(&stream_ready(&samples, true).frame(id)).unwrap();
            assert_eq!(client.read_reply(), (id, Err(Code::UnknownModel as i64)));
            client.call(id + 100, &stream_ready(&samples, false), &samples);
        }
    }
    for mut client in server.both() {
        let message = stream_ready(&samples, false).bytes;
        client.send(&[post("/models/refuse", &message), post("/", &message)].concat()).unwrap();
        assert_eq!(client.read_response().0, "HTTP/1.1 404 Not Found");
        assert_eq!(client.read_response().0, "HTTP/1.1 200 OK");
    }
    server.assert_nothing_is_held();
}

#[test]
fn a_client_that_is_gone_in_the_middle_of_a_request_leaves_nothing_behind() {
    let server = Server::start(Limits::default(), Replies::Inline);
    let frame = stream_ready(&floats(&mut Random::new(5), 600_000), false).frame(1);
    for (round, sent) in (1..).zip([20, 40, 1_000, 100_000, 599_000]) {
        for mut client in server.both() {
            let before = server.counters.received_bytes.get();
            client.send(&frame[..sent]).unwrap();
            until("all of it is received", || {
                // Of a receive that waits for more, nothing is counted yet.
                sent > 5_200 && server.pool.in_use_bytes() > 0
                    || server.counters.received_bytes.get() - before == sent as u64
            });
            client.reset();
            server.assert_nothing_is_held();
        }
        assert_eq!(server.counters.connections_broken.get(), 2 * round, "after {sent} bytes");
    }
}

#[test]
fn a_client_that_is_gone_in_the_middle_of_a_reply_leaves_nothing_behind() {
    let server = Server::start(Limits::default(), Replies::Inline);
    let frame = stream_ready(&floats(&mut Random::new(6), 20_000_000), false).frame(1);
    for (round, mut client) in (1..).zip(server.both()) {
        client.send(&frame).unwrap();
        client.read_bytes(1_000_000);
        client.reset();
        server.assert_nothing_is_held();
        assert_eq!(server.counters.connections_broken.get(), round);
    }
}

#[test]
fn a_reply_to_a_client_that_is_gone_is_dropped() {
    let server = Server::start(Limits::default(), Replies::ByTheTest);
    let samples = floats(&mut Random::new(7), 800);
    let frame = stream_ready(&samples, false).frame(1);
    let mut client = server.tcp();
    client.send(&frame).unwrap();
    let (ticket, reply) = server.next_pending();
    client.reset();
    until("the connection is closed", || server.control.connections() == 0);
    // The next connection has the same place, and must not get it.
    let mut next = server.tcp();
    next.send(&frame).unwrap();
    let (next_ticket, next_reply) = server.next_pending();
    assert_eq!(next_ticket.connection, ticket.connection);
    server.mailbox.deliver(ticket, reply);
    server.mailbox.deliver(next_ticket, next_reply);
    assert!(next.read_reply() == (1, Ok(samples)));
    next.end_sending();
    assert!(next.is_ended());
    server.assert_nothing_is_held();
}

#[test]
fn a_sender_that_is_slow_but_does_not_stand_still_is_waited_for() {
    let limits = Limits { progress_timeout: Duration::from_millis(400), ..Limits::default() };
    let server = Server::start(limits, Replies::Inline);
    let samples = floats(&mut Random::new(12), 200_000);
    let frame = stream_ready(&samples, false).frame(1);
    for mut client in server.both() {
        let mut sent = 0;
        for end in [10_000, 15_000, 20_000, 25_000] {
            // A receive of the whole payload is under way: that these bytes have come is seen only when it is late.
            let before = server.counters.received_bytes.get();
            client.send(&frame[sent..end]).unwrap();
            sent = end;
            until("bytes are seen", || server.counters.received_bytes.get() > before);
        }
        client.send(&frame[sent..]).unwrap();
        assert_eq!(client.read_reply(), (1, Ok(samples.clone())));
    }
    assert_eq!(server.counters.connections_timed_out.get(), 0);
}

#[test]
fn a_sender_that_sends_byte_after_byte_is_not_waited_for() {
    let limits = Limits { progress_timeout: Duration::from_millis(400), ..Limits::default() };
    let server = Server::start(limits, Replies::Inline);
    let frame = stream_ready(&floats(&mut Random::new(13), 200_000), false).frame(1);
    for (ended, mut client) in server.both().enumerate() {
        client.send(&frame[..10_000]).unwrap();
        let is_ended = || server.counters.connections_timed_out.get() > ended as u64;
        let mut sent = 10_000;
        while !is_ended() && sent < 10_010 {
            // A receive of the whole payload is under way: that it has come is seen only when it is late.
            let before = server.counters.received_bytes.get();
            // It may be ended in this very moment.
            if client.send(&frame[sent..=sent]).is_ok() {
                until("a byte is seen", || server.counters.received_bytes.get() > before || is_ended());
            }
            sent += 1;
        }
        assert!(is_ended(), "ten bytes in four seconds");
    }
    server.assert_nothing_is_held();
}

#[test]
fn each_kind_of_slowness_has_its_timeout() {
    let short = Duration::from_millis(60);
    let long = Duration::from_secs(1000);
    let limits = Limits {
        head_timeout: long,
        idle_timeout: long,
        progress_timeout: long,
        drain_timeout: long,
        ..Limits::default()
    };
    let frame = stream_ready(&floats(&mut Random::new(8), 8_000_000), false).frame(1);
    let cases: [(Limits, &[u8]); 5] = [
        (Limits { idle_timeout: short, ..limits.clone() }, b""),
        (Limits { head_timeout: short, ..limits.clone() }, &frame[..20]),
        (Limits { head_timeout: short, ..limits.clone() }, b"POST / HTTP/1.1\r\nHost: "),
        (Limits { progress_timeout: short, ..limits.clone() }, &frame[..300_000]),
        // The whole request, and nobody reads the reply.
        (Limits { progress_timeout: short, ..limits.clone() }, &frame),
    ];
    for (index, (limits, sent)) in cases.into_iter().enumerate() {
        let server = Server::start(limits, Replies::Inline);
        for (count, mut client) in (1..).zip(server.both()) {
            client.send(sent).unwrap();
            until("timed out", || server.counters.connections_timed_out.get() == count);
            until("closed", || server.counters.connections_closed.get() >= count);
            assert!(server.pool.in_use_bytes() == 0, "case {index}");
        }
    }
}

#[test]
fn a_refused_client_that_does_not_go_away_is_left_after_a_while() {
    let limits = Limits { drain_timeout: Duration::from_millis(60), ..Limits::default() };
    let server = Server::start(limits, Replies::Inline);
    for mut client in server.both() {
        client.send(&[0xff; 32]).unwrap();
        assert_eq!(client.read_reply(), (0, Err(Code::Malformed as i64)));
        assert!(client.is_ended());
        until("closed", || server.control.connections() == 0);
    }
}

#[test]
fn a_thousand_half_frames_do_not_disturb_others() {
    raise_descriptor_limit();
    let server = Server::start(Limits::default(), Replies::Elsewhere);
    let mut random = Random::new(9);
    let samples = floats(&mut random, 800);
    let message = stream_ready(&samples, false);
    let frame = message.frame(1);
    let before = server.counters.received_bytes.get() as usize;
    let mut half: Vec<Client> =
        (0..1000).map(|index| if index % 2 == 0 { server.tcp() } else { server.unix() }).collect();
    for client in &mut half {
        client.send(&frame[..frame.len() / 2]).unwrap();
    }
    let expected = 1000 * (frame.len() / 2);
    until("all halves are received", || server.counters.received_bytes.get() as usize - before == expected);
    let mut others: Vec<Client> = (0..16).map(|_| server.unix()).collect();
    for id in 0..100 {
        for client in &mut others {
            client.call(id, &message, &samples);
        }
    }
    assert_eq!(server.control.connections(), 1016);
    for client in &mut half {
        client.send(&frame[frame.len() / 2..]).unwrap();
        assert!(client.read_reply() == (1, Ok(samples.clone())));
    }
    drop((half, others));
    server.assert_nothing_is_held();
}

/// Both ends of each connection are in this process.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}
