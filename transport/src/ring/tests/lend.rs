//! Sends that lend a payload to the kernel instead of having it copied. Over the loopback interface the kernel copies
//! what it was lent when the receiving side takes it; until then, and that is what these tests are about, it has the
//! payload.

use super::super::*;
use super::{KEY, PATIENCE, error_of, next, sent, tcp_pair};
use crate::fake::random::Random;
use crate::limits::{CHUNK_BYTES, LENT_BYTES_MAX};
use graphpiped_memory::Payload;
use rustix::net::sockopt;
use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Weak};

type Owner = Arc<dyn AsRef<[u8]> + Send + Sync>;
type Watch = Weak<dyn AsRef<[u8]> + Send + Sync>;

/// Fits into the send buffer that [`one_that_reads_nothing`] sets, and not into its peer's receive buffer.
const STUCK_BYTES: usize = 256 * 1024;

/// A payload, and who sees whether anybody still has it.
fn watched(bytes: Vec<u8>) -> (Payload, Watch) {
    let range = 0..bytes.len();
    let owner: Owner = Arc::new(bytes);
    let watch = Arc::downgrade(&owner);
    (Payload::lent(owner, range), watch)
}

fn batch_of(payload: Payload) -> Batch {
    let mut batch = Batch::default();
    batch.push(Segment::Payload(payload));
    batch
}

/// How many loans came back, and how many of them were copied.
#[derive(Debug, Default, PartialEq, Eq)]
struct Loans {
    returned: usize,
    copied: usize,
}

impl Loans {
    fn note(&mut self, usage: Usage) {
        self.returned += usize::from(usage != Usage::Nothing);
        self.copied += usize::from(usage == Usage::Copied);
    }
}

/// Sends all of a batch, and waits for what it has lent.
fn send_all(ring: &mut Ring, socket: impl AsFd, mut batch: Batch, bytes_min: usize) -> (usize, Loans) {
    let (mut sends, mut loans) = (0, Loans::default());
    while !batch.is_empty() {
        ring.send(KEY, socket.as_fd(), batch, bytes_min);
        sends += 1;
        batch = loop {
            match next(ring) {
                Event::Sent { key: KEY, mut batch, bytes } => {
                    batch.advance(bytes.unwrap(), drop);
                    break batch;
                }
                Event::Returned { usage, .. } => loans.note(usage),
                other => panic!("{other:?}"),
            }
        }
    }
    drop(batch);
    while ring.operations() > 0 {
        let Event::Returned { usage, .. } = next(ring) else { panic!("only loans are left") };
        loans.note(usage);
    }
    (sends, loans)
}

fn read_on_a_thread(mut stream: impl Read + Send + 'static, length: usize) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut got = vec![0; length];
        stream.read_exact(&mut got).unwrap();
        got
    })
}

/// Our end of a connection whose other end has little room, and reads nothing by itself.
fn one_that_reads_nothing() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // Who is accepted inherits it. With less than a packet of the loopback interface everything would crawl.
    sockopt::set_socket_recv_buffer_size(&listener, 65_536).unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    sockopt::set_socket_send_buffer_size(&ours, 2 * STUCK_BYTES).unwrap();
    let theirs = listener.accept().unwrap().0;
    theirs.set_read_timeout(Some(PATIENCE)).unwrap();
    (ours, theirs)
}

/// A send that has ended while its payload is still lent: all of it is in the kernel, and most of it not with the peer.
fn stuck(ring: &mut Ring, ours: &TcpStream) -> Watch {
    let (payload, watch) = watched(vec![9; STUCK_BYTES]);
    ring.send(KEY, ours.as_fd(), batch_of(payload), 1);
    let (mut batch, bytes) = sent(ring);
    assert_eq!(bytes.unwrap(), STUCK_BYTES);
    batch.advance(STUCK_BYTES, drop);
    assert!(batch.is_empty());
    assert_eq!(ring.operations(), 1, "the loan is out");
    watch
}

fn assert_nothing_has_come_back(ring: &mut Ring, watch: &Watch) {
    for _ in 0..100 {
        ring.poll().unwrap();
        assert!(ring.next_event().is_none());
    }
    assert!(watch.upgrade().is_some(), "the kernel may still look at it");
}

