//! Many requests in flight: order, bounds, and that nobody comes to wait for the other.

use crate::fake::{self, Server, both, echo};
use graphpipe_client::{Client, Code, DType, Error, Id, Metadata, Options, Request, Tensor};
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::time::Duration;

/// Long enough for any machine, short enough that a test which would hang fails.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(30));

fn send(client: &mut Client, number: u8) -> Id {
    client.send(&Request::new().input(Tensor::new(&[1], &[number]))).unwrap()
}

fn receive(client: &mut Client) -> (Id, u8) {
    let (id, answer) = client.receive().unwrap();
    (id, answer.unwrap().output(0).unwrap().bytes()[0])
}

/// Reads so many requests, then answers them, the last one first.
fn backwards(count: usize) -> impl Fn(fake::Connection) + Clone + Send {
    move |mut connection| {
        let mut requests: Vec<_> = (0..count).map(|_| connection.read().unwrap()).collect();
        requests.reverse();
        let replies: Vec<u8> = requests.iter().flat_map(|(header, message)| fake::echoed(header.id, message)).collect();
        connection.write(&replies);
    }
}

#[test]
fn replies_in_any_order_come_under_their_ids() {
    for server in both(backwards(100)) {
        let mut client = server.client();
        let sent: Vec<(Id, u8)> = (0..100).map(|number| (send(&mut client, number), number)).collect();
        assert_eq!(client.in_flight(), 100);
        let received: Vec<(Id, u8)> = (0..100).map(|_| receive(&mut client)).collect();
        assert!(received.iter().eq(sent.iter().rev()));
        assert_eq!(client.in_flight(), 0);
        server.finish();
    }
}

#[test]
fn a_call_between_leaves_the_other_replies_for_later() {
    let server = Server::unix(backwards(3));
    let mut client = server.client();
    let first = send(&mut client, 1);
    let second = send(&mut client, 2);
    let response = client.infer(&Request::new().input(Tensor::new(&[1], &[3_u8]))).unwrap();
    assert_eq!(response.output(0).unwrap().bytes(), [3]);
    assert_eq!(client.in_flight(), 2);
    assert_eq!([receive(&mut client), receive(&mut client)], [(second, 2), (first, 1)]);
}

#[test]
fn metadata_can_be_asked_for_while_requests_are_in_flight() {
    let server = Server::unix(|mut connection| {
        let (first, message) = connection.read().unwrap();
        let (second, _) = connection.read().unwrap();
        connection.write(&fake::echoed(first.id, &message));
        connection.write(&fake::frame(second.id, 0, &Metadata::default().write()));
    });
    let mut client = server.client();
    let id = send(&mut client, 6);
    assert_eq!(client.metadata("").unwrap(), Metadata::default());
    assert_eq!(receive(&mut client), (id, 6));
    server.finish();
}

#[test]
fn a_client_that_sends_and_does_not_receive_never_stalls() {
    // Neither a request nor a reply fits into the sockets, and the server reads no request before its reply is away.
    for server in both(echo) {
        let mut client = server.client_with(&Options::new().write_timeout(PATIENCE).read_timeout(PATIENCE));
        let payload: Vec<u8> = (0..8_u32 << 20).map(|index| (index % 251) as u8).collect();
        let shape = [payload.len() as i64];
        let request = Request::new().input(Tensor::new(&shape, &payload));
        let sent: Vec<Id> = (0..12).map(|_| client.send(&request).unwrap()).collect();
        for id in sent {
            let (arrived, answer) = client.receive().unwrap();
            assert_eq!(arrived, id);
            assert!(answer.unwrap().output(0).unwrap().bytes() == payload);
        }
        drop(client);
        server.finish();
    }
}

#[test]
fn requests_beyond_the_bound_are_refused_until_a_reply_is_received() {
    let server = Server::unix(echo);
    let mut client = server.client_with(&Options::new().in_flight_max(2));
    send(&mut client, 1);
    send(&mut client, 2);
    let refused = client.send(&Request::new()).unwrap_err();
    assert!(matches!(refused, Error::InFlight { limit: 2 }) && refused.is_transient(), "{refused}");
    assert!(matches!(client.metadata(""), Err(Error::InFlight { .. })));
    receive(&mut client);
    send(&mut client, 3);
    assert_eq!([receive(&mut client).1, receive(&mut client).1], [2, 3]);
}

#[test]
fn nothing_can_be_received_when_nothing_was_sent() {
    let server = Server::unix(echo);
    let mut client = server.client();
    assert!(matches!(client.receive(), Err(Error::NothingInFlight)));
    assert!(client.try_receive().unwrap().is_none());
}

