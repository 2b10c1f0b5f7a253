//! One whole request through the connection and the daemon's service, from the bytes that came to the bytes that are to be
//! sent: all that a reactor does for it but the ring. What the kernel would write into claimed memory is not written.

use super::Piece;
use super::messages::{LARGE, SMALL, Size};
use super::service::{ENOUGH, copy, service};
use graphpiped::service::ReactorService;
use graphpiped_transport::connection::{Connection, Cx, Spare, Want};
use graphpiped_transport::counters::Counters;
use graphpiped_transport::limits::{CHUNK_BYTES, Limits};
use std::hint::black_box;
use std::time::Instant;

/// 800 bytes in a native frame.
pub fn native_small() -> Piece {
    piece("a whole request, native, 800 B", SMALL.frame(b"echo"), SMALL)
}

/// 602 KB in a native frame.
pub fn native_large() -> Piece {
    piece("a whole request, native, 602 KB", LARGE.frame(b"echo"), LARGE)
}

/// 800 bytes in a POST.
pub fn http_small() -> Piece {
    piece("a whole request, HTTP, 800 B", SMALL.post("/models/echo"), SMALL)
}

/// 602 KB in a POST.
pub fn http_large() -> Piece {
    piece("a whole request, HTTP, 602 KB", LARGE.post("/models/echo"), LARGE)
}

/// 800 bytes in a native frame, for which there is no room: it is answered `busy`.
pub fn native_busy() -> Piece {
    let mut wire = Wire::new(0);
    let (request, floor) = (SMALL.frame(b"echo"), copy(SMALL.bytes as usize));
    let run = move || wire.exchange(black_box(&request));
    let name = "a request that is answered busy, native, 800 B";
    Piece { name, run: Box::new(run), floor_name: "memcpy of the payload", floor: Box::new(floor) }
}

fn piece(name: &'static str, request: Vec<u8>, size: Size) -> Piece {
    let mut wire = Wire::new(ENOUGH);
    let floor = copy(2 * size.bytes as usize);
    let run = move || wire.exchange(black_box(&request));
    Piece { name, run: Box::new(run), floor_name: "memcpy of both payloads", floor: Box::new(floor) }
}

/// Bytes of one shared buffer of the reactor: the most that it hands over at once.
const SHARED_BYTES: usize = 16 << 10;

/// A connection, and what its reactor lends it.
struct Wire {
    connection: Connection<ReactorService>,
    service: ReactorService,
    limits: Limits,
    counters: Counters,
    spare: Spare,
    backlog: usize,
    now: Instant,
}

impl Wire {
    /// A connection to a daemon with so many bytes for requests.
    fn new(memory_bytes: u64) -> Wire {
        let now = Instant::now();
        Wire {
            connection: Connection::new(0, 0, now),
            service: service(memory_bytes),
            limits: Limits::default(),
            counters: Counters::default(),
            spare: Spare::default(),
            backlog: 0,
            now,
        }
    }

    fn with(&mut self, act: impl FnOnce(&mut Connection<ReactorService>, &mut Cx<'_, ReactorService>)) {
        let mut cx = Cx {
            service: &mut self.service,
            limits: &self.limits,
            counters: &self.counters,
            spare: &mut self.spare,
            backlog: &mut self.backlog,
            now: self.now,
            is_draining: false,
        };
        act(&mut self.connection, &mut cx);
    }

    /// Receives a request as the connection wants it received, and sends what it has to say.
    fn exchange(&mut self, request: &[u8]) {
        let mut rest = request;
        while !rest.is_empty() {
            let count = self.receive(rest);
            assert!(count > 0, "it takes nothing with {} bytes left", rest.len());
            rest = &rest[count..];
        }
        let mut is_answered = false;
        while let Some(batch) = self.connection.next_batch(&mut self.spare) {
            let bytes = batch.bytes().min(CHUNK_BYTES);
            self.with(|connection, cx| connection.sent(batch, bytes, cx));
            is_answered = true;
        }
        assert!(is_answered, "there is no reply");
    }

    /// Receives once; returns how many bytes were taken.
    fn receive(&mut self, bytes: &[u8]) -> usize {
        match self.connection.wants(&self.limits) {
            Want::Nothing => 0,
            Want::Fill => {
                let (buffer, range) = self.connection.take_fill().expect("a fill was wanted");
                let count = range.len().min(bytes.len());
                self.with(|connection, cx| connection.filled(buffer, count, cx));
                count
            }
            want @ (Want::Stream | Want::Bytes(_)) => {
                let wanted = if let Want::Bytes(wanted) = want { wanted } else { usize::MAX };
                let count = wanted.min(SHARED_BYTES).min(bytes.len());
                self.with(|connection, cx| connection.received(&bytes[..count], cx));
                count
            }
        }
    }
}
