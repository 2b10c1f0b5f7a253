//! MXNet's files, and what an operator says about them: symbols, parameters and descriptions.
#![no_main]

use graphpiped_backend_mxnet::fuzz::fuzz_files;
use graphpiped_backends_fuzz::bounded;
use libfuzzer_sys::fuzz_target;

/// Bytes for each byte of a file. A symbol is read and written some times, and an object of JSON that takes seven bytes is a
/// table of eleven entries.
const PER_BYTE: usize = 1024;

fuzz_target!(|bytes: &[u8]| bounded(PER_BYTE, bytes.len(), || fuzz_files(bytes)));
