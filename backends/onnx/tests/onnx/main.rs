//! The ONNX backend against the real library, on the small models of `tests/models` (made by `make.py` there).
//!
//! The library is the one that `ORT_DYLIB_PATH` names, or the one in the project's runtime folder. Without it every
//! test fails and says how to get it: a test that skips itself proves nothing.
#![forbid(unsafe_code)]

mod conformance;
mod digits;
mod errors;
mod external;
mod loading;
mod memory;
mod old;
mod runs;
mod signatures;
mod subject;
mod support;
mod threads;
mod types;
