//! The Caffe2 backend against ONNX Runtime's real library, on nets that Caffe2 itself has run.
//!
//! `golden` has nets with inputs and what Caffe2 makes of them, `models` those of the suite that every backend passes;
//! both come from `golden/make.py`. The library is the one that `ORT_DYLIB_PATH` names, or the one in the project's
//! runtime folder. Without it every test fails and says how to get it: a test that skips itself proves nothing.
#![forbid(unsafe_code)]

mod conformance;
mod digits;
mod errors;
mod golden;
mod nets;
mod signatures;
mod support;
