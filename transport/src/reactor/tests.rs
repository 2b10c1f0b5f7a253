//! The reactor over real sockets, with an echo behind it.

mod abuse;
mod gone;
mod lend;
mod patience;
mod rest;
mod server;
mod spin;
mod turn;

use crate::counters::Counter;
use crate::fake::random::Random;
use crate::fake::samples::{Data, Message, Sample, legacy, stream_ready};
use crate::limits::Limits;
use graphpipe_schema::metadata::{Metadata, metadata_request};
use graphpipe_schema::{Code, DType};
use server::{Client, Replies, Server, until};
use std::collections::HashMap;
use std::time::Duration;

fn floats(random: &mut Random, bytes: usize) -> Vec<Sample> {
    vec![Sample { dtype: DType::Float32, shape: vec![bytes as i64 / 4], data: Data::Bytes(random.bytes(bytes)) }]
}

fn spins() -> [Limits; 2] {
    [Duration::ZERO, Duration::from_micros(50)].map(|spin| Limits { spin, ..Limits::default() })
}

fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    request.extend_from_slice(body);
    request
}

#[test]
fn one_listener_speaks_frames_and_http() {
    let server = Server::start(Limits::default(), Replies::Inline);
    let mut random = Random::new(1);
    for mut client in server.both() {
        let samples = floats(&mut random, 800);
        client.call(3, &stream_ready(&samples, false), &samples);
        client.call(4, &legacy(&samples, false), &samples);
        let metadata = Message { bytes: metadata_request("", ""), head: 0 };
        client.send(&metadata.frame(5)).unwrap();
        let header = client.read_bytes(32);
        let length = u32::from_le_bytes(*header[4..].first_chunk().unwrap());
        assert_eq!(Metadata::read(&client.read_bytes(length as usize)).unwrap().name, "echo");
    }
    for mut client in server.both() {
        let samples = floats(&mut random, 20_000);
        let message = legacy(&samples, false);
        client.send(&[post("/a", &message.bytes), b"GET /b HTTP/1.1\r\n\r\n".to_vec()].concat()).unwrap();
        let (status, body) = client.read_response();
        assert_eq!(status, "HTTP/1.1 200 OK");
        assert!(crate::fake::samples::read_reply(&body) == Ok(samples));
        assert_eq!(client.read_response(), ("HTTP/1.1 200 OK".into(), b"{\"path\":\"/b\"}".to_vec()));
    }
    assert_eq!((server.counters.requests_native.get(), server.counters.requests_http.get()), (6, 2));
    server.assert_nothing_is_held();
}

/// Sends `count` small requests without waiting, and checks the reply to each.
fn pipeline(client: &Client, seed: u64, count: u64) {
    let mut random = Random::new(seed);
    let mut waiting = HashMap::new();
    let mut frames = Vec::new();
    for id in 0..count {
        let bytes = 4 * random.within(1..200);
        let samples = floats(&mut random, bytes);
        frames.push(stream_ready(&samples, false).frame(id));
        waiting.insert(id, samples);
    }
    let mut writer = client.again();
    let sending = std::thread::spawn(move || {
        // Some frames in each write, so that writes end anywhere in a frame.
        for part in frames.concat().chunks(10_007) {
            writer.send(part).unwrap();
        }
    });
    let mut reader = client.again();
    let mut in_order = 0;
    for index in 0..count {
        let (id, reply) = reader.read_reply();
        let samples = waiting.remove(&id).expect("one reply to each request");
        assert!(reply.as_ref() == Ok(&samples), "request {id}: {reply:?}");
        in_order += u64::from(id == index);
    }
    sending.join().unwrap();
    assert!(waiting.is_empty());
    if count > 1000 {
        assert!(in_order < count, "nothing was mixed up");
    }
}

#[test]
fn ten_thousand_pipelined_requests_get_their_replies_in_any_order() {
    for limits in spins() {
        let server = Server::start(limits, Replies::Elsewhere);
        for client in server.both() {
            pipeline(&client, 7, 10_000);
        }
        assert_eq!(server.counters.replies_ok.get(), 20_000);
        server.assert_nothing_is_held();
    }
}

