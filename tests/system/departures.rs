//! Clients that go away while their requests wait: what nobody will read is not run. And clients that only say that they
//! send no more, which is not going away.

use crate::support::http::post;
use crate::support::native::Stream;
use crate::support::rows::{ask, doubled, expect_doubled, frame, pending, rows, serve};
use crate::support::{Connection, Daemon, HttpConnection, Metrics, Tensor, native};
use std::io::Write;
use std::net::Shutdown;

fn daemon() -> Daemon {
    serve("patient", &["--inline", "never", "--instances", "1"])
}

fn gone(metrics: &Metrics) -> u64 {
    metrics.sum("graphpiped_model_gone_total")
}

/// Keeps the only executor busy for so many turns of the model (some hundredths of a millisecond each) while `meanwhile`
/// acts.
fn behind_a_batch<R>(daemon: &Daemon, turns: f32, meanwhile: impl FnOnce() -> R) -> R {
    let batches = daemon.metrics().sum("graphpiped_batch_rows_count");
    let x = rows(1, 4, 1, Some(turns));
    let mut first = Connection::to(&daemon.tcp);
    first.send(&frame(1, &x));
    daemon.metrics_until("running", |metrics| metrics.sum("graphpiped_batch_rows_count") > batches);
    let result = meanwhile();
    expect_doubled(&mut first, 1, &x);
    result
}

/// Makes a lane, without which requests are not batched at all.
fn make_lane(daemon: &Daemon) {
    let mut connection = Connection::to(&daemon.unix);
    ask(&mut connection, 1, &rows(1, 4, 0, Some(0.0)));
    daemon.metrics_until("a lane", |metrics| metrics.sum("graphpiped_batch_lanes") == 1);
}

fn waiting() -> Tensor {
    rows(1, 4, 20, Some(0.0))
}

/// Sends a request that has to wait, goes away, and fails unless that request is not run.
fn assert_not_run(daemon: &Daemon, request: &[u8], connect: impl Fn() -> Stream) {
    // A machine so busy that the batch is over before the client has come and gone gets a longer one.
    for turns in [10_000.0, 40_000.0, 160_000.0] {
        let before = daemon.metrics();
        behind_a_batch(daemon, turns, || {
            let mut stream = connect();
            stream.write_all(request).expect("the daemon reads");
            daemon.metrics_until("committed", |metrics| pending(metrics) == 2 || gone(metrics) > gone(&before));
            let ended = |metrics: &Metrics| metrics.sum("graphpiped_connections_ended_total{how=\"gone\"}");
            drop(stream);
            daemon.metrics_until("gone", |metrics| ended(metrics) > ended(&before) || pending(metrics) == 0);
        });
        let after = daemon.metrics_until("given back", |metrics| pending(metrics) == 0);
        let run = |metrics: &Metrics| metrics.sum("graphpiped_batch_rows_sum");
        if gone(&after) > gone(&before) {
            assert_eq!((gone(&after), run(&after)), (gone(&before) + 1, run(&before) + 1), "only the other one is run");
            return;
        }
    }
    panic!("its request is run although it has gone:\n{}", daemon.metrics().text());
}

#[test]
fn the_request_of_a_unix_client_that_hangs_up_is_not_run() {
    let daemon = daemon();
    make_lane(&daemon);
    assert_not_run(&daemon, &frame(7, &waiting()), || daemon.unix.connect());
    daemon.stop();
}

#[test]
fn the_request_of_an_http_client_that_hangs_up_is_not_run() {
    let daemon = daemon();
    make_lane(&daemon);
    assert_not_run(&daemon, &post(&native::message("", &[waiting()], &[]).0), || daemon.unix.connect());
    daemon.stop();
}

#[test]
fn a_client_that_only_sends_no_more_gets_its_reply() {
    let daemon = daemon();
    make_lane(&daemon);
    for address in daemon.addresses() {
        let x = waiting();
        let mut native = Connection::to(address);
        let mut http = HttpConnection::to(address);
        behind_a_batch(&daemon, 10_000.0, || {
            native.send(&frame(7, &x));
            native.0.shutdown(Shutdown::Write);
            http.send(&post(&native::message("", std::slice::from_ref(&x), &[]).0));
            http.stream.shutdown(Shutdown::Write);
        });
        expect_doubled(&mut native, 7, &x);
        assert!(native.is_at_its_end());
        assert_eq!(http.reply().into_reply().outputs(), [doubled(&x)]);
    }
    assert_eq!(gone(&daemon.metrics()), 0);
    daemon.stop();
}
