//! Files of ONNX: what is seen of one before ONNX Runtime reads it, and old ones lifted to a newer opset.
#![no_main]

use graphpiped_backend_onnx::fuzz::{fuzz_source, fuzz_weight};
use graphpiped_backends_fuzz::bounded;
use libfuzzer_sys::fuzz_target;

/// Bytes for each byte of a file, and for each that it is said to take when it is decoded: it is decoded twice here, encoded and
/// looked over again, and lists double while they grow.
const PER_BYTE: usize = 16;

fuzz_target!(|bytes: &[u8]| {
    let weight = fuzz_weight(bytes);
    bounded(PER_BYTE, bytes.len() + weight, || fuzz_source(bytes));
});
