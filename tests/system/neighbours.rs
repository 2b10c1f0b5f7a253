//! Bad neighbours of a model whose requests share batches: slow, greedy, silent and fickle ones. Others are served, and what
//! they held comes back.

use crate::support::http::post;
use crate::support::rows::{ask, doubled, expect_doubled, frame, pending, rows, serve};
use crate::support::{Connection, Daemon, HttpConnection, Metrics, PATIENCE, Tensor, native};
use graphpipe_schema::frame::HEADER_BYTES;
use graphpipe_schema::{Code, DType};
use std::cell::{Cell, RefCell};
use std::io::Write;
use std::time::{Duration, Instant};

/// Numbers of a row whose payload is too long for a shared receive buffer, two rows at a time.
const LENGTH: usize = 700;

/// How often a very slow sender sends a byte.
const BYTE_EVERY: Duration = Duration::from_millis(10);

/// Asks for rows of that length until there is a lane for them.
fn make_lane(daemon: &Daemon, length: usize) {
    let mut connection = Connection::to(&daemon.unix);
    ask(&mut connection, 1, &rows(1, length, 7, None));
    daemon.metrics_until("a lane", |metrics| metrics.sum("graphpiped_batch_lanes") > 0);
}

fn ended(metrics: &Metrics, how: &str) -> u64 {
    metrics.sum(&format!("graphpiped_connections_ended_total{{how=\"{how}\"}}"))
}

fn in_use(metrics: &Metrics) -> u64 {
    metrics.sum("graphpiped_memory_in_use_bytes")
}

#[test]
fn one_that_announces_100_megabytes_and_sends_bytes_one_by_one_holds_nobody_up_and_is_ended() {
    let daemon = serve("double", &["--progress-timeout", "1s", "--memory", "1G"]);
    let huge = native::message("", &[Tensor::zeros("x", DType::Float32, &[25, 1_000_000])], &[]);
    let (head, frame) = (huge.1 as usize, native::frame(1, &huge));
    for address in daemon.addresses() {
        let before = ended(&daemon.metrics(), "timed_out");
        let mut other = Connection::to(address);
        ask(&mut other, 100, &rows(3, LENGTH, 100, None));
        let resident = daemon.resident_bytes();
        let mut slow = Connection::to(address);
        slow.send(&frame[..HEADER_BYTES + head]);
        let metrics = daemon.metrics_until("claimed", |metrics| in_use(metrics) > 0);
        assert!(in_use(&metrics) <= 2 * 100_000_000, "{}", in_use(&metrics));
        for id in 0..20 {
            slow.send(&[0]);
            ask(&mut other, id, &rows(3, LENGTH, id as u32, None));
        }
        // What is announced is reserved, but nothing that has not come is touched; a lane for such rows may have been made.
        let grown = daemon.resident_bytes().saturating_sub(resident);
        assert!(grown <= 64 << 20, "{grown} bytes");
        let (slow, sent) = (RefCell::new(slow), Cell::new(Instant::now()));
        let metrics = daemon.metrics_until("ended", |metrics| {
            // A byte now and then is not what keeps it.
            if sent.get().elapsed() > BYTE_EVERY {
                sent.set(Instant::now());
                let _ = slow.borrow_mut().0.write(&[0]);
            }
            ended(metrics, "timed_out") > before
        });
        assert_eq!(ended(&metrics, "timed_out"), before + 1);
        ask(&mut other, 20, &rows(3, LENGTH, 20, None));
        daemon.metrics_until("given back", |metrics| in_use(metrics) == 0);
    }
    daemon.stop();
}

