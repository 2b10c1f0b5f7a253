//! Batches: what is taken, in which order, and what becomes of it, also when those who look at it panic.

use crate::Scene;
use graphpiped_batch::Verdict;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn requests_lie_in_the_order_of_their_claims() {
    let scene = Scene::new(1, 6, &[5, 2]);
    let (first, first_claim) = scene.claim(2).unwrap();
    let second = scene.submit(1);
    scene.commit(first, first_claim);
    let third = scene.submit(3);
    let batch = scene.take(6).unwrap();
    assert_eq!(scene.look(&batch), [(first, 0..2), (second, 2..3), (third, 3..6)]);
    assert_eq!((batch.column(0).len(), batch.column(1).len()), (30, 12));
}

#[test]
fn a_batch_has_no_more_rows_than_were_asked_for_but_for_a_request_that_has_more() {
    let scene = Scene::new(1, 9, &[1]);
    let ids = [scene.submit(2), scene.submit(2), scene.submit(5)];
    assert!(scene.take(0).is_none());
    let batch = scene.take(3).unwrap();
    assert_eq!((scene.look(&batch), batch.is_cut()), (vec![(ids[0], 0..2)], true), "two and two are more than three");
    let batch = scene.take(6).unwrap();
    assert_eq!((scene.look(&batch), batch.is_cut()), (vec![(ids[1], 0..2)], true), "two and five are more than six");
    let batch = scene.take(4).unwrap();
    assert_eq!((scene.look(&batch), batch.is_cut()), (vec![(ids[2], 0..5)], false), "it comes alone");
}

#[test]
fn the_longest_run_of_the_oldest_arena_is_taken() {
    let scene = Scene::new(2, 4, &[1]);
    scene.submit(1);
    let (_, held) = scene.claim(1).unwrap();
    let longest = scene.submit(2);
    scene.submit(4);
    let batch = scene.take(4).unwrap();
    assert_eq!(scene.look(&batch), [(longest, 0..2)]);
    drop(held);
}

#[test]
fn the_judge_is_told_how_many_rows_there_would_be() {
    let scene = Scene::new(1, 6, &[1]);
    let ids = [scene.submit(1), scene.submit(2), scene.submit(3)];
    let mut told = Vec::new();
    let judge = |request: &crate::Request, rows| {
        told.push((request.id, rows));
        if rows <= 3 { Verdict::Take } else { Verdict::Leave }
    };
    let batch = scene.lane.take(6, judge, drop).unwrap();
    assert_eq!(batch.rows(), 3);
    assert_eq!(told, [(ids[0], 1), (ids[1], 3), (ids[2], 6)]);
}

#[test]
fn what_is_left_stays_and_what_is_rejected_comes_back() {
    let scene = Scene::new(1, 3, &[1]);
    let ids = [scene.submit(1), scene.submit(1), scene.submit(1)];
    assert!(scene.lane.take(3, |_, _| Verdict::Leave, drop).is_none());
    assert_eq!(scene.lane.pending_rows(), 3);
    let mut rejected = Vec::new();
    let judge = |request: &crate::Request, _| if request.id == ids[2] { Verdict::Take } else { Verdict::Reject };
    let batch = scene.lane.take(3, judge, |request| rejected.push(request.id)).unwrap();
    assert_eq!((scene.look(&batch), rejected), (vec![(ids[2], 0..1)], vec![ids[0], ids[1]]));
    assert_eq!(scene.lane.pending_rows(), 1);
}

#[test]
fn the_first_half_of_a_batch_has_the_request_in_the_middle() {
    let scene = Scene::new(1, 6, &[3]);
    let ids = [scene.submit(1), scene.submit(3), scene.submit(2)];
    let (first, second) = scene.take(6).unwrap().halves();
    let second = second.unwrap();
    assert_eq!(scene.look(&first), [(ids[0], 0..1), (ids[1], 1..4)]);
    assert_eq!(scene.look(&second), [(ids[2], 0..2)]);
    let (second, nothing) = second.halves();
    assert!(nothing.is_none(), "one request has no halves");
    drop(first);
    assert_eq!((scene.drops_of(ids[1]), scene.drops_of(ids[2]), scene.lane.pending_rows()), (1, 0, 6 - 4));
    second.complete(|_, rows| assert_eq!(rows, 0..2));
    scene.assert_idle();
}

