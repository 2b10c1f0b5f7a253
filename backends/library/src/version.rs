//! The version of a library that no backend has opened, for whoever wants to know what is installed.
//!
//! # Which functions are called
//!
//! Each of [`VersionFunction`] stands for one function of one name, with the type that the header of its framework has given
//! it in every version. A library that has the name is taken at its word, as one that is loaded is anyway: its initialisers
//! have been run before.

use crate::load;
use std::ffi::{CStr, c_char, c_int};
use std::path::Path;

/// The function that tells the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionFunction {
    /// `const char *TF_Version(void)`
    Tensorflow,
    /// `int MXGetVersion(int *)`
    MxNet,
    /// There is none: the library is loaded, and nothing else.
    None,
}

/// Loads a library and asks for its version; nothing, if it has no function for it. The operator has named the path, or the
/// folder that it is in, and might as well have named another program.
pub fn version(path: &Path, function: VersionFunction) -> Result<String, String> {
    // SAFETY: the path is trusted as much as whoever installed the daemon.
    let loaded = unsafe { load(path) }?;
    let absent = |name: &str| format!("it is another library (there is no {name} in it)");
    match function {
        VersionFunction::None => Ok(String::new()),
        VersionFunction::Tensorflow => {
            // SAFETY: this is the type that every version of TensorFlow gives to this symbol.
            let function = unsafe { loaded.library.get::<unsafe extern "C" fn() -> *const c_char>(b"TF_Version") };
            let function = function.map_err(|_| absent("TF_Version"))?;
            // SAFETY: it takes nothing, and returns a static string.
            let text = unsafe { function() };
            if text.is_null() {
                return Err("its TF_Version gives nothing".into());
            }
            // SAFETY: the string is not null, ends with NUL and is never changed.
            Ok(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
        }
        VersionFunction::MxNet => {
            // SAFETY: this is the type that every version of MXNet gives to this symbol.
            let function = unsafe { loaded.library.get::<unsafe extern "C" fn(*mut c_int) -> c_int>(b"MXGetVersion") };
            let function = function.map_err(|_| absent("MXGetVersion"))?;
            let mut number = 0;
            // SAFETY: it writes one number where it is told.
            if unsafe { function(&raw mut number) } != 0 {
                return Err("its MXGetVersion fails".into());
            }
            Ok(format!("{}.{}.{}", number / 10_000, number / 100 % 100, number % 100))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn compiled(program: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (source, library) = (folder.path().join("it.c"), folder.path().join("it.so"));
        std::fs::write(&source, program).expect("a source file");
        let status = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
        assert!(status.expect("the C compiler that Rust links with").success());
        (folder, library)
    }

    #[test]
    fn each_function_tells_its_version() {
        let (_folder, library) = compiled(
            "const char *TF_Version(void) { return \"2.21.0\"; } int MXGetVersion(int *out) { *out = 10901; return 0; }",
        );
        assert_eq!(version(&library, VersionFunction::Tensorflow), Ok("2.21.0".into()));
        assert_eq!(version(&library, VersionFunction::MxNet), Ok("1.9.1".into()));
        assert_eq!(version(&library, VersionFunction::None), Ok(String::new()));
    }

    #[test]
    fn another_library_and_a_function_that_fails_are_errors() {
        let (_folder, other) = compiled("int other;");
        for function in [VersionFunction::Tensorflow, VersionFunction::MxNet] {
            let why = version(&other, function).expect_err("there is no such function");
            assert!(why.starts_with("it is another library (there is no "), "{why}");
        }
        let (_folder, failing) =
            compiled("const char *TF_Version(void) { return 0; } int MXGetVersion(int *out) { return -1; }");
        assert_eq!(version(&failing, VersionFunction::Tensorflow), Err("its TF_Version gives nothing".into()));
        assert_eq!(version(&failing, VersionFunction::MxNet), Err("its MXGetVersion fails".into()));
    }
}
