//! Where the bytes of a claimed message go, and how far it has come.

use crate::service::Piece;
use graphpiped_memory::Destination;
use smallvec::SmallVec;
use std::ops::Range;

/// A message whose payloads have their place.
#[derive(Debug)]
pub(super) struct Receiving<C> {
    /// Absent while a receive operation has it.
    pub(super) destination: Option<Destination>,
    /// Whether the destination is rows, wherever it is.
    pub(super) is_in_rows: bool,
    pub(super) pieces: SmallVec<[Piece; 4]>,
    /// The piece that is filled now or next.
    pub(super) next: usize,
    /// Bytes of `aside` before the first piece, and up to the end of the last.
    pub(super) prefix: usize,
    pub(super) tail: usize,
    pub(super) weight: u32,
    pub(super) context: C,
}

impl<C> Receiving<C> {
    pub(super) fn put(&mut self, destination: Destination) {
        self.is_in_rows = matches!(destination, Destination::Rows(_));
        self.destination = Some(destination);
    }

    /// The ranges of the destination that hold bytes, when so many of the message have arrived.
    pub(super) fn arrived(&self, at: u32) -> SmallVec<[Range<usize>; 4]> {
        let begun = self.pieces.iter().take_while(|piece| piece.message.start < at);
        let range = |piece: &Piece| {
            let bytes = piece.message.end.min(at) - piece.message.start;
            piece.offset..piece.offset + bytes as usize
        };
        begun.map(range).collect()
    }

    /// Goes on to the next piece at the end of one. What comes aside behind the last piece is the tail.
    pub(super) fn pass(&mut self, at: u32, aside: usize) {
        while self.pieces.get(self.next).is_some_and(|piece| at >= piece.message.end) {
            self.next += 1;
            self.tail = aside;
        }
        if self.pieces.is_empty() {
            self.tail = aside;
        }
    }
}
