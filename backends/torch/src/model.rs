//! An open model: the plugin's handle, the signature from its description, and what it is run with.

use crate::abi;
use crate::format::Format;
use crate::forward::Forward;
use crate::instance::TorchInstance;
use crate::library::Library;
use crate::plugin::{Failure, How, Module};
use crate::words::cause_of;
use graphpiped_backend_api::{Instance, MORE_MEMORY, Model, OpenError, Options, Signature};
use graphpiped_model_description::path_of;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// What the instances of a model share.
pub(crate) struct Shared {
    /// The plugin's handle.
    pub module: Module,
    /// What the description says.
    pub signature: Signature,
}

/// An open model.
pub(crate) struct TorchModel {
    shared: Arc<Shared>,
    effective_options: Vec<(String, String)>,
}

impl TorchModel {
    /// Opens a file of this format, which has this description.
    pub fn open(
        library: &'static Library,
        path: &Path,
        format: Format,
        signature: Signature,
        options: &Options,
    ) -> Result<TorchModel, OpenError> {
        let settings = Settings::of(options);
        let names = signature.outputs.iter().map(|output| output.name.as_str());
        let module = opened(library, path, format, &settings, names)?;
        let forward = forward(library, path, &module)?;
        forward
            .check(signature.inputs.len())
            .map_err(|cause| OpenError::Model(format!("{}: {cause}", path_of(path).display())))?;
        let effective_options = effective_options(library, path, format, &settings, &signature, &forward);
        Ok(TorchModel { shared: Arc::new(Shared { module, signature }), effective_options })
    }
}

impl Model for TorchModel {
    fn signature(&self) -> &Signature {
        &self.shared.signature
    }

    fn effective_options(&self) -> Vec<(String, String)> {
        self.effective_options.clone()
    }

    fn instance(&self) -> Result<Box<dyn Instance>, OpenError> {
        Ok(Box::new(TorchInstance::new(Arc::clone(&self.shared))))
    }
}

/// A description of the model at `path` to be filled in.
pub(crate) fn template(
    library: &'static Library,
    path: &Path,
    format: Format,
    options: &Options,
) -> Result<String, OpenError> {
    let module = opened(library, path, format, &Settings::of(options), std::iter::empty())?;
    Ok(forward(library, path, &module)?.template(path))
}

struct Settings {
    threads: usize,
    runners: usize,
}

impl Settings {
    fn of(options: &Options) -> Settings {
        // More runs than processors only wait for each other.
        let runners = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(RUNNERS_MAX);
        Settings { threads: options.intra_threads.clamp(1, THREADS_MAX), runners }
    }
}

/// More than any machine has processors, and nothing that overflows in C.
const THREADS_MAX: usize = 4096;
/// Each has memory of its own for what it computes.
const RUNNERS_MAX: usize = 64;

fn opened<'a>(
    library: &'static Library,
    path: &Path,
    format: Format,
    settings: &Settings,
    outputs: impl Iterator<Item = &'a str>,
) -> Result<Module, OpenError> {
    let in_c = |bytes: &[u8]| {
        let refusal = |_| OpenError::Model(format!("{}: a name has a NUL in it; rename it", path.display()));
        CString::new(bytes).map_err(refusal)
    };
    let how = How {
        path: &in_c(path.as_os_str().as_bytes())?,
        kind: match format {
            Format::TorchScript => abi::SCRIPT,
            Format::Package => abi::PACKAGE,
        },
        outputs: &outputs.map(|name| in_c(name.as_bytes())).collect::<Result<Vec<_>, _>>()?,
        threads: settings.threads as u32,
        runners: settings.runners as u32,
    };
    library.plugin.open(&how).map_err(|failure| refusal(library, path, format, &failure))
}

fn forward(library: &Library, path: &Path, module: &Module) -> Result<Forward, OpenError> {
    let lines = module.describe().map_err(|failure| refusal(library, path, Format::TorchScript, &failure))?;
    Ok(Forward::of(&lines))
}

/// Why PyTorch does not take a file, and what to do about it.
fn refusal(library: &Library, path: &Path, format: Format, failure: &Failure) -> OpenError {
    let words = cause_of(&failure.words);
    let is_newer = words.contains("maximum supported version") || words.contains("Unknown builtin op");
    let remedy = match format {
        _ if failure.is_of_the_machine() => MORE_MEMORY,
        _ if is_newer => "save it with this version of PyTorch or an older one",
        Format::TorchScript => "it has to be a module with a method `forward`, and whole; save it again",
        Format::Package => "it has to be compiled by this minor version of PyTorch, for this kind of processor",
    };
    let (shown, version) = (path.display(), &library.version);
    failure.of_open(format!("{shown}: it cannot be loaded; PyTorch {version} says: {words}; {remedy}"))
}

fn effective_options(
    library: &Library,
    path: &Path,
    format: Format,
    settings: &Settings,
    signature: &Signature,
    forward: &Forward,
) -> Vec<(String, String)> {
    let mut options = vec![
        ("format", format.name().to_string()),
        ("description", path_of(path).display().to_string()),
        ("intra_threads", settings.threads.to_string()),
        ("interop_threads", "1".to_string()),
    ];
    if format == Format::Package {
        options.push(("runners", settings.runners.to_string()));
        options.push(("input_checks", input_checks()));
    }
    // A package may say nothing of its arguments, and may write into each.
    let is_written = |index: usize| {
        format == Format::Package || forward.arguments.get(index).is_some_and(|argument| argument.is_written)
    };
    let written = signature.inputs.iter().enumerate().filter(|(index, _)| is_written(*index));
    let copied: Vec<_> = written.map(|(_, input)| input.name.as_str()).collect();
    if !copied.is_empty() {
        options.push(("inputs_copied", copied.join(", ")));
    }
    if forward.has_state {
        options.push(("runs", "one at a time (the model has state)".to_string()));
    }
    options.push(("torch", library.version.clone()));
    options.push(("library", library.path.display().to_string()));
    options.push(("plugin", library.plugin_path.display().to_string()));
    options.into_iter().map(|(key, value)| (key.to_string(), value)).collect()
}

/// Whether compiled code compares its inputs with what it was compiled for. It reads the variable itself, once.
fn input_checks() -> String {
    let is_on = std::env::var_os(INPUT_CHECKS).is_some_and(|value| value == "1");
    if is_on { "on".to_string() } else { format!("off ({INPUT_CHECKS}=1 turns them on)") }
}

const INPUT_CHECKS: &str = crate::ENVIRONMENT[0].0;
