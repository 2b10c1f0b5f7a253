//! The suite that every backend passes, with ONNX Runtime.

use crate::subject::Onnx;
use graphpiped_backend_conformance::suite;

suite!(Onnx);
