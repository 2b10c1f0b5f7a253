//! Wheels out of the package index. pip does the download, so whatever index, proxy or certificate is configured for it is
//! used here too; nothing is installed into any Python environment.

use super::plan::{Plan, Wheel};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Has pip download the wheels of a plan into a folder, and compares their hashes; where they lie, in the order of the plan.
pub fn download(plan: &Plan<'_>, python: &str, scratch: &Path) -> Result<Vec<PathBuf>, String> {
    let requirements = scratch.join("requirements.txt");
    let line = |wheel: &Wheel<'_>| format!("{}=={} --hash=sha256:{}\n", wheel.project, wheel.version, wheel.sha256);
    let text: String = plan.wheels.iter().map(line).collect();
    std::fs::write(&requirements, text).map_err(|error| cannot_write(&requirements, &error))?;
    let wheels = scratch.join("wheels");
    has_pip(python)?;
    let status = pip(python)
        .args(["download", "--disable-pip-version-check", "--require-hashes", "--no-deps"])
        .args(["--only-binary=:all:", "--implementation=cp", "--python-version=3.11"])
        .args(PLATFORMS.map(|platform| format!("--platform={platform}_{}", std::env::consts::ARCH)))
        .arg("--dest")
        .arg(&wheels)
        .arg("--requirement")
        .arg(&requirements)
        .stdin(Stdio::null())
        // Its progress, beside ours.
        .stdout(io::stderr())
        .status()
        .map_err(|error| no_python(python, &error))?;
    if !status.success() {
        return Err(format!(
            "pip could not download and check {} {} (its own words are above); it uses the index and proxy that \
             `{python} -m pip config list` shows",
            plan.framework.title(),
            plan.version
        ));
    }
    plan.wheels.iter().map(|wheel| checked(wheel, &wheels, python)).collect()
}

/// The tags of the versions of glibc that a wheel may ask for; pip takes the one that fits.
const PLATFORMS: [&str; 5] = ["manylinux_2_17", "manylinux_2_25", "manylinux_2_27", "manylinux_2_28", "manylinux2014"];

/// `python3 -m pip`, but that nothing is imported from the current folder: that may be anybody's, and this may be run as root.
/// `-I` would do that too, but does not find a pip that a user has installed for himself.
pub fn pip(python: &str) -> Command {
    let mut command = Command::new(python);
    command.args(["-c", RUN_PIP]);
    command
}

/// The current folder is the empty word in the search path. What is imported before it is taken out is built in.
const RUN_PIP: &str = "import sys; sys.path[:] = filter(None, sys.path); \
                       import runpy; runpy.run_module('pip', run_name='__main__', alter_sys=True)";

fn has_pip(python: &str) -> Result<(), String> {
    let version = pip(python).arg("--version").stdin(Stdio::null()).output();
    if version.map_err(|error| no_python(python, &error))?.status.success() {
        return Ok(());
    }
    Err(format!("{python} has no pip; install it (Debian: apt-get install python3-pip) and try again"))
}

fn no_python(python: &str, error: &io::Error) -> String {
    format!(
        "{python} cannot be run: {error}; install it (Debian: apt-get install python3-pip), or name one with --python"
    )
}

fn cannot_write(path: &Path, error: &io::Error) -> String {
    format!("{}: cannot be written: {error}", path.display())
}

/// The file of a wheel, if it is there and is what its hash says.
fn checked(wheel: &Wheel<'_>, folder: &Path, python: &str) -> Result<PathBuf, String> {
    // What is a hyphen in the name of a project is none in that of its files.
    let start = format!("{}-{}-", wheel.project.replace('-', "_"), wheel.version);
    let is_wanted = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(&start) && path.extension().is_some_and(|ending| ending == "whl")
    };
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_wanted).collect();
    let [path] = &found[..] else {
        return Err(format!("pip reported success, but there are {} files {start}*.whl; try again", found.len()));
    };
    let hash = sha256(path).map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
    if hash != wheel.sha256 {
        let (project, version, wanted) = (wheel.project, wheel.version, wheel.sha256);
        return Err(format!(
            "{project} {version} has the SHA-256 {hash} and not {wanted}, so it is not used; look at the index that \
             `{python} -m pip config list` shows"
        ));
    }
    Ok(path.clone())
}

fn sha256(path: &Path) -> io::Result<String> {
    let (mut file, mut hash, mut piece) = (File::open(path)?, Sha256::new(), vec![0; PIECE_BYTES]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hexadecimal(&hash.finalize())),
            read => hash.update(&piece[..read]),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect()
}

/// Large enough that the calls do not count.
const PIECE_BYTES: usize = 1 << 20;
