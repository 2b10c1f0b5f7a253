//! How one model is batched: its lanes, what its runs cost, and where they run.
//!
//! Lanes for rows of another shape than those that exist are made by the control plane, on request; until then such
//! requests run alone. There is a bounded number of sets; the one that was used least recently goes, and none goes that
//! is in use.

use crate::cost::Cost;
use crate::lanes::LaneSet;
use arc_swap::ArcSwap;
use crossbeam::queue::ArrayQueue;
use graphpipe_schema::Shape;
use graphpiped_batch::{Doorbell, Gate};
use graphpiped_transport::counters::Counter;
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The batching of one model.
#[derive(Debug)]
pub struct Batching {
    /// The most rows of a batch.
    pub rows_max: usize,
    /// The lanes, one set per row signature; replaced as a whole by the control plane.
    pub sets: ArcSwap<Vec<Arc<LaneSet>>>,
    /// What a run costs.
    pub cost: Arc<Cost>,
    /// How long an executor that is idle waits for a batch to fill.
    pub linger: Duration,
    /// Until when it may wait at the most, for the sake of requests with a deadline.
    pub urgent: Urgent,
    /// Whether rows of other shapes than those of its sets can come.
    pub has_shapes: bool,
    /// The second before which no lanes for other shapes are made, because all that there may be are in use.
    pub full_until: AtomicU64,
    /// Whether reactors may run it.
    pub inline: bool,
    /// What is counted.
    pub counters: BatchCounters,
}

impl Batching {
    /// Rows that its lanes have room for, now or when all of them have been made.
    pub fn rows_wanted(&self) -> usize {
        if self.has_shapes {
            return ROWS_OF_SHAPES;
        }
        let sets = self.sets.load();
        let lanes = sets.iter().flat_map(|set| set.lanes());
        lanes.map(|lane| lane.core.arena_count() * lane.core.layout().rows()).sum()
    }

    /// The set for requests with inputs of these indices and shapes.
    pub fn find<'a>(&self, inputs: &(impl ExactSizeIterator<Item = (u16, &'a Shape)> + Clone)) -> Option<Arc<LaneSet>> {
        self.sets.load().iter().find(|set| set.rows.fits(inputs.clone())).cloned()
    }
}

/// The moment by which a batch has to begin, so that no request that was committed since the last one comes too late.
#[derive(Debug)]
pub struct Urgent {
    started: Instant,
    /// Microseconds from the start.
    by: AtomicU64,
}

impl Default for Urgent {
    fn default() -> Urgent {
        Urgent { started: Instant::now(), by: AtomicU64::new(u64::MAX) }
    }
}

impl Urgent {
    /// A request has to begin by then.
    pub fn note(&self, by: Instant) {
        let microseconds = by.saturating_duration_since(self.started).as_micros() as u64;
        self.by.fetch_min(microseconds, Ordering::Relaxed);
    }

    /// The earliest such moment, if there is one.
    pub fn by(&self) -> Option<Instant> {
        match self.by.load(Ordering::Relaxed) {
            u64::MAX => None,
            microseconds => self.started.checked_add(Duration::from_micros(microseconds)),
        }
    }

    /// A batch begins. What stays behind has waited long enough to be taken next.
    pub fn clear(&self) {
        self.by.store(u64::MAX, Ordering::Relaxed);
    }
}

/// Rows that are counted on for a model whose lanes are made on demand. Requests beyond that are refused, not lost.
const ROWS_OF_SHAPES: usize = 16384;

/// Why a batch was sealed when it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// It had as many rows as a batch may have, or the next request had too many to join it.
    Full,
    /// Somebody was idle.
    Idle,
    /// Somebody was idle and had waited for `--linger-us`.
    Linger,
    /// A request in it could not wait for more.
    Deadline,
}

impl Seal {
    /// All of them.
    pub const ALL: [Seal; 4] = [Seal::Full, Seal::Idle, Seal::Linger, Seal::Deadline];

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Seal::Full => "full",
            Seal::Idle => "idle",
            Seal::Linger => "linger",
            Seal::Deadline => "deadline",
        }
    }
}

/// Upper bounds of the histogram of rows per batch; the last one has none.
pub const ROWS_BOUNDS: [u64; 12] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 32768];

