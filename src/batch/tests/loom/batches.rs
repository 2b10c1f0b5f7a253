//! Commits against takers, and takers against each other: what is taken is whole, and taken once.

use crate::{Request, Scene, answer, explore_within, race};
use graphpiped_batch::Verdict;

/// What was run in the race and what was left to run behind it, in order.
fn all_names(scene: &Scene, mut names: Vec<u8>) -> Vec<u8> {
    while let Some(batch) = scene.take(3) {
        names.extend(answer(batch));
    }
    names.sort_unstable();
    names
}

#[test]
fn whoever_takes_a_request_sees_its_bytes_and_what_belongs_to_it() {
    explore_within(4, || {
        let scene = Scene::new(1, 2);
        let committer = scene.racer(|scene| {
            assert!(scene.submit(2, 7));
            vec![]
        });
        let names = race([committer, scene.racer(|scene| scene.run(2))]).concat();
        assert_eq!(all_names(&scene, names), [7], "it is taken once, early or late");
        assert_eq!(scene.drops(), 1);
        scene.assert_idle();
    });
}

#[test]
fn a_batch_ends_before_a_row_that_is_not_committed_yet() {
    explore_within(4, || {
        let scene = Scene::new(1, 3);
        let [first, second, third] = [1, 2, 3].map(|byte| scene.fill(1, byte).unwrap());
        scene.commit(first, 1);
        let committer = scene.racer(|scene| {
            scene.commit(third, 3);
            scene.commit(second, 2);
            vec![]
        });
        let names = race([committer, scene.racer(|scene| scene.run(3))]).concat();
        let runs: [&[u8]; 4] = [&[1], &[1, 2], &[1, 2, 3], &[3]];
        assert!(runs.contains(&&names[..]), "{names:?} is no run");
        assert_eq!(all_names(&scene, names), [1, 2, 3]);
        scene.assert_idle();
    });
}

#[test]
fn of_two_takers_one_gets_a_request() {
    explore_within(3, || {
        let scene = Scene::new(1, 2);
        assert!(scene.submit(1, 1) && scene.submit(1, 2));
        let names = race([2, 1].map(|rows_max| scene.racer(move |scene| scene.run(rows_max)))).concat();
        assert_eq!(all_names(&scene, names), [1, 2]);
        assert_eq!(scene.drops(), 2);
        scene.assert_idle();
    });
}

#[test]
fn two_takers_and_a_commit_between_them() {
    explore_within(2, || {
        let scene = Scene::new(1, 2);
        assert!(scene.submit(1, 1));
        let second = scene.fill(1, 2).unwrap();
        let committer = scene.racer(|scene| {
            scene.commit(second, 2);
            vec![]
        });
        let names = race([committer, scene.racer(|scene| scene.run(2)), scene.racer(|scene| scene.run(2))]).concat();
        assert_eq!(all_names(&scene, names), [1, 2]);
        scene.assert_idle();
    });
}

#[test]
fn a_claim_that_is_dropped_is_never_run() {
    explore_within(4, || {
        let scene = Scene::new(1, 3);
        let void = scene.fill(1, 9).unwrap();
        let committer = scene.racer(|scene| {
            drop(void);
            assert!(scene.submit(1, 1));
            vec![]
        });
        let names = race([committer, scene.racer(|scene| scene.run(3))]).concat();
        assert_eq!(all_names(&scene, names), [1]);
        scene.assert_idle();
    });
}

/// Takes once, and does not run requests with even names; the names of the batch, and those that were rejected.
fn take_odd_ones(scene: &Scene) -> (Vec<u8>, Vec<u8>) {
    let mut rejected = Vec::new();
    let judge = |request: &Request, _| if request.name.is_multiple_of(2) { Verdict::Reject } else { Verdict::Take };
    let batch = scene.lane.take(3, judge, |request| rejected.push(request.name));
    (batch.map(answer).unwrap_or_default(), rejected)
}

#[test]
fn a_request_that_is_rejected_goes_to_one_taker() {
    explore_within(3, || {
        let scene = Scene::new(1, 3);
        assert!([1, 2, 3].into_iter().all(|name| scene.submit(1, name)));
        let mut runs = race([scene.racer(take_odd_ones), scene.racer(take_odd_ones)]);
        while scene.lane.has_committed() {
            runs.push(take_odd_ones(&scene));
        }
        let (mut taken, rejected): (Vec<_>, Vec<_>) = runs.into_iter().unzip();
        taken.sort_unstable();
        assert_eq!((taken.concat(), rejected.concat()), (vec![1, 3], vec![2]));
        assert_eq!(scene.drops(), 3);
        scene.assert_idle();
    });
}

#[test]
fn a_request_that_is_left_can_be_taken_by_others() {
    explore_within(4, || {
        let scene = Scene::new(1, 1);
        assert!(scene.submit(1, 1));
        let leaver = scene.racer(|scene| {
            assert!(scene.lane.take(1, |_, _| Verdict::Leave, |_| unreachable!()).is_none());
            vec![]
        });
        let names = race([leaver, scene.racer(|scene| scene.run(1))]).concat();
        assert_eq!(all_names(&scene, names), [1]);
        scene.assert_idle();
    });
}

#[test]
fn rows_of_two_halves_are_free_when_both_have_ended() {
    explore_within(3, || {
        let scene = Scene::new(1, 2);
        assert!(scene.submit(1, 1) && scene.submit(1, 2));
        let (first, second) = scene.take(2).unwrap().halves();
        let second = second.expect("two requests have two halves");
        race([
            scene.racer(|_| drop(second)),
            scene.racer(|_| assert_eq!(answer(first), [1])),
            scene.racer(|scene| {
                let is_free = scene.fill(2, 9).is_some();
                assert!(!is_free || scene.drops() == 2, "rows are handed out before their requests are dropped");
            }),
        ]);
        assert_eq!(scene.drops(), 2);
        scene.assert_idle();
    });
}
