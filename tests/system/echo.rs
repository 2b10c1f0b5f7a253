//! Many pipelined requests of random types and shapes: every reply is right, none is lost, and the daemon's memory does not
//! grow.

use crate::support::{Daemon, Random};
use graphpipe_client::{Client, DType, Id, Request, Response, Tensor};
use std::collections::HashMap;

const CLIENTS: u64 = 8;
const REQUESTS: usize = 10_000;
/// After these, every buffer and every list of the daemon has reached its size.
const WARM: usize = 1000;
const IN_FLIGHT_MAX: usize = 100;
/// Payloads are cut out of so many random bytes.
const SOURCE_BYTES: usize = 1 << 20;

/// One tensor of a request: what its echo must be.
struct Sent {
    dtype: DType,
    shape: Vec<i64>,
    start: usize,
    bytes: usize,
}

/// Draws a tensor: any type of fixed size, rank 0 to 4, most of them small, some large, some empty.
fn draw(random: &mut Random) -> Sent {
    let numbers: Vec<DType> = DType::ALL.into_iter().filter(|dtype| dtype.size().is_some()).collect();
    let dtype = numbers[random.below(numbers.len() as u64) as usize];
    let dim_max = match random.below(100) {
        0 => 24,
        1..10 => 10,
        _ => 4,
    };
    let shape: Vec<i64> = (0..random.below(5)).map(|_| random.below(dim_max) as i64).collect();
    let bytes = shape.iter().product::<i64>() as usize * dtype.size().expect("drawn so");
    let start = random.below((SOURCE_BYTES - bytes.min(SOURCE_BYTES - 1)) as u64) as usize;
    if start + bytes > SOURCE_BYTES { draw(random) } else { Sent { dtype, shape, start, bytes } }
}

/// A client's side of the conversation.
struct Talk {
    client: Client,
    random: Random,
    source: Vec<u8>,
    waiting: HashMap<Id, Vec<Sent>>,
}

impl Talk {
    fn new(address: &str, mut random: Random) -> Talk {
        let source = random.bytes(SOURCE_BYTES);
        Talk { client: Client::connect(address).expect("it listens"), random, source, waiting: HashMap::new() }
    }

    fn ask(&mut self) {
        let tensors: Vec<Sent> = (0..=self.random.below(3)).map(|_| draw(&mut self.random)).collect();
        let request = tensors.iter().fold(Request::new(), |request, sent| {
            request.input(Tensor::raw(sent.dtype, &sent.shape, &self.source[sent.start..][..sent.bytes]))
        });
        let id = self.client.send(&request).expect("it is sent");
        assert!(self.waiting.insert(id, tensors).is_none());
    }

    fn listen(&mut self) {
        let (id, reply) = self.client.receive().expect("a reply");
        let sent = self.waiting.remove(&id).expect("a reply to what was asked, once");
        self.check(&sent, &reply.expect("outputs"));
    }

    fn check(&self, sent: &[Sent], reply: &Response) {
        assert_eq!(reply.len(), sent.len());
        for (output, sent) in reply.outputs().zip(sent) {
            assert_eq!(output.dtype(), sent.dtype);
            assert_eq!(output.shape(), sent.shape);
            assert!(output.bytes() == &self.source[sent.start..][..sent.bytes], "other bytes came back");
        }
    }

    /// As many requests at a time as there may be, so that the daemon has had the most to hold that it will ever have.
    fn warm_up(&mut self) {
        for _ in 0..WARM / IN_FLIGHT_MAX {
            (0..IN_FLIGHT_MAX).for_each(|_| self.ask());
            (0..IN_FLIGHT_MAX).for_each(|_| self.listen());
        }
    }

