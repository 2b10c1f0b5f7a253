//! The frameworks that processes are tried with, each as the tests of its own backend show it to the suite.

use graphpiped_backend_api::Backend;
use graphpiped_backend_conformance::Subject;
use std::sync::Arc;

#[path = "../../../mxnet/tests/mxnet/subject.rs"]
mod mxnet;
#[path = "../../../onnx/tests/onnx/subject.rs"]
mod onnx;
#[path = "../../../tensorflow/tests/tensorflow/subject.rs"]
mod tensorflow;
#[path = "../../../torch/tests/torch/subject.rs"]
mod torch;

pub use mxnet::Mxnet;
pub use onnx::Onnx;
pub use tensorflow::Tensorflow;
pub use torch::Torch;

/// The backend of this name.
pub fn backend(name: &str) -> Option<Arc<dyn Backend>> {
    let all = [Mxnet.backend(), Onnx.backend(), Tensorflow.backend(), Torch.backend()];
    all.into_iter().find(|backend| backend.name() == name).map(Arc::from)
}
