//! What a path is: a SavedModel, a frozen graph, or neither, which is said in words.
//!
//! A frozen graph has no magic bytes; it is one if it reads as a message of operations that have names. All of this is
//! found out without TensorFlow: nobody should have to install a framework to learn of a typing error.
#![forbid(unsafe_code)]

use crate::protobuf::{Graph, SavedModel};
use crate::weight::{BYTES_MAX, Kind, weight};
use prost::Message;
use std::fs::File;
use std::io::{ErrorKind, Read};
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
    // Looked at before it is opened: opening a pipe would wait for somebody to write into it.
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(at_path("there is no such file or folder; check the path of the model".into()));
        }
        Err(error) => return Err(at_path(cannot_be_read(&error))),
    };
    if metadata.is_dir() {
        return folder(path).map(Found::SavedModel).map_err(at_path);
    }
    if !metadata.is_file() {
        return Err(at_path("is not a regular file; name a frozen graph (.pb) or a SavedModel's folder".into()));
    }
    content(path).and_then(frozen).map_err(at_path)
}

/// The frozen graph in these bytes.
pub(crate) fn frozen(bytes: Vec<u8>) -> Result<Found, String> {
    match refusal(&bytes) {
        Some(cause) => Err(cause.into()),
        None => Ok(Found::Graph(bytes)),
    }
}

/// The saved_model.pb of a folder.
fn folder(path: &Path) -> Result<SavedModel, String> {
    let file = path.join(SAVED_MODEL);
    if !file.is_file() {
        // What is there and no file must not be opened: opening a pipe would wait for somebody to write into it.
        return Err(if file.exists() {
            format!("its {SAVED_MODEL} is not a regular file; copy it again, or export it again")
        } else {
            no_saved_model(path)
        });
    }
    content(&file).and_then(|bytes| saved(&bytes)).map_err(|cause| format!("its {SAVED_MODEL} {cause}"))
}

/// What a saved_model.pb says.
pub(crate) fn saved(bytes: &[u8]) -> Result<SavedModel, String> {
    let model: Option<SavedModel> = decoded(Kind::SavedModel, bytes).map_err(str::to_string)?;
    let model = model.filter(|model| !model.meta_graphs.is_empty());
    model.ok_or_else(|| "is damaged or not a SavedModel's; copy it again, or export it again".to_string())
}

/// A message of this kind, if it is a sound one. Otherwise: why it is not decoded.
fn decoded<M: Message + Default>(kind: Kind, bytes: &[u8]) -> Result<Option<M>, &'static str> {
    match weight(kind, bytes) {
        Some(BYTES_MAX..) => Err(TOO_MUCH),
        Some(_) => Ok(M::decode(bytes).ok()),
        None => Ok(None),
    }
}

/// Why a folder is no SavedModel, by what people mistake for one.
fn no_saved_model(path: &Path) -> String {
    let other = |name: &str| path.join(name).exists();
    if other("saved_model.pbtxt") {
        return format!("has a saved_model.pbtxt and no {SAVED_MODEL}; save it in binary form");
    }
    if other("saved_model.cpb") {
        return format!("has a saved_model.cpb and no {SAVED_MODEL}; save it as one file, which 2 GiB are enough for");
    }
    if other("keras_metadata.pb") || other("config.json") {
        return "is a folder of Keras without a saved_model.pb; export it with model.export(FOLDER)".to_string();
    }
    // TensorFlow Serving keeps versions in folders that are numbers.
    let versions = path.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let latest = versions
        .filter(|folder| folder.join(SAVED_MODEL).is_file())
        .filter_map(|folder| folder.file_name()?.to_str()?.parse::<u64>().ok())
        .max();
    match latest {
        Some(version) => {
            format!("holds versions of a model; name one of them, such as {}", path.join(version.to_string()).display())
        }
        None => format!("is a folder without a {SAVED_MODEL}; name a SavedModel's own folder, or a frozen graph (.pb)"),
    }
}

/// All bytes of a file of bearable length.
fn content(path: &Path) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| cannot_be_read(&error))?;
    let length = file.metadata().map_err(|error| cannot_be_read(&error))?.len();
    let too_long = || format!("has more than {MESSAGE_BYTES_MAX} bytes, which TensorFlow reads no message of");
    if length > MESSAGE_BYTES_MAX {
        return Err(too_long());
    }
    let mut bytes = Vec::with_capacity(length as usize);
    // It may have grown meanwhile.
    file.take(MESSAGE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| cannot_be_read(&error))?;
    if bytes.len() as u64 > MESSAGE_BYTES_MAX { Err(too_long()) } else { Ok(bytes) }
}

fn cannot_be_read(error: &std::io::Error) -> String {
    format!("cannot be read: {error}; it has to be readable by this user")
}

