//! The gate and the mailbox: whoever sleeps is rung for, once, or has seen what there is.

use crate::{Racer, Scene, explore_within, race};
use graphpiped_batch::{Doorbell, Gate, Mailbox};
use loom::sync::atomic::AtomicBool;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts its rings. A real one would end the sleep; here, whoever was rung for would have woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Doorbell for Bell {
    fn ring(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Bell {
    fn rings(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Work that orders nothing by itself.
#[derive(Default)]
struct Work([AtomicBool; 2]);

impl Work {
    fn publish(&self, index: usize) {
        self.0[index].store(true, Ordering::Relaxed);
    }

    fn is_seen(&self, index: usize) -> bool {
        self.0[index].load(Ordering::Relaxed)
    }
}

/// A gate, and work to announce at it.
#[derive(Clone)]
struct Post {
    gate: Arc<Gate<Bell>>,
    work: Arc<Work>,
}

impl Post {
    fn new(places: usize) -> Post {
        let bells = (0..places).map(|_| Bell::default()).collect();
        Post { gate: Arc::new(Gate::new(bells)), work: Arc::default() }
    }

    /// Publishes these one after the other, each with an announcement; how many it says it has woken.
    fn announcer<const N: usize>(&self, indices: [usize; N]) -> Racer<usize> {
        let post = self.clone();
        Box::new(move || {
            indices
                .map(|index| {
                    post.work.publish(index);
                    post.gate.announce(1)
                })
                .into_iter()
                .sum()
        })
    }

    /// Falls asleep at a place, looks, and sleeps until the end of the run; whether it has seen all of these: 1 or 0.
    fn sleeper<const N: usize>(&self, place: usize, indices: [usize; N]) -> Racer<usize> {
        let post = self.clone();
        Box::new(move || {
            // Its flag stays up unless it is rung for.
            std::mem::forget(post.gate.fall_asleep(place));
            usize::from(indices.into_iter().all(|index| post.work.is_seen(index)))
        })
    }

    fn rings(&self, place: usize) -> usize {
        self.gate.bell(place).rings()
    }
}

#[test]
fn a_sleeper_sees_the_work_or_is_rung_for() {
    explore_within(4, || {
        let post = Post::new(1);
        let [woken, has_seen] = race([post.announcer([0]), post.sleeper(0, [0])])[..] else { unreachable!() };
        assert!(has_seen + woken > 0, "the wake-up is lost");
        assert_eq!((post.rings(0), post.gate.sleepers()), (woken, 1 - woken));
    });
}

#[test]
fn a_sleep_is_rung_for_once() {
    explore_within(3, || {
        let post = Post::new(1);
        let racers = [post.announcer([0]), post.announcer([1]), post.sleeper(0, [0, 1])];
        let [first, second, has_seen] = race(racers)[..] else { unreachable!() };
        assert!(first + second <= 1, "two announcers say that they have woken the same sleep");
        assert!(has_seen + first + second > 0, "the wake-up is lost");
        assert_eq!(post.rings(0), first + second);
    });
}

#[test]
fn two_sleepers_are_woken_for_two_pieces_of_work() {
    explore_within(2, || {
        let post = Post::new(2);
        // Whoever has seen the first piece does not need to be rung for.
        let racers = [post.announcer([0]), post.announcer([1]), post.sleeper(0, [0]), post.sleeper(1, [0])];
        let [first, second, zero, one] = race(racers)[..] else { unreachable!() };
        assert_eq!(post.rings(0) + post.rings(1), first + second);
        assert!(zero + post.rings(0) + one + post.rings(1) > 0, "both sleep, and the first piece waits");
        assert!(post.rings(0) <= 1 && post.rings(1) <= 1, "a sleep is rung for once");
    });
}

#[test]
fn two_who_sleep_already_are_both_woken_by_two_announcements() {
    explore_within(3, || {
        let post = Post::new(2);
        std::mem::forget([post.gate.fall_asleep(0), post.gate.fall_asleep(1)]);
        assert_eq!(race([post.announcer([0]), post.announcer([1])]), [1, 1]);
        assert_eq!([post.rings(0), post.rings(1), post.gate.sleepers()], [1, 1, 0]);
    });
}

#[test]
fn whoever_has_slept_can_sleep_again_and_is_not_rung_for_while_awake() {
    explore_within(3, || {
        let post = Post::new(1);
        let sleeper = post.clone();
        let sleeper: Racer<usize> = Box::new(move || {
            drop(sleeper.gate.fall_asleep(0));
            assert_eq!(sleeper.gate.sleepers(), 0);
            let before = sleeper.rings(0);
            std::mem::forget(sleeper.gate.fall_asleep(0));
            // Twice the rings of the first sleep, and whether it has seen everything.
            2 * before + usize::from(sleeper.work.is_seen(0) && sleeper.work.is_seen(1))
        });
        let [woken, first] = race([post.announcer([0, 1]), sleeper])[..] else { unreachable!() };
        let (before, has_seen) = (first / 2, first % 2);
        assert_eq!(post.rings(0), woken);
        assert!(has_seen + (woken - before) > 0, "the second sleep is not rung for");
    });
}

#[test]
fn an_executor_that_sleeps_is_rung_for_when_a_request_is_committed() {
    explore_within(3, || {
        let (post, scene) = (Post::new(1), Scene::new(1, 2));
        let (reactor, executor) = (post.clone(), post.clone());
        let names = race([
            scene.racer(move |scene| {
                assert!(scene.submit(1, 1));
                reactor.gate.announce(1);
                vec![]
            }),
            scene.racer(move |scene| {
                std::mem::forget(executor.gate.fall_asleep(0));
                scene.run(2)
            }),
        ])
        .concat();
        assert!(!names.is_empty() || post.rings(0) == 1, "a request waits for an executor that sleeps");
        assert_eq!([names, scene.run(2)].concat(), [1]);
    });
}

#[test]
fn an_executor_is_not_misled_by_what_was_committed_in_an_earlier_life() {
    explore_within(2, || {
        let (post, scene) = (Post::new(1), Scene::new(1, 2));
        // All know the request of two rows; that it has been run is known to the first executor alone.
        assert!(scene.submit(2, 1));
        let (reactor, sleeper) = (post.clone(), post.clone());
        let names = race([
            scene.racer(|scene| scene.run(2)),
            scene.racer(move |scene| {
                drop(scene.lane.claim(1));
                scene.submit(1, 2);
                reactor.gate.announce(1);
                vec![]
            }),
            scene.racer(move |scene| {
                std::mem::forget(sleeper.gate.fall_asleep(0));
                scene.run(2)
            }),
        ])
        .concat();
        assert!(!scene.lane.has_committed() || post.rings(0) == 1 || !names.is_empty(), "a request is overlooked");
        scene.run(2);
        scene.assert_idle();
    });
}

/// Whoever puts this message in, and says so.
fn sender(mailbox: &Arc<Mailbox<u8, Bell>>, message: u8) -> Racer<Vec<u8>> {
    let mailbox = Arc::clone(mailbox);
    Box::new(move || {
        mailbox.put(message).unwrap();
        mailbox.announce();
        vec![]
    })
}

/// Falls asleep, and takes what it sees then.
fn reader(mailbox: &Arc<Mailbox<u8, Bell>>) -> Racer<Vec<u8>> {
    let mailbox = Arc::clone(mailbox);
    Box::new(move || {
        std::mem::forget(mailbox.fall_asleep());
        std::iter::from_fn(|| mailbox.take()).collect()
    })
}

#[test]
fn the_reader_of_a_mailbox_takes_the_message_or_is_rung_for() {
    explore_within(4, || {
        let mailbox = Arc::new(Mailbox::new(2, Bell::default()));
        let messages = race([sender(&mailbox, 7), reader(&mailbox)]).concat();
        assert!(!messages.is_empty() || mailbox.bell().rings() == 1, "a message waits for a reader that sleeps");
        assert_eq!(messages.first().copied().or_else(|| mailbox.take()), Some(7));
    });
}

#[test]
fn a_mailbox_of_two_senders_keeps_every_message() {
    explore_within(2, || {
        let mailbox = Arc::new(Mailbox::new(2, Bell::default()));
        let mut messages = race([sender(&mailbox, 1), sender(&mailbox, 2), reader(&mailbox)]).concat();
        assert!(messages.len() == 2 || mailbox.bell().rings() == 1, "a message waits for a reader that sleeps");
        messages.extend(std::iter::from_fn(|| mailbox.take()));
        messages.sort_unstable();
        assert_eq!(messages, [1, 2]);
    });
}
