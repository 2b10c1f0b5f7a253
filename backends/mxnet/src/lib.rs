//! MXNet as a backend, loaded at run time.
//!
//! A model is two files, `NAME-symbol.json` and `NAME-0000.params` (any number), as MXNet's `save_checkpoint` and Gluon's
//! `export` write them; `files` finds the one beside the other. `symbol`, `params` and `description` read what is in them before
//! MXNet does, `entries` and `shapes` find out how shapes follow from those of the inputs, `interface` and `model` put that
//! together. [`library`] finds and loads the shared library, `graph` and `predictor` hold what is unsafe about its use;
//! `handles` and `home` make predictors, one for each shape, and `instance` runs them.
//!
//! MXNet's C predict API copies every input and output; `Model::copies` says so. Each instance has a copy of the parameters,
//! because MXNet changes their layout while it computes. What never will be here: training, other devices than the CPU, requests
//! and batching.
//!
//! # What inputs are
//!
//! Variables of the symbol that have no parameters and are no labels. A label is a variable whose name ends in `_label`, or that
//! goes nowhere but into the second input of a layer that computes a loss (`SoftmaxOutput` and its like); MXNet wants memory
//! for it, and no prediction looks at it.
//!
//! # Shapes
//!
//! A symbol may say the shape of a variable (`__shape__`); the first axis is then taken to be the batch, `N`, whatever number
//! stands there. Most symbols do not, and MXNet cannot tell it from the parameters. It is then to be written into
//! `NAME-symbol.toml`, as the error says; see `description`. Shapes of outputs are MXNet's own.
//!
//! # What MXNet does to a process
//!
//! It reads variables of the environment when it is loaded: [`ENVIRONMENT`]. It catches SIGSEGV, which is undone, and stops
//! and starts its engine around a fork. It needs `libgomp.so.1` and `libquadmath.so.0` of the system.
//!
//! Exceptions of its C++ come back as errors. What it would not look at is looked at here: lengths in files, numbers of nodes
//! and of their outputs, and tensors that do not fit their new shape. That leaves graphs within nodes (loops and branches), whose
//! numbers only MXNet reads, and operators to which *values* are places in memory and that do not look where those are: 1.9.1
//! reads far outside for the lengths that `SequenceLast` is given, and ends the process. A model that takes such values from an
//! input is opened in a process of its own alone; see `unchecked`. A model that comes from strangers belongs there in any case.

mod description;
mod entries;
mod environment;
mod files;
#[doc(hidden)]
pub mod fuzz;
mod graph;
mod handles;
mod home;
mod instance;
mod interface;
pub mod library;
mod model;
mod params;
mod predictor;
mod shapes;
mod signals;
mod symbol;
mod types;
mod unchecked;
mod words;

pub use environment::ENVIRONMENT;
pub use graphpiped_backend_library::Locations;
pub use library::WANTED;

use graphpiped_backend_api::{Backend, Model, OpenError, Options};
use library::Library;
use std::path::Path;
use std::sync::Arc;

/// The backend of `NAME=mxnet:PATH`.
#[derive(Clone, Debug)]
pub struct MxnetBackend {
    locations: Locations,
}

impl MxnetBackend {
    /// A backend that will look for the library in these places when the first model is opened, and not before.
    pub fn new(locations: Locations) -> MxnetBackend {
        MxnetBackend { locations }
    }
}

impl Backend for MxnetBackend {
    fn name(&self) -> &'static str {
        "mxnet"
    }

    fn open(&self, path: &Path, options: &Options) -> Result<Arc<dyn Model>, OpenError> {
        options.only(&path.display().to_string(), "an MXNet model", &["inputs", "outputs"])?;
        // The files first: nobody should have to install a framework to learn of a typing error.
        let read = model::Read::files(path).map_err(OpenError::Model)?;
        let library = Library::load(&self.locations)
            .map_err(|cause| OpenError::Framework(format!("{}: {cause}", path.display())))?;
        Ok(Arc::new(model::MxnetModel::open(library, path, read, options)?))
    }
}