#[test]
fn clients_do_not_get_each_others_replies() {
    let server = Server::start(Limits::default(), Replies::Elsewhere);
    let clients: Vec<_> = (0..8)
        .map(|seed| {
            let client = if seed % 2 == 0 { server.tcp() } else { server.unix() };
            std::thread::spawn(move || pipeline(&client, seed, 1_000))
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    server.assert_nothing_is_held();
}

#[test]
fn no_payload_byte_of_a_large_frame_is_copied_after_the_first() {
    for limits in spins() {
        let server = Server::start(limits, Replies::Inline);
        let mut random = Random::new(2);
        for mut client in server.both() {
            let samples = floats(&mut random, 600_000);
            let message = stream_ready(&samples, false);
            client.call(0, &message, &samples);
            let copied = || {
                let counters = &server.counters;
                let counted = [&counters.copied_small_in, &counters.copied_small_out, &counters.copied_surprise];
                counted.map(Counter::get)
            };
            let before = copied();
            for id in 1..20 {
                client.call(id, &message, &samples);
            }
            let samples = floats(&mut random, 5_000_000);
            client.call(99, &stream_ready(&samples, false), &samples);
            assert_eq!(copied(), before);
        }
        server.assert_nothing_is_held();
    }
}

#[test]
fn large_frames_are_pipelined_too() {
    let server = Server::start(Limits::default(), Replies::Elsewhere);
    let mut random = Random::new(3);
    for client in server.both() {
        let samples: Vec<_> = (0..10).map(|_| floats(&mut random, 600_000)).collect();
        let frames: Vec<_> = (0..).zip(&samples).map(|(id, samples)| stream_ready(samples, false).frame(id)).collect();
        let mut writer = client.again();
        let sending = std::thread::spawn(move || writer.send(&frames.concat()).unwrap());
        let mut reader = client;
        for _ in 0..10 {
            let (id, reply) = reader.read_reply();
            assert!(reply.as_ref() == Ok(&samples[id as usize]));
        }
        sending.join().unwrap();
    }
    server.assert_nothing_is_held();
}

#[test]
fn frames_of_all_sizes_follow_each_other() {
    let server = Server::start(Limits::default(), Replies::Elsewhere);
    let mut random = Random::new(4);
    for mut client in server.both() {
        for id in 0..200 {
            let bytes = 4 * random.within(1..random.clone().pick(&[10, 2_000, 100_000]));
            let samples = floats(&mut random, bytes);
            let message = if id % 3 == 0 { legacy(&samples, false) } else { stream_ready(&samples, false) };
            client.call(id, &message, &samples);
        }
    }
    server.assert_nothing_is_held();
}

#[test]
fn a_peer_that_has_ended_its_side_still_gets_its_replies() {
    let server = Server::start(Limits { in_flight_max: 4, ..Limits::default() }, Replies::Elsewhere);
    let mut random = Random::new(5);
    for mut client in server.both() {
        let samples = floats(&mut random, 400);
        let message = stream_ready(&samples, false);
        let frames: Vec<u8> = (0..100).flat_map(|id| message.frame(id)).collect();
        client.send(&frames).unwrap();
        client.end_sending();
        for _ in 0..100 {
            assert!(client.read_reply().1.as_ref() == Ok(&samples));
        }
        assert!(client.is_ended());
    }
    assert_eq!(server.counters.connections_broken.get(), 0);
    server.assert_nothing_is_held();
}

#[test]
fn a_connection_has_no_more_requests_in_flight_than_it_may() {
    let server = Server::start(Limits { in_flight_max: 16, ..Limits::default() }, Replies::ByTheTest);
    let samples = floats(&mut Random::new(6), 100);
    let message = stream_ready(&samples, false);
    let mut client = server.tcp();
    let frames: Vec<u8> = (0..1000).flat_map(|id| message.frame(id)).collect();
    client.send(&frames).unwrap();
    let mut pending: Vec<_> = (0..16).map(|_| server.next_pending()).collect();
    // Another connection's round trips: the reactor has had every opportunity to take more of the first one.
    server.let_it_look();
    assert!(server.pending.as_ref().unwrap().try_recv().is_err());
    for replied in 0..1000 {
        let (ticket, reply) = pending.swap_remove(replied % pending.len());
        server.mailbox.deliver(ticket, reply);
        assert!(client.read_reply().1.as_ref() == Ok(&samples));
        if replied < 1000 - 16 {
            pending.push(server.next_pending());
        }
    }
    drop(client);
    server.assert_nothing_is_held();
}

#[test]
fn a_drain_finishes_what_was_accepted_and_takes_nothing_else() {
    let mut server = Server::start(Limits::default(), Replies::ByTheTest);
    let samples = floats(&mut Random::new(7), 100_000);
    let message = stream_ready(&samples, false);
    let (mut working, mut arriving, mut idle) = (server.tcp(), server.unix(), server.tcp());
    working.send(&message.frame(1)).unwrap();
    let (ticket, reply) = server.next_pending();
    // Half of a frame whose memory is claimed.
    let frame = message.frame(2);
    arriving.send(&frame[..50_000]).unwrap();
    let claimed = server.pool.in_use_bytes();
    until("the second claim is made", || server.pool.in_use_bytes() > claimed || claimed > 200_000);
    server.control.drain();
    assert!(idle.is_ended());
    server.mailbox.deliver(ticket, reply);
    assert!(working.read_reply() == (1, Ok(samples.clone())));
    assert!(working.is_ended());
    arriving.send(&frame[50_000..]).unwrap();
    let (ticket, reply) = server.next_pending();
    server.mailbox.deliver(ticket, reply);
    assert!(arriving.read_reply() == (2, Ok(samples)));
    assert!(arriving.is_ended());
    server.join();
}

#[test]
fn a_frame_that_begins_after_the_drain_is_refused() {
    let mut server = Server::start(Limits::default(), Replies::ByTheTest);
    let samples = floats(&mut Random::new(8), 400);
    let frame = stream_ready(&samples, false).frame(2);
    let mut client = server.tcp();
    client.send(&frame).unwrap();
    let (ticket, reply) = server.next_pending();
    client.send(&frame[..40]).unwrap();
    let received = || server.counters.received_bytes.get() as usize;
    until("the half frame has arrived", || received() == frame.len() + 40);
    server.control.drain();
    server.mailbox.deliver(ticket, reply);
    assert!(client.read_reply() == (2, Ok(samples)));
    client.send(&frame[40..]).unwrap();
    assert_eq!(client.read_reply(), (2, Err(Code::ShuttingDown as i64)));
    assert!(client.is_ended());
    server.join();
}

#[test]
fn a_stop_ends_at_once_and_gives_everything_back() {
    let mut server = Server::start(Limits::default(), Replies::ByTheTest);
    let message = stream_ready(&floats(&mut Random::new(9), 100_000), false);
    let (mut working, mut arriving) = (server.tcp(), server.unix());
    working.send(&message.frame(1)).unwrap();
    drop(server.next_pending());
    arriving.send(&message.frame(2)[..50_000]).unwrap();
    until("a payload arrives", || server.pool.in_use_bytes() > 0);
    server.control.stop();
    server.join();
    assert!(working.is_ended());
    assert_eq!(server.pool.in_use_bytes(), 0);
}
