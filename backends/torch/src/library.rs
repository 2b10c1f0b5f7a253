//! PyTorch's shared libraries and the daemon's plugin for them: where they are, whether they fit each other, and loading them.
//!
//! PyTorch has an interface in C++ alone, which differs from one minor version to the next. The plugin is built for one of
//! them, and both are asked for their versions before anything is loaded: a library of the wrong version could not be unloaded
//! again. The folder of PyTorch is that of a wheel or of an archive of libtorch: `lib/` and, beside it, `version.py` or
//! `build-version`. The plugin is looked for there, beside the program, and where its variable says.
//!
//! A process loads them at most once and keeps them for good: the first that will do stay.

use crate::abi;
use crate::plugin::Plugin;
use graphpiped_backend_library::{Locations, Once, Wanted, load};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// PyTorch. The variable names the folder that has `lib/` in it, as for other programs that are built with PyTorch.
pub const WANTED: Wanted =
    Wanted { what: "PyTorch library", file: "lib/libtorch_cpu.so", system: &[], variable: "LIBTORCH" };

/// The plugin.
pub const PLUGIN: Wanted = Wanted {
    what: "plugin for PyTorch",
    file: "libgraphpiped_torch.so",
    system: &[],
    variable: "GRAPHPIPED_TORCH_PLUGIN",
};

/// What gets the plugin; ends the error message where it is the plugin that is wrong.
pub const PLUGIN_REMEDY: &str = "build it with `make torch-plugin`";

/// PyTorch and the plugin, loaded.
pub(crate) struct Library {
    /// The plugin's functions.
    pub plugin: Plugin,
    /// PyTorch's version, as in `2.11.0+cu130`.
    pub version: String,
    /// The file of its largest library.
    pub path: PathBuf,
    /// The file of the plugin.
    pub plugin_path: PathBuf,
}

static LIBRARY: Once<Library> = Once::new();

impl Library {
    /// The library, loaded now if it was not yet. On failure: one line that says what was tried, why none will do, and what to
    /// do about it.
    pub fn load(locations: &Locations) -> Result<&'static Library, String> {
        LIBRARY.load(|| {
            Found::new(locations)?.load().map_err(|cause| {
                let message = format!("no PyTorch to load: {cause}");
                // Of the plugin, it says itself what gets it.
                if message.ends_with(PLUGIN_REMEDY) { message } else { locations.with_remedy(message) }
            })
        })
    }
}

/// Bytes of tensors that were copied around runs: inputs that a model may write into, and outputs that have gaps or are
/// somebody else's still. Of all models of the process, since it began.
pub fn copied_bytes() -> u64 {
    LIBRARY.get().map_or(0, |library| library.plugin.copied_bytes())
}

/// Bytes of memory of large tensors that no tensor has now and later runs will use, of all models of the process.
pub fn kept_bytes() -> u64 {
    LIBRARY.get().map_or(0, |library| library.plugin.kept_bytes())
}

/// Files that fit each other, not yet loaded.
#[derive(Debug)]
struct Found {
    library: PathBuf,
    version: String,
    plugin: PathBuf,
}

impl Found {
    fn new(locations: &Locations) -> Result<Found, String> {
        let (library, version) = locations.find(&WANTED, |path| Ok((path.to_path_buf(), version_of(path)?)))?;
        Found::with_plugin(library, version)
    }

    fn with_plugin(library: PathBuf, version: String) -> Result<Found, String> {
        let beside_program = std::env::current_exe().ok().and_then(|path| path.parent().map(Path::to_path_buf));
        let folders = folder_of(&library).map(Path::to_path_buf).into_iter().chain(beside_program).collect();
        let plugins = Locations::new(&PLUGIN, None, folders, PLUGIN_REMEDY);
        let plugin = plugins.find(&PLUGIN, |path| fitting(path, &version, &library).map(|()| path.to_path_buf()))?;
        Ok(Found { library, version, plugin })
    }