#[test]
fn a_batch_that_is_dropped_drops_its_requests() {
    let scene = Scene::new(1, 2, &[1]);
    let ids = [scene.submit(1), scene.submit(1)];
    drop(scene.take(2));
    assert_eq!(ids.map(|id| scene.drops_of(id)), [1, 1]);
    scene.assert_idle();
}

#[test]
fn rows_are_not_free_while_their_requests_are_answered() {
    let scene = Scene::new(1, 2, &[1]);
    scene.submit(2);
    scene.take(2).unwrap().complete(|_, _| assert!(scene.lane.claim(1).is_none()));
    scene.assert_idle();
}

#[test]
fn an_answer_that_panics_loses_neither_rows_nor_requests() {
    let scene = Scene::new(1, 3, &[1]);
    let ids = [scene.submit(1), scene.submit(1), scene.submit(1)];
    let batch = scene.take(3).unwrap();
    let answer = |request: crate::Request, _| assert_ne!(request.id, ids[1], "on purpose");
    assert!(catch_unwind(AssertUnwindSafe(|| batch.complete(answer))).is_err());
    assert_eq!(ids.map(|id| scene.drops_of(id)), [1, 1, 1]);
    scene.assert_idle();
}

#[test]
fn a_judge_that_panics_loses_neither_rows_nor_requests() {
    let scene = Scene::new(1, 3, &[1]);
    let ids = [scene.submit(1), scene.submit(1), scene.submit(1)];
    let judge = |request: &crate::Request, _: usize| {
        assert_ne!(request.id, ids[1], "on purpose");
        Verdict::Take
    };
    assert!(catch_unwind(AssertUnwindSafe(|| scene.lane.take(3, judge, drop))).is_err());
    assert_eq!(ids.map(|id| scene.drops_of(id)), [1, 1, 0], "the last one was not looked at");
    let batch = scene.take(3).unwrap();
    assert_eq!(scene.look(&batch), [(ids[2], 0..1)]);
    drop(batch);
    scene.assert_idle();
}

#[test]
fn a_rejection_that_panics_loses_neither_rows_nor_requests() {
    let scene = Scene::new(1, 2, &[1]);
    let ids = [scene.submit(1), scene.submit(1)];
    let judge = |request: &crate::Request, _: usize| if request.id == ids[0] { Verdict::Take } else { Verdict::Reject };
    let taken = catch_unwind(AssertUnwindSafe(|| scene.lane.take(2, judge, |_| panic!("on purpose"))));
    assert!(taken.is_err());
    assert_eq!(ids.map(|id| scene.drops_of(id)), [1, 1]);
    scene.assert_idle();
}

#[test]
fn rows_that_are_kept_are_answered_and_not_free() {
    let scene = Scene::new(1, 3, &[4]);
    let ids = [scene.submit(1), scene.submit(2)];
    let batch = scene.take(3).unwrap();
    let bytes = batch.column(0).to_vec();
    let mut answered = Vec::new();
    let kept = batch.complete_and_keep(|request, rows| answered.push((request.id, rows)));
    assert_eq!(answered, [(ids[0], 0..1), (ids[1], 1..3)]);
    assert!(scene.claim(1).is_none(), "its rows are all that there are");
    assert_eq!((kept.rows(), kept.column(0)), (3, &bytes[..]));
    drop(kept);
    assert!(scene.claim(3).is_some());
}

#[test]
fn an_answer_that_panics_leaves_no_row_of_what_is_kept_behind() {
    let scene = Scene::new(1, 2, &[1]);
    scene.submit(1);
    scene.submit(1);
    let batch = scene.take(2).unwrap();
    let outcome = catch_unwind(AssertUnwindSafe(|| drop(batch.complete_and_keep(|_, _| panic!("no answer")))));
    assert!(outcome.is_err());
    assert!(scene.claim(2).is_some(), "both rows are free");
}
