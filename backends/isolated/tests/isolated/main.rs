//! Models in real processes: this very program, started again as the one test that hosts a model.
//!
//! The frameworks are one that does as it is told (`support`), and the real ones (`subjects`) for the suite that every backend
//! passes. Without their libraries it fails and says how to get them: a test that skips itself proves nothing.

mod conformance;
mod lives;
mod runs;
mod subjects;
mod support;
