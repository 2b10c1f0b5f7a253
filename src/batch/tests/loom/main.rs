//! The protocol of the lane, the gate and the mailbox under a model checker: every interleaving of two or three threads
//! over lanes of a few rows, and every value that the memory model lets a load see.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p graphpiped-batch --release --test loom`; without `--cfg loom` nothing is here.
//!
//! What is claimed is looked at before a thread is joined: the join itself would order what a model has to prove ordered.
//! The model checker begins with each thread of a [`race`] running to its end before the next one, and turns around what it
//! finds to depend on each other. It does not find that a look (a load) depends on what another thread looks at and then
//! exchanges, so whoever may only look has to come last: then it sees the exchange, and that is found.
//!
//! Counters of the tests are the standard library's, which the model checker does not see: they order nothing.

#![cfg(loom)]

mod batches;
mod claims;
mod recycling;
mod sleep;
#[path = "../support/mod.rs"]
mod support;

use graphpiped_batch::{Claim, Lane, Layout, Sealed, Verdict};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Explores what the threads of `scenario` can do to each other with at most so many preemptions: a bug that needs more is
/// rare, and all runs of three threads would take days. What a load may see is not bounded.
fn explore_within(preemptions: usize, scenario: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(scenario);
}

/// A thread of a race.
type Racer<R> = Box<dyn FnOnce() -> R>;

/// Runs these at the same time; what they return, in their order. Whoever may do nothing but look comes last.
fn race<R: 'static>(racers: impl IntoIterator<Item = Racer<R>>) -> Vec<R> {
    let threads: Vec<_> = racers.into_iter().map(loom::thread::spawn).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// What the models attach to a request: a name, and a count of those that were dropped.
struct Request {
    name: u8,
    dropped: Arc<AtomicUsize>,
}

impl Drop for Request {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// A lane whose rows have one byte.
struct Scene {
    lane: Arc<Lane<Request>>,
    dropped: Arc<AtomicUsize>,
}

impl Scene {
    fn new(arenas: usize, rows: usize) -> Scene {
        let layout = Layout::new(rows, &[1]).unwrap();
        let regions = support::regions(&layout, arenas);
        Scene { lane: Lane::new(layout, regions), dropped: Arc::default() }
    }

    /// The same lane, for another thread.
    fn share(&self) -> Scene {
        Scene { lane: Arc::clone(&self.lane), dropped: Arc::clone(&self.dropped) }
    }

    /// Somebody who does this with the lane, in a race.
    fn racer<R>(&self, run: impl FnOnce(&Scene) -> R + 'static) -> Racer<R> {
        let scene = self.share();
        Box::new(move || run(&scene))
    }

    /// Claims rows and writes a byte to each.
    fn fill(&self, rows: usize, byte: u8) -> Option<Claim> {
        let mut claim = self.lane.claim(rows)?;
        claim.slice_mut(0..rows).fill(byte);
        Some(claim)
    }

    fn commit(&self, claim: Claim, name: u8) {
        self.lane.commit(claim, Request { name, dropped: Arc::clone(&self.dropped) });
    }

    /// Claims, fills and commits.
    fn submit(&self, rows: usize, name: u8) -> bool {
        self.fill(rows, name).map(|claim| self.commit(claim, name)).is_some()
    }

    fn take(&self, rows_max: usize) -> Option<Sealed<Request>> {
        self.lane.take(rows_max, |_, _| Verdict::Take, |_| unreachable!("nothing is rejected"))
    }

    /// Runs what there is, and says whose it was.
    fn run(&self, rows_max: usize) -> Vec<u8> {
        self.take(rows_max).map(answer).unwrap_or_default()
    }

    fn drops(&self) -> usize {
        self.dropped.load(Ordering::Relaxed)
    }

    /// At the end, by the last thread: nothing is out, and all rows can be claimed again.
    fn assert_idle(&self) {
        assert_eq!(self.lane.pending_rows(), 0, "rows are out");
        let rows = self.lane.arena_count() * self.lane.layout().rows();
        let claims: Vec<_> = (0..rows).map_while(|_| self.fill(1, 0)).collect();
        assert_eq!(claims.len(), rows, "rows are lost");
    }
}

/// Looks at a batch as an executor does, and answers it; the names of its requests.
fn answer(batch: Sealed<Request>) -> Vec<u8> {
    assert_is_whole(&batch);
    let mut names = Vec::new();
    batch.complete(|request, _| names.push(request.name));
    names
}

/// Every row holds the name of the request that it belongs to, and every row belongs to one.
fn assert_is_whole(batch: &Sealed<Request>) {
    let bytes = batch.column(0);
    let mut next = 0;
    for (request, rows) in batch.requests() {
        assert_eq!(rows.start, next, "rows lie one behind the other");
        next = rows.end;
        assert!(bytes[rows].iter().all(|&byte| byte == request.name), "a request has its own bytes");
    }
    assert_eq!(next, batch.rows());
}
