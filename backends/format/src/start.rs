//! What the first bytes of a file say: the mistakes that people make, and the formats that begin with a magic number.

use crate::Format;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The first bytes of a file; all of them, if it is short.
pub fn read(file: &File) -> io::Result<Vec<u8>> {
    read_some(file, 0, START_BYTES)
}

/// More than any of the patterns needs.
const START_BYTES: usize = 4096;

/// So many bytes from an offset on, or as many as there are.
fn read_some(file: &File, offset: u64, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    let mut filled = 0;
    while filled < count {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn has(start: &[u8], offset: usize, pattern: &[u8]) -> bool {
    start.get(offset..).is_some_and(|rest| rest.starts_with(pattern))
}

/// A zip archive.
pub fn is_zip(start: &[u8]) -> bool {
    has(start, 0, b"PK\x03\x04") || has(start, 0, b"PK\x05\x06")
}

/// A model that ONNX Runtime has written in its own format, a FlatBuffer.
pub fn is_ort(start: &[u8]) -> bool {
    has(start, 4, b"ORTM")
}

/// A list of arrays as MXNet saves it, by the number that it begins with.
pub fn are_weights_of_mxnet(start: &[u8]) -> bool {
    has(start, 0, b"\x12\x01\0\0\0\0\0\0")
}

/// What a file is that is no model that can be served, and what to do about it.
pub fn mistake(start: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, pattern: &[u8]| has(start, offset, pattern);
    let cause = if start.is_empty() {
        "is empty; copy it again"
    } else if start[0] == 0x80 && start.get(1).is_some_and(|version| (2..=5).contains(version)) {
        "is a Python pickle, such as old PyTorch and scikit-learn write; export the model to ONNX (torch.onnx.export, \
         skl2onnx)"
    } else if at(0, b"\x89HDF\r\n\x1a\n") {
        "is an HDF5 file, such as Keras writes (.h5); load it there and make a SavedModel of it (model.export)"
    } else if at(0, b"B\0C\0N\0\0\0") {
        // How CNTK tells its older files from others (`IsLegacyModel`).
        "is a model of CNTK's own format; load it there and export it to ONNX \
         (model.save(PATH, format=cntk.ModelFormat.ONNX))"
    } else if at(4, b"TFL3") {
        "is a TensorFlow Lite model; convert it with \
         `python3 -m tf2onnx.convert --tflite MODEL.tflite --output MODEL.onnx`"
    } else if at(0, b"GGUF") {
        "is a GGUF file; its original has to be exported to ONNX"
    } else if at(8, b"{\"") && start[..8].iter().skip(4).all(|byte| *byte == 0) {
        "is a safetensors file, which holds weights and no program; export the model to ONNX (torch.onnx.export)"
    } else if at(0, b"\x93NUMPY") {
        "is an array of NumPy and not a model; name the model's file"
    } else if at(0, b"\x7fELF") {
        "is a program or a shared library; name the package (.pt2) that it comes from"
    } else if at(0, b"\x1f\x8b") || at(257, b"ustar") {
        "is a packed archive; unpack it, and name the model in it"
    } else if at(0, b"node {") || at(0, b"node: {") {
        "is a graph of TensorFlow in text form; write it in binary form (tf.io.write_graph with as_text=False)"
    } else if at(0, b"version https://git-lfs") {
        "is a Git LFS pointer and not the model itself; run `git lfs pull` where it came from"
    } else if [b"<!DOC".as_slice(), b"<!doc", b"<html", b"<HTML", b"<?xml"].iter().any(|pattern| at(0, pattern)) {
        "is a web page or XML and not a model; download the model's own file"
    } else {
        return None;
    };
    Some(cause)
}

/// Text that begins as JSON does.
pub fn is_json(start: &[u8]) -> bool {
    matches!(start[0], b'{' | b'[') && start.iter().all(|byte| !byte.is_ascii_control() || byte.is_ascii_whitespace())
}

/// JSON is the graph of an MXNet model if it has its nodes in front and its heads at the end, as MXNet writes them.
pub fn of_json(file: &File, start: &[u8], length: u64) -> io::Result<Result<Format, String>> {
    let end = read_some(file, length.saturating_sub(END_BYTES as u64), END_BYTES)?;
    let contains = |text: &[u8], word: &[u8]| text.windows(word.len()).any(|window| window == word);
    let is_graph = contains(start, b"\"nodes\"") && contains(&end, b"\"heads\"");
    Ok(if is_graph { Ok(Format::MxNet) } else { Err("is JSON and not a model; name the model's own file".into()) })
}

/// Behind the heads, MXNet writes a handful of attributes.
const END_BYTES: usize = 65_536;
