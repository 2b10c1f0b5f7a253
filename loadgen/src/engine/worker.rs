//! The loop of one thread: asks when it is time, sleeps until something happens, looks after connections that have none.

use super::arrivals::{Arrivals, Pace};
use super::connection::{Connection, End, State};
use super::failure::Failure;
use super::ledger::{Asked, Ledger};
use super::tally::Tally;
use super::{Clock, Live, Plan, nanos, thread_time};
use crate::socket;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// What one receive takes at most. Warm memory that fits into the second-level cache.
const RECEIVE_BYTES: usize = 256 << 10;
/// Events of one wait.
const EVENTS_MAX: usize = 64;
/// A sleep ends about as much too late as it takes to wake a core; so much before its time the thread begins to poll.
const WAKE_NS: u64 = 60_000;
/// A wait that was shorter has found what was there already: the thread did not rest.
const REST_NS: u64 = 5_000;
/// So many requests that were never sent are counted before replies are looked for again.
const GIVE_UP_MAX: usize = 256;
/// Timeouts are looked for this often at least and at most, in nanoseconds.
const LOOK_NS: (u64, u64) = (1_000_000, 100_000_000);

/// One thread's part of a round.
#[derive(Debug)]
pub(super) struct Worker<'a> {
    plan: &'a Plan<'a>,
    clock: Clock,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// Connections that can take a request, longest idle first.
    ready: VecDeque<u32>,
    /// When this thread had nothing to do last: what is late since then is late by its own fault.
    rested_at: u64,
    /// The schedule, and the next time of it. In a closed loop there is none.
    arrivals: Option<Arrivals>,
    due: Option<u64>,
    /// Which request is next.
    next_request: u32,
    buffer: Box<[u8]>,
    ledger: Ledger<'a>,
    /// When timeouts are looked for next.
    next_look: u64,
    /// Whether more requests than one look takes are to be given up: then there is no time to sleep.
    gives_up: bool,
    awake: Awake,
}

/// How long the thread was awake within the window.
#[derive(Debug, Default)]
struct Awake {
    /// When the window began and ended, as soon as it was noticed, and how long the thread had been awake until then.
    at_begin: Option<(u64, u64)>,
    at_end: Option<(u64, u64)>,
    /// Nanoseconds in which it slept, or polled and found nothing.
    idle: u64,
}

impl Awake {
    /// The part of the window in which it worked or wanted to, 0 to 1. A thread that polls is never asleep: there it is the
    /// time outside of waits; otherwise the kernel knows better, which also counts how long it waited for its core.
    fn part(&self, polls: bool) -> f64 {
        let (Some((begin, awake_at_begin)), Some((end, awake_at_end))) = (self.at_begin, self.at_end) else {
            return 0.0;
        };
        let whole = end.saturating_sub(begin).max(1) as f64;
        let awake = if polls { whole - self.idle as f64 } else { awake_at_end.saturating_sub(awake_at_begin) as f64 };
        (awake / whole).clamp(0.0, 1.0)
    }
}

