//! The MXNet backend against the real library, on the small models of `tests/models` (made by `make.py` there).
//!
//! The library is the one that `MXNET_LIBRARY_PATH` names, or the one in the project's runtime folder. Without it every
//! test fails and says how to get it: a test that skips itself proves nothing. Everything here is true with either engine of MXNet's,
//! and runs with the one that MXNet takes by itself; `alone.rs` is a program that takes the daemon's.
#![forbid(unsafe_code)]

mod conformance;
mod digits;
mod engine;
mod errors;
mod runs;
mod signatures;
mod subject;
mod support;
