//! `graphpiped runtime`: the frameworks' libraries, which are found where and in which version, and how they get there.
//!
//! | what | where |
//! | --- | --- |
//! | what is fetched of each framework: versions, hashes, members | `plan` |
//! | a wheel out of the package index, by pip | `pip` |
//! | what is needed of it, within bounds | `unpack` |
//! | the folder that appears at once and whole | `install` |
//! | whether it is finished, and still whole | `stamp` |
//! | a library without code that PyTorch's plugins ask for | `stub` |
//! | what is there, tried by loading it in a child | `list` |
//!
//! Nothing here is run while models are served, and nothing is fetched that nobody asked for by this command. Where the
//! backends look for the libraries is in [`places`](crate::places).

mod install;
mod list;
mod pip;
mod plan;
mod stamp;
mod stub;
mod unpack;

#[cfg(test)]
mod tests;

use crate::cli::{InstallArgs, RuntimeCommand};
use crate::places::{Framework, SYSTEM, library_folders, of_project};
use std::path::{Path, PathBuf};

/// Does what was asked for.
pub fn run(command: RuntimeCommand) -> Result<(), String> {
    match command {
        RuntimeCommand::List(args) => {
            print!("{}", list::list(&args.places()));
            Ok(())
        }
        RuntimeCommand::Install(args) => install_all(&args),
        RuntimeCommand::Load { framework, path } => {
            println!("{}", list::load(framework, &path)?);
            Ok(())
        }
    }
}

fn install_all(args: &InstallArgs) -> Result<(), String> {
    let executable = std::env::current_exe().unwrap_or_default();
    let (into, whose) = match &args.into {
        Some(folder) => (std::path::absolute(folder).unwrap_or_else(|_| folder.clone()), "as was asked for"),
        None => default_folder(&executable),
    };
    say(&format!("libraries go to {} ({whose})", into.display()));
    args.frameworks.iter().try_for_each(|framework| {
        let plan = plan::of(*framework, std::env::consts::ARCH)?;
        install::install(&plan, &into, &args.python, &say)
    })?;
    if !library_folders().contains(&into) {
        say(&format!("the daemon finds them with --runtime {}", into.display()));
    }
    Ok(())
}

/// The library folder of the project that the daemon lies in, else the one for the whole system.
fn default_folder(executable: &Path) -> (PathBuf, &'static str) {
    match of_project(executable) {
        Some(folder) => (folder, "the project that the daemon lies in; --into DIR is another place"),
        None => (SYSTEM[0].into(), "for the whole system; --into DIR is another place"),
    }
}

/// Progress, for whoever waits.
fn say(line: &str) {
    eprintln!("{line}");
}

impl Framework {
    /// What people call it.
    fn title(self) -> &'static str {
        match self {
            Framework::Onnx => "ONNX Runtime",
            Framework::Tensorflow => "TensorFlow",
            Framework::Torch => "PyTorch",
            Framework::Mxnet => "MXNet",
        }
    }
}
