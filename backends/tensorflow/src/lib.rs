//! TensorFlow as a backend, loaded at run time.
//!
//! `format` reads what is at a path, a SavedModel or a frozen graph, with the few messages of `protobuf`, which are weighed before they are decoded (`weight`); `saved_model`
//! chooses the signature. Only then [`library`] finds and loads the shared library, whose functions `sys` declares. `model`
//! opens a session (`graph`), and `outlets` says what goes in and comes out. `instance` runs a batch over the tensors of
//! `tensor`; `combinations` bounds what a client can make TensorFlow remember. Inputs are read where they lie if they begin
//! at a multiple of 64; outputs are lent from TensorFlow's own memory. What is unsafe is in `library`, `status`, `graph`
//! and `tensor`. What never will be here: requests, batching, and threads other than TensorFlow's own.
//!
//! A model is a program: its operations may read and write files, and whoever may name one here is the operator. A model
//! that is not sound can make TensorFlow end the process, which C++ does where it finds its own rules broken.

mod combinations;
mod constants;
mod format;
#[doc(hidden)]
pub mod fuzz;
mod graph;
mod instance;
pub mod library;
mod model;
mod name;
mod outlets;
mod protobuf;
mod saved_model;
mod status;
mod sys;
mod tensor;
mod types;
mod weight;
mod wire;

pub use graphpiped_backend_library::Locations;
pub use instance::copied_input_bytes;
pub use library::WANTED;

use graphpiped_backend_api::{Backend, Model, OpenError, Options};
use std::path::Path;
use std::sync::Arc;

/// The backend of `NAME=tensorflow:PATH`.
#[derive(Clone, Debug)]
pub struct TensorflowBackend {
    locations: Locations,
}

impl TensorflowBackend {
    /// A backend that will look for the library in these places when the first model is opened, and not before.
    pub fn new(locations: Locations) -> TensorflowBackend {
        TensorflowBackend { locations }
    }
}

impl Backend for TensorflowBackend {
    fn name(&self) -> &'static str {
        "tensorflow"
    }

    fn open(&self, path: &Path, options: &Options) -> Result<Arc<dyn Model>, OpenError> {
        let found = format::read(path).map_err(OpenError::Model)?;
        Ok(Arc::new(model::TensorflowModel::open(&self.locations, path, found, options)?))
    }
}
