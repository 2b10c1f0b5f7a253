//! What makes a batch, and that each request in it gets its own rows.

use super::batched::*;
use super::bench::Asked;
use super::*;
use crate::batching::Seal;
use crate::cli::InlineMode;
use std::sync::atomic::Ordering;

/// How often batches were sealed for each reason: full, idle, linger, deadline.
fn seals(bench: &Batched) -> [u64; 4] {
    Seal::ALL.map(|seal| bench.counters().seals[seal as usize].get())
}

fn inline() -> Setup<'static> {
    Setup { mode: InlineMode::Always, ..Setup::default() }
}

#[test]
fn what_one_turn_brings_is_one_batch_on_the_reactor() {
    let mut bench = inline().start();
    bench.send(1, &of_rows(&[10, 20]));
    bench.send(2, &of_rows(&[30]));
    bench.send(3, &of_rows(&[40, 50, 60]));
    let (replies, more) = bench.turn();
    let answers: Vec<_> = replies.iter().map(|(id, reply)| (*id, answered(reply))).collect();
    assert_eq!(answers, [(1, vec![11, 21]), (2, vec![31]), (3, vec![41, 51, 61])]);
    assert_eq!((bench.runs(), more), (vec![6], false));
    assert_eq!((bench.counters().inline.get(), seals(&bench)), (1, [0, 1, 0, 0]));
    assert!(bench.letters().is_empty() && bench.work().is_empty(), "nothing is left for executors");
}

#[test]
fn what_is_committed_is_one_batch_on_an_executor() {
    let mut bench = Setup::default().start();
    bench.send(1, &of_rows(&[10, 20]));
    bench.send(2, &of_rows(&[30]));
    assert!(bench.turn().0.is_empty());
    let replies: Vec<_> = bench.work().iter().map(|(id, reply)| (*id, answered(reply))).collect();
    assert_eq!(replies, [(1, vec![11, 21]), (2, vec![31])]);
    assert_eq!((bench.runs(), bench.counters().inline.get(), seals(&bench)), (vec![3], 0, [0, 1, 0, 0]));
    assert_eq!(bench.letters.rings.load(Ordering::Relaxed), 1, "the reactor is woken once for all of them");
}

#[test]
fn a_turn_runs_one_batch_and_says_that_there_are_more() {
    let mut bench = inline().start();
    for id in 0..3 {
        bench.send(id, &of_rows(&[10, 20, 30]));
    }
    let (first, more) = bench.turn();
    assert_eq!((first.len(), more, bench.runs()), (2, true, vec![6]), "three more would be nine of at most eight");
    let (second, more) = bench.turn();
    assert_eq!((second.len(), more, bench.runs()), (1, false, vec![3]));
    assert_eq!(seals(&bench), [1, 1, 0, 0], "the first was as full as it could be");
}

#[test]
fn rows_that_a_framework_keeps_are_answered_and_not_used_again() {
    // Rows for one batch, and no more.
    let mut bench = Setup { outputs: 7, arena_rows: 4, arenas: 1, rows_max: 4, ..Setup::default() }.start();
    let asked = Asked { outputs: &[b"kept"], ..Asked::default() };
    bench.send(1, &request(&asked, &[&[10, 20]], 2));
    bench.send(2, &request(&asked, &[&[30, 40]], 2));
    let replies: Vec<_> = bench.work().iter().map(|(id, reply)| (*id, answered(reply))).collect();
    assert_eq!(replies, [(1, vec![10, 20]), (2, vec![30, 40])]);
    let pending = |bench: &Batched| {
        let sets = bench.served().batching.as_ref().unwrap().sets.load();
        sets[0].shared.as_ref().unwrap().core.pending_rows()
    };
    assert_eq!(pending(&bench), 4, "the framework refers to them");
    bench.told.kept.lock().unwrap().clear();
    assert_eq!(pending(&bench), 0);
}

#[test]
fn rows_of_a_batch_that_was_split_are_kept_by_whoever_has_kept_the_whole() {
    let mut bench = Setup { outputs: 7, arena_rows: 4, arenas: 1, rows_max: 4, ..Setup::default() }.start();
    let asked = Asked { outputs: &[b"kept", b"sum"], ..Asked::default() };
    bench.send(1, &request(&asked, &[&[10]], 2));
    bench.send(2, &request(&asked, &[&[7]], 2));
    let replies = by_id(bench.work());
    assert!(matches!(replies[0], Reply::Outputs(_)));
    assert_eq!(refusal(&replies[1]).0, Code::ModelFailed);
    let sets = bench.served().batching.as_ref().unwrap().sets.load();
    let lane = sets[0].shared.as_ref().unwrap();
    assert_eq!(lane.core.pending_rows(), 2);
    bench.told.kept.lock().unwrap().clear();
    assert_eq!(lane.core.pending_rows(), 0);
}

