//! Somebody who has very much to ask, beside somebody who has little.

use crate::support::rows::{ask, frame, pending, rows, serve};
use crate::support::{Connection, Metrics};
use std::io::{Read, Write};
use std::net::Shutdown;

const ROWS_MAX: u64 = 32;
const REQUESTS: u64 = 10_000;

/// A connection has two batches' worth of rows in flight at most, so that is what somebody else finds before him. The page
/// of the metrics is written by the thread that claims rows, so that the number of rows in waiting is exact there.
///
/// From before a single request is sent until after its reply is read, these are run: what is before it, its own batch,
/// and what is sealed before and after while the pages of the metrics are read.
#[test]
fn who_asks_once_waits_behind_two_batches_of_one_who_asks_10_000_times() {
    let daemon = serve("laborious", &["--max-batch", "32", "--instances", "1", "--inline", "never"]);
    let mut greedy = Connection::to(&daemon.unix);
    let (mut replies, all) = (greedy.0.second(), greedy.0.second());
    let x = rows(1, 4, 8, None);
    let requests: Vec<u8> = (0..REQUESTS).flat_map(|id| frame(id, &x)).collect();
    std::thread::scope(|scope| {
        // Both until the connection is ended below.
        scope.spawn(move || greedy.0.write_all(&requests));
        scope.spawn(move || {
            let mut bytes = [0; 16384];
            while replies.read(&mut bytes).is_ok_and(|count| count > 0) {}
        });
        daemon.metrics_until("filled", |metrics| pending(metrics) >= ROWS_MAX);
        let mut modest = Connection::to(&daemon.tcp);
        for id in 0..8 {
            let before = daemon.metrics();
            assert!(pending(&before) <= 2 * ROWS_MAX, "{} rows wait", pending(&before));
            ask(&mut modest, id, &x);
            let run = |metrics: &Metrics| metrics.sum("graphpiped_batch_rows_sum");
            let meanwhile = run(&daemon.metrics()) - run(&before);
            println!("{meanwhile} rows were run meanwhile");
            assert!(meanwhile <= 5 * ROWS_MAX, "{meanwhile} rows were run meanwhile");
        }
        let metrics = daemon.metrics();
        let asked = metrics.sum("graphpiped_requests_total{protocol=\"native\"}");
        assert!(asked < REQUESTS, "the greedy one has nothing more to ask: {asked}");
        all.shutdown(Shutdown::Both);
    });
    daemon.metrics_until("given back", |metrics| pending(metrics) == 0);
    daemon.stop();
}
