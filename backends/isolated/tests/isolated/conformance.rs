//! The suite that every backend passes, with ONNX Runtime in another process: what goes over is what was said.

use crate::support::open;
use graphpipe_schema::DType;
use graphpiped_backend_api::{Backend, Instance, Model, OpenError, Options, Signature};
use graphpiped_backend_conformance::{Capabilities, InputProof, Kind, Subject, suite};
use graphpiped_backend_isolated::Isolated;
use std::path::{Path, PathBuf};
use std::sync::Arc;

struct Onnx;

impl Backend for Onnx {
    fn name(&self) -> &'static str {
        "onnx"
    }

    fn open(&self, path: &Path, options: &Options) -> Result<Arc<dyn Model>, OpenError> {
        Ok(Arc::new(Copying(open("onnx", path, options)?)))
    }
}

/// The suite gives inputs in memory that no process sees, so they are copied; what is not is another test's.
struct Copying(Arc<Isolated>);

impl Model for Copying {
    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn effective_options(&self) -> Vec<(String, String)> {
        self.0.effective_options()
    }

    fn copies(&self) -> bool {
        assert!(!self.0.copies(), "ONNX Runtime itself does not");
        true
    }

    fn instance(&self) -> Result<Box<dyn Instance>, OpenError> {
        self.0.instance()
    }
}

impl Subject for Onnx {
    fn backend(&self) -> Box<dyn Backend> {
        Box::new(Onnx)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            dtypes: &DType::ALL,
            scalars: true,
            empty: true,
            dynamic_inner_axes: true,
            input: InputProof::Copies,
            writes_in_place: true,
        }
    }

    fn model(&self, kind: Kind) -> Option<PathBuf> {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/tests/models");
        Some(models.join(format!("{}.onnx", kind.name())))
    }
}

suite!(Onnx);
