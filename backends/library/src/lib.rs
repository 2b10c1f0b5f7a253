//! The shared library of a framework: where it is looked for, and why it cannot be loaded, in words for the operator.
//!
//! Each backend says what it wants ([`Wanted`]), tries what [`Locations`] finds, and decides itself whether it will do. Of
//! what is in a library, only what the linker needs of it (`elf`) and the functions that tell its version (`version`) are known here. How one is
//! installed never will be.

mod elf;
mod version;

pub use version::{VersionFunction, version};

pub mod environment;
mod once;

pub use once::Once;

use libloading::Library;
use std::ffi::OsString;
use std::path::{Path, PathBuf, absolute};

/// The library that a backend wants.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// What the operator knows it as, with the versions that will do: `ONNX Runtime (1.24 or newer)`.
    pub what: &'static str,
    /// The name that it has in a folder.
    pub file: &'static str,
    /// What the dynamic linker is asked for, in this order, if it is in no folder.
    pub system: &'static [&'static str],
    /// The environment variable that names it, best one that users of other programs know.
    pub variable: &'static str,
}

/// Where to look for a library. The first of these that is said decides: [`Locations::explicit`],
/// [`Locations::environment`], [`Locations::folders`] and then the system's library path.
#[derive(Clone, Debug, Default)]
pub struct Locations {
    /// What the operator named, a file or the folder that it is in; nothing else is tried then.
    pub explicit: Option<PathBuf>,
    /// The content of [`Wanted::variable`]; nothing else is tried then.
    pub environment: Option<OsString>,
    /// Folders that may hold it, such as the one that the daemon's own command installs it in.
    pub folders: Vec<PathBuf>,
    /// What the operator should do if it is nowhere; ends the error message.
    pub remedy: String,
}

impl Locations {
    /// Looks where `explicit` says, then as the variable says, then in `folders`, then in the system.
    pub fn new(wanted: &Wanted, explicit: Option<PathBuf>, folders: Vec<PathBuf>, remedy: &str) -> Locations {
        let environment = std::env::var_os(wanted.variable).filter(|path| !path.is_empty());
        Locations { explicit, environment, folders, remedy: remedy.to_string() }
    }

    /// What `open` makes of the first place that it takes. Otherwise one line that says what was tried, why none of it will do,
    /// and what to do about that.
    pub fn find<T>(&self, wanted: &Wanted, mut open: impl FnMut(&Path) -> Result<T, String>) -> Result<T, String> {
        let mut causes = Vec::new();
        for (path, named_by) in self.candidates(wanted) {
            match open(&path) {
                Ok(opened) => return Ok(opened),
                Err(cause) => causes.push(format!("{}{named_by}: {cause}", path.display())),
            }
        }
        Err(self.with_remedy(format!("no {} to load: {}", wanted.what, causes.join("; "))))
    }

    /// A message that ends with what to do about it.
    pub fn with_remedy(&self, message: String) -> String {
        if self.remedy.is_empty() { message } else { format!("{message}; {}", self.remedy) }
    }

    /// The paths to try, in order, with who named them.
    fn candidates(&self, wanted: &Wanted) -> Vec<(PathBuf, String)> {
        let named = |path: &Path| if path.is_dir() { path.join(wanted.file) } else { path.to_path_buf() };
        if let Some(path) = &self.explicit {
            // A bare name is a file here too, and nothing for the dynamic linker to look for.
            let path = absolute(path).unwrap_or_else(|_| path.clone());
            return vec![(named(&path), " (named on the command line or in the configuration)".into())];
        }
        if let Some(path) = &self.environment {
            return vec![(named(Path::new(path)), format!(" (named by {})", wanted.variable))];
        }
        let folders = self.folders.iter().map(|folder| (folder.join(wanted.file), String::new()));
        let system =
            wanted.system.iter().map(|name| (PathBuf::from(name), " (in the system's library path)".to_string()));
        folders.chain(system).collect()
    }
}

/// A library that is loaded, and stays so for as long as the process lives.
#[derive(Debug)]
pub struct Loaded {
    /// To look symbols up in.
    pub library: &'static Library,
    /// The file that it really is.
    pub path: PathBuf,
}

