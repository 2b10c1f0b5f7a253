//! Receiving: what arrives in shared buffers and what in buffers of its own.

use super::super::buffers::BUFFER_BYTES;
use super::super::*;
use super::{KEY, error_of, filled, next, received, tcp_pair};
use graphpiped_memory::Pool;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

/// More than all shared buffers hold at once.
const BYTES: usize = 600 * BUFFER_BYTES;

#[test]
fn a_single_receive_takes_no_more_than_it_was_asked_for() {
    let mut ring = Ring::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(b"0123456789").unwrap();
    ring.receive(KEY, ours.as_fd(), Some(4));
    let (bytes, armed) = received(&mut ring);
    assert_eq!((bytes.unwrap().as_slice(), armed), (b"0123".as_slice(), false));
    ring.receive(KEY, ours.as_fd(), Some(usize::MAX));
    assert_eq!(received(&mut ring).0.unwrap(), b"456789");
    assert_eq!(ring.operations(), 0);
}

#[test]
fn the_end_of_the_stream_is_told_apart_from_bytes() {
    let mut ring = Ring::new().unwrap();
    for bytes_max in [Some(10), None] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        ring.receive(KEY, ours.as_fd(), bytes_max);
        let Event::Received { bytes: Ok(None), armed: false, .. } = next(&mut ring) else { panic!("no end") };
        assert_eq!(ring.operations(), 0);
    }
}

#[test]
fn a_multishot_receive_goes_on_until_it_is_cancelled() {
    let mut ring = Ring::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let handle = ring.receive(KEY, ours.as_fd(), None);
    for round in 0..10_u8 {
        theirs.write_all(&[round; 100]).unwrap();
        let (bytes, armed) = received(&mut ring);
        assert_eq!((bytes.unwrap(), armed), (vec![round; 100], true));
    }
    assert_eq!(ring.operations(), 1);
    ring.cancel(handle);
    let (result, armed) = received(&mut ring);
    assert_eq!((error_of(result), armed), (Some(libc::ECANCELED), false));
    assert_eq!(ring.operations(), 0);
    theirs.write_all(b"after").unwrap();
    ring.receive(KEY, ours.as_fd(), Some(5));
    assert_eq!(received(&mut ring).0.unwrap(), b"after");
}

#[test]
fn what_was_sent_before_a_cancellation_is_not_lost() {
    let mut ring = Ring::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let handle = ring.receive(KEY, ours.as_fd(), None);
    ring.poll().unwrap();
    theirs.write_all(&vec![1; 40_000]).unwrap();
    ring.cancel(handle);
    let mut total = 0;
    loop {
        match received(&mut ring) {
            (Ok(bytes), armed) => {
                total += bytes.len();
                if !armed {
                    break;
                }
            }
            (Err(error), armed) => {
                assert_eq!((error.raw_os_error(), armed), (Some(libc::ECANCELED), false));
                break;
            }
        }
    }
    let pool = Pool::new(1 << 20);
    while total < 40_000 {
        ring.fill(KEY, ours.as_fd(), pool.reserve(40_000).unwrap().into(), 0..40_000 - total);
        total += filled(&mut ring).1.unwrap();
    }
}

#[test]
fn a_cancellation_of_what_has_ended_does_nothing() {
    let mut ring = Ring::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let ended = ring.receive(KEY, ours.as_fd(), Some(1));
    theirs.write_all(b"ab").unwrap();
    assert_eq!(received(&mut ring).0.unwrap(), b"a");
    // The next operation has the same place in the table, and another name.
    ring.receive(KEY, ours.as_fd(), None);
    ring.cancel(ended);
    assert_eq!(received(&mut ring).0.unwrap(), b"b");
    theirs.write_all(b"c").unwrap();
    let (bytes, armed) = received(&mut ring);
    assert_eq!((bytes.unwrap().as_slice(), armed), (b"c".as_slice(), true));
}

#[test]
fn a_fill_waits_for_its_whole_range_and_writes_nothing_else() {
    let mut ring = Ring::new().unwrap();
    let pool = Pool::new(1 << 20);
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let mut buffer = pool.reserve(1000).unwrap();
    buffer.as_mut_slice().fill(0xee);
    ring.fill(KEY, ours.as_fd(), buffer.into(), 100..900);
    for half in [1_u8, 2] {
        ring.poll().unwrap();
        assert!(ring.next_event().is_none());
        theirs.write_all(&[half; 400]).unwrap();
    }
    theirs.write_all(b"next").unwrap();
    let (mut destination, bytes) = filled(&mut ring);
    assert_eq!(bytes.unwrap(), 800);
    let expected = [[0xee; 100].as_slice(), &[1; 400], &[2; 400], &[0xee; 100]].concat();
    assert_eq!(destination.slice_mut(0..1000), expected);
    ring.receive(KEY, ours.as_fd(), Some(100));
    assert_eq!(received(&mut ring).0.unwrap(), b"next");
}

