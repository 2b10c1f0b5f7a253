//! Where the bytes of a message go in one buffer. Pure arithmetic; nothing is reserved or received here.
//!
//! ```text
//! message  | head … | payload 0 | gap, length | payload 1 | tail |
//!                    └────┬────┘               └────┬────┘
//! buffer              | payload 0 |       …       | payload 1 |
//!                     ^ 0                         ^ a multiple of 256
//! ```
//!
//! Payloads are received where a framework can read them: at multiples of [`BASE_ALIGN`]. What lies between them is the
//! transport's to look at.

use graphpiped_memory::BASE_ALIGN;
use graphpiped_transport::limits::ASIDE_BYTES_MAX;
use graphpiped_transport::service::Piece;
use smallvec::SmallVec;
use std::ops::Range;

/// Where everything goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// What goes where, in the order of the message.
    pub pieces: SmallVec<[Piece; 4]>,
    /// Where each payload begins in the buffer, in the order of the inputs.
    pub offsets: SmallVec<[usize; 2]>,
    /// Bytes of the buffer.
    pub bytes: usize,
}

/// Bytes of a vector's length field, right before its first byte, so between any two payloads.
const LENGTH_BYTES: u32 = 4;

/// Each payload on its own, in a buffer that has just room for them. `None` if they overlap, or leave more between them than the transport keeps aside: then the
/// message is received as a whole.
pub fn apart(payloads: &[Range<u32>], length: u32) -> Option<Layout> {
    place(payloads, length, |end, _| end.next_multiple_of(BASE_ALIGN))
}

/// Each payload at the offset that is given for it, as it is in the rows of a lane. `None` as in [`apart`].
pub fn into_rows(payloads: &[Range<u32>], length: u32, offset: impl Fn(usize) -> usize) -> Option<Layout> {
    place(payloads, length, |_, index| offset(index))
}

/// `offset` is told where the payload before it ends in the buffer, and its position.
fn place(payloads: &[Range<u32>], length: u32, offset: impl Fn(usize, usize) -> usize) -> Option<Layout> {
    let mut order: SmallVec<[usize; 4]> = (0..payloads.len()).filter(|index| !payloads[*index].is_empty()).collect();
    order.sort_unstable_by_key(|index| payloads[*index].start);
    let mut layout = Layout { pieces: SmallVec::new(), offsets: SmallVec::from_elem(0, payloads.len()), bytes: 0 };
    let (mut message_end, mut received) = (0_u32, 0_u32);
    for index in order {
        let Range { start, end } = payloads[index].clone();
        if start < message_end.checked_add(LENGTH_BYTES)? {
            return None;
        }
        let offset = offset(layout.bytes, index);
        layout.pieces.push(Piece { message: start..end, offset });
        layout.offsets[index] = offset;
        layout.bytes = offset + (end - start) as usize;
        message_end = end;
        received += end - start;
    }
    let aside = length.checked_sub(received)?;
    (message_end <= length && aside as usize <= ASIDE_BYTES_MAX).then_some(layout)
}

/// The whole message as one piece, put so that the payload that begins at `payload` is aligned. The one offset is where the
/// message begins.
pub fn whole(payload: u32, length: u32) -> Layout {
    let offset = (PAYLOAD_ALIGN - payload as usize % PAYLOAD_ALIGN) % PAYLOAD_ALIGN;
    Layout {
        pieces: SmallVec::from_iter([Piece { message: 0..length, offset }]),
        offsets: SmallVec::from_iter([offset]),
        bytes: offset + length as usize,
    }
}

/// What the widest vector units ask for; more would only add slack.
const PAYLOAD_ALIGN: usize = graphpipe_schema::PAYLOAD_ALIGN;

#[cfg(test)]
mod tests {
    use super::*;

    /// One payload.
    fn only(payload: Range<u32>, length: u32) -> Option<Layout> {
        apart(std::slice::from_ref(&payload), length)
    }

    fn pieces(layout: &Layout) -> Vec<(Range<u32>, usize)> {
        layout.pieces.iter().map(|piece| (piece.message.clone(), piece.offset)).collect()
    }

    #[test]
    fn one_payload_begins_at_the_buffers_beginning() {
        let layout = only(104..602_216, 602_260).unwrap();
        assert_eq!(pieces(&layout), [(104..602_216, 0)]);
        assert_eq!((layout.offsets.as_slice(), layout.bytes), (&[0][..], 602_112));
    }

    #[test]
    fn every_payload_is_aligned() {
        let layout = apart(&[128..228, 256..300], 300).unwrap();
        assert_eq!(pieces(&layout), [(128..228, 0), (256..300, 256)]);
        assert_eq!((layout.offsets.as_slice(), layout.bytes), (&[0, 256][..], 300));
    }

    #[test]
    fn payloads_in_the_reverse_order_keep_the_order_of_the_message() {
        let layout = apart(&[800_156..800_160, 108..800_108], 800_200).unwrap();
        assert_eq!(pieces(&layout), [(108..800_108, 0), (800_156..800_160, 800_000)]);
        assert_eq!(layout.offsets.as_slice(), [800_000, 0], "800,000 is a multiple of 256");
    }

    #[test]
    fn empty_payloads_have_no_piece() {
        let layout = apart(&[0..0, 64..80, 90..90], 90).unwrap();
        assert_eq!(pieces(&layout), [(64..80, 0)]);
        let nothing = only(40..40, 44).unwrap();
        assert_eq!((nothing.pieces.len(), nothing.bytes), (0, 0));
    }

    #[test]
    fn payloads_on_top_of_each_other_are_not_taken_apart() {
        assert_eq!(apart(&[64..128, 64..128], 200), None);
        assert_eq!(apart(&[64..128, 100..150], 200), None);
        assert_eq!(apart(&[64..128, 130..150], 200), None, "the length field of the second lies in the first");
    }

    #[test]
    fn much_between_payloads_is_received_with_them() {
        assert!(only(64..128, 64 + 64 + 65_472).is_some(), "65,536 bytes aside");
        assert_eq!(only(64..128, 64 + 64 + 65_473), None);
    }

    #[test]
    fn a_whole_message_is_put_so_that_its_payload_is_aligned() {
        assert_eq!(pieces(&whole(104, 156)), [(0..156, 24)]);
        assert_eq!(whole(104, 156).bytes, 180);
        assert_eq!(pieces(&whole(128, 200)), [(0..200, 0)]);
    }
}
