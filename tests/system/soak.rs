//! Everything at once: 64 connections over TCP, Unix sockets and HTTP ask three models for rows of many shapes, go away in
//! the middle, send slowly, and have deadlines. Every reply is the right one, and nothing is left behind.
//!
//! For 3 seconds in each way of running batches, or for as many as `GRAPHPIPED_SOAK_SECONDS` says. The order of events is
//! the scheduler's, what each connection does is the seed's.

use crate::support::http::post;
use crate::support::native::Stream;
use crate::support::rows::{doubled, model, pending, rows};
use crate::support::{Address, Connection, Daemon, HttpConnection, Random, Tensor, native};
use graphpipe_schema::Code;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const CONNECTIONS: u64 = 64;
const ROWS_MAX: u64 = 16;
/// Numbers in a row of the model whose rows differ; the last makes requests of up to 53 kB.
const LENGTHS: [usize; 3] = [3, 50, 700];
/// A client that sends all of a burst before it reads must not send more than sockets hold.
const BURST_BYTES_MAX: usize = 64 << 10;
const BURST_MAX: u64 = 8;
/// Further requests may find larger buffers in use than the first third did, and allocators keep what they had once. In two
/// minutes, a leak of 150 bytes with each request would be more.
const GROWN_BYTES_MAX: u64 = 16 << 20;

#[test]
fn every_reply_is_right_where_the_cost_decides_who_runs_batches() {
    soak(&["--inline", "auto"]);
}

#[test]
fn every_reply_is_right_where_two_executors_run_batches() {
    soak(&["--inline", "never", "--instances", "2"]);
}

#[test]
fn every_reply_is_right_where_reactors_run_batches() {
    soak(&["--inline", "always", "--io-threads", "2"]);
}

fn soak(arguments: &[&str]) {
    let random = Random::new();
    let seconds = std::env::var("GRAPHPIPED_SOAK_SECONDS").map_or(3, |text| text.parse().expect("seconds"));
    let (double, sums) = (model("double"), model("sums"));
    let models = ["--model", &double, "--model", &sums, "--model", "echo=echo:", "--batch", "auto"];
    let daemon = Daemon::start(&[&models, ["--max-batch", "16"].as_slice(), arguments].concat());
    let (tally, start, all) = (Tally::default(), Instant::now(), Duration::from_secs(seconds));
    let resident = std::thread::scope(|scope| {
        for index in 0..CONNECTIONS {
            let mut client = Client::new(&daemon, index, random.fork(index), &tally);
            scope.spawn(move || {
                while start.elapsed() < all {
                    client.act();
                }
            });
        }
        std::thread::sleep(all / 3);
        daemon.resident_bytes()
    });
    check_the_end(daemon, &tally, resident, arguments);
}

/// Nothing is left of all that: no row, no buffer, no memory.
fn check_the_end(daemon: Daemon, tally: &Tally, then: u64, arguments: &[&str]) {
    println!("{arguments:?}: {tally:?}");
    let metrics = daemon
        .metrics_until("empty", |metrics| pending(metrics) == 0 && metrics.sum("graphpiped_memory_in_use_bytes") == 0);
    let now = daemon.resident_bytes();
    println!("{then} bytes resident after a third, {now} at the end");
    assert!(now <= then + GROWN_BYTES_MAX, "{} bytes more", now - then);
    for count in [&tally.right, &tally.late, &tally.left, &tally.slow] {
        assert!(count.load(Ordering::Relaxed) > 0, "{tally:?}");
    }
    assert_eq!(metrics.sum("graphpiped_batch_lanes{model=\"double\"}"), LENGTHS.len() as u64);
    let (batches, inline) = (metrics.sum("graphpiped_batch_rows_count"), metrics.sum("graphpiped_batch_inline_total"));
    assert!(batches > 0);
    match arguments[1] {
        "never" => assert_eq!(inline, 0),
        "always" => assert!(inline > 0),
        _ => assert!(inline <= batches),
    }
    assert_eq!(metrics.sum("graphpiped_batch_wrong_rows_total"), 0);
    assert_eq!(metrics.sum("graphpiped_model_failures_total"), 0);
    daemon.stop();
}