/// What is counted of batches.
#[derive(Debug, Default)]
pub struct BatchCounters {
    /// Batches by rows: at most `ROWS_BOUNDS[i]`, and more than the one before.
    pub rows: [Counter; ROWS_BOUNDS.len()],
    /// Rows of all batches.
    pub rows_total: Counter,
    /// Batches by the reason for their seal.
    pub seals: [Counter; Seal::ALL.len()],
    /// Batches that reactors ran themselves.
    pub inline: Counter,
    /// Batches, and parts of batches, that failed and were split.
    pub splits: Counter,
    /// Requests that found no rows free, and were received into a buffer of their own.
    pub overflows: Counter,
    /// Bytes copied into rows of requests that had been received into a buffer of their own.
    pub copied_gather: Counter,
    /// Bytes of inputs that a model gives back as outputs.
    pub copied_passed: Counter,
    /// Batches in which the model gave another number of rows than it got.
    pub wrong_rows: Counter,
}

impl BatchCounters {
    /// Counts a batch.
    pub fn sealed(&self, rows: usize, seal: Seal) {
        let bucket = ROWS_BOUNDS.iter().position(|&bound| rows as u64 <= bound).unwrap_or(ROWS_BOUNDS.len() - 1);
        self.rows[bucket].add(1);
        self.rows_total.add(rows as u64);
        self.seals[seal as usize].add(1);
    }
}

/// Rows of a shape for which a model has no lanes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Which model.
    pub model: usize,
    /// The shapes of its inputs, by index in its signature.
    pub shapes: SmallVec<[Shape; 2]>,
}

/// What reactors ask the control plane for. Bounded: a wish that finds no room comes again with the next request.
#[derive(Debug)]
pub struct Wishes<D> {
    waiting: ArrayQueue<Wish>,
    gate: Gate<D>,
    is_closed: AtomicBool,
}

/// More than this many shapes at a time are not looked at.
const WISHES_MAX: usize = 16;

impl<D: Doorbell> Wishes<D> {
    /// No wishes yet; `bell` wakes whoever fulfils them.
    pub fn new(bell: D) -> Wishes<D> {
        Wishes { waiting: ArrayQueue::new(WISHES_MAX), gate: Gate::new(vec![bell]), is_closed: AtomicBool::new(false) }
    }

    /// Asks for lanes for requests with inputs of these indices and shapes.
    pub fn wish<'a>(&self, model: usize, inputs: impl ExactSizeIterator<Item = (u16, &'a Shape)>) {
        if self.waiting.is_full() {
            return;
        }
        let mut shapes: SmallVec<[Shape; 2]> = SmallVec::from_elem(Shape::SCALAR, inputs.len());
        for (index, input) in inputs {
            match shapes.get_mut(usize::from(index)) {
                Some(shape) => *shape = *input,
                None => return,
            }
        }
        if self.waiting.push(Wish { model, shapes }).is_ok() {
            self.gate.announce(1);
        }
    }

    /// No more wishes come.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.gate.announce(1);
    }

    /// Whether no more wishes come.
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// The oldest wish.
    pub fn take(&self) -> Option<Wish> {
        self.waiting.pop()
    }

    /// The gate at which whoever fulfils wishes sleeps.
    pub fn gate(&self) -> &Gate<D> {
        &self.gate
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_urgent_request_decides_until_a_batch_begins() {
        let urgent = Urgent::default();
        assert_eq!(urgent.by(), None);
        let at = |ms| urgent.started + Duration::from_millis(ms);
        urgent.note(at(7));
        urgent.note(at(5));
        urgent.note(at(9));
        assert_eq!(urgent.by(), Some(at(5)));
        urgent.clear();
        assert_eq!(urgent.by(), None);
    }

    #[test]
    fn batches_are_counted_by_the_smallest_bound_that_holds_them() {
        let counters = BatchCounters::default();
        for rows in [1, 2, 3, 4, 128, 129, 32768] {
            counters.sealed(rows, Seal::Idle);
        }
        let counts: Vec<u64> = counters.rows.iter().map(Counter::get).collect();
        assert_eq!(counts, [1, 1, 2, 0, 0, 0, 0, 1, 1, 0, 0, 1]);
        assert_eq!((counters.rows_total.get(), counters.seals[Seal::Idle as usize].get()), (33035, 7));
    }
}
