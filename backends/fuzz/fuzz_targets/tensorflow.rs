//! TensorFlow's files, as far as they are read without TensorFlow: frozen graphs, and the graph in a SavedModel's folder.
#![no_main]

use graphpiped_backend_tensorflow::fuzz::{fuzz_model, fuzz_weight};
use graphpiped_backends_fuzz::bounded;
use libfuzzer_sys::fuzz_target;

/// Bytes for each byte of a file, and for each that it is said to take when it is decoded: it is decoded three times here, and
/// lists double while they grow.
const PER_BYTE: usize = 8;

fuzz_target!(|bytes: &[u8]| {
    let weight = fuzz_weight(bytes);
    bounded(PER_BYTE, bytes.len() + weight, || fuzz_model(bytes));
});
