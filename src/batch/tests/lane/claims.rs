//! Claims: what they may write, and what they may not.

use crate::{Request, Scene};
use graphpiped_batch::Verdict;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn no_rows_and_more_rows_than_an_arena_has_are_not_claimed() {
    let scene = Scene::new(2, 3, &[4]);
    for rows in [0, 4, 65_536, 65_537, usize::MAX] {
        assert!(scene.lane.claim(rows).is_none(), "{rows} rows");
    }
    assert_eq!((scene.lane.pending_rows(), scene.lane.free_arenas()), (0, 2));
}

#[test]
fn a_claim_has_the_offsets_of_a_buffer_of_its_own() {
    let scene = Scene::new(1, 4, &[100, 8]);
    let claim = scene.lane.claim(3).unwrap();
    assert_eq!((claim.offset(0), claim.offset(1), claim.len()), (0, 512, 536), "3 x 100 within 512, then 3 x 8");
    assert!(!claim.is_empty());
}

#[test]
fn rows_without_bytes_are_claimed_and_run() {
    let scene = Scene::new(1, 2, &[0]);
    assert!(scene.lane.claim(1).unwrap().is_empty());
    scene.submit(2);
    let batch = scene.take(2).unwrap();
    assert_eq!((batch.rows(), batch.column(0)), (2, &[][..]));
}

#[test]
fn bytes_across_columns_or_behind_them_are_not_lent() {
    let scene = Scene::new(1, 4, &[100, 8]);
    let mut claim = scene.lane.claim(2).unwrap();
    let backwards = Range { start: 150, end: 100 };
    for range in [199..257, 0..272, 200..201, 256..273, 272..273, 0..usize::MAX, usize::MAX..usize::MAX, backwards] {
        let what = format!("{range:?}");
        let lent = catch_unwind(AssertUnwindSafe(|| claim.slice_mut(range).len()));
        assert!(lent.is_err(), "{what} is not within a column");
    }
    assert_eq!(claim.slice_mut(0..200).len(), 200);
    assert_eq!(claim.slice_mut(256..272).len(), 16);
}

#[test]
fn a_claim_of_another_lane_is_not_committed() {
    let (scene, other) = (Scene::new(1, 2, &[4]), Scene::new(1, 2, &[4]));
    let claim = other.lane.claim(1).unwrap();
    let request = Request { id: 0, drops: scene.drops.clone() };
    scene.drops.lock().unwrap().push(0);
    assert!(catch_unwind(AssertUnwindSafe(|| scene.lane.commit(claim, request))).is_err());
    assert_eq!(scene.drops_of(0), 1, "the request fails");
    assert_eq!(other.lane.pending_rows(), 0, "the rows are void");
    assert!(!scene.lane.has_committed());
}

#[test]
fn a_claim_may_outlive_its_lane() {
    let scene = Scene::new(1, 2, &[4]);
    let (_, mut claim) = scene.claim(1).unwrap();
    scene.submit(1);
    let drops = scene.drops.clone();
    drop(scene);
    assert_eq!(*drops.lock().unwrap(), [0, 1], "what was committed is dropped with the lane");
    claim.slice_mut(0..4).fill(1);
}

#[test]
fn a_lane_with_little_to_do_stays_in_the_same_arena() {
    let scene = Scene::new(3, 2, &[4]);
    for _ in 0..5 {
        drop(scene.claim(2).unwrap());
        assert_eq!(scene.lane.free_arenas(), 2);
    }
}

#[test]
fn smaller_claims_use_what_is_left_of_the_last_arena() {
    let scene = Scene::new(1, 3, &[4]);
    let first = scene.claim(2).unwrap();
    assert!(scene.lane.claim(2).is_none());
    let second = scene.claim(1).expect("one row is left");
    drop((first, second));
    scene.assert_idle();
}

#[test]
fn a_claim_that_is_held_holds_its_arena_and_no_other() {
    let scene = Scene::new(2, 2, &[4]);
    let (_held, _) = (scene.claim(1).unwrap(), scene.submit(1));
    scene.take(1).unwrap().complete(|_, _| ());
    for _ in 0..3 {
        scene.submit(2);
        let batch = scene.lane.take(2, |_, _| Verdict::Take, drop).unwrap();
        assert_eq!(batch.rows(), 2);
        assert!(scene.lane.claim(1).is_none(), "one arena is held, the other one runs");
        batch.complete(|_, _| ());
    }
}
