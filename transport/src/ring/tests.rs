//! The ring over real sockets: what each operation delivers, and that all memory comes back however it ends.

mod lend;
mod receive;

use super::*;
use crate::limits::CHUNK_BYTES;
use graphpiped_memory::{Destination, Payload, Pool};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// Longer than anything here takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(20);
const KEY: Key = 5;
/// More than the submission queue has places.
const COUNT: usize = 3 * SQ_ENTRIES as usize;

fn next(ring: &mut Ring) -> Event {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(event) = ring.next_event() {
            return event;
        }
        assert!(Instant::now() < deadline, "nothing has completed of {ring:?}");
        ring.sleep(Duration::from_secs(1)).unwrap();
    }
}

/// The bytes of a receive, and whether it goes on.
fn received(ring: &mut Ring) -> (io::Result<Vec<u8>>, bool) {
    match next(ring) {
        Event::Received { key: KEY, bytes: Ok(Some(id)), armed } => {
            let bytes = ring.shared(&id).to_vec();
            ring.recycle(id);
            (Ok(bytes), armed)
        }
        Event::Received { key: KEY, bytes: Ok(None), armed } => (Ok(Vec::new()), armed),
        Event::Received { key: KEY, bytes: Err(error), armed } => (Err(error), armed),
        other => panic!("{other:?}"),
    }
}

fn filled(ring: &mut Ring) -> (Destination, io::Result<usize>) {
    match next(ring) {
        Event::Filled { key: KEY, destination, bytes } => (destination, bytes),
        other => panic!("{other:?}"),
    }
}

fn sent(ring: &mut Ring) -> (Batch, io::Result<usize>) {
    match next(ring) {
        Event::Sent { key: KEY, batch, bytes } => (batch, bytes),
        other => panic!("{other:?}"),
    }
}

fn error_of<T: std::fmt::Debug>(result: io::Result<T>) -> Option<i32> {
    result.expect_err("an error is expected").raw_os_error()
}

/// Two ends of a TCP connection.
fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().unwrap().0, client)
}

#[test]
fn a_large_batch_is_sent_in_parts_that_continue_each_other() {
    let mut ring = Ring::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let bytes: Vec<u8> = (0..3 * CHUNK_BYTES + 77).map(|index| (index % 251) as u8).collect();
    let mut expected = b"head".to_vec();
    expected.extend_from_slice(&bytes);
    expected.extend_from_slice(b"tail");
    let length = expected.len();
    let reader = std::thread::spawn(move || {
        theirs.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut got = vec![0; length];
        theirs.read_exact(&mut got).unwrap();
        got
    });
    let owner: Arc<dyn AsRef<[u8]> + Send + Sync> = Arc::new(bytes);
    let weak = Arc::downgrade(&owner);
    let mut batch = Batch::default();
    batch.push(Segment::Bytes(b"head".to_vec()));
    let range = 0..(*owner).as_ref().len();
    batch.push(Segment::Payload(Payload::lent(owner, range)));
    batch.push(Segment::Bytes(b"tail".to_vec()));
    let mut sends = 0;
    while !batch.is_empty() {
        ring.send(KEY, ours.as_fd(), batch, usize::MAX);
        let (returned, bytes) = sent(&mut ring);
        batch = returned;
        batch.advance(bytes.unwrap(), drop);
        sends += 1;
    }
    assert!(sends >= 4, "one operation sends no more than a chunk");
    assert!(weak.upgrade().is_none(), "a payload is released with its last byte");
    assert!(reader.join().unwrap() == expected);
}

#[test]
fn a_send_to_nobody_is_an_error_and_not_a_signal() {
    let mut ring = Ring::new().unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(theirs);
    let mut batch = Batch::default();
    batch.push(Segment::Bytes(b"anybody?".to_vec()));
    ring.send(KEY, ours.as_fd(), batch, usize::MAX);
    let (batch, result) = sent(&mut ring);
    assert_eq!(error_of(result), Some(libc::EPIPE));
    assert!(!batch.is_empty());
}

#[test]
fn a_listener_accepts_until_it_is_cancelled() {
    let mut ring = Ring::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let handle = ring.accept(9, listener.as_fd());
    for _ in 0..3 {
        let client = TcpStream::connect(address).unwrap();
        let Event::Accepted { key: 9, socket: Ok(socket), armed: true } = next(&mut ring) else {
            panic!("not accepted")
        };
        let socket = TcpStream::from(socket);
        assert_eq!(socket.peer_addr().unwrap(), client.local_addr().unwrap());
    }
    ring.cancel(handle);
    let Event::Accepted { socket: Err(error), armed: false, .. } = next(&mut ring) else { panic!("not cancelled") };
    assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
    assert_eq!(ring.operations(), 0);
}

#[test]
fn a_watched_descriptor_is_announced_each_time() {
    let mut ring = Ring::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    ring.watch(ours.as_fd());
    for _ in 0..3 {
        theirs.write_all(b"x").unwrap();
        assert!(matches!(next(&mut ring), Event::Readable { armed: true }));
        (&ours).read_exact(&mut [0]).unwrap();
    }
}

#[test]
fn a_ring_that_is_dropped_gives_the_memory_of_its_operations_back() {
    let pool = Pool::new(64 << 20);
    let owner: Arc<dyn AsRef<[u8]> + Send + Sync> = Arc::new(vec![1; 8 << 20]);
    let weak = Arc::downgrade(&owner);
    let pairs: Vec<_> = (0..20).map(|_| tcp_pair()).collect();
    let mut ring = Ring::new().unwrap();
    for (ours, _) in &pairs {
        ring.fill(KEY, ours.as_fd(), pool.reserve(100_000).unwrap().into(), 0..100_000);
        ring.receive(KEY, ours.as_fd(), None);
        for _ in 0..20 {
            let mut batch = Batch::default();
            batch.push(Segment::Payload(Payload::lent(Arc::clone(&owner), 0..8 << 20)));
            ring.send(KEY, ours.as_fd(), batch, usize::MAX);
        }
    }
    drop(owner);
    ring.poll().unwrap();
    assert_eq!(ring.operations(), 20 * 22);
    assert!(pool.in_use_bytes() >= 2_000_000);
    drop(ring);
    assert_eq!(pool.in_use_bytes(), 0);
    assert!(weak.upgrade().is_none());
}

#[test]
fn more_operations_than_the_queue_has_places_are_all_carried_out() {
    let mut ring = Ring::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    for _ in 0..COUNT {
        ring.receive(KEY, ours.as_fd(), Some(1));
    }
    theirs.write_all(&vec![3; COUNT]).unwrap();
    let mut got = 0;
    while ring.operations() > 0 {
        match received(&mut ring).0 {
            Ok(bytes) => got += bytes.len(),
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ENOBUFS)),
        }
    }
    assert!(got > 0 && got <= COUNT);
}