#[test]
fn one_that_claims_rows_and_vanishes_gives_them_back() {
    let daemon = serve("double", &[]);
    make_lane(&daemon, LENGTH);
    for address in daemon.addresses() {
        let run = daemon.metrics().sum("graphpiped_batch_rows_sum");
        for id in 0..30 {
            let request = frame(id, &rows(10, LENGTH, 0, None));
            let mut connection = Connection::to(address);
            connection.send(&request[..request.len() / 2]);
            daemon.metrics_until("claimed", |metrics| pending(metrics) == 10);
            drop(connection);
            daemon.metrics_until("void", |metrics| pending(metrics) == 0);
        }
        assert_eq!(daemon.metrics().sum("graphpiped_batch_rows_sum"), run, "what has not come is not run");
        ask(&mut Connection::to(address), 1, &rows(10, LENGTH, 3, None));
    }
    daemon.stop();
}

#[test]
fn one_that_never_reads_its_replies_is_ended_and_others_are_served() {
    let daemon = serve("double", &["--progress-timeout", "1s", "--memory", "256M", "--inline", "never"]);
    make_lane(&daemon, LENGTH);
    for address in daemon.addresses() {
        let before = daemon.metrics();
        let lost = |metrics: &Metrics| ended(metrics, "timed_out") + ended(metrics, "overloaded");
        let mut silent = Connection::to(address);
        let mut other = Connection::to(address);
        let request = frame(1, &rows(8, LENGTH, 5, None));
        std::thread::scope(|scope| {
            // Until the daemon ends the connection.
            scope.spawn(move || while silent.0.write_all(&request).is_ok() {});
            let after = daemon.metrics_until("ended", |metrics| lost(metrics) > lost(&before));
            assert_eq!(lost(&after), lost(&before) + 1);
        });
        for id in 0..20 {
            ask(&mut other, id, &rows(8, LENGTH, id as u32, None));
        }
        daemon.metrics_until("given back", |metrics| in_use(metrics) == 0 && pending(metrics) == 0);
    }
    daemon.stop();
}

#[test]
fn while_one_never_reads_its_replies_others_are_not_refused() {
    let daemon = serve("double", &["--memory", "256M", "--inline", "never"]);
    make_lane(&daemon, LENGTH);
    let mut silent = Connection::to(&daemon.unix);
    let handle = silent.0.second();
    let request = frame(1, &rows(8, LENGTH, 5, None));
    let mut other = Connection::to(&daemon.unix);
    std::thread::scope(|scope| {
        scope.spawn(move || while silent.0.write_all(&request).is_ok() {});
        // It has sent more than its socket and the daemon's hold: it waits, and the daemon for it.
        let received = Cell::new(0);
        daemon.metrics_until("full", |metrics| {
            let now = metrics.sum("graphpiped_requests_total{protocol=\"native\"}");
            now > 10 && received.replace(now) == now
        });
        // Of the 256 MB: a part, which does not grow. It is the outputs of what it may have in flight, and those of a run are
        // kept in one piece until the last of its replies has gone, however few requests were in that run.
        let metrics = daemon.metrics();
        assert!(in_use(&metrics) <= 64 << 20, "{}", in_use(&metrics));
        for id in 0..50 {
            ask(&mut other, id, &rows(8, LENGTH, id as u32, None));
        }
        handle.shutdown(std::net::Shutdown::Both);
    });
    daemon.metrics_until("given back", |metrics| in_use(metrics) == 0 && pending(metrics) == 0);
    daemon.stop();
}

#[test]
fn one_whose_rows_differ_in_shape_each_time_gets_right_answers_and_a_bounded_number_of_lanes() {
    let daemon = serve("double", &["--memory", "256M"]);
    for address in daemon.addresses() {
        let mut connection = Connection::to(address);
        for id in 0..400 {
            // Up to 500 numbers in a row, as many different lengths.
            let length = 1 + id as usize * 211 % 499;
            ask(&mut connection, id, &rows(1 + id as usize % 9, length, id as u32, None));
        }
    }
    let metrics = daemon.metrics_until("lanes", |metrics| metrics.sum("graphpiped_batch_lanes") >= 8);
    assert_eq!(metrics.sum("graphpiped_batch_lanes"), 8);
    assert!(metrics.sum("graphpiped_memory_lanes_bytes") <= 64 << 20, "a quarter of --memory");
    daemon.stop();
}

