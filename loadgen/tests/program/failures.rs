//! Servers that are not there, die, answer wrongly, late or something else: counted by kind, the run goes on, the exit code
//! is 2 and a sentence says what happened.

use crate::program::{RAW, answered, errors, is_answered, measured, number};
use crate::server::{Server, ok, reply};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("its address"));
    drop(listener);
    let (outcome, report) = measured(&url, &RAW);
    assert_eq!(outcome.code, 2);
    assert!(errors(&report, "connect") > 1, "it tries again: {report:#}");
    assert!(outcome.stderr.contains("connect"), "{}", outcome.stderr);
}

#[test]
fn a_server_that_dies_and_comes_back_is_asked_again() {
    // The first connection gets three replies and an end in the middle of the fourth request.
    let server = Server::start(|mut connection| {
        let mut left = if connection.number == 0 { 3 } else { usize::MAX };
        while let Some(request) = connection.request() {
            if left == 0 || connection.send(&ok(&request.body)).is_err() {
                return;
            }
            left -= 1;
        }
    });
    let (outcome, report) = measured(&server.url(), &[&RAW[..], &["--warmup", "0s"]].concat());
    assert_eq!(outcome.code, 2);
    assert_eq!(errors(&report, "closed"), 1, "{report:#}");
    assert!(answered(&report) > 3);
    assert!(outcome.stderr.contains("1 × closed"), "{}", outcome.stderr);
}

#[test]
fn late_answers_are_timeouts() {
    let server = Server::start(|mut connection| while connection.request().is_some() {});
    let (outcome, report) = measured(&server.url(), &[&RAW[..], &["--timeout", "50ms"]].concat());
    assert_eq!(outcome.code, 2);
    // 500 ms have room for ten of 50 ms each, and for the eleventh that began before them.
    assert!((3..=11).contains(&errors(&report, "timeout")), "{report:#}");
    assert_eq!(answered(&report), 0);
}

#[test]
fn wrong_answers_are_found_by_verification_alone() {
    let count = AtomicUsize::new(0);
    let server = Server::answering(move |request| {
        let mut body = request.body.clone();
        if count.fetch_add(1, Ordering::Relaxed) % 10 == 3 {
            body[5] ^= 1;
        }
        ok(&body)
    });
    let (outcome, report) = measured(&server.url(), &[&RAW[..], &["--verify", "echo"]].concat());
    assert_eq!(outcome.code, 2);
    let (wrong, right) = (errors(&report, "wrong") as f64, number(&report, "/verified"));
    assert!((wrong * 9.0 - right).abs() <= 10.0, "one in ten: {wrong} and {right}");
    let (outcome, report) = measured(&server.url(), &RAW);
    assert!(is_answered(&outcome, &report), "nobody looks");
}

#[test]
fn refusals_are_counted_by_status_with_their_text() {
    let server = Server::answering(|_| reply("503 Service Unavailable", b"come back later\n"));
    let (outcome, report) = measured(&server.url(), &RAW);
    assert_eq!(outcome.code, 2);
    assert!(errors(&report, "HTTP 503") > 0, "{report:#}");
    assert_eq!(report["points"][0]["rounds"][0]["error_texts"]["HTTP 503"], "come back later");
}

#[test]
fn something_else_than_the_protocol_is_named() {
    let server = Server::start(|mut connection| {
        while connection.request().is_some() {
            if connection.send(b"SSH-2.0-OpenSSH_9.2\r\n").is_err() {
                return;
            }
        }
    });
    let (outcome, report) = measured(&server.url(), &RAW);
    assert_eq!(outcome.code, 2);
    assert!(errors(&report, "protocol") > 0, "{report:#}");
    let text = report["points"][0]["rounds"][0]["error_texts"]["protocol"].as_str().expect("a text");
    assert!(text.contains("SSH"), "{text}");
}

#[test]
fn a_native_server_that_does_not_know_frames_is_named_before_anything_is_sent() {
    // As an HTTP server would, as soon as it has seen that this is no request.
    let server = Server::start(|mut connection| {
        if connection.has_come(4) {
            let _ = connection.send(&reply("400 Bad Request", b""));
        }
    });
    let target = format!("tcp://{}", server.address);
    let outcome = crate::program::loadgen(&[&target, "--duration", "100ms", "--timeout", "500ms"]);
    assert_eq!(outcome.code, 2);
    assert!(outcome.stderr.contains("what the model takes is not known"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("HTTP"), "{}", outcome.stderr);
}