#[test]
fn whatever_is_lent_and_copied_arrives_in_order() {
    const SEED: u64 = 11;
    println!("seed {SEED}");
    let mut random = Random::new(SEED);
    let mut ring = Ring::new().unwrap();
    let (mut lent, mut copied) = (0, 0);
    for round in 0..60 {
        let (ours, theirs) = tcp_pair();
        if round % 2 == 0 {
            // Every send of more than this ends in part, again and again.
            sockopt::set_socket_send_buffer_size(&ours, 4096).unwrap();
        }
        let bytes_min = random.pick(&[1, 1000, 65_536, usize::MAX]);
        let (mut batch, mut expected, mut watches, mut is_lending) = (Batch::default(), Vec::new(), Vec::new(), false);
        for index in 0..random.within(1..8) {
            let most = random.pick(&[10, 5_000, 300_000, 1_500_000]);
            let length = random.within(1..most);
            let bytes = random.bytes(length);
            expected.extend_from_slice(&bytes);
            if (index + round) % 2 == 0 {
                batch.push(Segment::Bytes(bytes));
            } else {
                is_lending |= length >= bytes_min;
                let (payload, watch) = watched(bytes);
                batch.push(Segment::Payload(payload));
                watches.push(watch);
            }
        }
        let reader = read_on_a_thread(theirs, expected.len());
        let (_, loans) = send_all(&mut ring, &ours, batch, bytes_min);
        assert!(reader.join().unwrap() == expected, "round {round}");
        assert_eq!(loans.returned > 0, is_lending, "round {round}");
        assert!(watches.iter().all(|watch| watch.upgrade().is_none()), "round {round}");
        lent += loans.returned;
        copied += loans.copied;
    }
    assert!(lent > 30, "{lent} loans");
    assert_eq!(copied, lent, "the kernel says that on one machine it copies");
}

#[test]
fn what_is_large_enough_is_lent_by_itself_and_the_rest_is_copied() {
    let mut ring = Ring::new().unwrap();
    let (ours, theirs) = tcp_pair();
    let (large, _) = watched(vec![2; 2 * LENT_BYTES_MAX + 100]);
    let (small, _) = watched(vec![4; 99]);
    let mut batch = Batch::default();
    batch.push(Segment::Bytes(vec![1; CHUNK_BYTES]));
    batch.push(Segment::Payload(large));
    batch.push(Segment::Bytes(vec![3; 10]));
    batch.push(Segment::Payload(small));
    let reader = read_on_a_thread(theirs, batch.bytes());
    // The head, two whole loans, and what is left of the payload is too little for another one.
    assert_eq!(send_all(&mut ring, &ours, batch, 101), (4, Loans { returned: 2, copied: 2 }));
    let got = reader.join().unwrap();
    let runs: Vec<(u8, usize)> = got.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect();
    assert_eq!(runs, [(1, CHUNK_BYTES), (2, 2 * LENT_BYTES_MAX + 100), (3, 10), (4, 99)]);
}

#[test]
fn a_payload_is_kept_until_the_kernel_needs_it_no_more() {
    let mut ring = Ring::new().unwrap();
    let (ours, theirs) = one_that_reads_nothing();
    let watch = stuck(&mut ring, &ours);
    assert_nothing_has_come_back(&mut ring, &watch);
    let reader = read_on_a_thread(theirs, STUCK_BYTES);
    let Event::Returned { payload, usage } = next(&mut ring) else { panic!("not returned") };
    assert_eq!((payload.len(), usage, ring.operations()), (STUCK_BYTES, Usage::Copied, 0));
    drop(payload);
    assert!(watch.upgrade().is_none());
    assert!(reader.join().unwrap() == vec![9; STUCK_BYTES]);
}

#[test]
fn a_connection_sends_on_while_its_payload_is_lent() {
    let mut ring = Ring::new().unwrap();
    let (ours, mut theirs) = one_that_reads_nothing();
    let watch = stuck(&mut ring, &ours);
    let mut batch = Batch::default();
    batch.push(Segment::Bytes(b"behind it".to_vec()));
    ring.send(KEY, ours.as_fd(), batch, 1);
    let (_, bytes) = sent(&mut ring);
    assert_eq!(bytes.unwrap(), 9);
    assert_nothing_has_come_back(&mut ring, &watch);
    let mut got = vec![0; STUCK_BYTES + 9];
    theirs.read_exact(&mut got).unwrap();
    assert!(got.ends_with(b"\x09behind it"));
}

#[test]
fn a_socket_may_be_closed_while_its_payload_is_lent() {
    let mut ring = Ring::new().unwrap();
    let (ours, mut theirs) = one_that_reads_nothing();
    let watch = stuck(&mut ring, &ours);
    drop(ours);
    assert_nothing_has_come_back(&mut ring, &watch);
    let mut got = Vec::new();
    theirs.read_to_end(&mut got).unwrap();
    assert!(got == vec![9; STUCK_BYTES], "what was sent arrives all the same");
    let Event::Returned { payload, .. } = next(&mut ring) else { panic!("not returned") };
    drop(payload);
    assert!(watch.upgrade().is_none());
}

