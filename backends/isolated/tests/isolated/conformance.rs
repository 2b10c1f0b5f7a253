//! The suite that every backend passes, with each framework in another process: what goes over is what was said.

use crate::support::open;
use graphpiped_backend_api::{Backend, Instance, Model, OpenError, Options, Signature};
use graphpiped_backend_conformance::{Capabilities, InputProof, Kind, Subject};
use graphpiped_backend_isolated::Isolated;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod mxnet {
    graphpiped_backend_conformance::suite!(super::Apart(crate::subjects::Mxnet));
}

mod onnx {
    graphpiped_backend_conformance::suite!(super::Apart(crate::subjects::Onnx));
}

mod tensorflow {
    graphpiped_backend_conformance::suite!(super::Apart(crate::subjects::Tensorflow));
}

mod torch {
    graphpiped_backend_conformance::suite!(super::Apart(crate::subjects::Torch));
}

/// A framework that is in processes of its own.
struct Apart<S>(S);

impl<S: Subject> Subject for Apart<S> {
    fn backend(&self) -> Box<dyn Backend> {
        let copies = self.0.capabilities().input == InputProof::Copies;
        Box::new(Opener { framework: self.0.backend().name(), copies })
    }

    /// Two of them are the process's, whatever the framework does: inputs of the suite lie in memory that no process sees, so
    /// they are copied (what is not is another test's); and what the framework lends is copied to where it was expected.
    fn capabilities(&self) -> Capabilities {
        Capabilities { input: InputProof::Copies, writes_in_place: true, ..self.0.capabilities() }
    }

    fn model(&self, kind: Kind) -> Option<PathBuf> {
        self.0.model(kind)
    }
}

/// Opens each model of a framework in a process.
struct Opener {
    framework: &'static str,
    /// Whether it copies inputs by itself.
    copies: bool,
}

impl Backend for Opener {
    fn name(&self) -> &'static str {
        self.framework
    }

    fn open(&self, path: &Path, options: &Options) -> Result<Arc<dyn Model>, OpenError> {
        let model = open(self.framework, path, options)?;
        assert_eq!(model.copies(), self.copies, "the process does not say what its framework does");
        Ok(Arc::new(Copying(model)))
    }
}

/// A model whose inputs are copied to its process.
struct Copying(Arc<Isolated>);

impl Model for Copying {
    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn effective_options(&self) -> Vec<(String, String)> {
        self.0.effective_options()
    }

    fn copies(&self) -> bool {
        true
    }

    fn instance(&self) -> Result<Box<dyn Instance>, OpenError> {
        self.0.instance()
    }
}
