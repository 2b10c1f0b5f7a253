//! Models that fail: who is told, and who gets an answer all the same.

use super::batched::*;
use super::bench::Asked;
use super::*;
use crate::cli::InlineMode;
use std::sync::atomic::Ordering;

fn inline() -> Setup<'static> {
    Setup { mode: InlineMode::Always, ..Setup::default() }
}

#[test]
fn a_row_that_fails_fails_its_own_request_only() {
    for mode in [InlineMode::Always, InlineMode::Never] {
        let mut bench = Setup { mode, ..Setup::default() }.start();
        for (id, bytes) in [[1, 2], [3, 7], [4, 5], [6, 8]].iter().enumerate() {
            bench.send(id as u64, &of_rows(bytes));
        }
        let replies = by_id(bench.settle());
        assert_eq!(refusal(&replies[1]), (Code::ModelFailed, "seven"));
        let others: Vec<_> = [0, 2, 3].map(|id| answered(&replies[id])).into();
        assert_eq!(others, [[2, 3], [5, 6], [7, 9]]);
        // All, the first half, its first and its second request, the second half.
        assert_eq!(bench.runs(), [8, 4, 2, 2, 4]);
        assert_eq!((bench.counters().splits.get(), bench.served().counters.failures.get()), (2, 1));
    }
}

#[test]
fn a_row_that_panics_fails_its_own_request_only() {
    for mode in [InlineMode::Always, InlineMode::Never] {
        let mut bench = Setup { mode, ..Setup::default() }.start();
        bench.send(0, &of_rows(&[1]));
        bench.send(1, &of_rows(&[9]));
        let made = bench.told.instances.load(Ordering::Relaxed);
        let replies = by_id(bench.settle());
        assert_eq!(
            (answered(&replies[0]), refusal(&replies[1])),
            (vec![2], (Code::ModelFailed, "the framework panicked: nine"))
        );
        let counters = &bench.served().counters;
        assert_eq!((counters.panics.get(), bench.counters().splits.get(), bench.runs()), (2, 1, vec![2, 1, 1]));
        bench.send(2, &of_rows(&[2]));
        assert_eq!(answered(&bench.settle()[0].1), [3]);
        // The executor of a test begins without one.
        let anew = if mode == InlineMode::Always { 2 } else { 3 };
        assert_eq!(bench.told.instances.load(Ordering::Relaxed), made + anew, "anew after each panic");
    }
}

#[test]
fn a_model_that_gives_too_few_rows_fails_everybody_at_once() {
    let mut bench = inline().start();
    let asked = Asked { outputs: &[b"short"], ..Asked::default() };
    for turn in 1..=2 {
        bench.send(0, &of_rows(&[1]));
        bench.send(1, &request(&asked, &[&[2, 3]], 2));
        let replies = by_id(bench.settle());
        let told = "output \"short\": the model gave shape [2, 1] for a batch of 3 rows";
        assert!(replies.len() == 2 && replies.iter().all(|reply| refusal(reply) == (Code::ModelFailed, told)));
        assert_eq!((bench.runs(), bench.counters().wrong_rows.get()), (vec![3], turn), "nobody is run again");
    }
    assert_eq!(bench.counters().splits.get(), 0);
}

#[test]
fn everybody_is_busy_where_there_is_no_memory_for_outputs() {
    let mut bench = inline().start();
    bench.send(0, &of_rows(&[1]));
    bench.send(1, &of_rows(&[2; 5]));
    let held: Vec<_> = std::iter::from_fn(|| bench.daemon.pool.reserve(4096).ok()).collect();
    let replies = by_id(bench.settle());
    for reply in &replies {
        let (code, text) = refusal(reply);
        assert!(code == Code::Busy && text.starts_with("no memory for the outputs"), "{code:?} {text}");
    }
    assert_eq!((replies.len(), bench.runs(), bench.counters().splits.get()), (2, vec![], 0));
    drop(held);
    bench.send(2, &of_rows(&[3]));
    assert_eq!(answered(&bench.settle()[0].1), [4], "later there is");
}
