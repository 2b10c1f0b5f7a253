//! When a reactor spins, and when it sleeps: with the clock in the hands of the test.

use super::server::PATIENCE;
use crate::fake::Fake;
use crate::limits::Limits;
use crate::mailbox::Mailbox;
use crate::reactor::backoff::{Backoff, SILENCE_MAX, SILENCE_MIN};
use crate::reactor::{Control, Reactor};
use crate::service::{Refusal, Reply, Ticket};
use graphpipe_schema::Code;
use graphpiped_memory::Pool;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    let punctuality = &reactor.punctuality;
    assert!(punctuality.early() > punctuality.near(), "no sleep ends in the very nanosecond: {punctuality:?}");
}

#[test]
fn replies_that_come_at_another_time_than_is_believed_are_awaited_for_longer() {
    let mut reactor = reactor(SPIN, Duration::from_millis(5));
    let now = Instant::now();
    reactor.last_event = now.checked_sub(SPIN).unwrap();
    reactor.world.service.next_reply = Some(now + Duration::from_millis(5));
    let ticket = Ticket { connection: 0, generation: 0, id: 0, weight: 0 };
    reactor.mailbox.put(ticket, Reply::Refused(Refusal::new(Code::Busy, "b")));
    reactor.wait(false).unwrap();
    assert_eq!(reactor.punctuality.near(), NEAR);
    reactor.deliver_replies();
    assert!(reactor.punctuality.near() > NEAR, "{:?}", reactor.punctuality);
}

#[test]
fn a_reactor_that_loses_its_core_while_it_spins_sleeps_instead() {
    let mut reactor = reactor(SPIN, Duration::from_micros(1));
    reactor.world.now = Instant::now();
    let (core, is_over) = (first_core(), Arc::new(AtomicBool::new(false)));
    on_core(core);
    let computes = Arc::clone(&is_over);
    let other = std::thread::spawn(move || {
        on_core(core);
        while !computes.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    });
    let (begin, counters) = (Instant::now(), Arc::clone(&reactor.world.counters));
    while counters.spins_interrupted.get() == 0 && begin.elapsed() < PATIENCE {
        reactor.spin(Instant::now() + PATIENCE);
    }
    is_over.store(true, Ordering::Relaxed);
    other.join().unwrap();
    assert_eq!(counters.spins_interrupted.get(), 1);
    // Before it has backed off, so before that is over, however long the end of the other thread took.
    reactor.world.now = begin;
    reactor.last_event = begin;
    assert_eq!((reactor.after_event(), reactor.next_reply()), (None, None));
    reactor.world.now = Instant::now() + SILENCE_MIN;
    reactor.last_event = reactor.world.now;
    reactor.world.service.next_reply = Some(reactor.world.now + SPIN);
    assert!(reactor.after_event().is_some() && reactor.next_reply().is_some());
}

#[test]
fn each_time_that_it_is_so_again_nothing_spins_for_twice_as_long() {
    let mut now = Instant::now();
    let mut backoff = Backoff::new(now);
    assert!(backoff.allows(now));
    let mut silence = SILENCE_MIN;
    for _ in 0..20 {
        backoff.was_away(now);
        assert!(!backoff.allows(now + silence.saturating_sub(Duration::from_nanos(1))));
        assert!(backoff.allows(now + silence), "{silence:?}");
        // Soon after it has begun to spin again.
        now += silence + silence / 2;
        silence = (silence * 2).min(SILENCE_MAX);
    }
    assert_eq!(silence, SILENCE_MAX);
    // It has spun undisturbed for longer than it had been silent.
    now += SILENCE_MAX;
    backoff.was_away(now);
    assert!(backoff.allows(now + SILENCE_MIN));
}

/// The first core that this process may use.
fn first_core() -> usize {
    let cores = sched_getaffinity(None).unwrap();
    (0..CpuSet::MAX_CPU).find(|core| cores.is_set(*core)).unwrap()
}

/// Keeps this thread on a core.
fn on_core(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).unwrap();
}
