//! One request that spoils a batch: the others that share it get their answers as if it had never been.

use crate::support::rows::{doubled, frame, pending, rows, serve};
use crate::support::{Connection, Daemon, Reply, Tensor};
use graphpipe_schema::{Code, DType};

/// As many requests of one row as make a batch full, which an executor waits for.
const BATCH: usize = 16;
const FULL_OR_A_SECOND: [&str; 6] = ["--max-batch", "16", "--linger-us", "1000000", "--inline", "never"];

fn ids(numbers: [i64; 4]) -> Tensor {
    let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    Tensor { name: "ids", dtype: DType::Int64, shape: vec![1, 4], bytes }
}

/// Sends all of them, each over a connection of its own, and returns their replies.
fn together(daemon: &Daemon, inputs: &[Tensor]) -> Vec<Reply> {
    let mut connections: Vec<Connection> =
        (0..inputs.len()).map(|index| Connection::to(daemon.addresses()[index % 2])).collect();
    for (connection, input) in connections.iter_mut().zip(inputs) {
        connection.send(&frame(1, input));
    }
    connections.iter_mut().map(Connection::reply).collect()
}

/// The model gives squares; there are none of numbers beyond 15.
fn check_squares(replies: &[Reply], numbers: &[[i64; 4]], spoilers: &[usize]) {
    for (index, (reply, numbers)) in replies.iter().zip(numbers).enumerate() {
        if spoilers.contains(&index) {
            assert_eq!(reply.error().0, Code::ModelFailed as i64, "{index}");
        } else {
            assert_eq!(reply.outputs(), [Tensor::floats("", &[1, 4], &numbers.map(|number| (number * number) as f32))]);
        }
    }
}

fn numbers(spoilers: &[usize]) -> Vec<[i64; 4]> {
    let numbers = |index: usize| [index as i64, 15 - index as i64, 3, if spoilers.contains(&index) { 99 } else { 15 }];
    (0..BATCH).map(numbers).collect()
}

#[test]
fn a_row_that_makes_the_model_fail_fails_alone() {
    for spoilers in [&[5][..], &[0], &[BATCH - 1], &[2, 3, 11]] {
        let daemon = serve("lookup", &FULL_OR_A_SECOND);
        let numbers = numbers(spoilers);
        let inputs: Vec<Tensor> = numbers.iter().map(|numbers| ids(*numbers)).collect();
        check_squares(&together(&daemon, &inputs), &numbers, spoilers);
        let metrics = daemon.metrics();
        assert_eq!(metrics.sum("graphpiped_batch_seals_total{model=\"lookup\",reason=\"full\"}"), 1);
        assert_eq!(metrics.sum("graphpiped_model_failures_total"), spoilers.len() as u64);
        // Halving 16 requests finds one of them in four steps.
        let splits = metrics.sum("graphpiped_batch_splits_total");
        assert!(splits >= 4 && splits <= 4 * spoilers.len() as u64, "{splits}");
        assert_eq!(pending(&metrics), 0);
        daemon.stop();
    }
}

#[test]
fn a_row_that_makes_the_model_fail_fails_alone_where_reactors_run_batches() {
    let daemon = serve("lookup", &["--inline", "always"]);
    let numbers = numbers(&[7]);
    let mut connection = Connection::to(&daemon.unix);
    // In one piece, so that one turn of the reactor has all of them.
    let requests = numbers.iter().zip(0..).map(|(numbers, id)| frame(id, &ids(*numbers)));
    connection.send(&requests.collect::<Vec<_>>().concat());
    let mut replies: Vec<Reply> = (0..BATCH).map(|_| connection.reply()).collect();
    replies.sort_by_key(|reply| reply.header.id);
    check_squares(&replies, &numbers, &[7]);
    let metrics = daemon.metrics();
    assert!(metrics.sum("graphpiped_batch_splits_total") > 0);
    assert_eq!(metrics.sum("graphpiped_batch_inline_total"), metrics.sum("graphpiped_batch_rows_count"));
    drop(connection);
    daemon.stop();
}

/// The trial when the daemon starts cannot see it, as numbers so large are not tried.
#[test]
fn a_model_that_gives_fewer_rows_than_it_got_gives_nobody_an_answer_and_says_so_once() {
    let daemon = serve("forgetful", &FULL_OR_A_SECOND);
    let x = |index: usize, spoiler: Option<usize>| rows(1, 4, index as u32, (Some(index) == spoiler).then_some(5000.0));
    for spoiler in [Some(6), None, Some(0)] {
        let inputs: Vec<Tensor> = (0..BATCH).map(|index| x(index, spoiler)).collect();
        for (reply, input) in together(&daemon, &inputs).iter().zip(&inputs) {
            if spoiler.is_some() {
                // Whose rows the 15 are, nobody can tell.
                let (code, words) = reply.error();
                assert_eq!(code, Code::ModelFailed as i64);
                assert!(words.contains("[15, 4]") && words.contains("16 rows"), "{words}");
            } else {
                assert_eq!(reply.outputs(), [doubled(input)]);
            }
        }
    }
    let metrics = daemon.metrics();
    assert_eq!(metrics.sum("graphpiped_batch_wrong_rows_total"), 2);
    assert_eq!((metrics.sum("graphpiped_batch_splits_total"), pending(&metrics)), (0, 0));
    daemon.signal(rustix::process::Signal::TERM);
    let (_, log) = daemon.wait();
    assert_eq!(log.lines().filter(|line| line.contains("ERROR")).count(), 1, "{log}");
}
