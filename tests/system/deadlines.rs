//! Requests with deadlines in batches: who is late costs the model nothing, and who is in a hurry does not wait for others.

use crate::support::http::post;
use crate::support::rows::{doubled, expect_doubled, frame, frame_within, pending, rows, serve};
use crate::support::{Connection, Daemon, HttpConnection, Metrics, PATIENCE, native};
use graphpipe_schema::Code;
use std::time::Instant;

fn late(metrics: &Metrics) -> u64 {
    metrics.sum("graphpiped_model_late_total")
}

#[test]
fn a_request_whose_deadline_passes_while_it_waits_costs_the_model_no_time() {
    // A batch is run when there are four rows, or after a second.
    let daemon = serve("laborious", &["--max-batch", "4", "--linger-us", "1000000", "--inline", "never"]);
    for address in daemon.addresses() {
        let run = daemon.metrics().sum("graphpiped_batch_rows_sum");
        let (mut hurried, mut http) = (Connection::to(address), HttpConnection::to(address));
        let mut patient = Connection::to(address);
        let x = rows(1, 4, 3, None);
        hurried.send(&frame_within(1, 7, &x));
        http.send(&post(&native::message_within(1, "", std::slice::from_ref(&x), &[]).0));
        daemon.metrics_until("waiting", |metrics| pending(metrics) == 2 || late(metrics) > 0);
        patient.send(&[frame_within(60_000_000, 1, &x), frame(2, &x)].concat());
        assert_eq!(hurried.reply().error().0, Code::DeadlineExceeded as i64);
        assert_eq!(http.reply().status, 504);
        expect_doubled(&mut patient, 1, &x);
        expect_doubled(&mut patient, 2, &x);
        assert_eq!(daemon.metrics().sum("graphpiped_batch_rows_sum"), run + 2, "those that are not late");
    }
    assert_eq!(late(&daemon.metrics()), 4);
    daemon.stop();
}

#[test]
fn a_batch_that_has_waited_in_vain_for_more_is_counted_as_such() {
    let daemon = serve("laborious", &["--max-batch", "4", "--linger-us", "2000", "--inline", "never"]);
    let x = rows(1, 4, 3, None);
    for (asked, address) in daemon.addresses().into_iter().enumerate() {
        let mut connection = Connection::to(address);
        connection.send(&frame(1, &x));
        expect_doubled(&mut connection, 1, &x);
        let metrics = daemon.metrics();
        let sealed =
            |reason| metrics.sum(&format!("graphpiped_batch_seals_total{{model=\"laborious\",reason=\"{reason}\"}}"));
        assert_eq!((sealed("linger"), sealed("idle")), (asked as u64 + 1, 0));
    }
    daemon.stop();
}

#[test]
fn a_batch_ends_early_for_a_request_that_would_be_late_in_a_longer_one() {
    const ROWS: u64 = 64;
    let daemon = serve("laborious", &["--max-batch", "64", "--linger-us", "1000000", "--inline", "never"]);
    let begin = Instant::now();
    let sealed =
        |daemon: &Daemon| daemon.metrics().sum("graphpiped_batch_seals_total{model=\"laborious\",reason=\"deadline\"}");
    let x = rows(1, 4, 3, None);
    while sealed(&daemon) == 0 {
        assert!(begin.elapsed() < PATIENCE, "no batch ends early:\n{}", daemon.metrics().text());
        // As long as half of them would take, by what the daemon has learned.
        let metrics = daemon.metrics();
        let seconds = metrics.value("graphpiped_batch_fixed_seconds{model=\"laborious\"}")
            + metrics.value("graphpiped_batch_row_seconds{model=\"laborious\"}") * (ROWS / 2) as f64;
        let mut connection = Connection::to(&daemon.unix);
        let hurried = frame_within((seconds * 1e6) as u64, 0, &x);
        connection.send(&[hurried, (1..ROWS).flat_map(|id| frame(id, &x)).collect()].concat());
        for _ in 0..ROWS {
            let reply = connection.reply();
            if reply.header.flags == 0 {
                assert_eq!(reply.outputs(), [doubled(&x)]);
            } else {
                // Somebody else had the core.
                assert_eq!((reply.header.id, reply.error().0), (0, Code::DeadlineExceeded as i64));
            }
        }
    }
    daemon.stop();
}
