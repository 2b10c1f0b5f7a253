//! Threads that claim and threads that run, as many steps as the machine has patience for. Whoever reads other bytes than
//! a request's own, or misses one, says so.
//!
//! `SEED=… cargo test` repeats the choices of a run; what the scheduler does, it cannot repeat.

use crate::{Request, Scene};
use graphpiped_batch::{Doorbell, Gate, Sealed, Verdict};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread;

const CLAIMERS: usize = 2;
const TAKERS: usize = 2;
const REQUESTS: usize = if cfg!(miri) { 25 } else { 20_000 };

fn seed() -> u64 {
    let seed = match std::env::var("SEED") {
        Ok(seed) => seed.parse().expect("SEED is a number"),
        Err(_) => fastrand::u64(..),
    };
    println!("SEED={seed}");
    seed
}

/// Claims and commits its requests; some claims are given up.
fn submit_all(scene: &Scene, mut chance: fastrand::Rng, mut announce: impl FnMut()) {
    let rows_max = scene.lane.layout().rows();
    let mut committed = 0;
    while committed < REQUESTS {
        let Some((id, claim)) = scene.claim(chance.usize(1..=rows_max)) else {
            thread::yield_now();
            continue;
        };
        if chance.u8(..) < 26 {
            drop(claim);
            continue;
        }
        if chance.bool() {
            thread::yield_now();
        }
        scene.commit(id, claim);
        committed += 1;
        announce();
    }
}

/// Takes once, and ends what it got in one way or another; how many requests have come back, `None` if there was nothing.
fn run_once(scene: &Scene, chance: &mut fastrand::Rng) -> Option<usize> {
    let mut rejected = 0;
    let judge = |request: &Request, _| if request.id.is_multiple_of(13) { Verdict::Reject } else { Verdict::Take };
    let batch = scene.lane.take(chance.usize(1..=scene.lane.layout().rows()), judge, |_| rejected += 1);
    let Some(batch) = batch else { return (rejected > 0).then_some(rejected) };
    let requests = scene.look(&batch).len();
    if chance.bool() {
        let (first, second) = batch.halves();
        if let Some(second) = second {
            end(scene, second, chance);
        }
        end(scene, first, chance);
    } else {
        end(scene, batch, chance);
    }
    Some(rejected + requests)
}

fn end(scene: &Scene, batch: Sealed<Request>, chance: &mut fastrand::Rng) {
    scene.look(&batch);
    if chance.bool() {
        batch.complete(|request, _| assert_ne!(request.id % 13, 0, "it was rejected"));
    }
}

fn assert_all_came_back(scene: &Scene) {
    let drops = scene.drops.lock().unwrap();
    assert_eq!(drops.iter().sum::<usize>(), CLAIMERS * REQUESTS);
    assert!(drops.iter().all(|&drops| drops <= 1), "a request comes back once");
    drop(drops);
    scene.assert_idle();
}

#[test]
fn threads_that_claim_and_take_lose_nothing() {
    let mut chance = fastrand::Rng::with_seed(seed());
    let scene = Scene::new(3, 7, &[3, 20]);
    let back = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..CLAIMERS {
            let chance = chance.fork();
            scope.spawn(|| submit_all(&scene, chance, || ()));
        }
        for _ in 0..TAKERS {
            let mut chance = chance.fork();
            let (scene, back) = (&scene, &back);
            scope.spawn(move || {
                while back.load(Ordering::Relaxed) < CLAIMERS * REQUESTS {
                    match run_once(scene, &mut chance) {
                        Some(requests) => _ = back.fetch_add(requests, Ordering::Relaxed),
                        None => thread::yield_now(),
                    }
                }
            });
        }
    });
    assert_all_came_back(&scene);
}

#[derive(Default)]
struct Bell {
    has_rung: Mutex<bool>,
    changed: Condvar,
}

impl Doorbell for Bell {
    fn ring(&self) {
        *self.has_rung.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

impl Bell {
    fn wait(&self) {
        let has_rung = self.has_rung.lock().unwrap();
        *self.changed.wait_while(has_rung, |has_rung| !*has_rung).unwrap() = false;
    }
}

/// Runs until everything has come back, and sleeps whenever there is nothing. If a wake-up is lost, this does not end.
fn run_all(scene: &Scene, gate: &Gate<Bell>, place: usize, back: &AtomicUsize, mut chance: fastrand::Rng) {
    loop {
        let asleep = gate.fall_asleep(place);
        let found = run_once(scene, &mut chance);
        let total = back.fetch_add(found.unwrap_or(0), Ordering::AcqRel) + found.unwrap_or(0);
        if total == CLAIMERS * REQUESTS {
            gate.announce(TAKERS);
            return;
        }
        if found.is_none() {
            gate.bell(place).wait();
        }
        drop(asleep);
    }
}

#[test]
fn executors_that_sleep_are_woken_for_everything() {
    let mut chance = fastrand::Rng::with_seed(seed());
    let scene = Scene::new(2, 5, &[4]);
    let gate = Gate::new((0..TAKERS).map(|_| Bell::default()).collect());
    let back = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..CLAIMERS {
            let (chance, scene, gate) = (chance.fork(), &scene, &gate);
            scope.spawn(move || submit_all(scene, chance, || _ = gate.announce(1)));
        }
        for place in 0..TAKERS {
            let (chance, scene, gate, back) = (chance.fork(), &scene, &gate, &back);
            scope.spawn(move || run_all(scene, gate, place, back, chance));
        }
    });
    assert_all_came_back(&scene);
}
