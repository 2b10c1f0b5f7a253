//! What a backend is: a framework that opens models, tells their signature, and runs batches over raw memory.
//!
//! A backend knows nothing of sockets, frames, memory pools or other backends. Shapes are row-major; all elements are
//! little-endian.
//!
//! # Who owns which memory
//!
//! | memory | belongs to | until |
//! | --- | --- | --- |
//! | elements of an [`Input`] | the caller; never written | [`Instance::run`] returns; longer only by [`Inputs::keep`], and then until what it returned is dropped |
//! | [`Prepared`] output memory | the caller; written by the run alone | the run returns |
//! | [`Produced::Lent`] | the framework | the owner that it comes with is dropped, which is when the daemon has sent it |
//!
//! A framework that counts references to its tensors (TensorFlow, PyTorch) may keep one to an input after the run: in
//! a variable, or in an output that shares its memory. Its backend asks for [`Inputs::keep`] and drops what it got when the
//! framework says that the last reference is gone, and not when the run returns. An output that lies in an input is
//! given back as [`Produced::OfInput`], and costs neither a copy nor a reference.
//!
//! # Whose fault it is
//!
//! [`OpenError`] and [`RunError`] tell the request, the model, the framework and the machine apart, because each asks for
//! something else to be done. A panic of a framework's code is not caught here: the daemon does that, around the call.
//!
//! The signature is in [`signature`], a run in [`run`], how a model is to be opened in [`open`], and how words of a framework
//! are shown in [`words`]; [`check`] is the last look at a run before its framework has it. What never will be here: which
//! request is admitted (that is the daemon's to say), and how a framework is found.
#![forbid(unsafe_code)]

pub mod check;
pub mod open;
pub mod run;
pub mod signature;
pub mod words;

pub use open::{MORE_MEMORY, OpenError, Options};
pub use run::{Elements, Input, Inputs, Instance, Keep, Kept, OutputSlot, Prepared, Produced, RunError};
pub use signature::{Dim, Signature, TensorSpec};
pub use words::one_line;

use std::path::Path;
use std::sync::Arc;

/// A framework.
pub trait Backend: Send + Sync {
    /// Its name, as in `NAME=onnx:PATH`.
    fn name(&self) -> &'static str;
    /// Opens a model. May take seconds; called on a thread that may block.
    fn open(&self, path: &Path, options: &Options) -> Result<Arc<dyn Model>, OpenError>;
    /// For a model that cannot be opened because its format does not say what it takes and gives: a file to be completed by
    /// the operator and put beside it. `None` if that is not what is missing.
    fn template(&self, _path: &Path, _options: &Options) -> Option<Result<String, OpenError>> {
        None
    }
}

/// An open model.
pub trait Model: Send + Sync {
    /// What it takes and gives.
    fn signature(&self) -> &Signature;
    /// The options that are in effect, one `key=value` each, for the operator.
    fn effective_options(&self) -> Vec<(String, String)>;
    /// Whether a run costs less than handing it to another thread would.
    fn is_cheap(&self) -> bool {
        false
    }
    /// Whether a run may wait for another thread, or for another process, longer than it computes. Reactors, which wait for
    /// nobody, then leave its runs to executors.
    fn may_block(&self) -> bool {
        false
    }
    /// Whether its framework copies every input and output, because its interface knows no other way; the daemon counts
    /// these copies.
    fn copies(&self) -> bool {
        false
    }
    /// A right to run it; several instances may run at the same time.
    fn instance(&self) -> Result<Box<dyn Instance>, OpenError>;
}