#[test]
fn slow_senders_that_hold_all_rows_are_set_apart_and_get_their_answers_in_the_end() {
    // Some lanes of half a megabyte.
    let daemon = serve("double", &["--memory", "16M", "--max-batch", "8", "--inline", "never"]);
    make_lane(&daemon, LENGTH);
    let overflows = |metrics: &Metrics| metrics.sum("graphpiped_batch_overflows_total");
    let mut slow = Vec::new();
    while overflows(&daemon.metrics()) == 0 {
        let x = rows(8, LENGTH, slow.len() as u32, None);
        let request = frame(1, &x);
        let mut connection = Connection::to(daemon.addresses()[slow.len() % 2]);
        connection.send(&request[..request.len() / 2]);
        slow.push((connection, request, x));
        assert!(slow.len() < 500, "there is no end of rows");
    }
    let apart = |metrics: &Metrics| metrics.sum("graphpiped_copied_bytes_total{where=\"slow_sender\"}");
    let mut other = Connection::to(&daemon.unix);
    let (mut id, begin) = (0, Instant::now());
    while apart(&daemon.metrics()) == 0 {
        assert!(begin.elapsed() < PATIENCE, "nobody is set apart");
        // Whether it finds rows or not, it is served.
        id += 1;
        ask(&mut other, id, &rows(8, LENGTH, id as u32, None));
    }
    for (connection, request, _) in &mut slow {
        connection.send(&request[request.len() / 2..]);
    }
    for (connection, _, x) in &mut slow {
        expect_doubled(connection, 1, x);
    }
    drop(slow);
    daemon.metrics_until("given back", |metrics| pending(metrics) == 0 && in_use(metrics) == 0);
    daemon.stop();
}

#[test]
fn more_requests_than_there_is_room_for_are_each_answered_right_or_busy() {
    let daemon = serve("patient", &["--max-batch", "2", "--queue-max", "4", "--instances", "1", "--inline", "never"]);
    make_lane(&daemon, 4);
    let (mut right, mut busy, mut is_told_when) = (0, 0, false);
    // On a machine so busy that there is room again before all have asked, the executor is kept longer.
    for turns in [20_000.0, 80_000.0, 320_000.0] {
        let inputs: Vec<Tensor> =
            (0..100).map(|index| rows(1, 4, index, Some(if index == 0 { turns } else { 0.0 }))).collect();
        let mut crowd: Vec<Connection> =
            (0..inputs.len()).map(|index| Connection::to(daemon.addresses()[index % 2])).collect();
        let already = busy;
        for (connection, x) in crowd.iter_mut().zip(&inputs) {
            connection.send(&frame(1, x));
        }
        daemon.metrics_until("full", |metrics| {
            metrics.sum("graphpiped_model_busy_total") > already || pending(metrics) == 0
        });
        let mut http = HttpConnection::to(&daemon.tcp);
        http.send(&post(&native::message("", &inputs[1..2], &[]).0));
        let reply = http.reply();
        if reply.status == 503 {
            assert!(reply.head.contains("\r\nRetry-After: 1\r\n"), "{}", reply.head);
            (busy, is_told_when) = (busy + 1, true);
        } else {
            assert_eq!(reply.into_reply().outputs(), [doubled(&inputs[1])]);
        }
        for (connection, x) in crowd.iter_mut().zip(&inputs) {
            let reply = connection.reply();
            if reply.header.flags == 0 {
                assert_eq!(reply.outputs(), [doubled(x)]);
                right += 1;
            } else {
                assert_eq!(reply.error().0, Code::Busy as i64);
                busy += 1;
            }
        }
        if is_told_when {
            break;
        }
    }
    assert!(right > 0 && is_told_when, "{right} right, {busy} busy");
    assert_eq!(daemon.metrics().sum("graphpiped_model_busy_total"), busy);
    daemon.stop();
}
