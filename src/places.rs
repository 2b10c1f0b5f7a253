//! The frameworks that are shared libraries, and where those are looked for.
//!
//! A *library folder* has a folder for each framework; `graphpiped runtime install` fills them. Not the current folder: a
//! daemon does not run what it finds lying about. What is in a library is the backends' to know.

use clap::ValueEnum;
use graphpiped_backend_library::{Locations, Wanted};
use std::path::{Path, PathBuf};

/// A framework whose library is loaded at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum Framework {
    /// ONNX Runtime.
    Onnx,
    /// TensorFlow.
    Tensorflow,
    /// PyTorch.
    Torch,
    /// Apache MXNet.
    Mxnet,
}

impl Framework {
    /// All of them.
    pub const ALL: [Framework; 4] = [Framework::Onnx, Framework::Tensorflow, Framework::Torch, Framework::Mxnet];

    /// As in `graphpiped runtime install onnx`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Framework::Onnx => "onnx",
            Framework::Tensorflow => "tensorflow",
            Framework::Torch => "torch",
            Framework::Mxnet => "mxnet",
        }
    }

    /// Its folder in a library folder.
    pub const fn folder(self) -> &'static str {
        match self {
            Framework::Onnx => "onnxruntime",
            other => other.as_str(),
        }
    }
}

/// The library folders of the system, which is where an administrator installs and where a package would.
pub const SYSTEM: [&str; 2] = ["/usr/local/lib/graphpiped", "/usr/lib/graphpiped"];

/// Where the libraries are, as far as somebody said so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The library folder; no other one is looked into then.
    pub runtime: Option<PathBuf>,
    /// The library of ONNX Runtime, or the folder that it is in.
    pub onnxruntime: Option<PathBuf>,
}

impl Places {
    /// Where a backend looks for the library that it wants.
    pub fn locations(&self, framework: Framework, wanted: &Wanted) -> Locations {
        let explicit = self.onnxruntime.clone().filter(|_| framework == Framework::Onnx);
        let remedy = format!("get it with: graphpiped runtime install {}", framework.as_str());
        Locations::new(wanted, explicit, self.folders(framework), &remedy)
    }

    /// The folders that may hold a framework, best first.
    pub fn folders(&self, framework: Framework) -> Vec<PathBuf> {
        let around = self.runtime.as_ref().map_or_else(library_folders, |folder| vec![folder.clone()]);
        around.into_iter().map(|folder| folder.join(framework.folder())).collect()
    }
}

/// The library folders of the project that the daemon lies in, and of the system.
pub fn library_folders() -> Vec<PathBuf> {
    let executable = std::env::current_exe().unwrap_or_default();
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = of_daemon(&executable, source, cfg!(debug_assertions));
    folders.extend(SYSTEM.map(PathBuf::from));
    folders
}

/// The library folders of the project that an executable lies in, and of `source`, which it was built from, if it lies there
/// or is a developer's, who may have everything that is built elsewhere. Once deployed, the place where it was built means
/// nothing: it may be anybody's by then.
fn of_daemon(executable: &Path, source: &Path, is_debug: bool) -> Vec<PathBuf> {
    let is_at_home = is_debug || executable.starts_with(source);
    let source = Some(source.join(RUNTIME)).filter(|_| is_at_home);
    let mut folders: Vec<_> = of_project(executable).into_iter().chain(source).collect();
    folders.dedup();
    folders
}

/// The library folder of the project that an executable lies in (`target/release/graphpiped`), if it does.
pub fn of_project(executable: &Path) -> Option<PathBuf> {
    let target = executable.ancestors().nth(2).filter(|target| target.ends_with("target"));
    target.and_then(Path::parent).map(|project| project.join(RUNTIME))
}

/// The library folder in a project.
const RUNTIME: &str = "runtime";

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted { what: "it", file: "it.so", system: &[], variable: "GRAPHPIPED_NO_SUCH_VARIABLE" };

    #[test]
    fn the_library_folder_that_is_named_is_the_only_one() {
        let places = Places { runtime: Some("/r".into()), onnxruntime: None };
        assert_eq!(places.folders(Framework::Onnx), [PathBuf::from("/r/onnxruntime")]);
        assert_eq!(places.folders(Framework::Torch), [PathBuf::from("/r/torch")]);
    }

    #[test]
    fn without_one_the_project_goes_before_the_system() {
        let folders = Places::default().folders(Framework::Tensorflow);
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("runtime/tensorflow");
        assert!(folders.contains(&project) || !cfg!(debug_assertions), "{folders:?}");
        let system = ["/usr/local/lib/graphpiped/tensorflow", "/usr/lib/graphpiped/tensorflow"].map(PathBuf::from);
        assert!(folders.ends_with(&system), "{folders:?}");
        assert_eq!(of_project(Path::new("/p/target/release/graphpiped")), Some("/p/runtime".into()));
        assert_eq!(of_project(Path::new("/usr/local/bin/graphpiped")), None);
    }

    #[test]
    fn where_a_deployed_daemon_was_built_is_not_looked_at() {
        let folders = |executable: &str, is_debug| of_daemon(Path::new(executable), Path::new("/p"), is_debug);
        assert!(folders("/usr/local/bin/graphpiped", false).is_empty());
        assert_eq!(folders("/elsewhere/debug/graphpiped", true), [PathBuf::from("/p/runtime")]);
        let of_p = [PathBuf::from("/p/runtime")];
        assert_eq!(folders("/p/target/release/graphpiped", false), of_p, "once");
        assert_eq!(folders("/p/target/x86_64-unknown-linux-gnu/release/graphpiped", false), of_p);
        assert_eq!(folders("/q/target/release/graphpiped", false), [PathBuf::from("/q/runtime")], "a copy of it");
    }

    #[test]
    fn the_library_of_onnx_runtime_may_be_named_and_is_no_others() {
        let places = Places { runtime: None, onnxruntime: Some("/o/libonnxruntime.so".into()) };
        assert_eq!(places.locations(Framework::Onnx, &WANTED).explicit, Some("/o/libonnxruntime.so".into()));
        let other = places.locations(Framework::Mxnet, &WANTED);
        assert_eq!(other.explicit, None);
        assert_eq!(other.remedy, "get it with: graphpiped runtime install mxnet");
    }
}
