//! Where the rows of a lane lie. Pure arithmetic.
//!
//! ```text
//! arena   | column 0: row 0, row 1, … | pad | column 1: row 0, row 1, … | pad |
//!         ^ a multiple of 256               ^ a multiple of 256
//! ```
//!
//! A claim of some rows has *offsets* of its own, which are those of a buffer that would hold these rows alone: column 0
//! at 0, each further column at the next multiple of 256. So whoever receives a request need not know whether it goes
//! into rows or into such a buffer.

use smallvec::SmallVec;
use std::ops::Range;

/// The alignment of every column's first byte: what vector units and DMA engines ask for.
pub const BASE_ALIGN: usize = 256;
/// The most rows of an arena: their numbers are 16 bits, and sums of them must not wrap.
pub const ROWS_MAX: usize = 1 << 15;

/// The layout of every arena of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    rows: u16,
    columns: SmallVec<[Column; 2]>,
    bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Column {
    row_bytes: usize,
    /// Where the column begins in the arena.
    offset: usize,
}

impl Layout {
    /// Arenas of `rows` rows, which have so many bytes in each column. `None` if that is no number of rows
    /// (1 to [`ROWS_MAX`]), or more bytes than there are addresses.
    pub fn new(rows: usize, row_bytes: &[usize]) -> Option<Layout> {
        if !(1..=ROWS_MAX).contains(&rows) {
            return None;
        }
        let (mut columns, mut bytes) = (SmallVec::new(), 0_usize);
        for &row_bytes in row_bytes {
            columns.push(Column { row_bytes, offset: bytes });
            bytes = rows.checked_mul(row_bytes)?.checked_add(bytes)?.checked_next_multiple_of(BASE_ALIGN)?;
        }
        isize::try_from(bytes).ok()?;
        Some(Layout { rows: rows as u16, columns, bytes })
    }

    /// Rows of an arena.
    pub fn rows(&self) -> usize {
        self.rows.into()
    }

    /// Columns of an arena.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Bytes of a row in a column.
    pub fn row_bytes(&self, column: usize) -> usize {
        self.columns[column].row_bytes
    }

    /// Bytes that an arena needs.
    pub fn arena_bytes(&self) -> usize {
        self.bytes
    }

    /// Where a column begins among the offsets of a claim of `rows` rows.
    pub fn offset(&self, rows: usize, column: usize) -> usize {
        let before = self.columns[..column].iter();
        before.map(|column| (rows * column.row_bytes).next_multiple_of(BASE_ALIGN)).sum()
    }

    /// Bytes up to the end of the last column, by the offsets of a claim of `rows` rows.
    pub fn claim_bytes(&self, rows: usize) -> usize {
        match self.columns.last() {
            None => 0,
            Some(last) => self.offset(rows, self.columns.len() - 1) + rows * last.row_bytes,
        }
    }

    /// Where rows lie in one column of an arena.
    pub(crate) fn place(&self, column: usize, rows: Range<usize>) -> Range<usize> {
        let Column { row_bytes, offset } = self.columns[column];
        offset + rows.start * row_bytes..offset + rows.end * row_bytes
    }

    /// Where this range of the offsets of a claim lies in its arena; `None` if it is not within one column.
    pub(crate) fn locate(&self, first: usize, rows: usize, range: &Range<usize>) -> Option<Range<usize>> {
        let mut start = 0;
        for column in &self.columns {
            let bytes = rows * column.row_bytes;
            if range.start >= start && range.end <= start + bytes && range.start <= range.end {
                let at = column.offset + first * column.row_bytes + (range.start - start);
                return Some(at..at + range.len());
            }
            start += bytes.next_multiple_of(BASE_ALIGN);
        }
        None
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn columns_begin_at_multiples_of_256() {
        let layout = Layout::new(4, &[100, 8]).unwrap();
        assert_eq!((layout.arena_bytes(), layout.columns()), (768, 2), "512 for 4 x 100, 256 for 4 x 8");
        assert_eq!(layout.place(0, 1..3), 100..300);
        assert_eq!(layout.place(1, 0..4), 512..544);
    }

    #[test]
    fn the_offsets_of_a_claim_are_those_of_a_buffer_for_its_rows() {
        let layout = Layout::new(4, &[100, 8]).unwrap();
        assert_eq!((layout.offset(2, 0), layout.offset(2, 1), layout.claim_bytes(2)), (0, 256, 272));
        assert_eq!(layout.offset(3, 1), 512, "300 bytes end in the second 256");
        assert_eq!(layout.locate(1, 2, &(0..200)), Some(100..300));
        assert_eq!(layout.locate(1, 2, &(256..272)), Some(520..536));
        assert_eq!(layout.locate(1, 2, &(256..273)), None, "beyond its rows");
        assert_eq!(layout.locate(1, 2, &(199..257)), None, "across columns");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert_eq!(Layout::new(0, &[4]), None);
        assert_eq!(Layout::new(ROWS_MAX + 1, &[4]), None);
        assert_eq!(Layout::new(ROWS_MAX, &[usize::MAX / 8]), None);
    }

    #[test]
    fn rows_may_have_no_bytes() {
        let layout = Layout::new(3, &[0]).unwrap();
        assert_eq!((layout.arena_bytes(), layout.claim_bytes(2)), (0, 0));
        assert_eq!(layout.locate(1, 2, &(0..0)), Some(0..0));
    }
}
