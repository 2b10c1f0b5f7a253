//! A chunked HTTP body, from any bytes.
#![no_main]

use graphpiped_transport::http::fuzz_chunked;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzz_chunked(data));
