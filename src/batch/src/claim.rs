//! A claim: rows that belong to one request until it commits them or gives them up.

use crate::lane::Arenas;
use crate::sync::Arc;
use std::ops::Range;

/// Rows of one arena, for one request to be received into. Dropped without a commit, they are void: nobody will run them.
///
/// To let the kernel write, take an address from [`Claim::slice_mut`] and move the claim into the operation's entry until
/// its last completion: as long as it lies there nobody can commit or drop it.
pub struct Claim {
    arenas: Arc<Arenas>,
    arena: u16,
    first: u16,
    rows: u16,
}

impl Claim {
    pub(crate) fn new(arenas: Arc<Arenas>, arena: usize, first: u16, rows: u16) -> Claim {
        Claim { arenas, arena: arena as u16, first, rows }
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows.into()
    }

    /// Where a column begins among its offsets; see [`Layout`](crate::Layout).
    pub fn offset(&self, column: usize) -> usize {
        self.arenas.layout().offset(self.rows(), column)
    }

    /// Bytes up to the end of its last column.
    pub fn len(&self) -> usize {
        self.arenas.layout().claim_bytes(self.rows())
    }

    /// Whether its rows have no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of its rows, to be written. Panics if the range is not within one column.
    pub fn slice_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        let (first, rows) = (usize::from(self.first), self.rows());
        let place = self.arenas.layout().locate(first, rows, &range);
        let place = place.unwrap_or_else(|| panic!("{range:?} is not within a column of {rows} rows"));
        // SAFETY: `locate` stays within these rows, which `Lane::claim` has handed out once in this generation; they are
        // committed or finished only by consuming `self`, which is borrowed.
        unsafe { self.arenas.arena(self.arena).write(first..first + rows, place) }
    }

    /// Whether it is one of a lane with these arenas.
    pub(crate) fn is_of(&self, arenas: &Arc<Arenas>) -> bool {
        Arc::ptr_eq(&self.arenas, arenas)
    }

    /// Where it is: arena, first row, rows. Its drop does nothing any more: the caller finishes the rows.
    pub(crate) fn into_place(self) -> (u16, u16, u16) {
        let mut claim = self;
        let place = (claim.arena, claim.first, claim.rows);
        claim.rows = 0;
        place
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.rows > 0 {
            self.arenas.finish(self.arena, self.rows);
        }
    }
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Claim { arena, first, rows, .. } = self;
        write!(f, "Claim {{ arena: {arena}, first: {first}, rows: {rows} }}")
    }
}
