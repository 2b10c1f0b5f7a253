//! Tensors: their tables and shapes, their strings, and the places of their payloads.

use super::head::{Head, Slot};
use super::{Content, Layout, Tensor, Unwritable, gap_bytes};
use crate::shape::RANK_MAX;
use crate::{DType, MESSAGE_BYTES_MAX, PAYLOAD_ALIGN, TENSORS_MAX};

/// The tables of the tensors of a message: one behind the other, each of [`TABLE_BYTES`].
#[derive(Clone, Copy)]
pub(super) struct Tables {
    first: u32,
}

/// Distance back to the vtable, `shape`, `data` or `string_val`, `type`, and three zeros.
const TABLE_BYTES: u32 = 16;

impl Tables {
    fn at(self, index: usize) -> u32 {
        self.first + index as u32 * TABLE_BYTES
    }

    fn shape(self, index: usize) -> Slot {
        Slot(self.at(index) + 4)
    }

    fn content(self, index: usize) -> Slot {
        Slot(self.at(index) + 8)
    }
}

/// The most bytes of a string in a message, with its offset, length, NUL and zeros.
pub(super) fn string_bytes(bytes: &[u8]) -> u64 {
    bytes.len() as u64 + 12
}

/// The most bytes of a vector of strings in a message.
pub(super) fn strings_bytes(strings: &[&[u8]]) -> u64 {
    4 + strings.iter().map(|string| string_bytes(string)).sum::<u64>()
}

/// The most bytes of the head of a message with these tensors, beside those of its texts.
pub(super) fn head_bytes(tensors: &[Tensor<'_>]) -> u64 {
    // The tables at the top and two vtables of tensors have less than 192 bytes, the zeros before the first payload at
    // most 67.
    let mut bytes = 256;
    for tensor in tensors {
        bytes += u64::from(TABLE_BYTES) + 4 + 12 + 8 * tensor.shape.len() as u64;
        bytes += match tensor.content {
            Content::Payload(_) => 4,
            Content::Strings(strings) => strings_bytes(strings),
        };
    }
    bytes
}

/// Whether a message with these tensors, and `bytes` bytes for its texts, is within all limits. Afterwards, no position
/// in the head overflows; whether the payloads behind it still fit is found when they are laid out.
pub(super) fn check(tensors: &[Tensor<'_>], bytes: u64) -> Result<(), Unwritable> {
    if tensors.len() > TENSORS_MAX || tensors.iter().any(|tensor| tensor.shape.len() > RANK_MAX) {
        return Err(Unwritable::TooMany);
    }
    if bytes + head_bytes(tensors) > u64::from(MESSAGE_BYTES_MAX) {
        return Err(Unwritable::TooLarge);
    }
    Ok(())
}

/// Appends the list of tensors that `slot` points to: the offsets, the vtables that are used, the tables, the shapes.
pub(super) fn tables(head: &mut Head<'_>, slot: Slot, tensors: &[Tensor<'_>]) -> Tables {
    let numeric = tensors.iter().any(|tensor| matches!(tensor.content, Content::Payload(_)));
    let strings = tensors.iter().any(|tensor| matches!(tensor.content, Content::Strings(_)));
    head.align(4, 0);
    head.fill(slot, head.at());
    head.put_u32(tensors.len() as u32);
    let list = head.at();
    let numeric_vtable = list + 4 * tensors.len() as u32;
    let strings_vtable = numeric_vtable + if numeric { 12 } else { 0 };
    let tables = Tables { first: strings_vtable + if strings { 12 } else { 0 } };
    for index in 0..tensors.len() {
        head.put_u32(tables.at(index) - (list + 4 * index as u32));
    }
    if numeric {
        head.put_u16s(&[10, 13, 12, 4, 8, 0]);
    }
    if strings {
        head.put_u16s(&[12, 13, 12, 4, 0, 8]);
    }
    for (index, tensor) in tensors.iter().enumerate() {
        let vtable = match tensor.content {
            Content::Payload(_) => numeric_vtable,
            Content::Strings(_) => strings_vtable,
        };
        debug_assert_eq!(tensor.dtype == DType::String, matches!(tensor.content, Content::Strings(_)));
        head.put_u32(tables.at(index) - vtable);
        head.put(&[0; 8]);
        head.put(&[tensor.dtype as u8, 0, 0, 0]);
    }
    for (index, tensor) in tensors.iter().enumerate() {
        // The dimensions behind the count lie on a multiple of 8.
        head.align(8, 4);
        head.fill(tables.shape(index), head.at());
        head.put_u32(tensor.shape.len() as u32);
        for dim in tensor.shape {
            head.put(&dim.to_le_bytes());
        }
    }
    tables
}

/// Appends what the tensors hold, as far as it belongs to the head, and places the payloads behind it.
pub(super) fn contents(mut head: Head<'_>, tables: Tables, tensors: &[Tensor<'_>]) -> Result<Layout, Unwritable> {
    let mut first = None;
    for (index, tensor) in tensors.iter().enumerate() {
        match tensor.content {
            Content::Strings(strings) => head.strings(tables.content(index), strings),
            Content::Payload(0) => {
                head.align(4, 0);
                head.fill(tables.content(index), head.at());
                head.put_u32(0);
            }
            Content::Payload(bytes) => first = first.or(Some(bytes)),
        }
    }
    if let Some(bytes) = first {
        head.align(PAYLOAD_ALIGN as u32, 4);
        head.put_u32(bytes);
    }
    let head_bytes = head.at();
    let Some(length) = place(&mut head, tables, tensors) else {
        head.abandon();
        return Err(Unwritable::TooLarge);
    };
    Ok(Layout { head: head_bytes, length })
}

/// Points the tensors to their payloads, which follow the head that has been written; returns the length of the message,
/// `None` if it is over the limit.
fn place(head: &mut Head<'_>, tables: Tables, tensors: &[Tensor<'_>]) -> Option<u32> {
    let mut end = u64::from(head.at());
    let mut is_first = true;
    for (index, tensor) in tensors.iter().enumerate() {
        let Content::Payload(bytes @ 1..) = tensor.content else { continue };
        let start = if is_first { end } else { end + gap_bytes(end) };
        is_first = false;
        end = start + u64::from(bytes);
        if end > u64::from(MESSAGE_BYTES_MAX) {
            return None;
        }
        head.fill(tables.content(index), start as u32 - 4);
    }
    Some(end as u32)
}
