//! What a model file is, by its first bytes, if it is not an ONNX model: the mistakes that people make.
//!
//! ONNX has no magic bytes, so nothing here can say that a file *is* a model; that is for ONNX Runtime to find out.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Accepts a file that may be an ONNX model. Otherwise: one line with the path, the cause and the remedy.
pub(crate) fn check(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let cannot_be_read = |error| format!("{shown}: cannot be read: {error}; it has to be readable by this user");
    // Looked at before it is opened: opening a pipe would wait for somebody to write into it.
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(format!("{shown}: there is no such file; check the path of the model"));
        }
        Err(error) => return Err(cannot_be_read(error)),
    };
    if metadata.is_dir() {
        return Err(format!("{shown}: {}", of_folder(path)));
    }
    if !metadata.is_file() {
        return Err(format!("{shown}: is not a regular file; name the model's .onnx file"));
    }
    let mut start = Vec::with_capacity(START_BYTES as usize);
    let read = File::open(path).and_then(|file| file.take(START_BYTES).read_to_end(&mut start));
    read.map_err(cannot_be_read)?;
    match of_bytes(&start) {
        None => Ok(()),
        Some(cause) => Err(format!("{shown}: {cause}")),
    }
}

/// More than any of the patterns needs.
const START_BYTES: u64 = 64;

fn of_folder(path: &Path) -> &'static str {
    if path.join("saved_model.pb").exists() {
        "is a TensorFlow SavedModel; convert it with \
         `python3 -m tf2onnx.convert --saved-model FOLDER --output MODEL.onnx`"
    } else {
        "is a folder; name the model's .onnx file in it"
    }
}

fn of_bytes(start: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, pattern: &[u8]| start.get(offset..).is_some_and(|rest| rest.starts_with(pattern));
    let cause = if start.is_empty() {
        "is empty; copy it again"
    } else if at(0, b"PK\x03\x04") {
        "is a zip archive, such as PyTorch (.pt, .pt2) and Keras (.keras) write; export the model to ONNX \
         (torch.onnx.export, model.export)"
    } else if start[0] == 0x80 && start.get(1).is_some_and(|version| (2..=5).contains(version)) {
        "is a Python pickle, such as old PyTorch and scikit-learn write; export the model to ONNX (torch.onnx.export, \
         skl2onnx)"
    } else if at(0, b"\x89HDF\r\n\x1a\n") {
        "is an HDF5 file, such as Keras writes (.h5); convert it with tf2onnx"
    } else if at(4, b"TFL3") {
        "is a TensorFlow Lite model; convert it with \
         `python3 -m tf2onnx.convert --tflite MODEL.tflite --output MODEL.onnx`"
    } else if at(0, b"GGUF") {
        "is a GGUF file; it has to be exported to ONNX from its original"
    } else if at(0, b"version https://git-lfs") {
        "is a Git LFS pointer and not the model itself; run `git lfs pull` where it came from"
    } else if [b"<!DOC".as_slice(), b"<!doc", b"<html", b"<HTML", b"<?xml"].iter().any(|pattern| at(0, pattern)) {
        "is a web page or XML and not a model; download the model's own file"
    } else if matches!(start[0], b'{' | b'[')
        && start.iter().all(|byte| !byte.is_ascii_control() || byte.is_ascii_whitespace())
    {
        "is JSON and not a model; name the model's .onnx file"
    } else {
        return None;
    };
    Some(cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn of_file(content: &[u8]) -> Result<(), String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("m.onnx");
        fs::write(&path, content).expect("a file");
        check(&path).map_err(|message| {
            assert!(!message.contains('\n'), "{message}");
            message.strip_prefix(&format!("{}: ", path.display())).expect("the path comes first").to_string()
        })
    }

    #[test]
    fn files_of_other_formats_are_known_by_their_first_bytes() {
        let cases: [(&[u8], &str); 9] = [
            (b"", "is empty; copy"),
            (b"PK\x03\x04\x14\0", "is a zip archive, such as PyTorch"),
            (b"\x80\x02\x8a\nl\xfc\x9c", "is a Python pickle"),
            (b"\x80\x04\x95", "is a Python pickle"),
            (b"\x89HDF\r\n\x1a\n\0\0", "is an HDF5 file"),
            (b"\x20\0\0\0TFL3", "is a TensorFlow Lite model"),
            (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
            (b"<!DOCTYPE html>", "is a web page"),
            (b"{\n  \"architectures\": []}", "is JSON"),
        ];
        for (content, expected) in cases {
            let message = of_file(content).expect_err(expected);
            assert!(message.starts_with(expected), "{message}");
            assert!(message.contains("; "), "a remedy: {message}");
        }
    }

    #[test]
    fn what_may_be_a_protobuf_is_left_to_onnx_runtime() {
        for content in [b"\x08\x0a\x12\x07".as_slice(), b"\x80", b"\x80\x01", b"hello", b"[\x08\x0a", b"{\x01"] {
            assert_eq!(of_file(content), Ok(()), "{content:?}");
        }
    }

    #[test]
    fn an_absent_file_a_folder_and_a_socket_are_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        assert_eq!(check(path), Err(format!("{}: is a folder; name the model's .onnx file in it", path.display())));
        let absent = path.join("m.onnx");
        let expected = format!("{}: there is no such file; check the path of the model", absent.display());
        assert_eq!(check(&absent), Err(expected));
        let socket = path.join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        let expected = format!("{}: is not a regular file; name the model's .onnx file", socket.display());
        assert_eq!(check(&socket), Err(expected));
        fs::write(path.join("saved_model.pb"), "").expect("a file");
        let message = check(path).expect_err("it is a folder");
        assert!(message.contains("is a TensorFlow SavedModel; convert it with"), "{message}");
    }
}
