//! An open model: its session, its signature, and what is remembered about its outputs.

use crate::instance::OnnxInstance;
use crate::library::Library;
use crate::outlets::{self, Side};
use crate::source::Source;
use graphpiped_backend_api::{Instance, MORE_MEMORY, Model, OpenError, Options, Signature, one_line};
use ort::ErrorCode;
use ort::editor::ONNX_DOMAIN;
use ort::session::builder::{AutoDevicePolicy, SessionBuilder};
use ort::session::{Session, SharedSessionInner};
use std::ffi::{CStr, CString};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the instances of a model share.
pub(crate) struct Shared {
    library: &'static Library,
    session: Arc<SharedSessionInner>,
    signature: Signature,
    input_names: Vec<CString>,
    outputs: Vec<Output>,
}

struct Output {
    name: CString,
    /// Whether prepared memory must not be tried. Either the model once gave another shape than its signature promised,
    /// which ONNX Runtime refuses, so that a second run was needed. Or the output is an input of the graph, which no
    /// operator computes: ONNX Runtime then leaves prepared memory as it was and *reports success*.
    is_unpredictable: AtomicBool,
}

impl Shared {
    pub fn library(&self) -> &'static Library {
        self.library
    }

    pub fn session(&self) -> &Arc<SharedSessionInner> {
        &self.session
    }

    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The name of an input, as ONNX Runtime wants it.
    pub fn input_name(&self, index: usize) -> Option<&CStr> {
        self.input_names.get(index).map(CString::as_c_str)
    }

    /// The name of an output, as ONNX Runtime wants it.
    pub fn output_name(&self, index: usize) -> Option<&CStr> {
        self.outputs.get(index).map(|output| output.name.as_c_str())
    }

    /// Whether an output can be written into memory that was prepared for it.
    pub fn is_predictable(&self, index: usize) -> bool {
        // Relaxed, as nothing else hangs on it: a thread that misses it finds it out again.
        self.outputs.get(index).is_some_and(|output| !output.is_unpredictable.load(Ordering::Relaxed))
    }

    /// Remembers that an output had another shape than its signature promised.
    pub fn set_unpredictable(&self, index: usize) {
        if let Some(output) = self.outputs.get(index) {
            output.is_unpredictable.store(true, Ordering::Relaxed);
        }
    }
}

/// An open model.
pub(crate) struct OnnxModel {
    shared: Arc<Shared>,
    effective_options: Vec<(String, String)>,
}

impl OnnxModel {
    /// Opens the model of this path.
    pub fn open(
        library: &'static Library,
        path: &Path,
        source: &Source<'_>,
        options: &Options,
    ) -> Result<OnnxModel, OpenError> {
        let failed = |cause: String| OpenError::Model(format!("{}: {}", path.display(), one_line(&cause)));
        let intra_threads = options.intra_threads.max(1);
        let builder = configured(library, intra_threads);
        let session = builder.and_then(|builder| commit(builder, path, source));
        let session = session.map_err(|error| {
            if is_lack_of_memory(error.message()) {
                let (shown, version, words) = (path.display(), library.version(), one_line(error.message()));
                return OpenError::Machine(format!(
                    "{shown}: there is not enough memory for it; ONNX Runtime {version} says: {words}; {MORE_MEMORY}"
                ));
            }
            failed(refusal(library, &error))
        })?;

        let inputs = outlets::read(&session, Side::Inputs).map_err(|error| failed(error.to_string()))?;
        if let Some(cause) = inputs.not_tensors.first() {
            let remedy = "export the model with tensors as inputs";
            return Err(failed(format!("input {cause}, which GraphPipe cannot carry; {remedy}")));
        }
        let outputs = outlets::read(&session, Side::Outputs).map_err(|error| failed(error.to_string()))?;
        if outputs.specs.is_empty() {
            let causes = outputs.not_tensors.join(", ");
            let remedy = "export the model with a tensor as output";
            return Err(failed(format!("no output can be served ({causes}); {remedy}")));
        }
        let mut effective_options = effective_options(library, &session, intra_threads, &outputs.not_tensors);
        if let Source::Bytes { upgraded_from: Some(from), .. } = source {
            effective_options.push(("upgraded_from_opset".to_string(), from.to_string()));
        }
        let output = |name: CString| {
            let is_an_input = inputs.names.contains(&name);
            Output { name, is_unpredictable: AtomicBool::new(is_an_input) }
        };
        let shared = Shared {
            library,
            session: session.inner(),
            outputs: outputs.names.into_iter().map(output).collect(),
            input_names: inputs.names,
            signature: Signature { inputs: inputs.specs, outputs: outputs.specs, variadic: false },
        };
        Ok(OnnxModel { shared: Arc::new(shared), effective_options })
    }
}