#[test]
fn an_output_that_lies_in_the_rows_is_copied_for_the_reply() {
    let mut bench = Setup { outputs: 8, ..Setup::default() }.start();
    let asked = Asked { outputs: &[b"part"], ..Asked::default() };
    bench.send(1, &request(&asked, &[&[10, 20]], 2));
    bench.send(2, &request(&asked, &[&[30]], 2));
    let replies: Vec<_> = bench.work().iter().map(|(id, reply)| (*id, answered(reply))).collect();
    assert_eq!(replies, [(1, vec![10, 20]), (2, vec![30])]);
    assert_eq!(bench.counters().copied_passed.get(), 3 * 8);
}

#[test]
fn a_batch_that_is_full_is_counted_as_such() {
    let mut bench = inline().start();
    bench.send(1, &of_rows(&[1; 5]));
    bench.send(2, &of_rows(&[2; 3]));
    bench.send(3, &of_rows(&[3; 1]));
    bench.settle();
    assert_eq!((bench.runs(), seals(&bench)), (vec![8, 1], [1, 1, 0, 0]));
    assert_eq!(bench.counters().rows_total.get(), 9);
}

#[test]
fn each_request_gets_the_outputs_that_it_wants() {
    let mut bench = inline().start();
    let wants = |outputs: &[&[u8]], bytes: &[u8]| request(&Asked { outputs, ..Asked::default() }, &[bytes], 2);
    bench.send(1, &wants(&[b"first"], &[10, 20]));
    bench.send(2, &wants(&[b"sum", b"first", b"sum"], &[30]));
    bench.send(3, &wants(&[b"lent", b"sum"], &[40, 50]));
    let replies = by_id(bench.settle());
    let all = |reply: &Reply| match reply {
        Reply::Outputs(outputs) => outputs.iter().map(of_output).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(all(&replies[0]), [[10, 20]]);
    assert_eq!(all(&replies[1]), [[31], [30], [31]]);
    assert_eq!(all(&replies[2]), [[41, 51], [41, 51]]);
    assert_eq!(bench.runs(), [5]);
}

#[test]
fn all_inputs_of_a_row_stay_together() {
    let mut bench = Setup { has_two: true, ..inline() }.start();
    for count in 1..=3_u8 {
        let (x, y): (Vec<u8>, Vec<u8>) = (1..=count).map(|row| (10 * count + row, 100 + row)).unzip();
        let asked = Asked { outputs: &[b"sum"], ..Asked::default() };
        bench.send(count.into(), &request(&asked, &[&x, &y], 2));
    }
    let answers: Vec<_> = by_id(bench.settle()).iter().map(answered).collect();
    assert_eq!(answers, [vec![113], vec![123, 125], vec![133, 135, 137]], "x + 1 + y");
    assert_eq!(bench.runs(), [6]);
}

#[test]
fn an_output_that_is_an_input_is_copied_out_of_the_rows_and_counted() {
    let mut bench = inline().start();
    bench.send(1, &request(&Asked { outputs: &[b"passed"], ..Asked::default() }, &[&[10, 20]], 2));
    bench.send(2, &request(&Asked { outputs: &[b"passed"], ..Asked::default() }, &[&[30]], 2));
    let replies = bench.settle();
    // The rows are free now; whoever comes next overwrites them.
    bench.send(3, &of_rows(&[90; 3]));
    bench.settle();
    let answers: Vec<_> = by_id(replies).iter().map(answered).collect();
    assert_eq!((answers, bench.counters().copied_passed.get()), (vec![vec![10, 20], vec![30]], 3 * 8));
}

#[test]
fn an_output_whose_rows_have_no_bytes_is_an_output() {
    let mut bench = inline().start();
    bench.send(1, &request(&Asked { outputs: &[b"nothing"], ..Asked::default() }, &[&[10, 20]], 2));
    let reply = bench.settle().remove(0).1;
    let Reply::Outputs(outputs) = &reply else { panic!("{reply:?}") };
    assert_eq!((outputs[0].shape.dims(), bytes(&outputs[0])), (&[2, 0][..], &[][..]));
}

#[test]
fn no_rows_run_alone() {
    let mut bench = Setup::default().start();
    bench.send(1, &of_rows(&[10]));
    bench.send(2, &of_rows(&[]));
    let replies = by_id(bench.settle());
    assert_eq!((answered(&replies[0]), answered(&replies[1])), (vec![11], vec![]));
    assert_eq!((bench.runs(), bench.counters().overflows.get()), (vec![1, 0], 0));
}

#[test]
fn more_rows_than_a_batch_may_have_run_in_slices() {
    let many: Vec<u8> = (100..120).collect();
    for output in [&b"sum"[..], b"lent", b"passed"] {
        let message = |bytes: &[u8]| request(&Asked { outputs: &[output], ..Asked::default() }, &[bytes], 2);
        let mut bench = Setup { arena_rows: 8, ..Setup::default() }.start();
        bench.send(1, &message(&many));
        let together = answered(&bench.settle()[0].1);
        assert_eq!(bench.runs(), [8, 8, 4]);
        let copied = bench.served().counters.copied_slices.get();
        assert_eq!(copied, if output == b"sum" { 0 } else { 160 }, "what is not written in place is put together");
        for (id, byte) in many.iter().enumerate() {
            bench.send(id as u64, &message(&[*byte]));
            assert_eq!(answered(&bench.settle()[0].1), [together[id]]);
        }
    }
}

#[test]
fn what_a_framework_copies_because_it_can_do_no_better_is_counted() {
    let copied = |copies: bool, output: &'static [u8]| {
        let mut bench = Setup { outputs: 8, ..Setup::default() }.start();
        bench.told.copies.store(copies, Ordering::Relaxed);
        for id in [1, 2] {
            bench.send(id, &request(&Asked { outputs: &[output], ..Asked::default() }, &[&[10, 20, 30]], 2));
        }
        assert_eq!(bench.settle().len(), 2);
        assert_eq!(bench.runs(), [6]);
        bench.served().counters.copied_framework.get()
    };
    assert_eq!(copied(false, b"sum"), 0);
    assert_eq!(copied(true, b"sum"), 48 + 48, "six rows of two float32 in, and as many out");
    assert_eq!(copied(true, b"first"), 48 + 6, "and a byte for each row out");
    assert_eq!(copied(true, b"passed"), 48, "an input that is given back is not copied once more");
}

