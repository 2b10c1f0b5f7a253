//! What a message would take in memory, found by a walk over its fields before it is decoded.
//!
//! A node of two bytes becomes a structure of fifty, and an entry of a map makes a table for eleven, so the length of a file is
//! no bound for what decoding it takes. Fields that are not declared in [`crate::protobuf`] are stepped over, as they are then.
#![forbid(unsafe_code)]

use crate::protobuf::{Axis, MetaGraph, Node, Signature, Tensor};
use crate::wire::{Value, field};

/// Bytes for the messages and names of a model, besides its weights. A graph of a million nodes fits.
pub(crate) const BYTES_MAX: u64 = 256 << 20;

/// The messages, as far as they are declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    SavedModel,
    MetaGraph,
    Purpose,
    Saver,
    Graph,
    Node,
    /// Of a map from names to signatures.
    NamedSignature,
    Signature,
    /// Of a map from names to tensors.
    NamedTensor,
    Tensor,
    Shape,
    Axis,
}

impl Kind {
    /// What kind of message a field is, if it is one.
    fn of_field(self, field: u64) -> Option<Kind> {
        Some(match (self, field) {
            (Kind::SavedModel, 2) => Kind::MetaGraph,
            (Kind::MetaGraph, 1) => Kind::Purpose,
            (Kind::MetaGraph, 2) => Kind::Graph,
            (Kind::MetaGraph, 3) => Kind::Saver,
            (Kind::MetaGraph, 5) => Kind::NamedSignature,
            (Kind::Graph, 1) => Kind::Node,
            (Kind::NamedSignature, 2) => Kind::Signature,
            (Kind::Signature, 1 | 2) => Kind::NamedTensor,
            (Kind::NamedTensor, 2) => Kind::Tensor,
            (Kind::Tensor, 3) => Kind::Shape,
            (Kind::Shape, 2) => Kind::Axis,
            _ => return None,
        })
    }

    /// Whether a field is a string that is kept.
    fn has_text(self, field: u64) -> bool {
        matches!(
            (self, field),
            (Kind::Purpose, 4)
                | (Kind::Saver, 3)
                | (Kind::Node, 1 | 2)
                | (Kind::NamedSignature | Kind::NamedTensor | Kind::Tensor, 1)
        )
    }

    /// Bytes of such a message in the list, or in the table, that it makes or lengthens.
    fn size(self) -> u64 {
        let size = match self {
            Kind::MetaGraph => size_of::<MetaGraph>(),
            Kind::Node => size_of::<Node>(),
            Kind::Axis => size_of::<Axis>(),
            Kind::NamedSignature => TABLE * size_of::<(String, Signature)>(),
            Kind::NamedTensor => TABLE * size_of::<(String, Tensor)>(),
            // A part of another message.
            Kind::SavedModel
            | Kind::Purpose
            | Kind::Saver
            | Kind::Graph
            | Kind::Signature
            | Kind::Tensor
            | Kind::Shape => 0,
        };
        size as u64
    }
}

/// Entries that a map makes room for with its first one, and what it needs besides.
const TABLE: usize = 12;
/// The least that an allocator takes for anything.
const ALLOCATION: u64 = 32;

/// Bytes that a message of a kind takes when it is decoded; `None` if it is no sound one.
pub(crate) fn weight(kind: Kind, mut message: &[u8]) -> Option<u64> {
    let rest = &mut message;
    let mut bytes = kind.size();
    while !rest.is_empty() {
        let (number, value) = field(rest)?;
        let Value::Bytes(content) = value else { continue };
        if let Some(inner) = kind.of_field(number) {
            bytes += weight(inner, content)?;
        } else if kind.has_text(number) {
            bytes += size_of::<String>() as u64 + ALLOCATION + content.len() as u64;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_weighed_and_what_is_not_is_stepped_over() {
        // A node "y" of the kind "Neg", with an attribute (field 5) that is longer than both.
        let node = b"\x0a\x01y\x12\x03Neg\x2a\x0811111111";
        let graph = [b"\x0a\x12", &node[..]].concat();
        assert_eq!(weight(Kind::Graph, &graph), Some(size_of::<Node>() as u64 + 2 * (24 + 32) + 4));
        // The same in a SavedModel (field 2 of field 2), of version 1.
        let saved = [b"\x08\x01\x12\x16\x12\x14", &graph[..]].concat();
        let expected = weight(Kind::Graph, &graph).map(|bytes| bytes + size_of::<MetaGraph>() as u64);
        assert_eq!(weight(Kind::SavedModel, &saved), expected);
        // Fields that nobody knows, of each wire type.
        assert_eq!(weight(Kind::Graph, b"\x78\x01\x79\0\0\0\0\0\0\0\0\x7a\x01x\x7d\0\0\0\0"), Some(0));
    }

    #[test]
    fn what_is_cut_or_lies_about_its_length_is_unsound() {
        for bytes in [&b"\x0a"[..], b"\x0a\x02x", b"\x08\x80", b"\x09\0", b"\x0b\x0c", b"\x0a\x02\x0a\x01", &[0xff; 11]]
        {
            assert_eq!(weight(Kind::Graph, bytes), None, "{bytes:?}");
        }
    }
}
