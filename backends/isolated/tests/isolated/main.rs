//! Models in real processes: this very program, started again as the one test that hosts a model.
//!
//! The frameworks are one that does as it is told (`support`), and ONNX Runtime for the suite that every backend passes.

mod conformance;
mod lives;
mod runs;
mod support;
