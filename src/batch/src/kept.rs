//! Rows whose batch has been answered, and which somebody still reads.

use crate::lane::Arenas;
use crate::sync::Arc;
use std::ops::Range;

/// Rows of a batch that are not free yet: a framework refers to them. Its drop, on any thread, finishes them.
///
/// It keeps the memory of its lane, but nothing of the requests, which have been answered.
#[must_use = "the rows are free when this is dropped"]
pub struct Kept {
    arenas: Arc<Arenas>,
    arena: u16,
    rows: Range<u16>,
}

impl Kept {
    /// No rows yet, of those that begin at `first`.
    pub(crate) fn new(arenas: Arc<Arenas>, arena: u16, first: u16) -> Kept {
        Kept { arenas, arena, rows: first..first }
    }

    /// Adds the rows behind, which the caller has detached and does not finish.
    pub(crate) fn grow(&mut self, rows: u16) {
        self.rows.end += rows;
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The rows of one column, as they were when the batch was run.
    pub fn column(&self, column: usize) -> &[u8] {
        let rows = usize::from(self.rows.start)..usize::from(self.rows.end);
        let place = self.arenas.layout().place(column, rows.clone());
        // SAFETY: these rows were taken and are finished only by dropping `self`; nobody writes rows that are committed.
        unsafe { self.arenas.arena(self.arena).read(rows, place) }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if !self.rows.is_empty() {
            self.arenas.finish(self.arena, self.rows.len() as u16);
        }
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kept {{ arena: {}, rows: {:?} }}", self.arena, self.rows)
    }
}
