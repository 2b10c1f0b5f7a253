//! What is at a path, read: a SavedModel, or a frozen graph.
//!
//! A frozen graph has no magic bytes; it is one if it reads as a message of operations that have names. All of this is
//! found out without TensorFlow: nobody should have to install a framework to learn of a typing error.
#![forbid(unsafe_code)]

use crate::constants::{fault_of_graph, fault_of_saved};
use crate::protobuf::{Graph, SavedModel};
use crate::weight::{BYTES_MAX, Kind, weight};
use graphpiped_model_format::{Format, Unread, content, expect};
use prost::Message;
use std::path::Path;

/// A model as it was read.
#[derive(Debug)]
pub(crate) enum Found {
    /// The content of a folder's saved_model.pb.
    SavedModel(SavedModel),
    /// The bytes of a frozen graph.
    Graph(Vec<u8>),
}

/// The file in a SavedModel's folder.
const SAVED_MODEL: &str = "saved_model.pb";

/// Of a file that would take more than [`BYTES_MAX`].
const TOO_MUCH: &str =
    "would take more than 256 MiB of memory besides its weights, which no model needs; export it again";

/// The longest message that Protocol Buffers allow, and thus TensorFlow reads.
const MESSAGE_BYTES_MAX: u64 = (2 << 30) - 1;

/// Reads a model. Otherwise: one line with the path, the cause and the remedy.
pub(crate) fn read(path: &Path) -> Result<Found, String> {
    let at_path = |cause: String| format!("{}: {cause}", path.display());
    // A folder is a SavedModel now, or known as nothing that is one.
    expect(path, &[Format::SavedModel, Format::GraphDef])?;
    if path.is_dir() {
        return saved_model(path).map(Found::SavedModel).map_err(at_path);
    }
    message(path).and_then(frozen).map_err(at_path)
}

/// The frozen graph in these bytes.
pub(crate) fn frozen(bytes: Vec<u8>) -> Result<Found, String> {
    if let Some(cause) = refusal(&bytes) {
        return Err(cause.into());
    }
    match fault_of_graph(&bytes) {
        Some(fault) => Err(format!("is damaged: a constant {fault}; copy it again, or freeze it again")),
        None => Ok(Found::Graph(bytes)),
    }
}

/// The saved_model.pb of a folder.
fn saved_model(path: &Path) -> Result<SavedModel, String> {
    message(&path.join(SAVED_MODEL))
        .and_then(|bytes| saved(&bytes))
        .map_err(|cause| format!("its {SAVED_MODEL} {cause}"))
}

/// What a saved_model.pb says.
pub(crate) fn saved(bytes: &[u8]) -> Result<SavedModel, String> {
    let model: Option<SavedModel> = decoded(Kind::SavedModel, bytes).map_err(str::to_string)?;
    let model = model.filter(|model| !model.meta_graphs.is_empty());
    let model =
        model.ok_or_else(|| "is damaged or not a SavedModel's; copy it again, or export it again".to_string())?;
    match fault_of_saved(bytes) {
        Some(fault) => Err(format!("is damaged: a constant {fault}; copy it again, or export it again")),
        None => Ok(model),
    }
}

/// A message of this kind, if it is a sound one. Otherwise: why it is not decoded.
fn decoded<M: Message + Default>(kind: Kind, bytes: &[u8]) -> Result<Option<M>, &'static str> {
    match weight(kind, bytes) {
        Some(BYTES_MAX..) => Err(TOO_MUCH),
        Some(_) => Ok(M::decode(bytes).ok()),
        None => Ok(None),
    }
}

/// All bytes of a file of bearable length.
fn message(path: &Path) -> Result<Vec<u8>, String> {
    content(path, MESSAGE_BYTES_MAX).map_err(|unread| match unread {
        Unread::Long(bytes_max) => format!(
            "has more than {bytes_max} bytes, which TensorFlow reads no message of; keep its weights in a SavedModel"
        ),
        _ => unread.to_string(),
    })
}

