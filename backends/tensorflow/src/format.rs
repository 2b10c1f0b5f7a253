//! What is at a path, read: a SavedModel, or a frozen graph.
//!
//! A frozen graph has no magic bytes; it is one if it reads as a message of operations that have names. All of this is
//! found out without TensorFlow: nobody should have to install a framework to learn of a typing error.

use crate::protobuf::{Graph, SavedModel};
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
    let bytes = message(path).map_err(at_path)?;
    if is_graph(&bytes) {
        Ok(Found::Graph(bytes))
    } else {
        Err(at_path("is damaged or not a TensorFlow graph; copy it again, or freeze it again".into()))
    }
}

/// The saved_model.pb of a folder.
fn saved_model(path: &Path) -> Result<SavedModel, String> {
    let bytes = message(&path.join(SAVED_MODEL)).map_err(|cause| format!("its {SAVED_MODEL} {cause}"))?;
    let model = SavedModel::decode(bytes.as_slice()).ok().filter(|model| !model.meta_graphs.is_empty());
    model
        .ok_or_else(|| format!("its {SAVED_MODEL} is damaged or not a SavedModel's; copy it again, or export it again"))
}

/// All bytes of a file of bearable length.
fn message(path: &Path) -> Result<Vec<u8>, String> {
    content(path, MESSAGE_BYTES_MAX).map_err(|unread| match unread {
        Unread::Long(bytes_max) => format!("has more than {bytes_max} bytes, which TensorFlow reads no message of"),
        _ => unread.to_string(),
    })
}

/// Whether a message is a graph of operations that have names.
fn is_graph(bytes: &[u8]) -> bool {
    let is_named = |graph: Graph| graph.nodes.iter().all(|node| !node.name.is_empty() && !node.kind.is_empty());
    Graph::decode(bytes).is_ok_and(|graph| !graph.nodes.is_empty() && is_named(graph))
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
        assert!(message.ends_with("has more than 2147483647 bytes, which TensorFlow reads no message of"), "{message}");
    }
}
