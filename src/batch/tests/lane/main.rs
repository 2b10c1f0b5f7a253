//! The lane as its users see it: sentence by sentence, against a plain model of itself, and with threads that get into each
//! other's way. What the model checker looks at is in `tests/loom`.

#![cfg(not(loom))]

mod batches;
mod claims;
mod model;
mod oracle;
mod stress;
#[path = "../support/mod.rs"]
mod support;

use graphpiped_batch::{Claim, Lane, Layout, Sealed, Verdict};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// How often each request was dropped; its number is its place.
type Drops = Arc<Mutex<Vec<usize>>>;

/// What the tests attach to a request.
#[derive(Debug)]
struct Request {
    id: usize,
    drops: Drops,
}

impl Drop for Request {
    fn drop(&mut self) {
        self.drops.lock().unwrap()[self.id] += 1;
    }
}

/// A lane, and how often each of its requests was dropped.
struct Scene {
    lane: Arc<Lane<Request>>,
    drops: Drops,
    next: AtomicUsize,
}

impl Scene {
    fn new(arenas: usize, rows: usize, row_bytes: &[usize]) -> Scene {
        let layout = Layout::new(rows, row_bytes).unwrap();
        let regions = support::regions(&layout, arenas);
        Scene { lane: Lane::new(layout, regions), drops: Drops::default(), next: AtomicUsize::new(0) }
    }

    /// Claims rows for the next request and fills them with its pattern.
    fn claim(&self, rows: usize) -> Option<(usize, Claim)> {
        let mut claim = self.lane.claim(rows)?;
        assert_eq!(claim.rows(), rows);
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        for column in 0..self.lane.layout().columns() {
            let (start, bytes) = (claim.offset(column), rows * self.lane.layout().row_bytes(column));
            for (at, byte) in claim.slice_mut(start..start + bytes).iter_mut().enumerate() {
                *byte = pattern(id, column, at);
            }
        }
        Some((id, claim))
    }

    fn commit(&self, id: usize, claim: Claim) {
        let mut drops = self.drops.lock().unwrap();
        let places = drops.len().max(id + 1);
        drops.resize(places, 0);
        drop(drops);
        self.lane.commit(claim, Request { id, drops: Arc::clone(&self.drops) });
    }

    /// Claims, fills and commits; the number of the request.
    fn submit(&self, rows: usize) -> usize {
        let (id, claim) = self.claim(rows).expect("there is room");
        self.commit(id, claim);
        id
    }

    fn take(&self, rows_max: usize) -> Option<Sealed<Request>> {
        self.lane.take(rows_max, |_, _| Verdict::Take, |_| unreachable!("nothing is rejected"))
    }

    fn drops_of(&self, id: usize) -> usize {
        self.drops.lock().unwrap()[id]
    }

    /// The requests of a batch and their rows of it, after a look at the bytes of each.
    fn look(&self, batch: &Sealed<Request>) -> Vec<(usize, Range<usize>)> {
        let requests: Vec<_> = batch.requests().map(|(request, rows)| (request.id, rows)).collect();
        for (id, rows) in &requests {
            for column in 0..self.lane.layout().columns() {
                let row_bytes = self.lane.layout().row_bytes(column);
                let bytes = &batch.column(column)[rows.start * row_bytes..rows.end * row_bytes];
                let is_its_own = bytes.iter().enumerate().all(|(at, &byte)| byte == pattern(*id, column, at));
                assert!(is_its_own, "request {id} has other bytes than its own in column {column}");
            }
        }
        assert_eq!(requests.last().map(|(_, rows)| rows.end), Some(batch.rows()));
        requests
    }

    /// Nothing is out, and every row can be claimed again.
    fn assert_idle(&self) {
        assert_eq!(self.lane.pending_rows(), 0, "rows are out");
        let rows = self.lane.arena_count() * self.lane.layout().rows();
        let claims: Vec<_> = (0..rows).map_while(|_| self.lane.claim(1)).collect();
        assert_eq!(claims.len(), rows, "rows are lost");
    }
}

/// A byte of a request, unlike its neighbours and unlike those of other requests.
fn pattern(id: usize, column: usize, at: usize) -> u8 {
    (id * 37 + column * 101 + at * 3 + 1) as u8
}
