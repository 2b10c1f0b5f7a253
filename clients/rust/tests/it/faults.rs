//! Servers that refuse, die, lie or say nothing: each fault is told apart, and nothing panics or waits for ever.

use crate::fake::{self, Connection, Server, both, echo};
use graphpipe_client::{Broken, Client, Code, DType, Error, Options, Request, Tensor};
use graphpipe_schema::frame::{BadFrame, FLAG_ERROR};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

const SHORT: Option<Duration> = Some(Duration::from_millis(20));

/// What a client gets for one request that is answered with these bytes, after which the server leaves.
fn answered_with(bytes: impl Fn(u64) -> Vec<u8> + Send + 'static) -> Result<(), Error> {
    let server = Server::unix(move |mut connection| {
        let (header, _) = connection.read().unwrap();
        connection.write_if_wanted(&bytes(header.id));
    });
    let mut client = server.client_with(&Options::new().reply_bytes_max(1 << 20));
    let outcome = client.infer(&Request::new()).map(drop);
    if matches!(outcome, Err(Error::Protocol(_) | Error::ReplyTooLarge { .. } | Error::Closed(_))) {
        // Nobody knows where the next frame would begin, so nothing more is sent or read.
        let next = client.send(&Request::new());
        assert!(matches!(next, Err(Error::Closed("an earlier error has ended it"))), "{next:?}");
    }
    server.finish();
    outcome
}

#[test]
fn nobody_at_the_address_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let unix = format!("unix:{}", folder.path().join("absent").display());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for address in [unix, format!("tcp://127.0.0.1:{port}")] {
        let error = Client::connect(&address).unwrap_err();
        assert!(matches!(error, Error::Connect { .. }) && error.is_transient());
        assert!(error.to_string().starts_with(&format!("cannot connect to {address}: ")), "{error}");
    }
}

#[test]
fn what_is_no_address_is_told_before_anything_is_tried() {
    assert!(matches!(Client::connect("http://127.0.0.1:9000"), Err(Error::Address(_))));
    let long = format!("unix:/{}", "x".repeat(200));
    assert!(matches!(Client::connect(&long), Err(Error::Connect { .. })));
}

#[test]
fn an_error_of_the_server_has_its_code_and_words_and_the_connection_lives() {
    for server in both(|mut connection: Connection| {
        let (header, _) = connection.read().unwrap();
        connection.write(&fake::refusal(header.id, Code::WrongTensor, "input \"x\": float32 expected"));
        let (header, _) = connection.read().unwrap();
        connection.write(&fake::refusal(header.id, Code::UnknownModel, "no such model"));
        echo(connection);
    }) {
        let mut client = server.client();
        let error = client.infer(&Request::new()).unwrap_err();
        assert_eq!(error.to_string(), "the server answered with error 4: input \"x\": float32 expected");
        assert!(!error.is_transient());
        let Err(Error::Server(error)) = client.metadata("absent") else { panic!("not the server's words") };
        assert_eq!(error.code(), Some(Code::UnknownModel));
        client.infer(&Request::new()).unwrap();
        drop(client);
        server.finish();
    }
}

#[test]
fn an_error_without_the_flag_is_an_error_all_the_same() {
    let outcome = answered_with(|id| {
        let mut message = Vec::new();
        graphpipe_schema::writer::error_response(&mut message, Code::ModelFailed, "no");
        fake::frame(id, 0, &message)
    });
    assert!(matches!(outcome, Err(Error::Server(error)) if error.number == 7 && error.message == "no"));
}

#[test]
fn an_error_that_belongs_to_no_request_is_the_connections() {
    let outcome = answered_with(|_| fake::refusal(0, Code::Busy, "too many connections"));
    assert!(matches!(outcome, Err(Error::Server(error)) if error.message == "too many connections"));
}

#[test]
fn a_reply_that_breaks_off_anywhere_is_a_closed_connection() {
    let bytes = fake::reply(1, DType::Uint8, &[3], &[1, 2, 3]).len();
    for cut in 0..bytes {
        let outcome = answered_with(move |id| {
            let mut reply = fake::reply(id, DType::Uint8, &[3], &[1, 2, 3]);
            reply.truncate(cut);
            reply
        });
        assert!(matches!(outcome, Err(Error::Closed(_))), "after {cut} bytes: {outcome:?}");
    }
}

#[test]
fn what_arrived_before_the_end_is_still_received() {
    let server = Server::unix(|mut connection| {
        let (header, message) = connection.read().unwrap();
        connection.read().unwrap();
        connection.write(&fake::echoed(header.id, &message));
    });
    let mut client = server.client();
    let first = client.send(&Request::new()).unwrap();
    client.send(&Request::new()).unwrap();
    assert_eq!(client.receive().unwrap().0, first);
    assert!(matches!(client.receive(), Err(Error::Closed(_))));
    assert!(matches!(client.send(&Request::new()), Err(Error::Closed(_))));
    assert!(matches!(client.receive(), Err(Error::Closed(_))));
    server.finish();
}

