//! The PyTorch backend against the real library, on the small models of `tests/models` (made by `make.py` there).
//!
//! The library is the one that `LIBTORCH` names, or the one in the project's runtime folder, and the plugin lies beside it.
//! Without them every test fails and says how to get them: a test that skips itself proves nothing.
#![forbid(unsafe_code)]

mod conformance;
mod digits;
mod errors;
mod loading;
mod memory;
mod packages;
mod results;
mod subject;
mod support;
mod templates;
mod threads;
