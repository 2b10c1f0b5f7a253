//! Payloads that are lent to the kernel instead of being copied: to whom, and that nothing changes for him.

use super::floats;
use super::server::{Client, Replies, Server, until};
use crate::fake::random::Random;
use crate::fake::samples::stream_ready;
use crate::limits::Limits;
use std::sync::Arc;

/// Lends whatever is not small.
fn lending() -> Limits {
    Limits { zero_copy_send_bytes_min: 10_000, ..Limits::default() }
}

fn lent(server: &Server) -> (u64, u64) {
    (server.counters.zero_copy_sends.get(), server.counters.zero_copy_copied.get())
}

/// Large and small requests, one after the other and all at once.
fn talk(mut client: Client) {
    let mut random = Random::new(12);
    let samples: Vec<_> = [400, 600_000, 20_000, 9_996, 3_000_000].map(|bytes| floats(&mut random, bytes)).into();
    for (id, samples) in (0..).zip(&samples) {
        client.call(id, &stream_ready(samples, false), samples);
    }
    let frames: Vec<_> = (0..).zip(&samples).map(|(id, samples)| stream_ready(samples, false).frame(id)).collect();
    let mut writer = client.again();
    let sending = std::thread::spawn(move || writer.send(&frames.concat()).unwrap());
    for _ in &samples {
        let (id, reply) = client.read_reply();
        assert!(reply.as_ref() == Ok(&samples[id as usize]), "request {id}");
    }
    sending.join().unwrap();
}

#[test]
fn large_replies_are_lent_for_peers_elsewhere_and_nobody_else() {
    for replies in [Replies::Inline, Replies::Elsewhere] {
        let server = Server::start(lending(), replies);
        for client in server.both() {
            talk(client);
        }
        server.assert_nothing_is_held();
        assert_eq!(lent(&server), (0, 0), "the peer is on this machine");
        talk(server.tcp_from_elsewhere());
        server.assert_nothing_is_held();
        let (sends, copied) = lent(&server);
        // Each of the three large ones twice, the largest in three parts, the last of which is long enough.
        assert_eq!(sends, 2 * (1 + 1 + 3));
        assert_eq!(copied, sends, "between two addresses of one machine the kernel copies");
    }
}

#[test]
fn by_default_nobody_is_lent_anything() {
    let server = Server::start(Limits::default(), Replies::Inline);
    talk(server.tcp_from_elsewhere());
    server.assert_nothing_is_held();
    assert_eq!(lent(&server), (0, 0));
}

#[test]
fn a_peer_that_leaves_with_replies_unread_leaves_nothing_behind() {
    let server = Server::start(lending(), Replies::ByTheTest);
    // More than both sides have room for.
    let message = stream_ready(&floats(&mut Random::new(13), 20_000_000), false);
    let mut client = server.tcp_from_elsewhere();
    client.send(&message.frame(1)).unwrap();
    let (ticket, reply) = server.next_pending();
    server.mailbox.deliver(ticket, reply);
    let counters = Arc::clone(&server.counters);
    until("something is sent", || counters.sent_bytes.get() > 0);
    client.reset();
    server.assert_nothing_is_held();
}