#[test]
fn a_fill_that_is_cancelled_says_what_it_has() {
    let mut ring = Ring::new().unwrap();
    let pool = Pool::new(1 << 20);
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let handle = ring.fill(KEY, ours.as_fd(), pool.reserve(1000).unwrap().into(), 0..1000);
    ring.poll().unwrap();
    theirs.write_all(&[7; 300]).unwrap();
    while !ring.is_ready() {}
    ring.poll().unwrap();
    ring.cancel(handle);
    let (mut destination, bytes) = filled(&mut ring);
    assert_eq!((bytes.unwrap(), &*destination.slice_mut(0..300)), (300, [7; 300].as_slice()));
    let handle = ring.fill(KEY, ours.as_fd(), destination, 300..1000);
    ring.poll().unwrap();
    ring.cancel(handle);
    assert_eq!(filled(&mut ring).1.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    assert_eq!((pool.in_use_bytes(), ring.operations()), (0, 0));
}

#[test]
fn a_fill_is_short_at_the_end_of_the_stream() {
    let mut ring = Ring::new().unwrap();
    let pool = Pool::new(1 << 20);
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(&[7; 300]).unwrap();
    drop(theirs);
    ring.fill(KEY, ours.as_fd(), pool.reserve(1000).unwrap().into(), 0..1000);
    let (mut destination, bytes) = filled(&mut ring);
    assert_eq!((bytes.unwrap(), &*destination.slice_mut(0..300)), (300, [7; 300].as_slice()));
    ring.fill(KEY, ours.as_fd(), destination, 300..1000);
    assert_eq!(filled(&mut ring).1.unwrap(), 0);
    assert_eq!(pool.in_use_bytes(), 0);
}

#[test]
fn a_fill_on_a_socket_that_is_shut_down_gives_its_buffer_back() {
    let mut ring = Ring::new().unwrap();
    let pool = Pool::new(1 << 20);
    let (ours, _theirs) = tcp_pair();
    ring.fill(KEY, ours.as_fd(), pool.reserve(1000).unwrap().into(), 0..1000);
    ring.poll().unwrap();
    assert!(pool.in_use_bytes() > 0);
    ours.shutdown(std::net::Shutdown::Both).unwrap();
    assert_eq!(filled(&mut ring).1.unwrap(), 0);
    assert_eq!((pool.in_use_bytes(), ring.operations()), (0, 0));
}

#[test]
fn a_stream_without_shared_buffers_ends_and_goes_on_when_there_are_some() {
    let mut ring = Ring::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    ring.receive(KEY, ours.as_fd(), None);
    let mut held = Vec::new();
    // Each write is taken before the next one, so that each takes a buffer of its own.
    let result = loop {
        theirs.write_all(&[held.len() as u8; 10]).unwrap();
        match next(&mut ring) {
            Event::Received { bytes: Ok(Some(id)), armed: true, .. } => held.push(id),
            Event::Received { bytes, armed: false, .. } => break bytes,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(held.len(), 256);
    assert_eq!(error_of(result), Some(libc::ENOBUFS));
    for (index, id) in held.iter().enumerate() {
        assert_eq!(ring.shared(id), [index as u8; 10]);
    }
    ring.receive(KEY, ours.as_fd(), Some(10));
    assert_eq!(error_of(received(&mut ring).0), Some(libc::ENOBUFS));
    ring.recycle(held.swap_remove(100));
    ring.receive(KEY, ours.as_fd(), Some(100));
    assert_eq!(received(&mut ring).0.unwrap(), [0; 10], "what nobody had room for is still there");
    for id in held {
        ring.recycle(id);
    }
    assert_eq!(ring.operations(), 0);
}

#[test]
fn shared_buffers_go_round_many_times() {
    let mut ring = Ring::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let writer = std::thread::spawn(move || {
        let bytes: Vec<u8> = (0..BYTES).map(|index| (index % 251) as u8).collect();
        theirs.write_all(&bytes).unwrap();
    });
    ring.receive(KEY, ours.as_fd(), None);
    let mut at = 0;
    while at < BYTES {
        let (bytes, armed) = received(&mut ring);
        match bytes {
            Ok(bytes) => {
                assert!(!bytes.is_empty() && bytes.len() <= BUFFER_BYTES);
                assert!(bytes.iter().enumerate().all(|(index, byte)| *byte == ((at + index) % 251) as u8), "at {at}");
                at += bytes.len();
            }
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ENOBUFS)),
        }
        if !armed {
            ring.receive(KEY, ours.as_fd(), None);
        }
    }
    writer.join().unwrap();
    assert_eq!(at, BYTES);
}
