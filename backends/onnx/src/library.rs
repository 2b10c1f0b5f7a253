//! ONNX Runtime's shared library: where it is looked for, whether it will do, and the one environment in it.
//!
//! A process loads the library at most once and keeps it for good: the first that will do stays, and what has been made
//! with it may be used without another check. Until then no function of `ort` may be called, because it would go
//! looking for the library by itself and panic.

use crate::value::check;
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::sys;
use std::ffi::{CStr, OsString};
use std::path::{Path, PathBuf, absolute};
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

/// The environment variable that names the library; `ort`'s own, so that a user of other programs knows it.
pub const ENVIRONMENT_VARIABLE: &str = "ORT_DYLIB_PATH";
/// The oldest minor version of ONNX Runtime 1 that is taken. 1.22 aborts the whole process when a session is made.
pub const MINOR_MIN: u32 = ort::MINOR_VERSION;

/// Where to look for the library. The first of these that is there decides: [`Locations::explicit`],
/// [`Locations::environment`], [`Locations::folders`], the system's library path.
#[derive(Clone, Debug, Default)]
pub struct Locations {
    /// What the operator named, a file or the folder that it is in; nothing else is tried then.
    pub explicit: Option<PathBuf>,
    /// The content of [`ENVIRONMENT_VARIABLE`]; nothing else is tried then.
    pub environment: Option<OsString>,
    /// Folders that may hold `libonnxruntime.so`, such as the project's own runtime folder.
    pub folders: Vec<PathBuf>,
    /// What the operator should do if it is nowhere; ends the error message.
    pub remedy: String,
}

impl Locations {
    /// Looks where `explicit` says, then as [`ENVIRONMENT_VARIABLE`] says, then in `folders`, then in the system.
    pub fn new(explicit: Option<PathBuf>, folders: Vec<PathBuf>, remedy: &str) -> Locations {
        let environment = std::env::var_os(ENVIRONMENT_VARIABLE).filter(|path| !path.is_empty());
        Locations { explicit, environment, folders, remedy: remedy.to_string() }
    }

    /// The paths to try, in order, with who named them.
    fn candidates(&self) -> Vec<(PathBuf, &'static str)> {
        let named = |path: &Path| if path.is_dir() { path.join(FILE_NAME) } else { path.to_path_buf() };
        if let Some(path) = &self.explicit {
            // A bare name is a file here too, and nothing for the dynamic linker to look for.
            let path = absolute(path).unwrap_or_else(|_| path.clone());
            return vec![(named(&path), " (named on the command line or in the configuration)")];
        }
        if let Some(path) = &self.environment {
            return vec![(named(Path::new(path)), " (named by ORT_DYLIB_PATH)")];
        }
        let folders = self.folders.iter().map(|folder| (folder.join(FILE_NAME), ""));
        let system = SYSTEM_NAMES.iter().map(|name| (PathBuf::from(name), " (in the system's library path)"));
        folders.chain(system).collect()
    }
}

/// The name that the library has in a folder.
const FILE_NAME: &str = "libonnxruntime.so";
/// What the dynamic linker is asked for: the name of all versions 1, and the one that development packages install.
const SYSTEM_NAMES: [&str; 2] = ["libonnxruntime.so.1", FILE_NAME];

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

static LIBRARY: OnceLock<Library> = OnceLock::new();
static LOADING: Mutex<()> = Mutex::new(());

impl Library {
    /// The library, loaded now if it was not yet. On failure: one line that says what was tried, why none will do, and
    /// what to do about it.
    pub fn load(locations: &Locations) -> Result<&'static Library, String> {
        // Nothing is guarded but the work itself, so a panic in another thread's attempt spoils nothing.
        let _one_at_a_time = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = LIBRARY.get() {
            return Ok(library);
        }
        let mut causes = Vec::new();
        for (path, named_by) in locations.candidates() {
            match Library::open(&path) {
                Ok(library) => return Ok(LIBRARY.get_or_init(|| library)),
                Err(cause) => causes.push(format!("{}{named_by}: {cause}", path.display())),
            }
        }
        let mut message = format!("no ONNX Runtime (1.{MINOR_MIN} or newer) to load: {}", causes.join("; "));
        if !locations.remedy.is_empty() {
            message = format!("{message}; {}", locations.remedy);
        }
        Err(message)
    }

    fn open(path: &Path) -> Result<Library, String> {
        let (version, path) = probe(path)?;
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
fn probe(path: &Path) -> Result<(String, PathBuf), String> {
    let is_path = path.components().count() > 1;
    if is_path && !path.exists() {
        return Err("there is no such file".to_string());
    }
    let path = if is_path { absolute(path).map_err(|error| error.to_string())? } else { path.to_path_buf() };
    // SAFETY: loading a library runs its initialisers. Whoever may name one here is the operator, who might as well
    // have named another daemon.
    let library = unsafe { libloading::Library::new(&path) }.map_err(|error| loading_cause(&error, &path))?;
    // SAFETY: this is the type that every version of ONNX Runtime gives to this symbol.
    let entry = unsafe { library.get::<unsafe extern "system" fn() -> *const sys::OrtApiBase>(b"OrtGetApiBase") };
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
    let file = if is_path { path } else { mapped(&path).unwrap_or(path) };
    // Its end would be unloaded here, and its beginning loaded again by the caller: it stays.
    std::mem::forget(library);
    Ok((version, file))
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
fn loading_cause(error: &libloading::Error, path: &Path) -> String {
    let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    let prefix = format!("{}: ", path.display());
    cause.strip_prefix(&prefix).unwrap_or(&cause).to_string()
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
    fn a_path_that_is_not_there_is_named_with_the_remedy() {
        assert_eq!(
            failure(&explicit("/no/such/libonnxruntime.so")),
            "no ONNX Runtime (1.24 or newer) to load: /no/such/libonnxruntime.so (named on the command line or in the \
             configuration): there is no such file; run `make runtime`"
        );
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
    fn a_file_that_is_not_a_library_is_refused_with_the_linkers_words() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("libonnxruntime.so");
        std::fs::write(&file, "hello").expect("a file");
        let message = failure(&explicit(folder.path()));
        assert!(message.contains(&format!("{} (named on the command line", file.display())), "{message}");
        assert!(message.ends_with("configuration): file too short; run `make runtime`"), "{message}");
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

    #[test]
    fn what_the_operator_names_comes_before_the_environment_and_the_folders() {
        let mut locations = Locations {
            explicit: Some("/a/x.so".into()),
            environment: Some("/b/y.so".into()),
            folders: vec!["/c".into(), "/d".into()],
            remedy: String::new(),
        };
        let paths =
            |locations: &Locations| locations.candidates().into_iter().map(|(path, _)| path).collect::<Vec<_>>();
        assert_eq!(paths(&locations), [PathBuf::from("/a/x.so")]);
        locations.explicit = None;
        assert_eq!(paths(&locations), [PathBuf::from("/b/y.so")]);
        locations.environment = None;
        let expected = ["/c/libonnxruntime.so", "/d/libonnxruntime.so", "libonnxruntime.so.1", "libonnxruntime.so"];
        assert_eq!(paths(&locations), expected.map(PathBuf::from));
    }
}
