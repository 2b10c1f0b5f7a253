//! SIGTERM and SIGINT: nothing more is accepted, what was accepted is finished, and the daemon ends with 0. A second one
//! ends it at once.

use crate::support::daemon::root;
use crate::support::{Address, Connection, Daemon, PATIENCE, Tensor, graphpiped, native};
use graphpipe_schema::DType;
use rustix::process::{Pid, Signal, kill_process};
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Instant;

/// A request that is large enough to be received into a buffer of its own.
fn large() -> Vec<u8> {
    let bytes: Vec<u8> = (0..1 << 20).map(|index: u32| index as u8).collect();
    let tensor = Tensor { name: "", dtype: DType::Uint8, shape: vec![1 << 20], bytes };
    native::frame(5, &native::message("", &[tensor], &[]))
}

/// A connection over which half of a request has been sent and received.
fn half_a_request(daemon: &Daemon, request: &[u8]) -> Connection {
    let mut connection = Connection::to(&daemon.unix);
    connection.send(&request[..request.len() / 2]);
    daemon.metrics_until("in use", |metrics| metrics.sum("graphpiped_memory_in_use_bytes") > 0);
    connection
}

/// Returns when the daemon accepts nobody any more.
fn wait_until_it_accepts_nobody(daemon: &Daemon) {
    let begin = Instant::now();
    for address in [&daemon.tcp, &daemon.unix] {
        while is_served(address) {
            assert!(begin.elapsed() < PATIENCE, "{address:?} still accepts");
            std::thread::yield_now();
        }
    }
}

/// Whether somebody who comes now gets an answer. A connection that the kernel completed, but that nobody accepted
/// before the listener was closed, is reset.
fn is_served(address: &Address) -> bool {
    use std::io::Write;
    let Ok(mut stream) = address.try_connect() else { return false };
    let asked = stream.write_all(b"GET /control/is_alive HTTP/1.1\r\nConnection: close\r\n\r\n");
    let mut reply = Vec::new();
    asked.is_ok() && stream.read_to_end(&mut reply).is_ok() && reply.starts_with(b"HTTP/1.1 200")
}

#[test]
fn a_request_that_is_under_way_is_finished() {
    for signal in [Signal::TERM, Signal::INT] {
        let daemon = Daemon::echo(&["--drain-timeout", "60s"]);
        let request = large();
        let mut connection = half_a_request(&daemon, &request);
        daemon.signal(signal);
        wait_until_it_accepts_nobody(&daemon);
        connection.send(&request[request.len() / 2..]);
        let reply = connection.reply();
        assert_eq!(reply.header.id, 5);
        assert_eq!(reply.outputs()[0].bytes, request[request.len() - (1 << 20)..]);
        assert!(connection.is_at_its_end());
        let (status, log) = daemon.wait();
        assert_eq!(status.code(), Some(0), "{log}");
    }
}

#[test]
fn idle_connections_do_not_delay_the_end() {
    let daemon = Daemon::echo(&["--drain-timeout", "1h"]);
    let mut idle: Vec<Connection> = (0..50).map(|index| Connection::to(daemon.addresses()[index % 2])).collect();
    daemon.metrics_until("accepted", |metrics| metrics.sum("graphpiped_connections_total") > 50);
    daemon.stop();
    assert!(idle.iter_mut().all(Connection::is_at_its_end));
}

#[test]
fn a_daemon_that_never_polls_ends_as_well() {
    let daemon = Daemon::echo(&["--spin-us", "0", "--drain-timeout", "1h"]);
    let request = large();
    let mut connection = half_a_request(&daemon, &request);
    daemon.signal(Signal::TERM);
    wait_until_it_accepts_nobody(&daemon);
    connection.send(&request[request.len() / 2..]);
    assert_eq!(connection.reply().header.id, 5);
    assert!(connection.is_at_its_end());
    drop(connection);
    let (status, log) = daemon.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_refused_client_that_does_not_close_delays_the_end_no_longer_than_the_drain_timeout() {
    let daemon = Daemon::echo(&["--drain-timeout", "200ms"]);
    let mut connection = Connection::to(&daemon.tcp);
    connection.send(&[b"GPF1".as_slice(), &[0xff; 28]].concat());
    connection.reply();
    daemon.signal(Signal::TERM);
    let (status, log) = daemon.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(connection.is_at_its_end());
}

#[test]
fn a_request_that_never_comes_delays_the_end_no_longer_than_the_drain_timeout() {
    let daemon = Daemon::echo(&["--drain-timeout", "200ms"]);
    let _connection = half_a_request(&daemon, &large());
    daemon.signal(Signal::TERM);
    let (status, log) = daemon.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let daemon = Daemon::echo(&["--drain-timeout", "1h", "--progress-timeout", "1h"]);
    let _connection = half_a_request(&daemon, &large());
    daemon.signal(Signal::TERM);
    wait_until_it_accepts_nobody(&daemon);
    daemon.signal(Signal::TERM);
    // It ends, and an hour has not passed.
    let (status, log) = daemon.wait();
    assert_ne!(status.code(), Some(0), "{log}");
}

#[test]
fn a_signal_is_obeyed_while_models_are_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    // Loading a library from a pipe that nobody writes to takes for ever.
    let library = folder.path().join("libonnxruntime.so");
    assert!(Command::new("mkfifo").arg(&library).status().expect("it runs").success());
    let socket = folder.path().join("s");
    let mut child = graphpiped()
        .args(["serve", "--listen", &format!("unix:{}", socket.display()), "--onnxruntime"])
        .arg(&library)
        .arg("--model")
        .arg(root().join("models/digits/digits.onnx"))
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let begin = Instant::now();
    // Signals are caught before it listens.
    while !socket.exists() {
        assert!(begin.elapsed() < PATIENCE, "it never listened");
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
    let status = loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            break status;
        }
        if begin.elapsed() > PATIENCE {
            child.kill().expect("it runs");
        }
        std::thread::yield_now();
    };
    let mut log = String::new();
    child.stderr.take().expect("it is piped").read_to_string(&mut log).expect("text");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("SIGTERM") && !socket.exists(), "{log}");
}

#[test]
fn replies_that_nobody_has_read_yet_are_not_destroyed() {
    use std::io::Write;
    let tensor = Tensor::zeros("", DType::Float32, &[1000]);
    let request = native::frame(1, &native::message("", &[tensor], &[]));
    for is_unix in [false, true] {
        let daemon = Daemon::echo(&["--drain-timeout", "60s"]);
        let mut connection = Connection::to(daemon.addresses()[usize::from(is_unix)]);
        let mut sending = connection.0.second();
        // It goes on sending for as long as somebody takes it, and reads nothing meanwhile.
        let sender = std::thread::spawn({
            let request = request.clone();
            move || (0..2000).all(|_| sending.write_all(&request).is_ok())
        });
        let metrics = daemon.metrics_until("answered", |metrics| metrics.sum("graphpiped_replies_ok_total") >= 250);
        let answered = metrics.sum("graphpiped_replies_ok_total");
        daemon.signal(Signal::TERM);
        wait_until_it_accepts_nobody(&daemon);
        for _ in 0..answered {
            assert_eq!(connection.reply().outputs()[0].shape, [1000]);
        }
        drop(connection);
        // Whether all of it was taken is not the question here.
        let _ = sender.join().expect("the sender does not panic");
        let (status, log) = daemon.wait();
        assert_eq!(status.code(), Some(0), "{log}");
    }
}
