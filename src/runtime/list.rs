//! What is there: each framework, where it was found, which version it is, and whether it loads.
//!
//! A library runs code when it is loaded, and may end the process that does it. So each is loaded by a child, which is this
//! program again with a command that nobody else needs.

use crate::places::{Framework, Places};
use graphpiped_backend_library::{VersionFunction, Wanted, version};
use graphpiped_backend_torch::library::{self as torch, PLUGIN_REMEDY};
use std::fmt::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A line for each framework.
pub fn list(places: &Places) -> String {
    let mut text = String::new();
    for framework in Framework::ALL {
        let (state, rest) = match find(places, framework, &load_in_a_child) {
            State::Loads { version, place } => (version, place),
            State::Absent => ("absent".into(), remedy(framework)),
            // Which says itself what gets it.
            State::Broken(causes) if causes.ends_with(PLUGIN_REMEDY) => ("broken".into(), causes),
            State::Broken(causes) => ("broken".into(), format!("{causes}; {}", remedy(framework))),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:<11} {state:<8} {rest}", framework.as_str());
    }
    text
}

fn remedy(framework: Framework) -> String {
    format!("get it with: graphpiped runtime install {}", framework.as_str())
}

/// What was found of a framework.
#[derive(Debug, PartialEq, Eq)]
pub enum State {
    /// A library that loads.
    Loads {
        /// Its version.
        version: String,
        /// Where it is.
        place: String,
    },
    /// No library.
    Absent,
    /// Libraries that do not load, each with its cause.
    Broken(String),
}

/// Looks where the daemon would, and tries to load what is there.
pub fn find(places: &Places, framework: Framework, load: &dyn Fn(Framework, &Path) -> Result<String, String>) -> State {
    let mut causes = Vec::new();
    let wanted = wanted(framework);
    let found = places.locations(framework, &wanted).find(&wanted, |path| {
        let is_name = path.components().count() == 1;
        if !is_name && !path.exists() {
            return Err("there is no such file".into());
        }
        let cause = match load(framework, path) {
            Ok(version) => return Ok(State::Loads { version, place: path.display().to_string() }),
            Err(cause) => cause,
        };
        // That the system has none is no fault of it.
        if !(is_name && cause.contains("cannot open shared object file")) {
            causes.push(format!("{}: {cause}", path.display()));
        }
        // This one is chosen before anything is loaded.
        let is_chosen = framework == Framework::Torch && torch::version_of(path).is_ok();
        if is_chosen { Ok(State::Broken(causes.join("; "))) } else { Err(cause) }
    });
    match found {
        Ok(state) => state,
        Err(_) if causes.is_empty() => State::Absent,
        Err(_) => State::Broken(causes.join("; ")),
    }
}

/// The library that stands for a framework; it has the others loaded that it needs.
fn wanted(framework: Framework) -> Wanted {
    match framework {
        Framework::Onnx => graphpiped_backend_onnx::WANTED,
        Framework::Tensorflow => graphpiped_backend_tensorflow::WANTED,
        Framework::Torch => graphpiped_backend_torch::WANTED,
        Framework::Mxnet => graphpiped_backend_mxnet::WANTED,
    }
}

fn load_in_a_child(framework: Framework, path: &Path) -> Result<String, String> {
    let executable = std::env::current_exe().map_err(|error| format!("it cannot be tried: {error}"))?;
    let output = Command::new(executable)
        .args(["runtime", "load", framework.as_str()])
        .arg(path)
        // What it has to say of the machine's processor is not asked for.
        .env("TF_CPP_MIN_LOG_LEVEL", "3")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("it cannot be tried: {error}"))?;
    let last = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().last().unwrap_or_default().trim().to_string();
    match (output.status.code(), output.status.signal()) {
        (Some(0), _) => Ok(last(&output.stdout)),
        (_, Some(signal)) => Err(format!("it ends the process that loads it (signal {signal})")),
        _ => Err(last(&output.stderr).trim_start_matches("graphpiped: ").to_string()),
    }
}

/// Loads a library, for good or ill, and says its version: the work of the child.
pub fn load(framework: Framework, path: &Path) -> Result<String, String> {
    match framework {
        Framework::Onnx => graphpiped_backend_onnx::library::version(path).map(|(version, _)| version),
        Framework::Tensorflow => version(path, VersionFunction::Tensorflow),
        Framework::Mxnet => version(path, VersionFunction::MxNet),
        // As for a model: with the plugin, and in the order that it takes.
        Framework::Torch => torch::version(path),
    }
}