#[test]
fn slices_with_an_output_of_unknown_size_are_not_made() {
    let mut bench = Setup { arena_rows: 8, ..Setup::default() }.start();
    bench.send(1, &request(&Asked { outputs: &[b"first"], ..Asked::default() }, &[&[5; 20]], 2));
    assert_eq!((answered(&bench.settle()[0].1), bench.runs()), (vec![5; 20], vec![20]));
}

#[test]
fn a_slice_that_fails_fails_its_request() {
    let mut bench = Setup { arena_rows: 8, ..Setup::default() }.start();
    let mut many = [1; 20];
    many[12] = 7;
    bench.send(1, &of_rows(&many));
    assert_eq!(refusal(&bench.settle()[0].1), (Code::ModelFailed, "seven"));
    assert_eq!(bench.runs(), [8, 8]);
}

#[test]
fn slices_that_nobody_waits_for_any_more_are_not_run() {
    let mut bench = Setup { arena_rows: 8, ..Setup::default() }.start();
    let asked = Asked { outputs: &[b"sum"], deadline_us: 300_000, ..Asked::default() };
    bench.send(1, &request(&asked, &[&[5; 20]], 2));
    // The first slice takes all the time that there is.
    *bench.told.until.lock().unwrap() = Some(Instant::now() + Duration::from_micros(300_001));
    assert_eq!(refusal(&bench.settle()[0].1).0, Code::DeadlineExceeded);
    let counters = &bench.served().counters;
    assert_eq!((bench.runs(), counters.late.get(), counters.failures.get()), (vec![8], 1, 0));
}

#[test]
fn others_have_their_turn_between_two_slices() {
    let mut bench = Setup { arena_rows: 8, mode: InlineMode::Never, ..Setup::default() }.start();
    bench.send(1, &request(&Asked { outputs: &[b"sum"], ..Asked::default() }, &[&[5; 20]], 2));
    // Two batches: one before the long request, and one that would have to wait for its end.
    bench.send(2, &of_rows(&[10; 8]));
    bench.send(3, &of_rows(&[20; 2]));
    bench.told.running.lock().unwrap().0 = bench.daemon.running.clone();
    let order: Vec<u64> = bench.work().into_iter().map(|(id, _)| id).collect();
    assert_eq!((bench.runs(), order), (vec![8, 8, 2, 8, 4], vec![2, 3, 1]));
    assert_eq!(bench.told.running.lock().unwrap().1, 1, "one executor runs one thing at a time");
}

