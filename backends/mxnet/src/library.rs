//! MXNet's shared library: where it is looked for, whether it will do, and its functions.
//!
//! A process loads the library at most once and keeps it for good: it has threads, and memory that belongs to threads.

use crate::{environment, signals, words};
use graphpiped_backend_library::{Loaded, Locations, Once, Wanted, load};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};

/// The library. The variable is MXNet's own.
pub const WANTED: Wanted =
    Wanted { what: "MXNet (1.9)", file: "libmxnet.so", system: &["libmxnet.so"], variable: "MXNET_LIBRARY_PATH" };

/// The versions that will do, as MXNet writes them. The interface is of all versions 1, but how predictors share memory is not;
/// see `handles`.
const VERSIONS: std::ops::Range<c_int> = 10_900..11_000;

/// A predictor or a symbol.
pub(crate) type Handle = *mut c_void;
/// A list of strings that the library lends.
pub(crate) type Strings = *const *const c_char;
/// A list of shapes that the library lends.
pub(crate) type Shapes = *const *const u32;

/// Declares the functions that are used, and looks all of them up. Each returns 0, or -1 and an error of its thread.
macro_rules! functions {
    ($($field:ident = $symbol:literal ($($argument:ty),*);)*) => {
        /// Functions of the library, as `c_predict_api.h` and `c_api.h` of MXNet 1.9.1 declare them.
        pub(crate) struct Functions {
            $(pub $field: unsafe extern "C" fn($($argument),*) -> c_int,)*
        }

        impl Functions {
            fn of(loaded: &Loaded) -> Result<Functions, String> {
                Ok(Functions {
                    $($field: {
                        // SAFETY: this is the type that the header gives to the function.
                        let found = unsafe {
                            loaded.library.get::<unsafe extern "C" fn($($argument),*) -> c_int>($symbol.as_bytes())
                        };
                        *found.map_err(|_| format!("it is not MXNet (there is no {} in it)", $symbol))?
                    },)*
                })
            }
        }
    };
}

functions! {
    version = "MXGetVersion" (*mut c_int);
    list_operators = "MXListAllOpNames" (*mut u32, *mut Strings);
    set_threads = "MXSetNumOMPThreads" (c_int);
    symbol_create = "MXSymbolCreateFromJSON" (*const c_char, *mut Handle);
    symbol_internals = "MXSymbolGetInternals" (Handle, *mut Handle);
    symbol_free = "MXSymbolFree" (Handle);
    symbol_outputs = "MXSymbolListOutputs" (Handle, *mut u32, *mut Strings);
    symbol_auxiliary = "MXSymbolListAuxiliaryStates" (Handle, *mut u32, *mut Strings);
    // The symbol; names and shapes that are known, as a list of lists; shapes of arguments, outputs and auxiliary states, each
    // with their number and ranks; whether all are known.
    symbol_infer = "MXSymbolInferShape" (
        Handle, u32, Strings, *const u32, *const u32, *mut u32, *mut *const u32, *mut Shapes, *mut u32, *mut *const u32,
        *mut Shapes, *mut u32, *mut *const u32, *mut Shapes, *mut c_int
    );
    // The symbol; parameters and their length; the kind and the number of the device; names and shapes of inputs, as a list of
    // lists; names and types of inputs; the predictor.
    create_typed = "MXPredCreateEx" (
        *const c_char, *const c_void, c_int, c_int, c_int, u32, Strings, *const u32, *const u32, u32, Strings,
        *const c_int, *mut Handle
    );
    // The same, but for the names of nodes whose outputs are wanted instead of types.
    create_partial = "MXPredCreatePartialOut" (
        *const c_char, *const c_void, c_int, c_int, c_int, u32, Strings, *const u32, *const u32, u32, Strings,
        *mut Handle
    );
    reshape = "MXPredReshape" (u32, Strings, *const u32, *const u32, Handle, *mut Handle);
    output_shape = "MXPredGetOutputShape" (Handle, u32, *mut *mut u32, *mut u32);
    output_type = "MXPredGetOutputType" (Handle, u32, *mut c_int);
    set_input = "MXPredSetInput" (Handle, *const c_char, *const f32, u32);
    forward = "MXPredForward" (Handle);
    output = "MXPredGetOutput" (Handle, u32, *mut f32, u32);
    free = "MXPredFree" (Handle);
}

/// The library, loaded.
pub(crate) struct Library {
    /// Its functions.
    pub functions: Functions,
    last_error: unsafe extern "C" fn() -> *const c_char,
    /// The file that it was loaded from.
    pub path: PathBuf,
    /// Its version, as in `1.9.1`.
    pub version: String,
    /// Whether operators run on the thread that asks for them; otherwise on one of MXNet's own.
    pub runs_on_the_calling_thread: bool,
}

static LIBRARY: Once<Library> = Once::new();

