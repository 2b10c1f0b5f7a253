//! PyTorch as a backend, loaded at run time, through a plugin that speaks its C++ interface.
//!
//! ```text
//!  model.pt, model.toml
//!        │ format, description
//!        ▼
//!      model ──► instance ──► plugin ══ abi ══► libgraphpiped_torch.so ──► libtorch_cpu.so, libc10.so
//!        └─────► library (finds and loads all of these)    (plugin/plugin.cpp)
//! ```
//!
//! Served are TorchScript files, and packages of AOTInductor: those are machine code, and opened only for who trusts it.
//! `format` tells them apart; `description` reads the file beside the model that says what it takes and gives, and `forward`
//! compares it with what the model says. Inputs are read where they lie, and kept until PyTorch's last reference to them is
//! gone; a model that may write into them, as machine code always may, gets copies. Outputs are lent from PyTorch's memory. A
//! model that changes its own attributes does so for all its instances, whose runs wait for each other then.
//!
//! Errors of PyTorch come back as values. What it does not survive takes the process along: a model that recurses without end,
//! and machine code that is wrong, or described as what it is not (`AOTI_RUNTIME_CHECK_INPUTS=1` lets it compare).
//!
//! What never will be here: requests, batching, devices other than the processor, and PyTorch's types, which only the plugin
//! knows.

mod abi;
mod description;
mod format;
mod forward;
mod instance;
pub mod library;
mod model;
mod plugin;
mod words;

pub use abi::ABI;
pub use graphpiped_backend_library::Locations;
pub use library::{PLUGIN, WANTED, copied_bytes, kept_bytes};

/// What compiled packages are to find when they are loaded, unless somebody has said otherwise; to be set before there is a
/// second thread. Without it their code does not compare its inputs with what it was compiled for.
pub const ENVIRONMENT: [(&str, &str); 1] = [("AOTI_RUNTIME_CHECK_INPUTS", "1")];

use format::Format;
use graphpiped_backend_api::{Backend, Model, OpenError, Options};
use graphpiped_model_description::path_of;
use library::Library;
use std::path::Path;
use std::sync::Arc;

/// The backend of `NAME=torch:PATH`.
#[derive(Clone, Debug)]
pub struct TorchBackend {
    locations: Locations,
}

impl TorchBackend {
    /// A backend that will look for PyTorch in these places ([`WANTED`]: folders that have `lib/` in them) when the first model
    /// is opened, and not before. The plugin ([`PLUGIN`]) is looked for in the same folder, and beside the program.
    pub fn new(locations: Locations) -> TorchBackend {
        TorchBackend { locations }
    }

    fn library(&self, path: &Path) -> Result<&'static Library, OpenError> {
        Library::load(&self.locations).map_err(|cause| OpenError::Framework(format!("{}: {cause}", path.display())))
    }
}

impl Backend for TorchBackend {
    fn name(&self) -> &'static str {
        "torch"
    }

    fn open(&self, path: &Path, options: &Options) -> Result<Arc<dyn Model>, OpenError> {
        let format = format_of(path, options)?;
        let signature = description::read(path).map_err(OpenError::Model)?;
        Ok(Arc::new(model::TorchModel::open(self.library(path)?, path, format, signature, options)?))
    }

    /// With as much as the model itself says.
    fn template(&self, path: &Path, options: &Options) -> Option<Result<String, OpenError>> {
        let write = || model::template(self.library(path)?, path, format_of(path, options)?, options);
        (!path_of(path).exists()).then(write)
    }
}

/// What a file is, if it can be served.
fn format_of(path: &Path, options: &Options) -> Result<Format, OpenError> {
    options.only(&path.display().to_string(), "the TOML file beside a model of PyTorch", &[])?;
    // The file first: nobody should have to install a framework to learn of a typing error.
    let format = Format::of(path).map_err(OpenError::Model)?;
    if format == Format::Package && !options.trust_native {
        return Err(OpenError::Model(format!(
            "{}: is a package of AOTInductor, which is machine code that may do whatever the daemon may; if you trust who \
             made it, say --trust-native",
            path.display()
        )));
    }
    Ok(format)
}
