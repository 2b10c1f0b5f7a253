//! What ends against what begins: an arena begins anew when the last of its rows is finished, once.

use crate::{Scene, answer, explore_within, race};

#[test]
fn rows_are_claimed_again_only_after_whoever_read_them() {
    explore_within(4, || {
        let scene = Scene::new(1, 1);
        assert!(scene.submit(1, 1));
        let batch = scene.take(1).unwrap();
        // The second one writes what the first one reads, if it gets the row: bytes, and what belongs to the request.
        race([scene.racer(|_| assert_eq!(answer(batch), [1])), scene.racer(|scene| _ = scene.submit(1, 2))]);
        scene.run(1);
        scene.assert_idle();
    });
}

#[test]
fn rows_that_are_kept_are_claimed_again_only_after_whoever_keeps_them() {
    explore_within(4, || {
        let scene = Scene::new(1, 1);
        assert!(scene.submit(1, 1));
        let kept = scene.take(1).unwrap().complete_and_keep(|_, _| ());
        race([scene.racer(move |_| assert_eq!(kept.column(0), [1])), scene.racer(|scene| _ = scene.submit(1, 2))]);
        scene.run(1);
        scene.assert_idle();
    });
}

#[test]
fn a_claim_that_is_dropped_late_keeps_its_arena_from_beginning_anew() {
    explore_within(3, || {
        let scene = Scene::new(1, 2);
        let mut late = scene.fill(1, 1).unwrap();
        assert!(scene.submit(1, 2));
        race([
            scene.racer(move |_| late.slice_mut(0..1).fill(3)),
            scene.racer(|scene| assert_eq!(scene.run(1), [2])),
            // Both rows: only in the next life, behind both of the others.
            scene.racer(|scene| drop(scene.fill(2, 4))),
        ]);
        scene.assert_idle();
    });
}

#[test]
fn a_full_arena_is_freed_once_by_whoever_ends_or_closes_it_last() {
    explore_within(4, || {
        let scene = Scene::new(2, 1);
        let full = scene.fill(1, 1).unwrap();
        race([
            scene.racer(|_| drop(full)),
            // Finds the arena full and closes it, or finds it new.
            scene.racer(|scene| assert!(scene.submit(1, 2), "there is a free arena, or this one is new")),
        ]);
        assert_eq!(scene.run(1), [2]);
        scene.assert_idle();
    });
}

#[test]
fn two_who_finish_an_arena_while_a_third_closes_it() {
    explore_within(3, || {
        let scene = Scene::new(2, 2);
        let [first, second] = [1, 2].map(|byte| scene.fill(1, byte).unwrap());
        let claimer = scene.racer(|scene| {
            assert!(scene.submit(2, 3));
            assert_eq!(scene.run(2), [3]);
        });
        race([scene.racer(|_| drop(first)), scene.racer(|_| drop(second)), claimer]);
        scene.assert_idle();
    });
}

#[test]
fn an_arena_that_others_have_emptied_is_opened_behind_them() {
    explore_within(1, || {
        let scene = Scene::new(2, 1);
        assert!(scene.submit(1, 1));
        let batch = scene.take(1).unwrap();
        race([
            scene.racer(|_| assert_eq!(answer(batch), [1])),
            // Two claimers, who close, take, open and fill what the first one has read.
            scene.racer(|scene| {
                let claim = scene.fill(1, 3);
                drop(scene.fill(1, 4));
                drop(claim);
            }),
            scene.racer(|scene| drop(scene.fill(1, 2))),
        ]);
        scene.assert_idle();
    });
}
