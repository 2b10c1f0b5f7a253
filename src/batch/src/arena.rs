//! One arena: its word, its memory, and which claims of it are committed. The only place that makes references to row
//! bytes.

use crate::layout::Layout;
use crate::sync::{AtomicU16, AtomicU64, Ordering};
use crate::word::Word;
use std::ops::Range;
use std::ptr::NonNull;

/// Memory for the rows of one arena: ordinary memory, or memory that a device or another process sees as well.
///
/// # Safety
///
/// For the life of the region, `base` is the same address, aligned to [`BASE_ALIGN`](crate::BASE_ALIGN) and valid for reads
/// and writes of `bytes` initialised bytes, and nobody reads or writes them but through the arena that was made of it.
pub unsafe trait Region: Send + Sync {
    /// Where it begins.
    fn base(&self) -> NonNull<u8>;
    /// How long it is.
    fn bytes(&self) -> usize;
}

pub(crate) struct Arena {
    pub(crate) word: Word,
    /// When it was opened, in the order of its lane: the oldest is emptied first. A hint, so `Relaxed`.
    opened: AtomicU64,
    /// At the first row of a committed claim: its rows. Everywhere else 0.
    ready: Box<[AtomicU16]>,
    region: Box<dyn Region>,
    /// What the model checker watches in place of the bytes of each row.
    #[cfg(loom)]
    watched: Box<[crate::sync::Cell<()>]>,
}

// SAFETY: `watched` says nothing of who touches it, which is its use: the model checker complains when rows are touched by
// two threads that nothing orders. The rest is `Sync`, as the compiler finds without the model checker.
#[cfg(loom)]
unsafe impl Sync for Arena {}

impl Arena {
    pub(crate) fn new(layout: &Layout, region: Box<dyn Region>) -> Arena {
        assert!(region.bytes() >= layout.arena_bytes(), "a region of {} bytes is too small", region.bytes());
        assert!(region.base().addr().get().is_multiple_of(crate::BASE_ALIGN), "a region begins at a multiple of 256");
        Arena {
            word: Word::default(),
            opened: AtomicU64::new(0),
            ready: (0..layout.rows()).map(|_| AtomicU16::new(0)).collect(),
            region,
            #[cfg(loom)]
            watched: (0..layout.rows()).map(|_| crate::sync::Cell::new(())).collect(),
        }
    }

    /// Opens it, as the `turn`-th of its lane.
    pub(crate) fn open(&self, turn: u64) {
        self.opened.store(turn, Ordering::Relaxed);
        self.word.open();
    }

    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Publishes a claim that begins at `row`.
    pub(crate) fn commit(&self, row: u16, rows: u16) {
        // Release: whoever takes it sees its bytes and its cell.
        self.ready[usize::from(row)].store(rows, Ordering::Release);
    }

    /// Rows of the committed claim that begins at `row`; 0 if none does. Others may take it at any time.
    pub(crate) fn committed(&self, row: u16) -> u16 {
        self.ready[usize::from(row)].load(Ordering::Relaxed)
    }

    /// Takes the committed claim that begins at `row`: whoever gets its length is its one owner.
    pub(crate) fn take(&self, row: u16) -> Option<u16> {
        let ready = &self.ready[usize::from(row)];
        let rows = ready.load(Ordering::Relaxed);
        if rows == 0 {
            return None;
        }
        // Acquire pairs with the Release in `commit`.
        ready.compare_exchange(rows, 0, Ordering::Acquire, Ordering::Relaxed).ok()
    }

    /// The longest run of committed claims now: its first row. The first run of `rows_max` rows is as good as any longer one.
    pub(crate) fn longest_run(&self, rows_max: usize) -> Option<u16> {
        let claimed = self.word.view().claimed;
        let (mut best, mut best_rows) = (None, 0);
        let (mut first, mut row) = (0, 0);
        while row < claimed && best_rows < rows_max {
            match self.committed(row) {
                0 => {
                    row += 1;
                    first = row;
                }
                rows => {
                    row += rows;
                    let run = usize::from(row - first);
                    if run > best_rows {
                        (best, best_rows) = (Some(first), run);
                    }
                }
            }
        }
        best
    }

    /// Rows that are committed and not taken.
    pub(crate) fn committed_rows(&self) -> usize {
        let claimed = self.word.view().claimed;
        (0..claimed).map(|row| usize::from(self.committed(row))).sum()
    }

    /// The bytes of a place within `rows`, to be read.
    ///
    /// # Safety
    ///
    /// `place` is where bytes of `rows` lie, and until the reference ends nobody writes them: the caller has taken these
    /// rows and has not finished them.
    pub(crate) unsafe fn read(&self, rows: Range<usize>, place: Range<usize>) -> &[u8] {
        self.watch(rows, false);
        let length = place.len();
        let start = self.at(place);
        // SAFETY: the region is valid for reads there (`at` has compared with its length), the bytes are initialised, and
        // nobody writes them meanwhile, as the caller promises.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), length) }
    }

    /// The bytes of a place within `rows`, to be written.
    ///
    /// # Safety
    ///
    /// `place` is where bytes of `rows` lie, and until the reference ends nobody else touches them: the caller has claimed
    /// these rows, has neither committed nor finished them, and has no other reference to them.
    #[expect(clippy::mut_from_ref, reason = "rows are disjoint; the caller owns those that it names")]
    pub(crate) unsafe fn write(&self, rows: Range<usize>, place: Range<usize>) -> &mut [u8] {
        self.watch(rows, true);
        let length = place.len();
        let start = self.at(place);
        // SAFETY: the region is valid for reads and writes there (`at` has compared with its length), the bytes are
        // initialised, and nobody else touches them meanwhile, as the caller promises.
        unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), length) }
    }

    fn at(&self, place: Range<usize>) -> NonNull<u8> {
        assert!(place.start <= place.end && place.end <= self.region.bytes(), "{place:?} is not in the arena");
        // SAFETY: the offset lies within the region, which is one object of that many bytes.
        unsafe { self.region.base().add(place.start) }
    }

    #[cfg(not(loom))]
    #[expect(clippy::unused_self, reason = "the model checker's version uses it")]
    fn watch(&self, _rows: Range<usize>, _is_write: bool) {}

    #[cfg(loom)]
    fn watch(&self, rows: Range<usize>, is_write: bool) {
        for cell in &self.watched[rows] {
            if is_write {
                cell.with_mut(|_| ());
            } else {
                cell.with(|_| ());
            }
        }
    }
}

impl std::fmt::Debug for Arena {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the bytes: they are somebody's request.
        f.debug_struct("Arena").field("word", &self.word.view()).finish_non_exhaustive()
    }
}
