//! An open model: its session, its signature, and what is told about it.

use crate::combinations::Combinations;
use crate::format::Found;
use crate::graph::Session;
use crate::instance::TensorflowInstance;
use crate::library::Library;
use crate::outlets::{self, Given, Outlet, Outlets};
use crate::protobuf::{Config, MetaGraph, Signature as Declared};
use crate::saved_model::{self, TAG};
use crate::status::Failure;
use crate::sys::Api;
use graphpiped_backend_api::{Instance, MORE_MEMORY, Model, OpenError, Options, Signature, one_line};
use graphpiped_backend_library::Locations;
use prost::Message;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, absolute};
use std::sync::{Arc, OnceLock};

/// What the instances of a model share.
pub(crate) struct Shared {
    /// The library's functions.
    pub api: &'static Api,
    /// Its feeds are the inputs, its fetches the outputs, by their positions in the signature.
    pub session: Session,
    /// What the model takes and gives.
    pub signature: Signature,
    /// For each output that is an input, which one. TensorFlow refuses to fetch what is fed.
    pub passed: Vec<Option<usize>>,
    /// What is fetched together, of the other outputs.
    pub combinations: Combinations,
}

/// An open model.
pub(crate) struct TensorflowModel {
    shared: Arc<Shared>,
    effective_options: Vec<(String, String)>,
}

/// A model that has been read, and not yet been given to TensorFlow.
enum Read {
    SavedModel { graph: MetaGraph, signature: Option<String> },
    Graph(Vec<u8>),
}

impl TensorflowModel {
    /// Opens what was found at a path.
    pub fn open(locations: &Locations, path: &Path, found: Found, options: &Options) -> Result<Self, OpenError> {
        let failed = |cause: String| OpenError::Model(format!("{}: {}", path.display(), one_line(&cause)));
        // All that can be said without TensorFlow is said before it is loaded.
        let read = read(found, path, options).map_err(failed)?;
        let library =
            Library::load(locations).map_err(|cause| OpenError::Framework(format!("{}: {cause}", path.display())))?;
        let session = session(library, path, &read, options.intra_threads.max(1));
        let refused = |failure: Failure| failure.of_open(format!("{}: {}", path.display(), refusal(library, &failure)));
        let mut session = session.map_err(refused)?;
        let intra_threads = intra_threads(options.intra_threads.max(1));

        let given = Given { inputs: &options.inputs, outputs: &options.outputs };
        let outlets = match &read {
            Read::Graph(_) => outlets::of_graph(session.graph(), given),
            Read::SavedModel { graph, signature } => {
                let none = Declared::default();
                let declared = signature.as_ref().and_then(|name| graph.signatures.get(name)).unwrap_or(&none);
                outlets::of_signature(session.graph(), declared, given)
            }
        };
        let outlets = outlets.map_err(failed)?;
        let tensors = |outlets: &[Outlet]| outlets.iter().map(|outlet| outlet.tensor.clone()).collect::<Vec<_>>();
        let (inputs, outputs) = (tensors(&outlets.inputs), tensors(&outlets.outputs));
        let bound = session.bind(&inputs.iter().collect::<Vec<_>>(), &outputs.iter().collect::<Vec<_>>());
        bound.map_err(|name| failed(format!("there is no tensor {name} in its graph; check the name")))?;
        let passed: Vec<_> = outputs.iter().map(|output| inputs.iter().position(|input| input == output)).collect();
        let computed = (0..passed.len()).filter(|&output| passed[output].is_none()).collect();
        let effective_options = effective_options(library, &read, options, intra_threads, &outlets);
        let spec = |outlet: Outlet| outlet.spec;
        let signature = Signature {
            inputs: outlets.inputs.into_iter().map(spec).collect(),
            outputs: outlets.outputs.into_iter().map(spec).collect(),
            variadic: false,
        };
        let combinations = Combinations::of(computed);
        let shared = Shared { api: &library.api, session, signature, passed, combinations };
        Ok(TensorflowModel { shared: Arc::new(shared), effective_options })
    }
}

impl Model for TensorflowModel {
    fn signature(&self) -> &Signature {
        &self.shared.signature
    }

    fn effective_options(&self) -> Vec<(String, String)> {
        self.effective_options.clone()
    }

    fn instance(&self) -> Result<Box<dyn Instance>, OpenError> {
        Ok(Box::new(TensorflowInstance::new(Arc::clone(&self.shared))))
    }
}

