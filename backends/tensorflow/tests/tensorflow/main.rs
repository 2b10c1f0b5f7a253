//! The TensorFlow backend against the real library, on the small models of `tests/models` (made by `make.py` there).
//!
//! The library is the one that `TENSORFLOW_DIR` names, or the one in the project's runtime folder. Without it every test
//! fails and says how to get it: a test that skips itself proves nothing.
#![forbid(unsafe_code)]

mod conformance;
mod digits;
mod errors;
mod memory;
mod names;
mod processes;
mod runs;
mod signatures;
mod subject;
mod support;
