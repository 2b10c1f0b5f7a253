//! An open model: its files, its signature, and its first instance, which shows that MXNet takes all of it.

use crate::description;
use crate::entries::Entries;
use crate::files::{self, Files};
use crate::graph::c_string;
use crate::handles::{Failed, Handles, READY_MAX, Shared};
use crate::home::making;
use crate::instance::{MxnetInstance, Plan};
use crate::interface::{self, Gives, Taken};
use crate::library::Library;
use crate::params::{self, Digest, Params};
use crate::predictor::Recipe;
use crate::shapes::{self, Found, Sizes};
use crate::symbol::{self, Symbol};
use crate::unchecked::{self, Unchecked};
use crate::words;
use graphpiped_backend_api::{Instance, MORE_MEMORY, Model, OpenError, Options, Signature, TensorSpec};
use graphpiped_model_description::Description;
use std::ffi::CString;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The files of a model, read.
pub(crate) struct Read {
    /// Where they are.
    pub files: Files,
    /// The symbol, as MXNet reads it.
    pub json: Vec<u8>,
    /// What is in it.
    pub symbol: Symbol,
    /// The parameters, as MXNet reads them.
    pub file: Vec<u8>,
    /// What they are called.
    pub params: Params,
    /// What the operator says.
    pub description: Description,
}

impl Read {
    /// Finds and reads the files. Otherwise: one line with the path, the cause and the remedy.
    pub fn files(path: &Path) -> Result<Read, String> {
        let of = |file: &Path| {
            // The path as it was given, and the file if it is another one.
            let begin = if file == path { String::new() } else { format!("{}: ", file.display()) };
            let path = path.display().to_string();
            move |cause: String| format!("{path}: {begin}{cause}")
        };
        let files = Files::find(path).map_err(of(path))?;
        let json = files::read(&files.symbol, symbol::BYTES_MAX).map_err(of(&files.symbol))?;
        let symbol = Symbol::read(&json).map_err(of(&files.symbol))?;
        let file = files::read(&files.params, params::BYTES_MAX).map_err(of(&files.params))?;
        let params = Params::read(&file).map_err(of(&files.params))?;
        let description = description::read(&files.description).map_err(of(&files.description))?;
        Ok(Read { files, json, symbol, file, params, description })
    }
}

/// An open model.
pub(crate) struct MxnetModel {
    plan: Arc<Plan>,
    /// Of the first instance, until somebody wants one.
    first: Mutex<Option<Handles>>,
    effective_options: Vec<(String, String)>,
    path: String,
}

impl MxnetModel {
    /// Opens a model whose files have been read.
    pub fn open(
        library: &'static Library,
        path: &Path,
        read: Read,
        options: &Options,
    ) -> Result<MxnetModel, OpenError> {
        let failed = |cause: String| of_cause(&path.display().to_string(), &cause);
        let Examined { shared, taken, gives, found } = examine(library, &read, options).map_err(failed)?;
        let handles = Handles::new(Arc::clone(&shared), read.file).map_err(|error| failed(words_of(error)))?;
        let dtypes = handles.output_dtypes().map_err(|cause| failed(format!("{cause}; cast it in the symbol")))?;
        let mut signature = Signature::default();
        for (input, dims) in taken.into_iter().zip(found.inputs) {
            signature.inputs.push(TensorSpec { name: input.name, dtype: input.dtype, dims: Some(dims) });
        }
        for ((name, &output), dims) in gives.names.into_iter().zip(&gives.outputs).zip(found.outputs) {
            let said = read.description.outputs.iter().find(|described| described.name == name);
            let spec = TensorSpec { name, dtype: dtypes[output], dims: Some(dims) };
            let spec = said.map_or(Ok(spec.clone()), |said| interface::agreed(said, spec));
            signature.outputs.push(spec.map_err(failed)?);
        }
        let effective_options = effective_options(library, &read.files, &shared, options);
        let intra_threads = options.intra_threads.max(1);
        let plan = Arc::new(Plan { shared, signature, outputs: gives.outputs, intra_threads });
        Ok(MxnetModel { plan, first: Mutex::new(Some(handles)), effective_options, path: path.display().to_string() })
    }

    /// A right to run it, with parameters of its own.
    pub fn own_instance(&self) -> Result<MxnetInstance, OpenError> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let handles = first.map_or_else(|| Handles::again(&self.plan.shared), Ok);
        let handles = handles.map_err(|error| of_cause(&self.path, &words_of(error)))?;
        Ok(MxnetInstance::new(Arc::clone(&self.plan), handles))
    }
}

impl Model for MxnetModel {
    fn signature(&self) -> &Signature {
        &self.plan.signature
    }

    fn effective_options(&self) -> Vec<(String, String)> {
        self.effective_options.clone()
    }

    /// A run in a new shape makes a predictor, for which it waits for the right to build: see `home`.
    fn may_block(&self) -> bool {
        true
    }

    fn copies(&self) -> bool {
        true
    }

    fn instance(&self) -> Result<Box<dyn Instance>, OpenError> {
        Ok(Box::new(self.own_instance()?))
    }
}

/// What is found out about a model before its parameters are given to MXNet.
struct Examined {
    shared: Arc<Shared>,
    taken: Vec<Taken>,
    gives: Gives,
    found: Found,
}