#[test]
fn a_try_returns_at_once_and_poll_tells_when_to_try_again() {
    let (say, wait) = mpsc::channel();
    let server = Server::unix(move |mut connection| {
        let (header, message) = connection.read().unwrap();
        wait.recv().unwrap();
        connection.write(&fake::echoed(header.id, &message));
    });
    let mut client = server.client();
    let id = send(&mut client, 9);
    assert!(client.try_receive().unwrap().is_none());
    say.send(()).unwrap();
    let answer = loop {
        if let Some(answer) = client.try_receive().unwrap() {
            break answer;
        }
        let fd = client.as_fd();
        let mut sockets = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut sockets, None).unwrap();
    };
    assert_eq!(answer.0, id);
    server.finish();
}

#[test]
fn replies_are_found_wherever_the_stream_is_cut() {
    const COUNT: u8 = 3;
    let replies = |requests: &[(graphpipe_schema::frame::Header, Vec<u8>)]| -> Vec<u8> {
        requests.iter().flat_map(|(header, message)| fake::echoed(header.id, message)).collect()
    };
    // The sizes of the writes: one byte at a time, a header at a time, and such that pieces of two replies go together.
    for step in [1, 31, 32, 33, 100, 1000] {
        let server = Server::unix(move |mut connection| {
            let requests: Vec<_> = (0..COUNT).map(|_| connection.read().unwrap()).collect();
            replies(&requests).chunks(step).for_each(|piece| connection.write(piece));
        });
        let mut client = server.client();
        let sent: Vec<(Id, u8)> = (0..COUNT).map(|number| (send(&mut client, number), number)).collect();
        let received: Vec<(Id, u8)> = (0..COUNT).map(|_| receive(&mut client)).collect();
        assert_eq!(received, sent, "in pieces of {step} bytes");
        server.finish();
    }
}

#[test]
fn replies_of_all_sizes_behind_one_another_are_whole() {
    let sizes: Vec<usize> = (0..200).map(|index| index * index * 7 % 40_009).collect();
    let expected = sizes.clone();
    for server in both(move |mut connection: fake::Connection| {
        let ids: Vec<u64> = sizes.iter().map(|_| connection.read().unwrap().0.id).collect();
        for (id, &bytes) in ids.iter().zip(&sizes) {
            connection.write(&fake::reply(*id, DType::Uint8, &[bytes as i64], &vec![*id as u8; bytes]));
        }
    }) {
        let mut client = server.client();
        let first = send(&mut client, 0);
        for _ in 1..expected.len() {
            send(&mut client, 0);
        }
        for (index, &bytes) in expected.iter().enumerate() {
            let (id, answer) = client.receive().unwrap();
            assert_eq!(id == first, index == 0);
            let response = answer.unwrap();
            let received = response.output(0).unwrap().bytes();
            assert_eq!(received.len(), bytes);
            // Ids count from one request to the next; the first is the pattern of the first reply.
            assert!(received.iter().all(|&byte| byte == (index + 1) as u8));
        }
        server.finish();
    }
}

#[test]
fn a_request_that_is_refused_by_its_head_counts_as_sent_and_the_connection_lives() {
    for server in both(|mut connection: fake::Connection| {
        let header = connection.read_header().unwrap();
        connection.read_bytes(header.head as usize);
        connection.write(&fake::refusal(header.id, Code::Busy, "full"));
        connection.read_bytes((header.length - header.head) as usize);
        echo(connection);
    }) {
        let mut client = server.client();
        let payload = vec![0_u8; 16 << 20];
        let shape = [payload.len() as i64];
        let id = client.send(&Request::new().input(Tensor::new(&shape, &payload))).unwrap();
        let (refused, answer) = client.receive().unwrap();
        assert_eq!(refused, id);
        let error = answer.unwrap_err();
        assert_eq!((error.code(), error.is_transient()), (Some(Code::Busy), true));
        let next = send(&mut client, 5);
        assert_eq!(receive(&mut client), (next, 5));
        drop(client);
        server.finish();
    }
}

#[test]
fn why_a_server_closed_is_heard_by_who_is_still_sending() {
    let server = Server::unix(|mut connection| {
        let header = connection.read_header().unwrap();
        connection.write(&fake::refusal(header.id, Code::TooLarge, "over the limit"));
    });
    let mut client = server.client_with(&Options::new().write_timeout(PATIENCE));
    let payload = vec![0_u8; 16 << 20];
    let shape = [payload.len() as i64];
    let request = Request::new().input(Tensor::new(&shape, &payload));
    let Err(Error::Server(error)) = client.infer(&request) else { panic!("not the server's words") };
    assert_eq!((error.code(), error.message.as_str()), (Some(Code::TooLarge), "over the limit"));
    assert!(matches!(client.infer(&request), Err(Error::Closed(_))));
    server.finish();
}
