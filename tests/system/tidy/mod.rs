//! The rules that the source tree keeps and that a machine can check: who knows whom, where unsafe code may be, how files
//! begin, which words never appear, what the documents must mention. What a rule is for stands beside it.

mod documents;
mod edges;
mod files;

use crate::support::daemon::root;
use std::path::{Path, PathBuf};

/// What holds nothing of ours: folders, and the file that `.git` is in a second working tree.
const NOT_OURS: [&str; 3] = [".git", "target", "runtime"];

/// All files of the source tree, by their path from its root.
fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder that can be read") {
            let path = entry.expect("an entry that can be read").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name that is text");
            if NOT_OURS.contains(&name) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(root()).expect("it lies in the root").to_owned());
            }
        }
    }
    assert!(files.len() > 100, "the source tree is not at {}", root().display());
    files.sort();
    files
}

/// The text of a file of the source tree; `None` if it is no text.
fn text(path: &Path) -> Option<String> {
    String::from_utf8(std::fs::read(root().join(path)).expect("a file that can be read")).ok()
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}