    /// Loads PyTorch's libraries, and then the plugin, which finds them by their names because they are there already.
    fn load(self) -> Result<Library, String> {
        let folder = self.library.parent().unwrap_or(Path::new(""));
        for (file, is_needed) in LIBRARIES {
            let path = folder.join(file);
            if is_needed || path.exists() {
                // SAFETY: whoever may name a library here is the operator, who might as well have named another daemon.
                unsafe { load(&path) }.map_err(|cause| format!("{}: {cause}", path.display()))?;
            }
        }
        let named = |cause: String| format!("{}: {cause}; {PLUGIN_REMEDY}", self.plugin.display());
        // SAFETY: as above.
        let loaded = unsafe { load(&self.plugin) }.map_err(named)?;
        // SAFETY: this is the type that the plugin gives to this symbol.
        let entry = unsafe { loaded.library.get::<abi::Entry>(abi::ENTRY) };
        let entry = *entry.map_err(|_| named("it has no function of the plugin's name".to_string()))?;
        // SAFETY: it is that symbol, and what `load` has loaded stays.
        let plugin = unsafe { Plugin::new(entry) }.map_err(named)?;
        // The file might have been replaced since it was read.
        let built_for = plugin.torch();
        if minor(&built_for) != minor(&self.version) {
            return Err(named(format!("it is built for PyTorch {built_for}, and this is {}", self.version)));
        }
        Ok(Library { plugin, version: self.version, path: self.library, plugin_path: loaded.path })
    }
}

/// PyTorch's libraries in the order in which they need each other, and whether all installations have them. The last one is
/// what compiled models name; with CUDA, the one before has to be there before it is used.
const LIBRARIES: [(&str, bool); 4] =
    [("libc10.so", true), ("libtorch_cpu.so", true), ("libtorch_cuda.so", false), ("libtorch.so", false)];

/// The folder of PyTorch that `lib/libtorch_cpu.so` is in.
fn folder_of(library: &Path) -> Option<&Path> {
    library.parent()?.parent()
}

/// Loads a library for good, with the plugin that fits it, and says its version. For a program that does nothing else: the
/// library may end it.
pub fn version(path: &Path) -> Result<String, String> {
    Found::with_plugin(path.to_path_buf(), version_of(path)?)?.load().map(|library| library.version)
}

/// The version of the PyTorch that a library belongs to, which the library itself does not say. A backend takes the first
/// library that has one, and looks no further if the plugin for it is missing.
pub fn version_of(library: &Path) -> Result<String, String> {
    if !library.exists() {
        return Err("there is no such file".to_string());
    }
    let folder = folder_of(library).ok_or("it is in no folder")?;
    let build_version = start_of(&folder.join("build-version"), TEXT_BYTES_MAX);
    let version_py = start_of(&folder.join("version.py"), TEXT_BYTES_MAX);
    let from_python = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix("__version__ = "))?;
        Some(line.trim_matches(['\'', '"']).to_string())
    };
    let version = build_version.and_then(|text| text.lines().next().map(str::to_string));
    let version = version.or_else(|| version_py.and_then(from_python));
    version
        .filter(|version| minor(version).is_some())
        .ok_or_else(|| format!("neither build-version nor version.py in {} says its version", folder.display()))
}

/// The beginning of a file, if it is text.
fn start_of(path: &Path, bytes_max: u64) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(bytes_max).read_to_string(&mut text).ok()?;
    Some(text)
}

/// More than any file that names a version has.
const TEXT_BYTES_MAX: u64 = 64 << 10;

/// Accepts a plugin that speaks our interface and was built for this version.
fn fitting(plugin: &Path, version: &str, library: &Path) -> Result<(), String> {
    if !plugin.exists() {
        return Err("there is no such file".to_string());
    }
    let mut bytes = Vec::new();
    let read = File::open(plugin).and_then(|file| file.take(PLUGIN_BYTES_MAX).read_to_end(&mut bytes));
    read.map_err(|error| error.to_string())?;
    let (abi, built_for) = mark_in(&bytes).ok_or("it is not the plugin of this daemon")?;
    if abi != abi::ABI.to_string() {
        return Err(format!("it speaks interface {abi}, and this daemon {}", abi::ABI));
    }
    if minor(&built_for) != minor(version) {
        let place = library.display();
        return Err(format!("it is built for PyTorch {built_for}, and {place} is of {version}"));
    }
    Ok(())
}

/// The plugin has 110 KB; with everything that a compiler may add for a debugger, some MB.
const PLUGIN_BYTES_MAX: u64 = 64 << 20;

/// The interface and the version of PyTorch that a plugin says it is built for.
fn mark_in(bytes: &[u8]) -> Option<(String, String)> {
    let start = bytes.windows(MARK.len()).position(|window| window == MARK)? + MARK.len();
    let rest = &bytes[start..];
    let mark = std::str::from_utf8(&rest[..rest.iter().take(MARK_BYTES_MAX).position(|&byte| byte == b';')?]).ok()?;
    let (abi, torch) = mark.split_once(" torch=")?;
    Some((abi.to_string(), torch.to_string()))
}