/// Why a message is no graph of operations that have names.
fn refusal(bytes: &[u8]) -> Option<&'static str> {
    let is_named = |graph: &Graph| graph.nodes.iter().all(|node| !node.name.is_empty() && !node.kind.is_empty());
    match decoded::<Graph>(Kind::Graph, bytes) {
        Err(cause) => Some(cause),
        Ok(Some(graph)) if !graph.nodes.is_empty() && is_named(&graph) => None,
        Ok(_) => Some("is damaged or not a TensorFlow graph; copy it again, or freeze it again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn refused(path: &Path) -> String {
        let message = read(path).expect_err("it is no model");
        assert!(!message.contains('\n') && message.contains("; "), "{message}");
        message.strip_prefix(&format!("{}: ", path.display())).expect("the path comes first").to_string()
    }

    fn of_file(content: &[u8]) -> String {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("m.pb");
        fs::write(&path, content).expect("a file");
        refused(&path)
    }

    #[test]
    fn files_that_are_no_graph_are_refused_with_cause_and_remedy() {
        let cases: [(&[u8], &str); 7] = [
            (b"", "is empty; copy"),
            (b"\x89HDF\r\n\x1a\n\0\0", "is an HDF5 file"),
            (b"hello", "is damaged or not a TensorFlow graph"),
            (&[0; 64], "is damaged or not a TensorFlow graph"),
            // A node without a kind; versions and no node; an ONNX model, which begins with a number.
            (b"\x0a\x03\x0a\x01x", "is damaged or not a TensorFlow graph"),
            (b"\x22\x02\x08\x1b", "is damaged or not a TensorFlow graph"),
            (b"\x08\x0a\x12\x07pytorch", "is an ONNX model and not a TensorFlow SavedModel or a TensorFlow graph"),
        ];
        for (content, expected) in cases {
            let message = of_file(content);
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn a_file_that_takes_much_more_memory_than_bytes_is_refused_before_it_is_decoded() {
        // A field with a length: its number, and what is in it.
        let field = |number: u8, content: &[u8]| {
            let mut bytes = vec![number << 3 | 2];
            prost::encode_length_delimiter(content.len(), &mut bytes).expect("memory");
            [&bytes, content].concat()
        };
        // Numbers of fields from a SavedModel on inwards: graphs, tags, nodes, signatures, and inputs of one.
        let places: [&[u8]; 5] = [&[2], &[2, 1, 4], &[2, 2, 1], &[2, 5], &[2, 5, 2, 1]];
        for place in places {
            let (innermost, outer) = place.split_last().expect("one at least");
            let model = |count| {
                let parts = field(*innermost, b"").repeat(count);
                outer.iter().rev().fold(parts, |inner, number| field(*number, &inner))
            };
            assert_eq!(saved(&model(6_000_000)), Err(TOO_MUCH.to_string()), "{place:?}");
            assert!(saved(&model(10)).is_ok(), "{place:?}");
        }
        assert_eq!(refusal(&field(1, b"").repeat(6_000_000)), Some(TOO_MUCH));
    }

    #[test]
    fn a_message_of_named_operations_is_a_graph() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("m");
        fs::write(&path, b"\x0a\x08\x0a\x01y\x12\x03Neg").expect("a file");
        assert!(matches!(read(&path), Ok(Found::Graph(bytes)) if bytes.len() == 10));
    }

    #[test]
    fn folders_that_are_no_saved_model_are_refused_with_cause_and_remedy() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        assert!(refused(path).starts_with("is a folder without a model: neither saved_model.pb nor "));
        for content in [&b""[..], b"hello"] {
            fs::write(path.join(SAVED_MODEL), content).expect("a file");
            assert!(refused(path).starts_with("its saved_model.pb is damaged or not a SavedModel's; "));
        }
    }

    #[test]
    fn a_file_that_is_too_long_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("m.pb");
        fs::File::create(&path).and_then(|file| file.set_len(2 << 30)).expect("a file of holes");
        let message = read(&path).expect_err("it is too long");
        assert!(
            message.ends_with(
                "has more than 2147483647 bytes, which TensorFlow reads no message of; keep its weights in a SavedModel"
            ),
            "{message}"
        );
    }
}
