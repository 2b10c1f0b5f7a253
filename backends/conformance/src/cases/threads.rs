//! Threads: as many instances as executors, on one model.

use crate::scene::{Asked, Scene};
use crate::{Kind, Subject};

/// Runs of each thread.
const RUNS: usize = 200;

/// Every thread has its own values, and its own number of rows in each run.
pub fn instances_on_eight_threads_do_not_see_each_other(subject: &impl Subject) {
    let scene = Scene::open(subject, Kind::Double);
    let scene = &scene;
    std::thread::scope(|scope| {
        for thread in 0..8_usize {
            scope.spawn(move || {
                let mut instance = scene.instance();
                for run in 0..RUNS {
                    let rows = 1 + (thread + run) % 5;
                    let value = (thread * RUNS + run) as f32;
                    let asked = Asked::floats(0, &[rows as i64, 4], &vec![value; rows * 4]);
                    let found = scene.try_run(&mut *instance, &[asked], &[0]);
                    let found = found.unwrap_or_else(|error| panic!("thread {thread}, run {run}: {error}"));
                    let expected = vec![f64::from(value + value); rows * 4];
                    assert_eq!(found[0].numbers(), expected, "thread {thread}, run {run}");
                }
            });
        }
    });
}
