//! Messages: requests, replies and metadata, whole and in parts.
#![no_main]

libfuzzer_sys::fuzz_target!(|message: &[u8]| graphpipe_schema::fuzz::fuzz_reader(message));