#[test]
fn a_server_that_speaks_something_else_is_told_by_its_first_bytes() {
    let outcome = answered_with(|_| b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".to_vec());
    assert!(matches!(
        outcome,
        Err(Error::Protocol(Broken::Frame(BadFrame::Magic { found: [b'H', b'T', b'T', b'P'] })))
    ));
}

#[test]
fn a_reply_over_the_limit_is_refused_before_it_is_received() {
    // Only the header is ever sent: waiting for the rest would end in `Closed`.
    let outcome = answered_with(|id| {
        let header = graphpipe_schema::frame::Header { length: (1 << 20) + 1, head: 0, flags: 0, id };
        header.write().to_vec()
    });
    assert!(matches!(outcome, Err(Error::ReplyTooLarge { bytes: 1_048_577, limit: 1_048_576 })));
}

#[test]
fn a_reply_nobody_waits_for_is_a_breach() {
    let outcome = answered_with(|id| fake::reply(id + 1, DType::Uint8, &[0], &[]));
    assert!(matches!(outcome, Err(Error::Protocol(Broken::UnknownId { .. }))));
    let outcome = answered_with(|_| fake::reply(0, DType::Uint8, &[0], &[]));
    assert!(matches!(outcome, Err(Error::Protocol(Broken::UnknownId { id: 0 }))));
}

#[test]
fn a_message_that_is_no_reply_is_a_breach() {
    for message in [&[][..], &[0xff; 4], &[0xff; 64], b"hello, world"] {
        let outcome = answered_with(|id| fake::frame(id, 0, message));
        assert!(matches!(outcome, Err(Error::Protocol(_))), "{message:?}: {outcome:?}");
        let outcome = answered_with(|id| fake::frame(id, FLAG_ERROR, message));
        assert!(matches!(outcome, Err(Error::Protocol(_))), "{message:?}: {outcome:?}");
    }
}

#[test]
fn the_flag_of_an_error_on_a_good_reply_is_a_breach() {
    let outcome = answered_with(|id| {
        let reply = fake::reply(id, DType::Uint8, &[0], &[]);
        fake::frame(id, FLAG_ERROR, &reply[32..])
    });
    assert!(matches!(outcome, Err(Error::Protocol(Broken::NoError))));
}

#[test]
fn elements_that_do_not_fit_their_shape_are_a_breach() {
    let outcome = answered_with(|id| fake::reply(id, DType::Float32, &[2, 2], &[0; 12]));
    assert!(matches!(outcome, Err(Error::Protocol(Broken::Length { index: 0, expected: 16, found: 12 }))));
}

#[test]
fn a_flipped_byte_of_a_reply_never_panics() {
    let strings: [&[u8]; 2] = [b"one", b"two"];
    let bytes = {
        let (say, hear) = mpsc::channel();
        let server = Server::unix(move |mut connection| {
            let (header, message) = connection.read().unwrap();
            let reply = fake::echoed(header.id, &message);
            say.send(reply.clone()).unwrap();
            connection.write(&reply);
        });
        let request = Request::new().input(Tensor::new(&[2], &[1.0_f32, 2.0])).input(Tensor::strings(&[2], &strings));
        server.client().infer(&request).unwrap();
        hear.recv().unwrap()
    };
    for at in 0..bytes.len() {
        for mask in [0x01, 0x80, 0xff] {
            let bytes = bytes.clone();
            // Any outcome but a panic: many flips make another reply that is as good.
            let server = Server::unix(move |mut connection| {
                connection.read().unwrap();
                let mut bytes = bytes;
                bytes[at] ^= mask;
                connection.write_if_wanted(&bytes);
            });
            if let Ok(response) = server.client().infer(&Request::new()) {
                for output in response.outputs() {
                    let _ = output.as_slice::<f32>();
                    let _ = output.strings().map(Iterator::count);
                }
            }
            server.finish();
        }
    }
}

#[test]
fn a_reply_that_comes_too_late_is_dropped_and_the_connection_lives() {
    let (say, wait) = mpsc::channel();
    let server = Server::unix(move |mut connection| {
        let (late, message) = connection.read().unwrap();
        wait.recv().unwrap();
        connection.write(&fake::echoed(late.id, &message));
        echo(connection);
    });
    let mut client = server.client_with(&Options::new().read_timeout(SHORT).in_flight_max(2));
    let error = client.infer(&Request::new()).unwrap_err();
    assert!(matches!(error, Error::Timeout(_)) && error.is_transient(), "{error}");
    assert_eq!(client.in_flight(), 0);
    assert!(client.try_receive().unwrap().is_none());
    let id = client.send(&Request::new().input(Tensor::new(&[1], &[8_u8]))).unwrap();
    assert!(matches!(client.send(&Request::new()), Err(Error::InFlight { .. })), "the late one still counts");
    say.send(()).unwrap();
    let (received, answer) = loop {
        match client.receive() {
            Err(Error::Timeout(_)) => {}
            outcome => break outcome.unwrap(),
        }
    };
    assert_eq!((received, answer.unwrap().len()), (id, 1));
    assert_eq!(client.in_flight(), 0);
    drop(client);
    server.finish();
}

#[test]
fn a_server_that_does_not_read_ends_in_a_timeout() {
    let (say, wait) = mpsc::channel::<()>();
    let server = Server::unix(move |connection| {
        wait.recv().unwrap();
        drop(connection);
    });
    let mut client = server.client_with(&Options::new().write_timeout(SHORT));
    let payload = vec![0_u8; 64 << 20];
    let shape = [payload.len() as i64];
    let error = client.send(&Request::new().input(Tensor::new(&shape, &payload))).unwrap_err();
    assert!(matches!(error, Error::Timeout("sending a request")), "{error}");
    assert!(matches!(client.send(&Request::new()), Err(Error::Closed(_))), "half a frame is out");
    say.send(()).unwrap();
    server.finish();
}

#[test]
fn a_request_that_cannot_be_written_disturbs_nothing() {
    let server = Server::unix(echo);
    let mut client = server.client();
    let many = (0..65).fold(Request::new(), |request, _| request.input(Tensor::new(&[1], &[1_u8])));
    assert!(matches!(client.send(&many), Err(Error::Unwritable(_))));
    assert_eq!(client.in_flight(), 0);
    client.infer(&Request::new()).unwrap();
}
