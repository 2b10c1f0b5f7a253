//! ONNX Runtime as a backend, loaded at run time.
//!
//! [`library`] finds and loads the shared library; `source` makes sure that ONNX Runtime may read a file (`scan` looks for
//! external data, `location` whether it may lie there, `upgrade` lifts what is old); `model` opens it, or bytes that another
//! crate has made of one, and `outlets` reads the signature; `instance` runs a batch, in one `attempt` or two, through `value`,
//! which holds what is unsafe about that. Inputs are read where they lie; outputs are written where the caller prepared memory
//! for them, else ONNX Runtime's own memory is lent. What never will be here: requests, batching, and threads other than ONNX
//! Runtime's own.

mod attempt;
#[doc(hidden)]
pub mod fuzz;
mod instance;
pub mod library;
mod location;
mod model;
mod outlets;
mod scan;
mod source;
mod types;
mod upgrade;
mod value;

pub use graphpiped_backend_library::Locations;
pub use library::WANTED;

use graphpiped_backend_api::{Backend, Model, OpenError, Options};
use graphpiped_model_format::Format;
use library::Library;
use model::OnnxModel;
use source::Source;
use std::path::Path;
use std::sync::Arc;

/// The backend of `NAME=onnx:PATH`.
#[derive(Clone, Debug)]
pub struct OnnxBackend {
    locations: Locations,
}

impl OnnxBackend {
    /// A backend that will look for the library in these places when the first model is opened, and not before.
    pub fn new(locations: Locations) -> OnnxBackend {
        OnnxBackend { locations }
    }

    /// Opens a model that is in memory: one that was changed, or made from another format, before ONNX Runtime sees it.
    /// `place` is the file that it comes from, which errors name and beside which external data lies.
    /// Of the options, only the number of threads is looked at: what the format has no use for is for the caller to refuse.
    pub fn open_bytes(&self, place: &Path, model: &[u8], options: &Options) -> Result<Arc<dyn Model>, OpenError> {
        self.open_source(place, &Source::Bytes { bytes: model.into(), upgraded_from: None }, options)
    }

    fn open_source(&self, place: &Path, source: &Source<'_>, options: &Options) -> Result<Arc<dyn Model>, OpenError> {
        let library = Library::load(&self.locations)
            .map_err(|cause| OpenError::Framework(format!("{}: {cause}", place.display())))?;
        Ok(Arc::new(OnnxModel::open(library, place, source, options)?))
    }
}

impl Backend for OnnxBackend {
    fn name(&self) -> &'static str {
        "onnx"
    }

    fn open(&self, path: &Path, options: &Options) -> Result<Arc<dyn Model>, OpenError> {
        options.only(&path.display().to_string(), "an ONNX model", &[])?;
        // The file first: nobody should have to install a framework to learn of a typing error.
        graphpiped_model_format::expect(path, &[Format::Onnx]).map_err(OpenError::Model)?;
        let source = Source::of(path).map_err(OpenError::Model)?;
        self.open_source(path, &source, options)
    }
}
