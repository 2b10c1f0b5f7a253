//! The head of an HTTP request, from any bytes.
#![no_main]

use graphpiped_transport::http::fuzz_http_head;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzz_http_head(data));