/// Loads a library for good: frameworks have threads and destructors that outlive whoever would unload them.
///
/// # Safety
///
/// The library's initialisers are run. Whoever named the path has to be trusted as much as whoever installed the daemon; an
/// operator is, a client is not.
pub unsafe fn load(path: &Path) -> Result<Loaded, String> {
    let is_path = path.components().count() > 1;
    if is_path && !path.exists() {
        return Err("there is no such file".to_string());
    }
    let path = if is_path { absolute(path).map_err(|error| error.to_string())? } else { path.to_path_buf() };
    if is_path {
        elf::check(&path)?;
    }
    // SAFETY: as the caller promises.
    let library = unsafe { Library::new(&path) }.map_err(|error| cause(&error, &path))?;
    let library = Box::leak(Box::new(library));
    let path = if is_path { path } else { mapped(&path).unwrap_or(path) };
    Ok(Loaded { library, path })
}

/// The file that the dynamic linker found for a bare name. Later loads name it by its path, so that they mean the same.
fn mapped(name: &Path) -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let name = name.to_str()?;
    // Address, permissions, offset, device, inode and path; the file may be named by more digits than was asked for.
    let mut paths = maps.lines().filter_map(|line| line.find('/').map(|start| &line[start..]));
    paths.find(|path| path.rsplit('/').next().is_some_and(|file| file.starts_with(name))).map(PathBuf::from)
}

/// What the dynamic linker said, without the path, which stands before it already.
fn cause(error: &libloading::Error, path: &Path) -> String {
    let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    let prefix = format!("{}: ", path.display());
    cause.strip_prefix(&prefix).unwrap_or(&cause).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted {
        what: "Framework (2 or newer)",
        file: "libframework.so",
        system: &["libframework.so.2", "libframework.so"],
        variable: "FRAMEWORK_PATH",
    };

    fn paths(locations: &Locations) -> Vec<PathBuf> {
        locations.candidates(&WANTED).into_iter().map(|(path, _)| path).collect()
    }

    fn failure(locations: &Locations) -> String {
        // SAFETY: none of these is a library.
        locations.find(&WANTED, |path| unsafe { load(path) }.map(drop)).expect_err("it will not do")
    }

    fn explicit(path: impl Into<PathBuf>) -> Locations {
        Locations { explicit: Some(path.into()), remedy: "install it".to_string(), ..Locations::default() }
    }

    #[test]
    fn what_the_operator_names_comes_before_the_environment_and_the_folders() {
        let mut locations = Locations {
            explicit: Some("/a/x.so".into()),
            environment: Some("/b/y.so".into()),
            folders: vec!["/c".into(), "/d".into()],
            remedy: String::new(),
        };
        assert_eq!(paths(&locations), [PathBuf::from("/a/x.so")]);
        locations.explicit = None;
        assert_eq!(paths(&locations), [PathBuf::from("/b/y.so")]);
        locations.environment = None;
        let expected = ["/c/libframework.so", "/d/libframework.so", "libframework.so.2", "libframework.so"];
        assert_eq!(paths(&locations), expected.map(PathBuf::from));
    }

    #[test]
    fn a_folder_stands_for_the_library_in_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(paths(&explicit(folder.path())), [folder.path().join("libframework.so")]);
    }

    #[test]
    fn a_path_that_is_not_there_is_named_with_the_remedy() {
        assert_eq!(
            failure(&explicit("/no/such/libframework.so")),
            "no Framework (2 or newer) to load: /no/such/libframework.so (named on the command line or in the \
             configuration): there is no such file; install it"
        );
    }

    #[test]
    fn a_file_that_is_not_a_library_is_refused_before_the_linker_sees_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("libframework.so");
        std::fs::write(&file, "hello").expect("a file");
        let message = failure(&explicit(folder.path()));
        assert!(message.contains(&format!("{} (named on the command line", file.display())), "{message}");
        assert!(message.ends_with("configuration): it is no shared library; install it"), "{message}");
    }

    #[test]
    fn what_only_the_linker_knows_is_said_in_its_words() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("libframework.so")).expect("a folder");
        let message = failure(&explicit(folder.path()));
        assert!(message.ends_with("configuration): cannot read file data: Is a directory; install it"), "{message}");
    }

    #[test]
    fn every_place_that_was_tried_is_named_with_its_cause() {
        let locations = Locations { folders: vec!["/c".into()], ..Locations::default() };
        let message = locations.find(&WANTED, |path| Err::<(), _>(format!("not {}", path.display()))).unwrap_err();
        assert_eq!(
            message,
            "no Framework (2 or newer) to load: /c/libframework.so: not /c/libframework.so; libframework.so.2 (in the \
             system's library path): not libframework.so.2; libframework.so (in the system's library path): not \
             libframework.so"
        );
    }
}