/// Why a file is no frozen graph.
fn refusal(bytes: &[u8]) -> Option<&'static str> {
    if let Some(cause) = of_start(bytes) {
        return Some(cause);
    }
    let is_graph = |graph: Graph| {
        !graph.nodes.is_empty() && graph.nodes.iter().all(|node| !node.name.is_empty() && !node.kind.is_empty())
    };
    let is_saved_model = |model: SavedModel| {
        !model.meta_graphs.is_empty() && model.meta_graphs.iter().all(|graph| graph.purpose.is_some())
    };
    match decoded(Kind::Graph, bytes).map(|graph| graph.is_some_and(is_graph)) {
        Err(cause) => return Some(cause),
        Ok(true) => return None,
        Ok(false) => {}
    }
    Some(match decoded(Kind::SavedModel, bytes).map(|model| model.is_some_and(is_saved_model)) {
        Err(cause) => cause,
        Ok(true) => "is the file of a SavedModel; name the folder that it is in",
        Ok(false) => "is damaged or not a TensorFlow graph; copy it again, or freeze it again",
    })
}

/// What a file is by its first bytes, if those are not a message's.
fn of_start(bytes: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, pattern: &[u8]| bytes.get(offset..).is_some_and(|rest| rest.starts_with(pattern));
    let cause = if bytes.is_empty() {
        "is empty; copy it again"
    } else if at(0, b"PK\x03\x04") {
        "is a zip archive, such as Keras (.keras) and PyTorch (.pt) write; export it from Keras with model.export(FOLDER)"
    } else if at(0, b"\x89HDF\r\n\x1a\n") {
        "is an HDF5 file, such as Keras writes (.h5); load it in Keras and export it with model.export(FOLDER)"
    } else if at(4, b"TFL3") {
        "is a TensorFlow Lite model; convert it with \
         `python3 -m tf2onnx.convert --tflite MODEL.tflite --output MODEL.onnx`"
    } else if at(0, b"version https://git-lfs") {
        "is a Git LFS pointer and not the model itself; run `git lfs pull` where it came from"
    } else if at(0, b"node {") || at(0, b"node: {") {
        "is a graph in text form; write it in binary form (tf.io.write_graph with as_text=False)"
    } else {
        return None;
    };
    Some(cause)
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
        let cases: [(&[u8], &str); 12] = [
            (b"", "is empty; copy"),
            (b"PK\x03\x04\x14\0", "is a zip archive, such as Keras"),
            (b"\x89HDF\r\n\x1a\n\0\0", "is an HDF5 file"),
            (b"\x20\0\0\0TFL3", "is a TensorFlow Lite model; convert it with `python3 -m tf2onnx.convert --tflite "),
            (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
            (b"node {\n  name: \"x\"\n", "is a graph in text form"),
            (b"hello", "is damaged or not a TensorFlow graph"),
            (&[0; 64], "is damaged or not a TensorFlow graph"),
            // A node without a kind; versions and no node; an ONNX model, which begins with a number.
            (b"\x0a\x03\x0a\x01x", "is damaged or not a TensorFlow graph"),
            (b"\x22\x02\x08\x1b", "is damaged or not a TensorFlow graph"),
            (b"\x08\x0a\x12\x07pytorch", "is damaged or not a TensorFlow graph"),
            // A SavedModel with tags and nothing else.
            (b"\x08\x01\x12\x09\x0a\x07\x22\x05serve", "is the file of a SavedModel; name the folder"),
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
        let refused_with = |file: &str, content: &[u8], expected: &str| {
            fs::write(path.join(file), content).expect("a file");
            let message = refused(path);
            assert!(message.starts_with(expected), "{message}");
            fs::remove_file(path.join(file)).expect("the file");
        };
        refused_with("model.pb", b"", "is a folder without a saved_model.pb; ");
        refused_with("saved_model.pbtxt", b"", "has a saved_model.pbtxt and no saved_model.pb; ");
        refused_with("saved_model.cpb", b"", "has a saved_model.cpb and no saved_model.pb; ");
        refused_with("keras_metadata.pb", b"", "is a folder of Keras without a saved_model.pb; ");
        refused_with("saved_model.pb", b"", "its saved_model.pb is damaged or not a SavedModel's; ");
        refused_with("saved_model.pb", b"hello", "its saved_model.pb is damaged or not a SavedModel's; ");
        for version in ["9", "10", "old"] {
            fs::create_dir(path.join(version)).expect("a folder");
            fs::write(path.join(version).join("saved_model.pb"), b"").expect("a file");
        }
        let expected = format!("holds versions of a model; name one of them, such as {}/10", path.display());
        assert_eq!(refused(path), expected);
    }

    #[test]
    fn what_is_absent_or_no_file_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert!(refused(&folder.path().join("absent")).starts_with("there is no such file or folder; "));
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        assert!(refused(&socket).starts_with("is not a regular file; "));
    }

    #[test]
    fn a_pipe_in_the_place_of_the_graph_is_refused_before_it_is_opened() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let pipe = folder.path().join(SAVED_MODEL);
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("it runs").success());
        // Whoever opened it would wait for ever.
        assert_eq!(
            refused(folder.path()),
            "its saved_model.pb is not a regular file; copy it again, or export it again"
        );
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