impl<'a> Worker<'a> {
    pub(super) fn new(plan: &'a Plan<'a>, index: usize, start: Instant, live: &'a Live) -> io::Result<Worker<'a>> {
        let ledger = Ledger::new(plan, live);
        let mut arrivals = match plan.pace {
            Pace::Closed => None,
            Pace::Open(schedule) => Some(Arrivals::new(schedule, index, plan.threads, ledger.end())),
        };
        let clients = plan.clients / plan.threads + usize::from(index < plan.clients % plan.threads);
        let new = || Connection::new(plan.pipeline, plan.dialect.replies(plan.checker.is_some()));
        // Sleeps end when they should, not 50 µs later.
        rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
        Ok(Worker {
            plan,
            clock: Clock(start),
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            connections: (0..clients).map(|_| new()).collect(),
            ready: VecDeque::with_capacity(clients),
            rested_at: 0,
            due: arrivals.as_mut().and_then(Iterator::next),
            arrivals,
            // Threads begin at different requests.
            next_request: (index * plan.requests.len() / plan.threads) as u32,
            buffer: vec![0; RECEIVE_BYTES].into_boxed_slice(),
            ledger,
            next_look: 0,
            gives_up: false,
            awake: Awake::default(),
        })
    }

    /// Works until the round is over. Returns what was counted, and the connections as they are.
    pub(super) fn run(mut self) -> io::Result<(Tally, Vec<Connection>)> {
        let no_event = epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) };
        let mut events = [no_event; EVENTS_MAX];
        loop {
            let now = self.clock.now();
            if now >= self.next_look {
                self.look_around(now)?;
            }
            self.issue()?;
            if now >= self.ledger.end() && self.due.is_none() && self.connections.iter().all(Connection::is_idle) {
                break;
            }
            if self.is_a_dialogue() {
                let before = self.clock.now();
                if !self.receive(0, !self.plan.spin)? {
                    self.rested(before, self.clock.now());
                }
                continue;
            }
            let count = self.wait(&mut events)?;
            for event in &events[..count] {
                self.happened(event.data.u64(), event.flags)?;
                // A schedule is kept between any two events. In a closed loop nothing is late: first all replies are read,
                // as near to their arrival as can be, then the next requests are sent.
                if self.arrivals.is_some() {
                    self.issue()?;
                }
            }
        }
        let awake = self.awake.part(self.plan.spin || self.arrivals.is_some());
        Ok((self.ledger.close(awake), self.connections))
    }

    /// Whether there is nothing to wait for but the reply on the only connection: then a receive waits for it, which is a
    /// system call less than asking an epoll first, and what a client with one connection does.
    fn is_a_dialogue(&self) -> bool {
        let [only] = &self.connections[..] else { return false };
        self.arrivals.is_none() && matches!(only.state, State::Open { .. }) && !only.wants_room && !only.is_idle()
    }

    /// Sleeps until something happens, a request is due, or timeouts have to be looked for.
    fn wait(&mut self, events: &mut [epoll::Event]) -> io::Result<usize> {
        let now = self.clock.now();
        let mut until = self.next_look;
        if let Some(due) = self.due.filter(|_| !self.ready.is_empty()) {
            until = until.min(due.saturating_sub(WAKE_NS));
        }
        let sleep = if self.plan.spin || self.gives_up { 0 } else { until.saturating_sub(now) };
        let timeout = Timespec { tv_sec: (sleep / 1_000_000_000) as i64, tv_nsec: (sleep % 1_000_000_000) as i64 };
        let count = match epoll::wait(&self.epoll, events, Some(&timeout)) {
            Ok(count) => count,
            Err(Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        let woken = self.clock.now();
        if count == 0 || woken - now > REST_NS {
            // A sleep that ended later than it was to is no rest from then on.
            self.rested_at = woken.min(now + sleep);
            self.rested(now, self.rested_at);
        }
        Ok(count)
    }

    /// There was nothing to do from `begin` to `end`.
    fn rested(&mut self, begin: u64, end: u64) {
        let begin = begin.max(self.ledger.begin());
        self.awake.idle += end.min(self.ledger.end()).saturating_sub(begin);
    }

    /// Sends what is to be sent now.
    fn issue(&mut self) -> io::Result<()> {
        if self.arrivals.is_some() {
            return self.issue_due();
        }
        while let Some(index) = self.ready.pop_front() {
            let connection = &mut self.connections[index as usize];
            connection.listed = false;
            let now = self.clock.now();
            if now >= self.ledger.end() {
                continue;
            }
            while connection.has_room() {
                let asked = Asked { intended: now, sent: now, request: self.next_request };
                self.next_request = (self.next_request + 1) % self.plan.requests.len() as u32;
                connection.ask(asked);
                self.ledger.sent(asked, 0);
            }
            self.send(index)?;
        }
        Ok(())
    }

    fn issue_due(&mut self) -> io::Result<()> {
        let mut given_up = 0;
        self.gives_up = false;
        while let Some(intended) = self.due {
            let now = self.clock.now();
            if intended > now {
                break;
            }
            if given_up == GIVE_UP_MAX {
                self.gives_up = true;
                break;
            }
            if now - intended > nanos(self.plan.timeout) {
                given_up += 1;
                self.ledger.unsent(intended, now, now - intended.max(self.rested_at));
                self.due = self.arrivals.as_mut().and_then(Iterator::next);
                continue;
            }
            let Some(index) = self.ready.pop_front() else { break };
            let connection = &mut self.connections[index as usize];
            connection.listed = false;
            if !connection.has_room() {
                continue;
            }
            let asked = Asked { intended, sent: now, request: self.next_request };
            self.next_request = (self.next_request + 1) % self.plan.requests.len() as u32;
            connection.ask(asked);
            self.ledger.sent(asked, now - intended.max(self.rested_at));
            self.send(index)?;
            self.list(index);
            self.due = self.arrivals.as_mut().and_then(Iterator::next);
        }
        Ok(())
    }

    /// Puts a connection that has room among those that are ready.
    fn list(&mut self, index: u32) {
        let connection = &mut self.connections[index as usize];
        if connection.has_room() && !connection.listed {
            connection.listed = true;
            self.ready.push_back(index);
        }
    }

    fn send(&mut self, index: u32) -> io::Result<()> {
        let connection = &mut self.connections[index as usize];
        let wanted_room = connection.wants_room;
        match connection.send(self.plan.requests) {
            Ok(bytes) => {
                self.ledger.sent_bytes(bytes, self.clock.now());
                if connection.wants_room != wanted_room {
                    self.watch(index)?;
                }
                Ok(())
            }
            Err(end) => self.give_up(index, &end),
        }
    }

    /// Tells the epoll what this connection waits for.
    fn watch(&self, index: u32) -> io::Result<()> {
        let connection = &self.connections[index as usize];
        let State::Open { socket } = &connection.state else { return Ok(()) };
        epoll::modify(&self.epoll, socket, event_data(connection, index), interest(connection))?;
        Ok(())
    }

    fn happened(&mut self, data: u64, flags: epoll::EventFlags) -> io::Result<()> {
        let (index, generation) = (data as u32, (data >> 32) as u32);
        let connection = &mut self.connections[index as usize];
        if connection.generation != generation {
            return Ok(());
        }
        match &connection.state {
            State::Down { .. } => Ok(()),
            State::Connecting { .. } => self.connected(index),
            State::Open { .. } => {
                if flags.contains(epoll::EventFlags::OUT) {
                    self.send(index)?;
                }
                let input = epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR;
                if flags.intersects(input) {
                    self.receive(index, false)?;
                }
                Ok(())
            }
        }
    }

    /// Takes what a connection has received; returns whether there was something.
    fn receive(&mut self, index: u32, wait: bool) -> io::Result<bool> {
        let connection = &mut self.connections[index as usize];
        let State::Open { socket } = &connection.state else { return Ok(false) };
        let received = socket::receive(socket, &mut self.buffer, wait);
        let now = self.clock.now();
        let outcome = match received {
            Ok(0) => Err(connection.take_end(now, &mut self.ledger)),
            Ok(bytes) => {
                self.ledger.received_bytes(bytes, now);
                connection.take(&self.buffer[..bytes], now, &mut self.ledger)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => Err(End { failure: Failure::Closed, text: format!("receiving failed: {error}") }),
        };
        match outcome {
            Ok(()) => self.list(index),
            Err(end) => self.give_up(index, &end)?,
        }
        Ok(true)
    }

    /// Ends a connection, and begins anew when its time has come.
    fn give_up(&mut self, index: u32, end: &End) -> io::Result<()> {
        let replies = self.plan.dialect.replies(self.plan.checker.is_some());
        let now = self.clock.now();
        let again_at = self.connections[index as usize].give_up(end, replies, now, &mut self.ledger);
        if again_at <= now {
            return self.connect(index, now);
        }
        self.next_look = self.next_look.min(again_at);
        Ok(())
    }

    fn connect(&mut self, index: u32, now: u64) -> io::Result<()> {
        match socket::begin(self.plan.endpoint, self.plan.congestion) {
            Ok((socket, done)) => {
                let connection = &mut self.connections[index as usize];
                epoll::add(
                    &self.epoll,
                    &socket,
                    event_data(connection, index),
                    epoll::EventFlags::IN | epoll::EventFlags::OUT,
                )?;
                connection.state = State::Connecting { socket, since: now };
                if done { self.connected(index) } else { Ok(()) }
            }
            // What the system does not give is nobody's fault at the other end.
            Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::MFILE | Errno::NFILE)) => Err(error),
            Err(error) => {
                self.refused(index, &error);
                Ok(())
            }
        }
    }

    /// A connection is made, or is not.
    fn connected(&mut self, index: u32) -> io::Result<()> {
        let patience = Duration::from_nanos(self.look_ns());
        let connection = &mut self.connections[index as usize];
        let state = std::mem::replace(&mut connection.state, State::Down { again_at: 0 });
        let State::Connecting { socket, .. } = state else { return Ok(()) };
        if let Err(error) = socket::outcome(&socket, patience) {
            self.refused(index, &error);
            return Ok(());
        }
        connection.state = State::Open { socket };
        self.watch(index)?;
        self.list(index);
        Ok(())
    }

    /// The server has not accepted a connection.
    fn refused(&mut self, index: u32, error: &io::Error) {
        let endpoint = self.plan.endpoint;
        let now = self.clock.now();
        self.ledger.fail(now, now, Failure::Connect, || format!("cannot connect to {endpoint}: {error}"));
        let end = End { failure: Failure::Connect, text: String::new() };
        let connection = &mut self.connections[index as usize];
        let replies = self.plan.dialect.replies(self.plan.checker.is_some());
        let again_at = connection.give_up(&end, replies, self.clock.now(), &mut self.ledger);
        // Never at once: nobody may be there for long.
        let again_at = again_at.max(self.clock.now() + LOOK_NS.0);
        connection.state = State::Down { again_at };
        self.next_look = self.next_look.min(again_at);
    }

    /// How long after one look for timeouts the next one is.
    fn look_ns(&self) -> u64 {
        (nanos(self.plan.timeout) / 16).clamp(LOOK_NS.0, LOOK_NS.1)
    }

    /// Looks for timeouts and for connections that are to be made, and decides when to look again.
    fn look_around(&mut self, now: u64) -> io::Result<()> {
        let timeout = nanos(self.plan.timeout);
        self.next_look = now + self.look_ns();
        for (time, mark) in
            [(self.ledger.begin(), &mut self.awake.at_begin), (self.ledger.end(), &mut self.awake.at_end)]
        {
            if now < time {
                self.next_look = self.next_look.min(time);
            } else if mark.is_none() {
                *mark = Some((now, thread_time::awake_ns()));
            }
        }
        for index in 0..self.connections.len() as u32 {
            let connection = &self.connections[index as usize];
            match &connection.state {
                State::Down { again_at } if *again_at <= now => self.connect(index, now)?,
                State::Down { again_at } => self.next_look = self.next_look.min(*again_at),
                State::Connecting { since, .. } if now - since > timeout => {
                    let error = io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
                    self.refused(index, &error);
                }
                State::Open { .. } if connection.oldest().is_some_and(|asked| now > asked.sent + timeout) => {
                    let text = format!("no reply within {:?}", self.plan.timeout);
                    self.give_up(index, &End { failure: Failure::Timeout, text })?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What an event of this connection carries: its place and its generation.
fn event_data(connection: &Connection, index: u32) -> epoll::EventData {
    epoll::EventData::new_u64(u64::from(connection.generation) << 32 | u64::from(index))
}

fn interest(connection: &Connection) -> epoll::EventFlags {
    let room = if connection.wants_room { epoll::EventFlags::OUT } else { epoll::EventFlags::empty() };
    epoll::EventFlags::IN | room
}
