//! Claims against each other: rows are handed out once, and arenas are replaced without losing one.

use crate::{Racer, Scene, explore_within, race};

/// Claims a row, writes it, and gives it up; whether it got one. If two have the same row, the model checker sees that
/// nothing orders what they write.
fn use_a_row(scene: &Scene, byte: u8) -> bool {
    scene.fill(1, byte).is_some()
}

fn user(scene: &Scene, byte: u8) -> Racer<bool> {
    scene.racer(move |scene| use_a_row(scene, byte))
}

#[test]
fn a_row_is_handed_out_once() {
    explore_within(2, || {
        let scene = Scene::new(1, 3);
        // Opened before, so that everybody gets a row.
        use_a_row(&scene, 9);
        let has_row = race([1, 2, 3].map(|byte| user(&scene, byte)));
        assert_eq!(has_row, [true; 3]);
        scene.assert_idle();
    });
}

#[test]
fn the_first_arena_is_opened_once() {
    explore_within(4, || {
        let scene = Scene::new(2, 2);
        let has_row = race([1, 2].map(|byte| user(&scene, byte)));
        assert_eq!(has_row, [true; 2], "there is room for both in one arena");
        assert_eq!(scene.lane.free_arenas(), 1, "one is open, and whoever was slower has given the other one back");
        scene.assert_idle();
    });
}

#[test]
fn of_two_who_replace_a_full_arena_one_succeeds() {
    explore_within(2, || {
        let scene = Scene::new(2, 1);
        let full = scene.fill(1, 9);
        race([
            scene.racer(|_| drop(full)),
            scene.racer(|scene| _ = use_a_row(scene, 1)),
            scene.racer(|scene| _ = use_a_row(scene, 2)),
        ]);
        scene.assert_idle();
    });
}

#[test]
fn a_slow_replacement_fails_even_if_the_arena_that_it_saw_is_open_again() {
    // Without the version, the slow one would put its arena in the place of the first one's next life, and nobody would
    // ever close that.
    explore_within(3, || {
        let scene = Scene::new(2, 1);
        let full = scene.fill(1, 9);
        let ender = scene.racer(|scene| {
            drop(full);
            use_a_row(scene, 2)
        });
        race([ender, user(&scene, 1)]);
        scene.assert_idle();
    });
}

#[test]
fn whoever_loses_a_replacement_gives_back_an_arena_that_somebody_slow_still_names() {
    // The slow one claims in the arena between its being opened and its being closed again; or in its next life, which
    // nothing but the arena's word orders behind the one before.
    explore_within(2, || {
        let scene = Scene::new(2, 1);
        let full = scene.fill(1, 9);
        let ender = scene.racer(|scene| {
            drop(full);
            use_a_row(scene, 3)
        });
        let user = scene.racer(|scene| {
            use_a_row(scene, 1);
            use_a_row(scene, 2)
        });
        race([ender, user]);
        scene.assert_idle();
    });
}