impl Model for OnnxModel {
    fn signature(&self) -> &Signature {
        &self.shared.signature
    }

    fn effective_options(&self) -> Vec<(String, String)> {
        self.effective_options.clone()
    }

    fn instance(&self) -> Result<Box<dyn Instance>, OpenError> {
        Ok(Box::new(OnnxInstance::new(Arc::clone(&self.shared))))
    }
}

/// How sessions are set up.
fn configured(library: &Library, intra_threads: usize) -> ort::Result<SessionBuilder> {
    let builder = Session::builder(library.environment())?
        // The CPU provider alone: it is the one that may run one session on several threads at once.
        .with_auto_device(AutoDevicePolicy::PreferCPU)?
        .with_intra_threads(intra_threads)?
        // Waiting threads that spin take the cores from the reactors: up to twice the CPU time per run.
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?
        // A pattern is learned per shape; shapes vary with the batch.
        .with_memory_pattern(false)?;
    Ok(builder)
}

/// Makes the session. `ort` looks at every input and output meanwhile, and panics where ONNX Runtime tells something that it
/// should not, such as a size of -4 that follows from a window larger than what it is moved over.
fn commit(builder: SessionBuilder, path: &Path, source: &Source<'_>) -> ort::Result<Session> {
    // What is half made is dropped by the unwinding; nothing else is shared with the attempt.
    let made = catch_unwind(AssertUnwindSafe(|| try_commit(builder, path, source)));
    made.unwrap_or_else(|_| {
        let cause = "the binding to it has failed over an input or output of the graph, whose shape cannot be";
        Err(ort::Error::new_with_code(ErrorCode::InvalidGraph, cause))
    })
}

fn try_commit(mut builder: SessionBuilder, path: &Path, source: &Source<'_>) -> ort::Result<Session> {
    let Source::Bytes { bytes, .. } = source else { return builder.commit_from_file(path) };
    // ONNX Runtime would look for external data of a model without a file in the folder that the process runs in.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let key = "session.model_external_initializers_file_folder_path";
    builder.with_config_entry(key, folder.to_string_lossy())?.commit_from_memory(bytes)
}

/// Whether ONNX Runtime has got no memory, which none of its error codes says: in the words of C++, or of its own allocator.
pub(crate) fn is_lack_of_memory(message: &str) -> bool {
    message.contains("std::bad_alloc") || message.contains("Failed to allocate memory")
}

/// Why ONNX Runtime does not take a file, and what to do about it.
fn refusal(library: &Library, error: &ort::Error) -> String {
    let version = library.version();
    let (cause, remedy) = match error.code() {
        ErrorCode::InvalidProtobuf | ErrorCode::NoModel => {
            ("it is damaged or not an ONNX model", "copy it again, or export it to ONNX")
        }
        ErrorCode::NotImplemented | ErrorCode::InvalidGraph => (
            "its graph is not sound, or asks for what this version does not have",
            "export it again, for another opset",
        ),
        _ => {
            let remedy = "its operators have to be known to this version, and its external data has to lie beside it";
            ("it cannot be loaded", remedy)
        }
    };
    format!("{cause}; ONNX Runtime {version} says: {}; {remedy}", error.message().trim_end_matches('.'))
}

fn effective_options(
    library: &Library,
    session: &Session,
    intra_threads: usize,
    not_served: &[String],
) -> Vec<(String, String)> {
    let mut options = vec![
        ("intra_threads", intra_threads.to_string()),
        ("providers", "CPU".to_string()),
        ("spinning", "off".to_string()),
        ("memory_pattern", "off".to_string()),
    ];
    if let Some(opset) = session.opset_for_domain(ONNX_DOMAIN) {
        options.push(("opset", opset.to_string()));
    }
    options.push(("onnxruntime", library.version().to_string()));
    options.push(("library", library.path().display().to_string()));
    if !not_served.is_empty() {
        options.push(("outputs_not_served", not_served.join(", ")));
    }
    options.into_iter().map(|(key, value)| (key.to_string(), value)).collect()
}
