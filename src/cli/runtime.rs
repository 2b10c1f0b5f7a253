//! The arguments of `graphpiped runtime`.

use crate::places::{Framework, Places};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What can be done with the frameworks' libraries.
#[derive(Debug, Subcommand)]
pub enum RuntimeCommand {
    /// Say which frameworks are found where, in which version, and whether they load.
    List(ListArgs),
    /// Fetch the libraries of frameworks from the Python package index, with pip and as it is configured.
    Install(InstallArgs),
    /// Load one library and say its version; what `list` has others do, because it may end whoever does it.
    #[command(hide = true)]
    Load {
        /// Whose library it is.
        framework: Framework,
        /// Where it is.
        path: PathBuf,
    },
}

/// Arguments of `runtime list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The folder of the frameworks' libraries. Default: where `graphpiped serve` would look.
    #[arg(long, env = "GRAPHPIPED_RUNTIME", value_name = "DIR")]
    pub runtime: Option<PathBuf>,
    /// The ONNX Runtime library.
    #[arg(long, env = "GRAPHPIPED_ONNXRUNTIME", value_name = "PATH")]
    pub onnxruntime: Option<PathBuf>,
}

impl ListArgs {
    /// Where to look.
    pub fn places(self) -> Places {
        Places { runtime: self.runtime, onnxruntime: self.onnxruntime }
    }
}

/// Arguments of `runtime install`.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// What to fetch.
    #[arg(required = true, value_name = "FRAMEWORK")]
    pub frameworks: Vec<Framework>,
    /// The folder that gets a folder for each framework. Default: runtime/ in the project that the daemon lies in, else
    /// /usr/local/lib/graphpiped.
    #[arg(long, env = "GRAPHPIPED_RUNTIME", value_name = "DIR")]
    pub into: Option<PathBuf>,
    /// The Python that has pip. It may have any version.
    #[arg(long, env = "GRAPHPIPED_PYTHON", value_name = "COMMAND", default_value = "python3")]
    pub python: String,
}