    /// Asks and listens in random turns, until all is answered.
    fn hold(&mut self, requests: usize) {
        let mut left = requests;
        while left > 0 || !self.waiting.is_empty() {
            let room = IN_FLIGHT_MAX - self.waiting.len();
            let burst = self.random.below(room as u64 + 1) as usize;
            (0..burst.min(left)).for_each(|_| self.ask());
            left -= burst.min(left);
            let replies = self.random.below(self.waiting.len() as u64 + 1);
            (0..replies).for_each(|_| self.listen());
        }
    }
}

/// Lets all clients talk at the same time.
fn together(talks: Vec<Talk>, talk: fn(&mut Talk)) -> Vec<Talk> {
    std::thread::scope(|scope| {
        let start = |mut one: Talk| {
            scope.spawn(move || {
                talk(&mut one);
                one
            })
        };
        let threads: Vec<_> = talks.into_iter().map(start).collect();
        threads.into_iter().map(|thread| thread.join().expect("no assertion failed in it")).collect()
    })
}

/// All that is promised, over one address.
fn talk(daemon: Daemon, address: &str) {
    let random = Random::new();
    let talks = (0..CLIENTS).map(|index| Talk::new(address, random.fork(index))).collect();
    let talks = together(talks, Talk::warm_up);
    let warm = daemon.resident_bytes();
    let talks = together(talks, |talk| talk.hold(REQUESTS - WARM));
    let end = daemon.resident_bytes();
    println!("{address}: {warm} bytes resident after {WARM} requests of each client, {end} at the end");
    assert!(end <= warm + GROWN_BYTES_MAX, "{} bytes more", end - warm);
    let metrics = daemon.metrics();
    assert_eq!(metrics.sum("graphpiped_replies_ok_total"), CLIENTS * REQUESTS as u64);
    assert_eq!(metrics.sum("graphpiped_memory_in_use_bytes"), 0);
    drop(talks);
    daemon.stop();
}

/// Which shapes are in flight together is chance, so a few buffers are touched late. What leaks with every request is more:
/// 100 bytes each would be 7 MB.
const GROWN_BYTES_MAX: u64 = 6 << 20;

#[test]
fn every_reply_is_right_and_none_is_lost_over_tcp() {
    let daemon = Daemon::echo(&[]);
    let address = daemon.tcp.to_string();
    talk(daemon, &address);
}

#[test]
fn every_reply_is_right_and_none_is_lost_over_a_unix_socket() {
    let daemon = Daemon::echo(&[]);
    let address = daemon.unix.to_string();
    talk(daemon, &address);
}

#[test]
fn strings_of_any_bytes_come_back() {
    let daemon = Daemon::echo(&[]);
    let mut random = Random::new();
    for address in daemon.addresses() {
        let mut client = Client::connect(&address.to_string()).expect("it listens");
        for _ in 0..200 {
            let elements: Vec<Vec<u8>> = (0..random.below(8))
                .map(|_| {
                    let count = random.below(300) as usize;
                    random.bytes(count)
                })
                .collect();
            let slices: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
            let shape = [1, elements.len() as i64];
            let reply = client.infer(&Request::new().input(Tensor::strings(&shape, &slices))).expect("outputs");
            let output = reply.output(0).expect("there is one");
            assert_eq!(output.shape(), shape);
            assert_eq!(output.strings().expect("strings").collect::<Vec<&[u8]>>(), slices);
        }
    }
    daemon.stop();
}

#[test]
fn a_request_of_77_megabytes_comes_back() {
    let daemon = Daemon::echo(&[]);
    let elements: Vec<f32> = (0..19_267_584).map(|index| index as f32).collect();
    for address in daemon.addresses() {
        let mut client = Client::connect(&address.to_string()).expect("it listens");
        let reply = client.infer(&Request::new().input(Tensor::new(&[128, 224, 224, 3], &elements))).expect("outputs");
        let output = reply.output(0).expect("there is one");
        assert_eq!(output.shape(), [128, 224, 224, 3]);
        assert!(output.as_slice::<f32>().expect("aligned") == elements);
    }
    daemon.stop();
}