#[test]
fn a_batch_ends_before_it_would_be_too_late_for_somebody_in_it() {
    let mut bench = inline().start();
    // A second per row; the prediction is all that can be known of it.
    bench.learn(1, Duration::from_secs(1));
    let urgent = Asked { outputs: &[b"sum"], deadline_us: 3_500_000, ..Asked::default() };
    bench.send(1, &of_rows(&[10]));
    bench.send(2, &request(&urgent, &[&[20]], 2));
    bench.send(3, &of_rows(&[30]));
    bench.send(4, &of_rows(&[40]));
    let (first, more) = bench.turn();
    assert_eq!((first.len(), more, seals(&bench)), (3, true, [0, 0, 0, 1]));
    let (second, more) = bench.turn();
    assert_eq!((second.len(), more, seals(&bench)), (1, false, [0, 1, 0, 1]));
    assert_eq!(bench.runs(), [3, 1]);
}

#[test]
fn a_deadline_that_has_passed_is_an_answer_and_not_a_run() {
    for mode in [InlineMode::Always, InlineMode::Never] {
        let mut bench = Setup { mode, ..Setup::default() }.start();
        let asked = Asked { outputs: &[b"sum"], deadline_us: 1, ..Asked::default() };
        bench.send(1, &request(&asked, &[&[10]], 2));
        let committed = Instant::now();
        while committed.elapsed().as_micros() < 2 {
            std::hint::spin_loop();
        }
        let replies = bench.settle();
        assert_eq!(refusal(&replies[0].1).0, Code::DeadlineExceeded);
        assert_eq!((bench.runs(), bench.served().counters.late.get()), (vec![], 1));
        let rings = bench.letters.rings.load(Ordering::Relaxed);
        assert_eq!(rings > 0, mode == InlineMode::Never, "a reactor that sleeps has to be woken for it");
        bench.send(2, &of_rows(&[10]));
        assert_eq!(answered(&bench.settle()[0].1), [11], "its row is free again");
    }
}

#[test]
fn a_deadline_that_passes_during_the_run_is_an_answer() {
    let mut bench = inline().start();
    bench.learn(1, Duration::from_micros(1));
    let asked = Asked { outputs: &[b"sum"], deadline_us: 300_000, ..Asked::default() };
    bench.send(1, &request(&asked, &[&[10]], 2));
    bench.send(2, &of_rows(&[20]));
    *bench.told.until.lock().unwrap() = Some(Instant::now() + Duration::from_micros(300_001));
    let replies = by_id(bench.settle());
    assert_eq!((refusal(&replies[0]).0, answered(&replies[1])), (Code::DeadlineExceeded, vec![21]));
    assert_eq!((bench.runs(), bench.served().counters.late.get()), (vec![2], 1));
}

#[test]
fn nobody_runs_what_nobody_waits_for() {
    for mode in [InlineMode::Always, InlineMode::Never] {
        let mut bench = Setup { mode, ..Setup::default() }.start();
        bench.send(1, &of_rows(&[10]));
        let Ticket { connection, generation, .. } = ticket(1);
        bench.service.gone(connection, generation);
        assert!(bench.settle().is_empty());
        assert_eq!((bench.runs(), bench.daemon.registry.entries()[0].served.counters.gone.get()), (vec![], 1));
    }
}

#[test]
fn requests_that_are_committed_when_all_ends_are_answered() {
    for mode in [InlineMode::Always, InlineMode::Never] {
        let mut bench = Setup { mode, ..Setup::default() }.start();
        bench.send(1, &of_rows(&[10]));
        bench.send(2, &of_rows(&[20]));
        let Batched { service, daemon, letters, .. } = bench;
        drop(service);
        drop(daemon);
        let replies = letters.take();
        let given_up = |(_, reply): &(u64, Reply)| refusal(reply) == (Code::Internal, "the request was given up");
        assert!(replies.len() == 2 && replies.iter().all(given_up), "{replies:?}");
        assert!(letters.rings.load(Ordering::Relaxed) > 0);
    }
}

#[test]
fn whoever_is_late_in_any_case_does_not_make_others_wait_for_another_run() {
    let mut bench = Setup::default().start();
    bench.learn(1, Duration::from_hours(1));
    let hopeless = Asked { outputs: &[b"sum"], deadline_us: 60_000_000, ..Asked::default() };
    bench.send(1, &request(&hopeless, &[&[10]], 2));
    for id in 2..5 {
        bench.send(id, &of_rows(&[id as u8]));
    }
    assert_eq!((bench.settle().len(), bench.runs()), (4, vec![4]), "an hour for a row is more than its minute");
}