#[test]
fn a_peer_that_resets_gives_back_what_was_lent() {
    let mut ring = Ring::new().unwrap();
    let (ours, mut theirs) = one_that_reads_nothing();
    let watch = stuck(&mut ring, &ours);
    // This one waits for room, and is interrupted by the reset.
    let (waiting, watch_of_waiting) = watched(vec![8; 4 * STUCK_BYTES]);
    ring.send(KEY, ours.as_fd(), batch_of(waiting), 1);
    ring.poll().unwrap();
    theirs.read_exact(&mut [0; 1000]).unwrap();
    sockopt::set_socket_linger(&theirs, Some(Duration::ZERO)).unwrap();
    drop(theirs);
    let (mut is_sent, mut returned) = (false, 0);
    while ring.operations() > 0 {
        match next(&mut ring) {
            Event::Sent { batch, bytes, .. } => {
                is_sent = true;
                // Some of it went into the buffer, or nothing did.
                match bytes {
                    Ok(bytes) => assert!(bytes > 0 && bytes < 4 * STUCK_BYTES),
                    Err(error) => assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)),
                }
                drop(batch);
            }
            Event::Returned { .. } => returned += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((is_sent, returned), (true, 2));
    assert!(watch.upgrade().is_none() && watch_of_waiting.upgrade().is_none());
    let (payload, watch) = watched(vec![7; 1000]);
    ring.send(KEY, ours.as_fd(), batch_of(payload), 1);
    let (batch, bytes) = sent(&mut ring);
    assert_eq!(error_of(bytes), Some(libc::EPIPE), "what became of the socket is said, and nothing is tried again");
    drop(batch);
    let Event::Returned { payload, usage: Usage::Nothing } = next(&mut ring) else { panic!("nothing was sent") };
    drop(payload);
    assert!(watch.upgrade().is_none());
    assert_eq!(ring.operations(), 0);
}

#[test]
fn a_ring_that_is_dropped_waits_for_loans_that_come_back() {
    let mut ring = Ring::new().unwrap();
    let (ours, theirs) = one_that_reads_nothing();
    let watch = stuck(&mut ring, &ours);
    let reader = read_on_a_thread(theirs, STUCK_BYTES);
    drop(ring);
    assert!(watch.upgrade().is_none());
    assert!(reader.join().unwrap() == vec![9; STUCK_BYTES]);
}

#[test]
fn a_ring_that_is_dropped_frees_nothing_that_is_still_lent() {
    let mut ring = Ring::new().unwrap();
    let (ours, mut theirs) = one_that_reads_nothing();
    let watch = stuck(&mut ring, &ours);
    drop(ring);
    assert!(watch.upgrade().is_some(), "freeing it would change what is sent");
    let mut got = vec![0; STUCK_BYTES];
    theirs.read_exact(&mut got).unwrap();
    assert!(got == vec![9; STUCK_BYTES]);
}

#[test]
fn a_socket_that_cannot_be_lent_anything_gets_a_copy() {
    let mut ring = Ring::new().unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (payload, watch) = watched(vec![5; 700_000]);
    let reader = read_on_a_thread(theirs, 700_000);
    let (sends, loans) = send_all(&mut ring, &ours, batch_of(payload), 1);
    assert_eq!((sends, loans), (4, Loans::default()), "one try, then three chunks");
    assert!(!ring.can_lend, "there is no second try");
    assert!(reader.join().unwrap() == vec![5; 700_000]);
    assert!(watch.upgrade().is_none());
}

#[test]
fn a_limit_of_locked_memory_is_a_reason_to_copy_and_not_an_error() {
    let mut ring = Ring::new().unwrap();
    for errno in [libc::ENOMEM, libc::ENOBUFS] {
        let mut batch = batch_of(watched(vec![5; 100]).0);
        assert!(batch.to_be_lent(100).is_some());
        assert_eq!(ring.lent(&mut batch, Err(io::Error::from_raw_os_error(errno))).unwrap(), 0);
        assert!(batch.to_be_lent(100).is_none(), "this batch goes on by copies");
        assert_eq!(batch.bytes_for_test(), [5; 100]);
        assert!(ring.can_lend, "the next one may be lent");
    }
}

/// Here is no network card that could do it, so the completions are made up.
#[test]
fn a_payload_that_was_not_copied_is_told_from_one_that_was() {
    let mut ring = Ring::new().unwrap();
    for (is_copied, expected) in [(false, Usage::Sent), (true, Usage::Copied)] {
        let batch = batch_of(watched(vec![5; 100]).0);
        let loan = batch.to_be_lent(1).unwrap();
        let id = ring.ops.insert_loan(KEY, batch, loan);
        assert!(matches!(ring.ops.go_on(id, true), ops::Op::Send { .. }));
        let Event::Returned { usage, .. } = ring.returned(id, is_copied) else { panic!("not returned") };
        assert_eq!((usage, ring.operations()), (expected, 0));
    }
}
