//! Nets of Caffe2, and what they become in ONNX.
#![no_main]

use graphpiped_backend_caffe2::fuzz::fuzz_net;
use graphpiped_backends_fuzz::bounded;
use libfuzzer_sys::fuzz_target;

/// Bytes for each byte of a net. It is translated twice; an input of a `Concat`, of three bytes, becomes a node with an
/// attribute, which are structures of more than a thousand bytes.
const PER_BYTE: usize = 4096;

fuzz_target!(|bytes: &[u8]| bounded(PER_BYTE, bytes.len(), || fuzz_net(bytes)));
