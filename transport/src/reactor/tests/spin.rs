//! When a reactor spins, and when it sleeps: with the clock in the hands of the test.

use super::server::PATIENCE;
use crate::fake::Fake;
use crate::limits::Limits;
use crate::mailbox::Mailbox;
use crate::reactor::{Control, Reactor};
use graphpiped_memory::Pool;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const SPIN: Duration = Duration::from_micros(50);
const NEAR: Duration = Duration::from_micros(25);

/// One to which nothing has happened for a second, and that believes replies to come in so long.
fn reactor(spin: Duration, reply: Duration) -> Reactor<Fake> {
    let service = Fake::inline(&Pool::new(1 << 20));
    let mailbox = Mailbox::new(1).unwrap();
    let control = Control::new(vec![Arc::clone(&mailbox)]);
    let limits = Limits { spin, ..Limits::default() };
    let mut reactor = Reactor::new(&limits, vec![], mailbox, Arc::default(), control, service).unwrap();
    reactor.world.now += Duration::from_secs(1);
    reactor.world.service.next_reply = Some(reactor.world.now + reply);
    reactor
}

#[test]
fn replies_that_are_believed_to_come_are_awaited_awake_from_a_little_before_until_a_little_after() {
    let mut reactor = reactor(SPIN, Duration::from_micros(100));
    let begin = reactor.world.now;
    let reply = reactor.next_reply();
    assert_eq!(reply, Some(begin + Duration::from_micros(100)));
    let until = reply.unwrap() + NEAR;
    for (passed, sleeps, spins) in [(0, 75, None), (74, 1, None), (75, 0, Some(until)), (124, 0, Some(until))] {
        reactor.world.now = begin + Duration::from_micros(passed);
        let reply = reactor.next_reply();
        let found = (reactor.until_near(reply), reactor.around(reply));
        assert_eq!(found, (Duration::from_micros(sleeps), spins), "after {passed} µs");
    }
    reactor.world.now = begin + Duration::from_micros(125);
    assert_eq!(reactor.next_reply(), None, "whoever is later has to wake it");
}

#[test]
fn a_reactor_that_never_spins_sleeps_until_it_is_woken() {
    let reactor = reactor(Duration::ZERO, Duration::from_micros(1));
    assert_eq!(reactor.next_reply(), None);
}

#[test]
fn a_reactor_sleeps_no_longer_than_until_replies_are_near() {
    let mut reactor = reactor(SPIN, Duration::ZERO);
    reactor.world.now = Instant::now();
    let reply = reactor.world.now + Duration::from_millis(5);
    reactor.world.service.next_reply = Some(reply);
    // Without connections it has an hour otherwise; then it is woken, so that it fails.
    let (done, end) = channel::<()>();
    let mailbox = Arc::clone(&reactor.mailbox);
    let watchdog = std::thread::spawn(move || {
        let _ = end.recv_timeout(PATIENCE);
        mailbox.ring();
    });
    while reactor.world.now < reply + NEAR {
        reactor.wait(false).unwrap();
        reactor.world.now = Instant::now();
    }
    drop(done);
    watchdog.join().unwrap();
    assert!(reactor.world.now < reply + PATIENCE / 2);
}
