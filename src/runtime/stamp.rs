//! The stamp of a finished folder: which wheels it was made of, and how large each of its files is.
//!
//! It tells an older version, and a file that is gone or was cut off. That a file of the right size has the right bytes is not
//! looked at again. What somebody adds later, as PyTorch's plugin is, is in no stamp.

use super::plan::Plan;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The file in a finished folder.
pub const STAMP: &str = ".complete";

/// Ends the work on a folder: everybody may read it, whatever the umask is, its stamp says what is in it, and all of it is on
/// the disk.
pub fn finish(folder: &Path, plan: &Plan<'_>) -> io::Result<()> {
    let mut files = Vec::new();
    open_to_all(folder, Path::new(""), &mut files)?;
    files.sort_unstable();
    let line = |(path, size)| format!("{size} {path}\n");
    let sizes: String = files.into_iter().map(line).collect();
    let stamp = folder.join(STAMP);
    fs::write(&stamp, plan.stamp() + &sizes)?;
    fs::set_permissions(&stamp, Permissions::from_mode(0o644))?;
    // The file system at once: PyTorch's ten thousand headers would take minutes one by one.
    Ok(rustix::fs::syncfs(File::open(folder)?)?)
}

/// Sets the modes of what is in `folder` from `below` on, and collects the files with their sizes.
fn open_to_all(folder: &Path, below: &Path, files: &mut Vec<(String, u64)>) -> io::Result<()> {
    let here = folder.join(below);
    fs::set_permissions(&here, Permissions::from_mode(0o755))?;
    for entry in here.read_dir()? {
        let entry = entry?;
        let (path, kind) = (below.join(entry.file_name()), entry.file_type()?);
        if kind.is_dir() {
            open_to_all(folder, &path, files)?;
        } else if kind.is_file() {
            let is_library = entry.file_name().to_string_lossy().contains(".so");
            fs::set_permissions(entry.path(), Permissions::from_mode(if is_library { 0o755 } else { 0o644 }))?;
            files.push((path.to_string_lossy().into_owned(), entry.metadata()?.len()));
        }
    }
    Ok(())
}

/// Whether a folder is what this plan makes, with all of its files as large as they were.
pub fn is_complete(folder: &Path, plan: &Plan<'_>) -> bool {
    let stamp = fs::read_to_string(folder.join(STAMP)).unwrap_or_default();
    let Some(sizes) = stamp.strip_prefix(&plan.stamp()) else { return false };
    let is_whole = |line: &str| {
        let Some((size, path)) = line.split_once(' ') else { return false };
        let found = folder.join(path).symlink_metadata();
        found.is_ok_and(|found| found.is_file() && size.parse() == Ok(found.len()))
    };
    sizes.lines().all(is_whole) && plan.paths().all(|path| folder.join(path).exists())
}
