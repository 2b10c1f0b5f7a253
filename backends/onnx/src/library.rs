//! ONNX Runtime's shared library: where it is looked for, whether it will do, and the one environment in it.
//!
//! A process loads the library at most once and keeps it for good: the first that will do stays, and what has been made
//! with it may be used without another check. Until then no function of `ort` may be called, because it would go
//! looking for the library by itself and panic.

use crate::value::check;
use graphpiped_backend_library::{Locations, Once, Wanted, load};
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::sys;
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::ptr;

/// The oldest minor version of ONNX Runtime 1 that is taken. 1.22 aborts the whole process when a session is made.
pub const MINOR_MIN: u32 = ort::MINOR_VERSION;

/// The library, by its name of all versions 1 and by the one that development packages install. The variable is `ort`'s own.
pub const WANTED: Wanted = Wanted {
    what: "ONNX Runtime (1.24 or newer)",
    file: "libonnxruntime.so",
    system: &["libonnxruntime.so.1", "libonnxruntime.so"],
    variable: "ORT_DYLIB_PATH",
};

/// The library, loaded.
#[derive(Debug)]
pub(crate) struct Library {
    environment: Environment,
    version: String,
    path: PathBuf,
    memory: *const sys::OrtMemoryInfo,
    allocator: *mut sys::OrtAllocator,
}

// SAFETY: the description of CPU memory is never changed, and the default allocator may be used by any thread.
unsafe impl Send for Library {}
// SAFETY: as for `Send`.
unsafe impl Sync for Library {}

static LIBRARY: Once<Library> = Once::new();

impl Library {
    /// The library, loaded now if it was not yet. On failure: one line that says what was tried, why none will do, and
    /// what to do about it.
    pub fn load(locations: &Locations) -> Result<&'static Library, String> {
        LIBRARY.load(|| locations.find(&WANTED, Library::open))
    }

    fn open(path: &Path) -> Result<Library, String> {
        let (version, path) = version(path)?;
        let environment = ort::init_from(&path).map_err(|error| error.to_string())?;
        let environment = environment.with_name("graphpiped").with_telemetry(false).build();
        let environment = environment.map_err(|error| error.to_string())?;
        // Whatever goes wrong comes back as an error with the same words. A line of its own for each would let a client
        // fill the log. Who asks for ONNX Runtime's log by its variable gets it.
        if std::env::var_os("ORT_LOG").is_none() {
            environment.set_log_level(LogLevel::Fatal);
        }
        let mut memory = ptr::null_mut();
        let (kind, place) = (sys::OrtAllocatorType::OrtDeviceAllocator, sys::OrtMemType::OrtMemTypeDefault);
        // SAFETY: the description is written to `memory` and is ours; it is kept for good.
        let status = unsafe { (ort::api().CreateCpuMemoryInfo)(kind, place, &raw mut memory) };
        check(status).map_err(|error| error.to_string())?;
        let mut allocator = ptr::null_mut();
        // SAFETY: the allocator is written to `allocator`; it is a static of the library's and never released.
        let status = unsafe { (ort::api().GetAllocatorWithDefaultOptions)(&raw mut allocator) };
        check(status).map_err(|error| error.to_string())?;
        Ok(Library { environment, version, path, memory, allocator })
    }

    /// The environment that sessions are made in.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Its version, as in `1.32.0`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The file that it was loaded from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The description of memory that the CPU can see.
    pub fn memory(&self) -> *const sys::OrtMemoryInfo {
        self.memory
    }

    /// The allocator of tensors that belong to no session.
    pub fn allocator(&self) -> *mut sys::OrtAllocator {
        self.allocator
    }
}

/// Loads a library just to see whether it will do; gives its version, and the file that it really is.
pub fn version(path: &Path) -> Result<(String, PathBuf), String> {
    // SAFETY: whoever may name a library here is the operator, who might as well have named another daemon.
    let loaded = unsafe { load(path) }?;
    // SAFETY: this is the type that every version of ONNX Runtime gives to this symbol.
    let entry =
        unsafe { loaded.library.get::<unsafe extern "system" fn() -> *const sys::OrtApiBase>(b"OrtGetApiBase") };
    let entry = entry.map_err(|_| "it is not ONNX Runtime (there is no OrtGetApiBase in it)".to_string())?;
    // SAFETY: the function takes nothing, and returns a static of the library's or null.
    let base = unsafe { entry() };
    // SAFETY: if it is not null, it points to a static that lives as long as the library is loaded.
    let base = unsafe { base.as_ref() }.ok_or("its OrtGetApiBase gives nothing")?;
    // SAFETY: the function takes nothing, and returns a static string.
    let version = unsafe { (base.GetVersionString)() };
    // SAFETY: the string ends with NUL and is never changed.
    let version = unsafe { CStr::from_ptr(version) }.to_string_lossy().into_owned();
    if !is_new_enough(&version) {
        return Err(format!("it is version {version}, and 1.{MINOR_MIN} or newer is needed"));
    }
    Ok((version, loaded.path))
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(1)), Some(Ok(minor))) => minor >= MINOR_MIN,
        // The binding knows the functions of version 1 only.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    // None of these loads a library that will do, so they cannot see each other through `LIBRARY`.

    fn explicit(path: impl Into<PathBuf>) -> Locations {
        Locations { explicit: Some(path.into()), remedy: "run `make runtime`".to_string(), ..Locations::default() }
    }

    fn failure(locations: &Locations) -> String {
        Library::load(locations).expect_err("it will not do")
    }

    #[test]
    fn versions_from_1_24_on_are_new_enough() {
        for version in ["1.24.0", "1.24.4", "1.32.0", "1.100.1", "1.25"] {
            assert!(is_new_enough(version), "{version}");
        }
        for version in ["1.23.2", "1.22.1", "1.2.40", "0.30.0", "2.0.0", "", "1", "one.24", "1.24-rc1.0"] {
            assert!(!is_new_enough(version), "{version}");
        }
    }

    #[test]
    fn the_versions_that_will_do_are_named() {
        assert_eq!(WANTED.what, format!("ONNX Runtime (1.{MINOR_MIN} or newer)"));
    }

    #[test]
    fn a_library_that_is_not_onnx_runtime_is_refused() {
        let locations = Locations { environment: Some("libc.so.6".into()), ..Locations::default() };
        assert_eq!(
            failure(&locations),
            "no ONNX Runtime (1.24 or newer) to load: libc.so.6 (named by ORT_DYLIB_PATH): it is not ONNX Runtime \
             (there is no OrtGetApiBase in it)"
        );
    }

    #[test]
    fn a_library_that_is_too_old_is_refused_by_its_version() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (source, library) = (folder.path().join("old.c"), folder.path().join("libonnxruntime.so"));
        let program = r#"
            static const char *version(void) { return "1.22.1"; }
            static const struct { const void *api; const char *(*version)(void); } base = { 0, version };
            const void *OrtGetApiBase(void) { return &base; }
        "#;
        std::fs::write(&source, program).expect("a source file");
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
        assert!(compiled.expect("the C compiler that Rust links with").success());

        let message = failure(&explicit(library));
        let expected = "configuration): it is version 1.22.1, and 1.24 or newer is needed; run `make runtime`";
        assert!(message.ends_with(expected), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}
