//! What a backend is: a framework that opens models, tells their signature, and runs batches over raw memory.
//!
//! A backend knows nothing of sockets, frames, memory pools or other backends. Shapes are row-major; all elements are
//! little-endian. Memory rules: an [`Input`] is valid for the call of [`Instance::run`] only, and is never written; an
//! output is either written into memory that the caller prepared ([`OutputSlot::prepared`]), or lent
//! ([`Produced::Lent`]) and kept until the daemon has sent it.
//!
//! The signature is in [`signature`], a run in [`run`]. What never will be here: whether a request fits a signature
//! (that is admission, the daemon's), and how a framework is found.
#![forbid(unsafe_code)]

pub mod run;
pub mod signature;

pub use run::{Elements, Input, Instance, OutputSlot, Prepared, Produced, RunError};
pub use signature::{Dim, Signature, TensorSpec};

use std::path::Path;
use std::sync::Arc;

/// How a model is to be opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads inside one run; 1 = the calling thread alone.
    pub intra_threads: usize,
}

impl Default for Options {
    /// One thread: on small machines many runs beside each other beat one run on many threads.
    fn default() -> Options {
        Options { intra_threads: 1 }
    }
}

/// Why a model cannot be opened. The message names the path, the cause and the remedy, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The framework's library is absent, too old, or not loadable.
    #[error("{0}")]
    Framework(String),
    /// The model file is absent, damaged, or of another format.
    #[error("{0}")]
    Model(String),
}

/// A framework.
pub trait Backend: Send + Sync {
    /// Its name, as in `NAME=onnx:PATH`.
    fn name(&self) -> &'static str;
    /// Opens a model. May take seconds; called on a thread that may block.
    fn open(&self, path: &Path, options: &Options) -> Result<Arc<dyn Model>, OpenError>;
}

/// An open model.
pub trait Model: Send + Sync {
    /// What it takes and gives.
    fn signature(&self) -> &Signature;
    /// The options that are in effect, one `key=value` each, for the operator.
    fn effective_options(&self) -> Vec<(String, String)>;
    /// Whether a run costs less than handing it to another thread would.
    fn is_cheap(&self) -> bool;
    /// A right to run it; several instances may run at the same time.
    fn instance(&self) -> Result<Box<dyn Instance>, OpenError>;
}
