//! A sealed batch: rows that are read by one executor, and the requests that they belong to.

use crate::kept::Kept;
use crate::lane::{Arenas, Lane};
use crate::sync::Arc;
use std::marker::PhantomData;
use std::ops::Range;

/// A run of committed rows, to be run at once. Dropped without [`Sealed::complete`], what is attached to its requests is
/// dropped, which is how they learn that they failed.
///
/// It lends what is attached, so several threads may look at it only if they may look at a `T`:
///
/// ```compile_fail,E0277
/// fn is_shared<S: Sync>() {}
/// is_shared::<graphpiped_batch::Sealed<std::cell::Cell<u8>>>();
/// ```
pub struct Sealed<T: Send> {
    lane: Arc<Lane<T>>,
    arena: u16,
    rows: Range<u16>,
    /// Whether the next claim was too long for it.
    is_cut: bool,
    /// A lane can be shared whatever `T` is, since it lends none. This does, so it is `Sync` only if `T` is.
    lends: PhantomData<T>,
}

/// Rows whose requests are detached. Finished when this is dropped, so also if one of the answers panics.
struct Detached<'a> {
    arenas: &'a Arenas,
    arena: u16,
    rows: u16,
}

impl Drop for Detached<'_> {
    fn drop(&mut self) {
        if self.rows > 0 {
            self.arenas.finish(self.arena, self.rows);
        }
    }
}

impl<T: Send> Sealed<T> {
    pub(crate) fn new(lane: Arc<Lane<T>>, arena: u16, rows: Range<u16>) -> Sealed<T> {
        Sealed { lane, arena, rows, is_cut: false, lends: PhantomData }
    }

    /// The row behind its last.
    pub(crate) fn end(&self) -> u16 {
        self.rows.end
    }

    /// Adds the claim behind it, which the caller has taken.
    pub(crate) fn grow(&mut self, rows: u16) {
        self.rows.end += rows;
    }

    /// Hands its last claim, of so many rows, back to the caller.
    pub(crate) fn shrink(&mut self, rows: u16) {
        self.rows.end -= rows;
    }

    /// Notes that the claim behind it was too long to belong to it.
    pub(crate) fn cut(&mut self) {
        self.is_cut = true;
    }

    /// Whether there was another request behind its last, which would have made it longer than it was to be.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The rows of one column, one behind the other.
    pub fn column(&self, column: usize) -> &[u8] {
        let rows = usize::from(self.rows.start)..usize::from(self.rows.end);
        let place = self.lane.layout().place(column, rows.clone());
        // SAFETY: the place is that of these rows, which were taken and are finished only by consuming or dropping `self`;
        // nobody writes rows that are committed.
        unsafe { self.lane.arenas().arena(self.arena).read(rows, place) }
    }

    /// What is attached to each request, and which rows of the batch are its.
    pub fn requests(&self) -> impl Iterator<Item = (&T, Range<usize>)> {
        let mut row = self.rows.start;
        std::iter::from_fn(move || {
            (row < self.rows.end).then(|| {
                // SAFETY: this batch has taken the claim, and detaches it only by consuming or dropping itself.
                let (attached, rows) = unsafe { self.lane.attached(self.arena, row) };
                let start = usize::from(row - self.rows.start);
                row += rows;
                (attached, start..start + usize::from(rows))
            })
        })
    }

    /// The first and the second half of its requests; the second is `None` if there is only one.
    pub fn halves(self) -> (Sealed<T>, Option<Sealed<T>>) {
        let count = self.requests().count();
        let middle = self.requests().nth(count.div_ceil(2)).map(|(_, rows)| self.rows.start + rows.start as u16);
        let Some(middle) = middle else { return (self, None) };
        let mut first = self;
        let second = Sealed::new(Arc::clone(&first.lane), first.arena, middle..first.rows.end);
        first.rows.end = middle;
        (first, Some(second))
    }

    /// Hands out what is attached to each request, with its rows of the batch; then the rows are free.
    pub fn complete(mut self, mut answer: impl FnMut(T, Range<usize>)) {
        let mut start = 0;
        self.finish(|attached, rows| {
            answer(attached, start..start + rows);
            start += rows;
        });
    }

    /// As [`Sealed::complete`], but the rows are free only when what is returned is dropped: somebody still reads them.
    pub fn complete_and_keep(mut self, mut answer: impl FnMut(T, Range<usize>)) -> Kept {
        let mut kept = Kept::new(Arc::clone(self.lane.shared_arenas()), self.arena, self.rows.start);
        let mut start = 0;
        detach(&self.lane, self.arena, &mut self.rows, |attached, rows| {
            kept.grow(rows);
            let rows = usize::from(rows);
            answer(attached, start..start + rows);
            start += rows;
        });
        kept
    }

    /// Detaches every request and finishes the rows; nothing is left for the drop. If an answer panics, the drop does
    /// what is left.
    fn finish(&mut self, mut answer: impl FnMut(T, usize)) {
        let mut done = Detached { arenas: self.lane.arenas(), arena: self.arena, rows: 0 };
        detach(&self.lane, self.arena, &mut self.rows, |attached, rows| {
            done.rows += rows;
            answer(attached, rows.into());
        });
    }
}

/// Takes what is attached out of the rows of a batch, claim by claim; `each` has to see to it that the claim's rows are
/// finished, when nothing refers to them any more. What is left if it panics stays in `rows`.
fn detach<T: Send>(lane: &Lane<T>, arena: u16, rows: &mut Range<u16>, mut each: impl FnMut(T, u16)) {
    while rows.start < rows.end {
        // SAFETY: the batch that `rows` is of has taken the claim, names it no more after the next line, and has not
        // finished its rows.
        let (attached, claimed) = unsafe { lane.detach(arena, rows.start) };
        rows.start += claimed;
        each(attached, claimed);
    }
}

impl<T: Send> Drop for Sealed<T> {
    fn drop(&mut self) {
        self.finish(|attached, _| drop(attached));
    }
}

impl<T: Send> std::fmt::Debug for Sealed<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed {{ arena: {}, rows: {:?} }}", self.arena, self.rows)
    }
}
