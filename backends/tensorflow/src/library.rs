//! TensorFlow's shared library: where it is looked for, and whether it will do.
//!
//! A process loads the library at most once and keeps it for good: the first that will do stays. Its C interface is the
//! one that every TensorFlow since 2.4 has, with strings as they are since then; the library of the wheels on PyPI has it
//! as much as the one that is called libtensorflow.

use crate::sys::Api;
use graphpiped_backend_library::{Loaded, Locations, Once, Wanted, load};
use std::ffi::{CStr, c_char, c_int};
use std::path::{Path, PathBuf};

/// The oldest minor version of TensorFlow 2 that is taken: the oldest one that these tests have been run with.
pub const MINOR_MIN: u32 = 12;

/// The library, by its name in the wheels and by the one of the archives for C. It asks for libtensorflow_framework.so.2
/// itself, in the folder that it is in. The variable is that of TensorFlow's own binding for Rust.
pub const WANTED: Wanted = Wanted {
    what: "TensorFlow (2.12 or newer)",
    file: "libtensorflow_cc.so.2",
    system: &["libtensorflow_cc.so.2", "libtensorflow.so.2"],
    variable: "TENSORFLOW_DIR",
};

/// The library, loaded.
#[derive(Debug)]
pub(crate) struct Library {
    /// Its functions.
    pub api: Api,
    /// Its version, as in `2.21.0`.
    pub version: String,
    /// The file that it was loaded from.
    pub path: PathBuf,
}

static LIBRARY: Once<Library> = Once::new();

impl Library {
    /// The library, loaded now if it was not yet. On failure: one line that says what was tried, why none will do, and
    /// what to do about it.
    pub fn load(locations: &Locations) -> Result<&'static Library, String> {
        LIBRARY.load(|| locations.find(&WANTED, Library::open))
    }

    fn open(path: &Path) -> Result<Library, String> {
        // SAFETY: whoever may name a library here is the operator, who might as well have named another daemon.
        let loaded = unsafe { load(path) }?;
        let version = version(&loaded)?;
        if !is_new_enough(&version) {
            return Err(format!("it is version {version}, and 2.{MINOR_MIN} or newer is needed"));
        }
        // SAFETY: it says that it is TensorFlow of a version whose interface has these types; what `load` has loaded is
        // never unloaded.
        let api = unsafe { Api::of(&loaded) };
        let api = api.map_err(|name| format!("it is not a whole TensorFlow (there is no {name} in it)"))?;
        // Who asks for TensorFlow's log by its variable gets it.
        if std::env::var_os("TF_CPP_MIN_LOG_LEVEL").is_none() {
            silence(&loaded);
        }
        Ok(Library { api, version, path: loaded.path })
    }
}

/// What a library says that it is.
fn version(loaded: &Loaded) -> Result<String, String> {
    // SAFETY: this is the type that every version of TensorFlow gives to this symbol.
    let version = unsafe { loaded.library.get::<unsafe extern "C" fn() -> *const c_char>(b"TF_Version\0") };
    let version = version.map_err(|_| "it is not TensorFlow (there is no TF_Version in it)".to_string())?;
    // SAFETY: the function takes nothing, and returns a static string.
    let version = unsafe { version() };
    if version.is_null() {
        return Err("its TF_Version gives nothing".to_string());
    }
    // SAFETY: it is not null; the string ends with NUL and is never changed.
    Ok(unsafe { CStr::from_ptr(version) }.to_string_lossy().into_owned())
}

/// Makes TensorFlow say nothing but why it ends the process. Whatever goes wrong comes back as an error with the same
/// words; a line of its own for each would let a client fill the log.
///
/// There is no function for it in C, and its environment variable must not be written while other threads may read the
/// environment. What TensorFlow itself calls has the date of its logging library in its name, so this works with the
/// version that the daemon installs, and for others the operator sets the variable.
fn silence(loaded: &Loaded) {
    const NAME: &[u8] = b"_ZN4absl12lts_2025081412log_internal17RawSetMinLogLevelENS0_18LogSeverityAtLeastE\0";
    const FATAL: c_int = 3;
    // SAFETY: the name itself says that it takes one enumeration, which is an `int`, and is of this date's interface; it
    // returns nothing.
    let set = unsafe { loaded.library.get::<unsafe extern "C" fn(c_int)>(NAME) };
    if let Ok(set) = set {
        // SAFETY: it stores one number, atomically.
        unsafe { set(FATAL) };
    }
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split('.').map(str::parse::<u32>);
    // The names of files and functions are those of version 2.
    matches!((numbers.next(), numbers.next()), (Some(Ok(2)), Some(Ok(minor))) if minor >= MINOR_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    // None of these loads a library that will do, so they cannot see each other through `LIBRARY`.

    fn explicit(path: impl Into<PathBuf>) -> Locations {
        Locations { explicit: Some(path.into()), remedy: "install it".to_string(), ..Locations::default() }
    }

    fn failure(locations: &Locations) -> String {
        let message = Library::load(locations).expect_err("it will not do");
        assert!(!message.contains('\n'), "{message}");
        message
    }

    /// A library of this C program.
    fn compiled(folder: &Path, program: &str) -> PathBuf {
        let (source, library) = (folder.join("library.c"), folder.join("libtensorflow_cc.so.2"));
        std::fs::write(&source, program).expect("a source file");
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
        assert!(compiled.expect("the C compiler that Rust links with").success());
        library
    }

    #[test]
    fn versions_from_2_12_on_are_new_enough() {
        for version in ["2.12.0", "2.21.0", "2.100.1", "2.13", "2.21.0-rc1"] {
            assert!(is_new_enough(version), "{version}");
        }
        for version in ["2.11.1", "2.1.40", "1.15.5", "3.0.0", "", "2", "two.12", "2.12-rc1.0"] {
            assert!(!is_new_enough(version), "{version}");
        }
    }

    #[test]
    fn the_versions_that_will_do_are_named() {
        assert_eq!(WANTED.what, format!("TensorFlow (2.{MINOR_MIN} or newer)"));
    }

    #[test]
    fn a_library_that_is_not_tensorflow_is_refused() {
        let locations = Locations { environment: Some("libc.so.6".into()), ..Locations::default() };
        assert_eq!(
            failure(&locations),
            "no TensorFlow (2.12 or newer) to load: libc.so.6 (named by TENSORFLOW_DIR): it is not TensorFlow (there is \
             no TF_Version in it)"
        );
    }

    #[test]
    fn a_library_that_is_too_old_is_refused_by_its_version() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        compiled(folder.path(), r#"const char *TF_Version(void) { return "1.15.5"; }"#);
        let message = failure(&explicit(folder.path()));
        let expected = "configuration): it is version 1.15.5, and 2.12 or newer is needed; install it";
        assert!(message.ends_with(expected), "{message}");
    }

    #[test]
    fn a_library_that_lacks_a_function_is_refused_by_its_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let library = compiled(folder.path(), r#"const char *TF_Version(void) { return "2.99.0"; }"#);
        let message = failure(&explicit(library));
        let expected = "it is not a whole TensorFlow (there is no TF_NewStatus in it); install it";
        assert!(message.ends_with(expected), "{message}");
    }
}