/// Finds it out. Otherwise: what is the matter, to follow the path.
fn examine(library: &'static Library, read: &Read, options: &Options) -> Result<Examined, String> {
    let json = CString::new(read.json.clone()).map_err(|_| "the symbol has a NUL in it".to_string())?;
    let (entries, gives) = making(|making| {
        let entries = Entries::new(library, &read.symbol, making)?;
        let mut gives = interface::gives(library, &json, read, options, &entries, making)?;
        if gives.partial.is_empty() {
            return Ok::<_, String>((entries, gives));
        }
        // What does not lead to these layers is not computed, and nobody knows its shapes.
        let entries = Entries::new(library, &read.symbol.with_heads(&gives.nodes), making)?;
        let places: Option<_> = gives.nodes.iter().map(|&node| entries.place(node, 0)).collect();
        gives.places = places.ok_or("a layer gives nothing")?;
        Ok((entries, gives))
    })?;
    let taken = interface::inputs(read, options, &gives)?;
    refuse_unchecked(read, options, &gives, &taken)?;
    if let Some(input) = taken.iter().find(|input| input.number != 0 && !gives.partial.is_empty()) {
        let cause =
            format!("input {} is {}, and with layers as outputs MXNet takes float32 alone", input.name, input.dtype);
        return Err(format!("{cause}; leave `outputs` out, or cast the input in the symbol"));
    }
    let names = taken.iter().map(|input| Ok((c_string(&input.name)?, input.number))).collect::<Result<_, String>>()?;
    let recipe =
        Recipe { library, json, inputs: names, partial: gives.partial.clone(), outputs: gives.predictor_outputs };
    let nodes = taken.iter().map(|input| input.node).collect();
    let (labels, params) = (interface::labels(read)?, interface::params(read)?);
    let params_file = (read.files.params.clone(), Digest::of(&read.file));
    let entries = Mutex::new(entries);
    let mut shared =
        Shared { recipe, nodes, labels, params, entries, base: Sizes::new(), needs_params: true, params_file };
    let found = find_shapes(&shared, &taken, &gives, read)?;
    shared.base.clone_from(&found.base);
    shared.needs_params = making(|making| shared.infer(&shared.base, false, making)).is_err();
    Ok(Examined { shared: Arc::new(shared), taken, gives, found })
}

/// Refuses what lets a client choose which memory is read, where others would be hurt.
fn refuse_unchecked(read: &Read, options: &Options, gives: &Gives, taken: &[Taken]) -> Result<(), String> {
    let inputs: Vec<_> = taken.iter().map(|input| input.node).collect();
    let Some(Unchecked { node, operator, input }) =
        unchecked::find(&read.symbol, &gives.nodes, &inputs).filter(|_| !options.is_isolated)
    else {
        return Ok(());
    };
    let input = read.symbol.name(input);
    Err(format!(
        "node {node} ({operator}) reads memory at places that input {input} says, and MXNet does not look whether they are in the \
         tensor; serve the model with isolation = \"process\""
    ))
}

/// How shapes of outputs follow from those of inputs.
fn find_shapes(shared: &Shared, taken: &[Taken], gives: &Gives, read: &Read) -> Result<Found, String> {
    let dims: Vec<_> = taken.iter().map(|input| input.dims.clone()).collect();
    let found = making(|making| {
        let infer = |shapes: &[Vec<u32>]| -> Result<Sizes, String> {
            let all = shared.infer(shapes, true, making)?;
            Ok(gives.places.iter().map(|&place| all[place].clone()).collect())
        };
        shapes::find(&dims, &infer)
    });
    found.map_err(|cause| {
        let shown = |input: &Taken| {
            let dims = Some(input.dims.clone());
            TensorSpec { name: input.name.clone(), dtype: input.dtype, dims }.to_string()
        };
        let inputs = taken.iter().map(shown).collect::<Vec<_>>().join(" and ");
        let description = read.files.description.display();
        format!("MXNet does not take {inputs}: {cause}; say the shapes in {description}, or export the model again")
    })
}

fn effective_options(library: &Library, files: &Files, shared: &Shared, options: &Options) -> Vec<(String, String)> {
    let is_here = library.runs_on_the_calling_thread;
    let intra_threads = if is_here {
        options.intra_threads.max(1).to_string()
    } else {
        "as OMP_NUM_THREADS and MXNET_OMP_MAX_THREADS say".to_string()
    };
    let engine =
        if is_here { "NaiveEngine, on the calling thread" } else { "as MXNET_ENGINE_TYPE says, on threads of MXNet's" };
    let mut effective = vec![
        ("intra_threads", intra_threads),
        ("engine", engine.to_string()),
        ("shapes_ready_max", READY_MAX.to_string()),
        ("symbol", files.symbol.display().to_string()),
        ("params", files.params.display().to_string()),
    ];
    if !files.epochs.is_empty() {
        let epochs: Vec<_> = files.epochs.iter().map(ToString::to_string).collect();
        effective.push(("epochs", format!("{}: the last is taken", epochs.join(", "))));
    }
    if !shared.labels.is_empty() {
        let labels: Vec<_> = shared.labels.iter().map(|(_, label)| label.to_string_lossy()).collect();
        effective.push(("labels_not_served", labels.join(", ")));
    }
    effective.push(("mxnet", library.version.clone()));
    effective.push(("library", library.path.display().to_string()));
    effective.into_iter().map(|(key, value)| (key.to_string(), value)).collect()
}

fn words_of(failed: Failed) -> String {
    match failed {
        Failed::Refused(cause) => cause,
        Failed::Ended => "MXNet has ended".to_string(),
    }
}

fn of_cause(path: &str, cause: &str) -> OpenError {
    let line = words::cause_of(cause);
    if words::is_of_the_machine(&line) {
        return OpenError::Machine(format!(
            "{path}: there is not enough memory for it; MXNet says: {line}; {MORE_MEMORY}"
        ));
    }
    // What MXNet refuses itself has no remedy, unlike what was found before it was asked.
    let remedy = if words::is_of_mxnet(&line) {
        "; its operators have to be known to this version, and its parameters have to be the symbol's"
    } else {
        ""
    };
    OpenError::Model(format!("{path}: {line}{remedy}"))
}