impl Library {
    /// The library, loaded now if it was not yet. On failure: one line that says what was tried, why none will do, and
    /// what to do about it.
    pub fn load(locations: &Locations) -> Result<&'static Library, String> {
        LIBRARY.load(|| locations.find(&WANTED, Library::open))
    }

    fn open(path: &Path) -> Result<Library, String> {
        // Before the library reads it.
        let runs_on_the_calling_thread = environment::runs_on_the_calling_thread();
        // SAFETY: whoever may name a library here is the operator, who might as well have named another daemon.
        let loaded = signals::kept(|| unsafe { load(path) }).map_err(with_packages)?;
        let functions = Functions::of(&loaded)?;
        // SAFETY: this is the type that the header gives to the function.
        let last_error = unsafe { loaded.library.get::<unsafe extern "C" fn() -> *const c_char>(b"MXGetLastError") };
        let last_error = *last_error.map_err(|_| "it is not MXNet (there is no MXGetLastError in it)".to_string())?;
        let mut number = 0;
        // SAFETY: the version is written to `number`.
        let result = unsafe { (functions.version)(&raw mut number) };
        let version = format!("{}.{}.{}", number / 10_000, number / 100 % 100, number % 100);
        if result != 0 || !VERSIONS.contains(&number) {
            return Err(format!("it is version {version}, and 1.9 is needed"));
        }
        let (mut count, mut names) = (0, std::ptr::null());
        // Operators of the older kind are not complete before somebody has asked for all.
        // SAFETY: both are written to; nobody looks at them.
        let returned = unsafe { (functions.list_operators)(&raw mut count, &raw mut names) };
        let library = Library { functions, last_error, path: loaded.path, version, runs_on_the_calling_thread };
        library.check(returned)?;
        Ok(library)
    }

    /// What a function returned, as a `Result`. To be called on the thread that has called the function, and before it calls another.
    pub fn check(&self, returned: c_int) -> Result<(), String> {
        if returned == 0 {
            return Ok(());
        }
        // SAFETY: the function takes nothing, and returns a string of this thread, which stands until the next call.
        let message = unsafe { (self.last_error)() };
        if message.is_null() {
            return Err(words::cause_of(""));
        }
        // SAFETY: the string ends with NUL, and this thread calls nothing while it is copied.
        let message = unsafe { CStr::from_ptr(message) };
        Err(words::cause_of(&message.to_string_lossy()))
    }
}

/// Names the packages that the linker could not find a library of.
fn with_packages(cause: String) -> String {
    let is_missing = cause.contains("cannot open shared object file");
    let missing = [("libgomp.so.1", "libgomp1"), ("libquadmath.so.0", "libquadmath0")];
    match missing.into_iter().find(|(file, _)| is_missing && cause.contains(file)) {
        Some((_, package)) => format!("{cause} (on Debian: apt-get install {package})"),
        None => cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    // None of these loads a library that will do, so they cannot see each other through `LIBRARY`.

    fn failure(path: impl Into<PathBuf>) -> String {
        let remedy = "get it".to_string();
        let locations = Locations { explicit: Some(path.into()), remedy, ..Locations::default() };
        Library::load(&locations).err().expect("it will not do")
    }

    #[test]
    fn a_library_of_something_else_is_refused() {
        let locations = Locations { environment: Some("libc.so.6".into()), ..Locations::default() };
        assert_eq!(
            Library::load(&locations).err().expect("it is not MXNet"),
            "no MXNet (1.9) to load: libc.so.6 (named by MXNET_LIBRARY_PATH): it is not MXNet (there is no MXGetVersion in \
             it)"
        );
    }

    #[test]
    fn a_library_of_another_version_is_refused_by_its_version() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (source, library) = (folder.path().join("other.c"), folder.path().join("libmxnet.so"));
        let names = [
            "MXListAllOpNames",
            "MXSetNumOMPThreads",
            "MXSymbolCreateFromJSON",
            "MXSymbolGetInternals",
            "MXSymbolFree",
            "MXSymbolListOutputs",
            "MXSymbolListAuxiliaryStates",
            "MXSymbolInferShape",
            "MXPredCreateEx",
            "MXPredCreatePartialOut",
            "MXPredReshape",
            "MXPredGetOutputShape",
            "MXPredGetOutputType",
            "MXPredSetInput",
            "MXPredForward",
            "MXPredGetOutput",
            "MXPredFree",
            "MXGetLastError",
        ];
        let mut program = "int MXGetVersion(int *out) { *out = 20001; return 0; }\n".to_string();
        program.extend(names.map(|name| format!("int {name}(void) {{ return -1; }}\n")));
        std::fs::write(&source, program).expect("a source file");
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
        assert!(compiled.expect("the C compiler that Rust links with").success());
        let message = failure(folder.path());
        assert!(message.ends_with("configuration): it is version 2.0.1, and 1.9 is needed; get it"), "{message}");
    }

    #[test]
    fn the_package_of_a_missing_library_is_named() {
        let cause = "libquadmath.so.0: cannot open shared object file: No such file or directory";
        assert_eq!(with_packages(cause.into()), format!("{cause} (on Debian: apt-get install libquadmath0)"));
        assert_eq!(with_packages("file too short".into()), "file too short");
    }
}