/// What has happened, in all connections together.
#[derive(Debug, Default)]
struct Tally {
    /// Right answers.
    right: AtomicU64,
    /// Requests answered with "deadline exceeded".
    late: AtomicU64,
    /// Requests answered with "busy".
    busy: AtomicU64,
    /// Connections ended with something in flight.
    left: AtomicU64,
    /// Requests sent slowly.
    slow: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// A request: what is sent, and what its reply must be.
struct Sent {
    has_deadline: bool,
    outputs: Vec<Tensor>,
}

/// One connection at a time, of one kind.
struct Client<'t> {
    address: Address,
    is_http: bool,
    random: Random,
    tally: &'t Tally,
    link: Option<Link>,
    next_id: u64,
    /// By the frame's id.
    waiting: HashMap<u64, Sent>,
}

enum Link {
    Native(Connection),
    Http(HttpConnection),
}

impl Link {
    fn stream(&mut self) -> &mut Stream {
        match self {
            Link::Native(connection) => &mut connection.0,
            Link::Http(connection) => &mut connection.stream,
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream().write_all(bytes).expect("the daemon reads");
    }
}

impl<'t> Client<'t> {
    fn new(daemon: &Daemon, index: u64, random: Random, tally: &'t Tally) -> Client<'t> {
        let address = daemon.addresses()[index as usize % 2].clone();
        let is_http = index % 4 >= 2;
        Client { address, is_http, random, tally, link: None, next_id: index << 32, waiting: HashMap::new() }
    }

    fn act(&mut self) {
        let requests = self.burst();
        let bytes = requests.concat();
        let first = requests[0].len();
        match self.random.below(100) {
            0..4 => {
                let at = 1 + self.random.below(bytes.len() as u64 - 1) as usize;
                self.leave_after(&bytes[..at]);
            }
            4..7 => self.leave_after(&bytes),
            7..10 => {
                self.link().send(&bytes[..first]);
                let some = 1 + self.random.below(200) as usize;
                let read = self.link().stream().read(&mut vec![0; some]).expect("a reply");
                assert!(read > 0, "the daemon ended the connection");
                self.leave();
            }
            10..20 => {
                self.send_slowly(&bytes);
                self.listen();
            }
            _ => {
                self.link().send(&bytes);
                self.listen();
            }
        }
    }

    fn link(&mut self) -> &mut Link {
        let (address, is_http) = (&self.address, self.is_http);
        self.link.get_or_insert_with(|| {
            if is_http { Link::Http(HttpConnection::to(address)) } else { Link::Native(Connection::to(address)) }
        })
    }

    fn leave_after(&mut self, bytes: &[u8]) {
        self.link().send(bytes);
        self.leave();
    }

    fn leave(&mut self) {
        count(&self.tally.left);
        self.link = None;
        self.waiting.clear();
    }

    /// In a few pieces, with pauses in which others are served.
    fn send_slowly(&mut self, bytes: &[u8]) {
        count(&self.tally.slow);
        let mut rest = bytes;
        while !rest.is_empty() {
            let part = 1 + self.random.below(rest.len() as u64) as usize;
            self.link().send(&rest[..part]);
            rest = &rest[part..];
            std::thread::sleep(Duration::from_micros(self.random.below(8000)));
        }
    }

    /// Some requests to be sent together.
    fn burst(&mut self) -> Vec<Vec<u8>> {
        let (wanted, mut bytes, mut requests) = (1 + self.random.below(BURST_MAX), 0, Vec::new());
        while bytes == 0 || (bytes < BURST_BYTES_MAX && (requests.len() as u64) < wanted) {
            let request = self.request();
            bytes += request.len();
            requests.push(request);
        }
        requests
    }

    fn request(&mut self) -> Vec<u8> {
        // None, one that nobody can keep, one that everybody can.
        let deadline_us = [0, 0, 0, 0, 0, 0, 1, 60_000_000][self.random.below(8) as usize];
        let (model, inputs, names, outputs) = self.draw();
        let message = native::message_within(deadline_us, model, &inputs, &names);
        self.next_id += 1;
        self.waiting.insert(self.next_id, Sent { has_deadline: deadline_us != 0, outputs });
        if self.is_http { post(&message.0) } else { native::frame(self.next_id, &message) }
    }

    /// Draws a model, inputs for it, names of outputs, and what these must be.
    fn draw(&mut self) -> (&'static str, Vec<Tensor>, Vec<&'static str>, Vec<Tensor>) {
        let count = self.random.below(ROWS_MAX + 4) as usize;
        let length = LENGTHS[self.random.below(3) as usize];
        let first = self.random.below(4096) as u32;
        let x = rows(count, length, first, None);
        match self.random.below(8) {
            0 => {
                let echoed = Tensor { name: "", ..x.clone() };
                ("echo", vec![echoed.clone()], vec![], vec![echoed])
            }
            1..3 => {
                let (a, b) = (rows(count, 16, first, None), rows(count, 16, first / 3, None));
                let [sum, difference] = [1.0, -1.0].map(|sign| added(&a, &b, sign));
                let mut inputs = vec![Tensor { name: "a", ..a }, Tensor { name: "b", ..b }];
                let order = self.random.below(2) as usize;
                inputs.rotate_left(order);
                match self.random.below(3) {
                    0 => ("sums", inputs, vec!["difference"], vec![difference]),
                    1 => ("sums", inputs, vec!["difference", "sum"], vec![difference, sum]),
                    _ => ("sums", inputs, vec![], vec![sum, difference]),
                }
            }
            _ => {
                let y = doubled(&x);
                ("double", vec![x], vec![], vec![y])
            }
        }
    }

    /// Reads the replies to all that waits.
    fn listen(&mut self) {
        while !self.waiting.is_empty() {
            let first = self.waiting.keys().min().copied().expect("there is one");
            let (id, result) = match self.link.as_mut().expect("something was sent") {
                Link::Native(connection) => {
                    let reply = connection.reply();
                    let result = if reply.header.flags == 0 { Ok(reply.outputs()) } else { Err(reply.error()) };
                    (reply.header.id, result.map_err(|(code, words)| (Code::from_wire(code), words)))
                }
                Link::Http(connection) => (first, read_http(connection)),
            };
            let sent = self.waiting.remove(&id).expect("a reply to what was asked, once");
            self.check(&sent, result);
        }
    }

    fn check(&self, sent: &Sent, result: Result<Vec<Tensor>, (Option<Code>, String)>) {
        match result {
            Ok(outputs) => {
                assert!(outputs == sent.outputs, "another answer than the right one");
                count(&self.tally.right);
            }
            Err((Some(Code::DeadlineExceeded), _)) if sent.has_deadline => count(&self.tally.late),
            Err((Some(Code::Busy), _)) => count(&self.tally.busy),
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn read_http(connection: &mut HttpConnection) -> Result<Vec<Tensor>, (Option<Code>, String)> {
    let reply = connection.reply();
    let code = match reply.status {
        200 => return Ok(reply.into_reply().outputs()),
        503 => Some(Code::Busy),
        504 => Some(Code::DeadlineExceeded),
        _ => None,
    };
    Err((code, reply.head + &String::from_utf8_lossy(&reply.body)))
}

fn added(a: &Tensor, b: &Tensor, sign: f32) -> Tensor {
    let numbers: Vec<f32> = a.numbers().iter().zip(b.numbers()).map(|(a, b)| a + sign * b).collect();
    Tensor::floats("", &a.shape, &numbers)
}
