//! The promise of `copies.rs` for requests that share a batch: the kernel writes them into their rows, and what it reads
//! are the rows of the outputs.

use crate::support::rows::{ask, expect_doubled, frame, rows, serve};
use crate::support::{Address, Connection, Daemon};

/// Eight requests of four rows are a batch, which an executor waits for.
const FULL_OR_A_SECOND: [&str; 6] = ["--max-batch", "32", "--linger-us", "1000000", "--inline", "never"];
const ROUNDS: u64 = 20;

fn copied(daemon: &Daemon) -> u64 {
    daemon.metrics().sum("graphpiped_copied_bytes_total")
}

/// Eight connections ask for four rows each, in full batches; returns how many bytes were copied after the first round.
fn bytes_copied_in_batches(daemon: &Daemon, address: &Address, length: usize) -> u64 {
    let mut connections: Vec<Connection> = (0..8).map(|_| Connection::to(address)).collect();
    let x = |index: usize, round: u64| rows(4, length, index as u32 * 100 + round as u32, None);
    let mut round = |round: u64| {
        for (index, connection) in connections.iter_mut().enumerate() {
            connection.send(&frame(round, &x(index, round)));
        }
        for (index, connection) in connections.iter_mut().enumerate() {
            expect_doubled(connection, round, &x(index, round));
        }
    };
    round(0);
    let (before, metrics) = (copied(daemon), daemon.metrics());
    (1..=ROUNDS).for_each(&mut round);
    let full = "graphpiped_batch_seals_total{model=\"double\",reason=\"full\"}";
    assert_eq!(daemon.metrics().sum(full) - metrics.sum(full), ROUNDS, "each round is one batch");
    copied(daemon) - before
}

fn serve_with_lane(length: usize) -> Daemon {
    let daemon = serve("double", &FULL_OR_A_SECOND);
    ask(&mut Connection::to(&daemon.unix), 1, &rows(1, length, 0, None));
    daemon.metrics_until("a lane", |metrics| metrics.sum("graphpiped_batch_lanes") == 1);
    daemon
}

#[test]
fn what_joins_a_batch_is_not_copied_and_neither_are_the_replies() {
    // 32 kB in, 32 kB out.
    let daemon = serve_with_lane(2000);
    for address in daemon.addresses() {
        assert_eq!(bytes_copied_in_batches(&daemon, address, 2000), 0, "over {address:?}");
    }
    daemon.stop();
}

#[test]
fn what_is_small_is_copied_into_its_rows_and_out_once() {
    // 800 bytes in, 800 bytes out.
    let daemon = serve_with_lane(50);
    for address in daemon.addresses() {
        assert_eq!(bytes_copied_in_batches(&daemon, address, 50), ROUNDS * 8 * 2 * 800, "over {address:?}");
    }
    daemon.stop();
}