const MARK: &[u8] = b"graphpiped-torch-plugin abi=";
/// Of an interface and a version, with room.
const MARK_BYTES_MAX: usize = 80;

/// The part of a version within which the interface stays the same.
fn minor(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    // None of these loads anything, so they cannot see each other through `LIBRARY`.

    /// A folder like PyTorch's, with these files.
    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("lib")).expect("a folder");
        for (name, content) in files {
            fs::write(folder.path().join(name), content).expect("a file");
        }
        folder
    }

    fn found(folder: &tempfile::TempDir) -> Result<Found, String> {
        let explicit = Some(folder.path().to_path_buf());
        let remedy = "install it".to_string();
        let found = Found::new(&Locations { explicit, remedy, ..Locations::default() });
        found.map_err(|message| {
            assert!(!message.contains('\n'), "{message}");
            message.replace(&folder.path().display().to_string(), "FOLDER")
        })
    }

    const LIBRARY: (&str, &[u8]) = ("lib/libtorch_cpu.so", b"");
    const VERSION: (&str, &[u8]) = ("build-version", b"2.11.0\n");

    /// What is in a plugin of this interface.
    fn plugin_for(torch: &str) -> Vec<u8> {
        let mark = format!("graphpiped-torch-plugin abi={} torch={torch}", abi::ABI);
        [b"\x7fELF\0\xff..", mark.as_bytes(), b"\0.."].concat()
    }

    #[test]
    fn a_library_and_a_plugin_for_it_are_found() {
        let python = b"from typing import Optional\n__version__ = '2.11.1+cu130'\ndebug = False\n";
        let plugin = plugin_for("2.11.0;");
        for version in [VERSION, ("version.py", python.as_slice())] {
            let folder = folder(&[LIBRARY, version, ("libgraphpiped_torch.so", &plugin)]);
            let found = found(&folder).expect("they fit");
            assert_eq!(found.library, folder.path().join("lib/libtorch_cpu.so"));
            assert_eq!(found.plugin, folder.path().join("libgraphpiped_torch.so"));
            assert!(["2.11.0", "2.11.1+cu130"].contains(&found.version.as_str()), "{found:?}");
        }
    }

    #[test]
    fn a_plugin_for_another_version_is_refused_before_anything_is_loaded() {
        let older = format!("it speaks interface 0, and this daemon {}", abi::ABI);
        let cases: [(&[u8], &str); 4] = [
            (&plugin_for("2.9.1;"), "it is built for PyTorch 2.9.1, and FOLDER/lib/libtorch_cpu.so is of 2.11.0"),
            (b"graphpiped-torch-plugin abi=0 torch=2.11.0;", &older),
            (b"\x7fELF another library", "it is not the plugin of this daemon"),
            (&plugin_for("2.11.0"), "it is not the plugin of this daemon"),
        ];
        for (plugin, cause) in cases {
            let folder = folder(&[LIBRARY, VERSION, ("libgraphpiped_torch.so", plugin)]);
            let message = found(&folder).expect_err(cause);
            let expected = format!("no plugin for PyTorch to load: FOLDER/libgraphpiped_torch.so: {cause}; ");
            assert!(message.starts_with(&expected), "{message}");
            assert!(message.ends_with("; build it with `make torch-plugin`"), "{message}");
        }
    }

    #[test]
    fn what_is_not_there_is_named_with_the_command_that_gets_it() {
        let message = found(&folder(&[])).expect_err("there is nothing");
        let named = "FOLDER/lib/libtorch_cpu.so (named on the command line or in the configuration)";
        assert_eq!(message, format!("no PyTorch library to load: {named}: there is no such file; install it"));
        let message = found(&folder(&[LIBRARY])).expect_err("no version");
        let cause = "neither build-version nor version.py in FOLDER says its version";
        assert_eq!(message, format!("no PyTorch library to load: {named}: {cause}; install it"));
        let message = found(&folder(&[LIBRARY, VERSION])).expect_err("no plugin");
        let expected = "no plugin for PyTorch to load: FOLDER/libgraphpiped_torch.so: there is no such file; ";
        assert!(message.starts_with(expected), "{message}");
    }

    #[test]
    fn versions_fit_within_a_minor_one() {
        assert_eq!(minor("2.11.0+cu130"), Some((2, 11)));
        assert_eq!(minor("2.11"), Some((2, 11)));
        assert_eq!(minor("two.11"), None);
        assert_eq!(minor("2"), None);
        assert_eq!(minor(""), None);
    }
}
