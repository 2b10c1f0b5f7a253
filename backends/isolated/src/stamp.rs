//! Whether a model is still the one that the daemon has looked at: what has been found out about it, such as whether it keeps rows
//! apart, is true of that one alone. Told by what the system says of its files, not by what is in them.

use graphpiped_model_description::path_of;
use graphpiped_model_format::model_files;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What tells the files of a model from those that were there before: its own, and the description beside it. Weights that an
/// ONNX model keeps in other files are not seen.
#[derive(PartialEq, Eq)]
pub(crate) struct Stamp(Vec<(PathBuf, FileStamp)>);

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct FileStamp {
    device: u64,
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl Stamp {
    /// Of what is there now; of nothing, if nothing is.
    pub(crate) fn of(path: &Path) -> Stamp {
        let mut files = model_files(path).unwrap_or_default();
        // Beside the model as it was named, or beside the file that this name stands for.
        let named: Vec<PathBuf> = files.iter().map(|(file, _)| path_of(file)).chain([path_of(path)]).collect();
        files.extend(named.into_iter().filter_map(|path| path.metadata().ok().map(|metadata| (path, metadata))));
        let mut stamps: Vec<_> = files.into_iter().map(|(path, metadata)| (path, FileStamp::of(&metadata))).collect();
        // A folder is read in any order.
        stamps.sort_unstable();
        Stamp(stamps)
    }
}

impl FileStamp {
    fn of(metadata: &Metadata) -> FileStamp {
        let changed = (metadata.mtime(), metadata.mtime_nsec());
        FileStamp { device: metadata.dev(), inode: metadata.ino(), bytes: metadata.size(), changed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir, write};

    /// Whether it is told when one of a model's files is written again, of another size: its time need not differ.
    fn is_told(names: &[&str], model: &str, changed: &str) -> bool {
        let folder = tempfile::tempdir().expect("a temporary folder");
        create_dir(folder.path().join("variables")).expect("a folder");
        for name in names {
            write(folder.path().join(name), "a").expect("a file");
        }
        let path = folder.path().join(model);
        let before = Stamp::of(&path);
        assert!(before == Stamp::of(&path), "nothing has changed");
        write(folder.path().join(changed), "another").expect("a file");
        before != Stamp::of(&path)
    }

    #[test]
    fn whatever_belongs_to_a_model_is_seen() {
        assert!(is_told(&["m.onnx"], "m.onnx", "m.onnx"));
        assert!(is_told(&["m.pt", "m.toml"], "m.pt", "m.toml"), "a description");
        assert!(is_told(&["m.pt"], "m.pt", "m.toml"), "a description that was not there");
        let saved = ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"];
        assert!(is_told(&saved, "", saved[2]), "a SavedModel");
        assert!(is_told(&["init_net.pb", "predict_net.pb"], "predict_net.pb", "init_net.pb"), "Caffe2");
        let mxnet = ["m-symbol.json", "m-0000.params"];
        for model in ["m", mxnet[0]] {
            assert!(is_told(&mxnet, model, mxnet[1]), "MXNet");
        }
        assert!(is_told(&mxnet, "m", "m-symbol.toml"), "MXNet's description");
        assert!(!is_told(&["m.onnx"], "m.onnx", "n.onnx"), "another model");
    }
}
