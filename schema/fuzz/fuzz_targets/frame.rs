//! Headers of frames.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| graphpipe_schema::fuzz::fuzz_frame(bytes));
