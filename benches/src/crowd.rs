//! Many clients on one thread: each connection has a number of requests under way, and sends one more for every reply. That
//! is a closed loop, which shows what a request costs the server and says nothing about latency under load.

use crate::address::Address;
use crate::exchange::Exchange;
use crate::socket::{self, Wait};
use anyhow::{Context, Result, ensure};
use graphpipe_schema::frame::HEADER_BYTES;
use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How many clients there are, and how many requests each has under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Number of connections.
    pub connections: usize,
    /// Requests of each that are under way at any time.
    pub depth: usize,
}

impl Load {
    /// The loads that small requests are measured with: alone, many closed loops, pipelined.
    pub const ALL: [Load; 3] =
        [Load { connections: 1, depth: 1 }, Load { connections: 64, depth: 1 }, Load { connections: 16, depth: 16 }];
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} × {}", self.connections, self.depth)
    }
}

/// The clients. They go on from where the last run left them.
#[derive(Debug)]
pub struct Crowd {
    clients: Vec<Client>,
    poll: OwnedFd,
    exchange: Exchange,
    depth: usize,
    /// Twice as many requests as are under way, with ids that come round, so that any number of them is one piece.
    requests: Vec<u8>,
    /// Nanoseconds of each round trip, if they are wanted.
    round_trips: Option<Vec<u64>>,
}

#[derive(Debug)]
struct Client {
    socket: OwnedFd,
    /// The next request to be sent, less than the depth.
    next: usize,
    /// Replies: never more than what is under way, so they always fit.
    received: Vec<u8>,
    filled: usize,
    /// When the requests under way were sent, if anybody wants to know.
    sent: VecDeque<Instant>,
}

/// Bytes of an id in a header, and where they stand.
const ID: std::ops::Range<usize> = 16..24;

impl Crowd {
    /// Connects all, and sends the first requests.
    pub fn connect(address: &Address, exchange: &Exchange, load: Load) -> Result<Crowd> {
        Crowd::open(address, exchange, load, None)
    }

    /// Connects all to a server that replies in order, and notes how long each round trip takes.
    pub fn timed(address: &Address, exchange: &Exchange, load: Load) -> Result<Crowd> {
        Crowd::open(address, exchange, load, Some(Vec::with_capacity(1 << 20)))
    }

    fn open(address: &Address, exchange: &Exchange, load: Load, round_trips: Option<Vec<u64>>) -> Result<Crowd> {
        ensure!(exchange.reply_bytes() > HEADER_BYTES, "a reply has a header and more");
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).context("epoll")?;
        let mut requests = exchange.request().repeat(2 * load.depth);
        for (index, frame) in requests.chunks_exact_mut(exchange.request().len()).enumerate() {
            let id = (index % load.depth + 1) as u64;
            frame[ID].copy_from_slice(&id.to_le_bytes());
        }
        let mut clients = Vec::with_capacity(load.connections);
        for index in 0..load.connections {
            let socket = socket::connect(address)?;
            epoll::add(&poll, &socket, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN)?;
            let received = vec![0; exchange.reply_bytes() * load.depth];
            clients.push(Client { socket, next: 0, received, filled: 0, sent: VecDeque::with_capacity(load.depth) });
        }
        let exchange = exchange.clone();
        let mut crowd = Crowd { clients, poll, exchange, depth: load.depth, requests, round_trips };
        for index in 0..load.connections {
            crowd.send(index, load.depth)?;
        }
        Ok(crowd)
    }

    /// Goes on for so long; returns the number of replies, at least one.
    pub fn run(&mut self, duration: Duration) -> Result<u64> {
        let (deadline, mut replies) = (Instant::now() + duration, 0);
        let mut events = Vec::with_capacity(256);
        while Instant::now() < deadline || replies == 0 {
            ensure!(Instant::now() < deadline + PATIENCE, "no reply within {PATIENCE:?}");
            events.clear();
            epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), Some(&TICK)).context("epoll")?;
            for event in &events {
                let index = event.data.u64() as usize;
                let whole = self.receive(index)?;
                self.send(index, whole)?;
                replies += whole as u64;
            }
        }
        Ok(replies)
    }

    /// The round trips that have ended since the last call, in nanoseconds.
    pub fn take_round_trips(&mut self) -> Vec<u64> {
        self.round_trips
            .as_mut()
            .map_or(Vec::new(), |round_trips| std::mem::replace(round_trips, Vec::with_capacity(1 << 20)))
    }

    /// Takes in what has come; returns how many replies are whole.
    fn receive(&mut self, index: usize) -> Result<usize> {
        let client = &mut self.clients[index];
        match recv(&client.socket, &mut client.received[client.filled..], RecvFlags::DONTWAIT) {
            Ok((0, _)) => anyhow::bail!("the server closed a connection"),
            Ok((bytes, _)) => client.filled += bytes,
            Err(Errno::AGAIN) => {}
            Err(error) => return Err(error).context("receiving"),
        }
        let bytes = self.exchange.reply_bytes();
        let whole = client.filled / bytes;
        for reply in client.received[..whole * bytes].chunks_exact(bytes) {
            self.exchange.check(reply)?;
        }
        if let Some(round_trips) = self.round_trips.as_mut().filter(|_| whole > 0) {
            let now = Instant::now();
            round_trips.extend(client.sent.drain(..whole).map(|sent| now.duration_since(sent).as_nanos() as u64));
        }
        client.received.copy_within(whole * bytes..client.filled, 0);
        client.filled -= whole * bytes;
        Ok(whole)
    }

    fn send(&mut self, index: usize, count: usize) -> Result<()> {
        let client = &mut self.clients[index];
        let bytes = self.exchange.request().len();
        if self.round_trips.is_some() && count > 0 {
            client.sent.extend(std::iter::repeat_n(Instant::now(), count));
        }
        socket::transmit(
            &client.socket,
            &self.requests[client.next * bytes..(client.next + count) * bytes],
            Wait::Block,
        )?;
        client.next = (client.next + count) % self.depth;
        Ok(())
    }
}

/// How long the first reply may take. On a machine that others use it may take longer than a measurement.
const PATIENCE: Duration = Duration::from_secs(10);
/// So that a server which stops answering does not stop the clock.
const TICK: rustix::event::Timespec = rustix::event::Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