/// What is meant by what was found. Otherwise: cause and remedy.
fn read(found: Found, path: &Path, options: &Options) -> Result<Read, String> {
    let model = match found {
        Found::Graph(bytes) if options.signature.is_some() => {
            drop(bytes);
            return Err("a frozen graph has no signatures; leave out `signature` for it".into());
        }
        Found::Graph(bytes) => return Ok(Read::Graph(bytes)),
        Found::SavedModel(model) => model,
    };
    let mut graph = saved_model::for_serving(model, path)?;
    let has_both = !options.inputs.is_empty() && !options.outputs.is_empty();
    let signature = match saved_model::signature(&graph, options.signature.as_deref()) {
        Ok((name, _)) => Some(name.to_string()),
        // Who names what goes in and what comes out needs no signature.
        Err(_) if has_both && options.signature.is_none() => None,
        Err(cause) => return Err(cause),
    };
    // TensorFlow reads it from the file once more.
    graph.graph = None;
    Ok(Read::SavedModel { graph, signature })
}

/// The session of a model.
fn session(library: &'static Library, path: &Path, read: &Read, intra_threads: usize) -> Result<Session, Failure> {
    let config = Config {
        // The CPU alone: outputs are lent from where they were computed, and a graphics card is not shared by accident.
        devices_max: [("GPU".to_string(), 0)].into(),
        intra_threads: intra_threads.try_into().unwrap_or(i32::MAX),
        // The thread that runs a model computes it. With threads of TensorFlow's own, all models of a process share them,
        // and every operation is handed over: one such thread makes all executors one, and two threads that run a small
        // model get less than half as much done.
        inter_threads: -1,
        // Graphs that were made on a graphics card run here too.
        is_placement_soft: true,
    };
    let config = config.encode_to_vec();
    match read {
        Read::Graph(bytes) => Session::of_graph(&library.api, bytes, &config),
        Read::SavedModel { .. } => {
            // An absolute path is no name of a remote file system, whatever it contains.
            let path = absolute(path).unwrap_or_else(|_| path.to_path_buf());
            let path = CString::new(path.as_os_str().as_bytes()).expect("a path that has been read contains no NUL");
            let tag = CString::new(TAG).expect("the tag contains no NUL");
            Session::of_saved_model(&library.api, &path, &tag, &config)
        }
    }
}

/// The threads inside operations: TensorFlow makes them with the first session of a process, and all others share them.
fn intra_threads(wanted: usize) -> usize {
    static FIRST: OnceLock<usize> = OnceLock::new();
    *FIRST.get_or_init(|| wanted)
}

/// Why TensorFlow does not take a model, and what to do about it.
fn refusal(library: &Library, failure: &Failure) -> String {
    let words = failure.words.trim_end_matches('.');
    let (cause, remedy) = if failure.is_of_the_machine() {
        ("there is not enough memory for it", MORE_MEMORY)
    } else {
        ("it cannot be loaded", "its operations have to be known to this version, and its files have to be whole")
    };
    format!("{cause}; TensorFlow {} says: {words}; {remedy}", library.version)
}

fn effective_options(
    library: &Library,
    read: &Read,
    options: &Options,
    intra_threads: usize,
    outlets: &Outlets,
) -> Vec<(String, String)> {
    let threads = match options.intra_threads.max(1) {
        wanted if wanted == intra_threads => wanted.to_string(),
        wanted => format!("{intra_threads} (as for the first model of TensorFlow in this process; {wanted} wanted)"),
    };
    let mut effective = vec![("intra_threads", threads), ("inter_threads", "0".to_string())];
    match read {
        Read::Graph(_) => effective.push(("format", "GraphDef".to_string())),
        Read::SavedModel { signature, .. } => {
            effective.push(("format", "SavedModel".to_string()));
            effective.extend(signature.as_ref().map(|name| ("signature", one_line(name))));
        }
    }
    effective.push(("devices", "CPU".to_string()));
    effective.push(("tensorflow", library.version.clone()));
    effective.push(("library", library.path.display().to_string()));
    if !outlets.not_served.is_empty() {
        effective.push(("outputs_not_served", outlets.not_served.join(", ")));
    }
    effective.into_iter().map(|(key, value)| (key.to_string(), value)).collect()
}
