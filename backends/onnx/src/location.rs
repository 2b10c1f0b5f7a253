//! Whether a model may name a file that its tensors are in.
//!
//! What is in such a file is not looked at here, and a file that is not there is ONNX Runtime's to miss.
#![forbid(unsafe_code)]

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// Refuses a file of weights that does not lie in the model's folder; older versions of ONNX Runtime open any. And refuses the
/// names by which ONNX Runtime calls memory of its own process: the offset is the address then.
pub(crate) fn check_location(model: &Path, location: &Path) -> Result<(), String> {
    let outside = |how: &str| {
        // In quotes and escaped: a name may have line breaks.
        let (shown, location) = (model.display(), location.to_string_lossy());
        Err(format!(
            "{shown}: its external data {location:?} {how}; put it into the model's folder, and name it from there"
        ))
    };
    if location.as_os_str().as_bytes().ends_with(MEMORY) {
        return outside("is an address of memory and no file");
    }
    if location.components().any(|part| matches!(part, Component::RootDir | Component::Prefix(_))) {
        return outside("is named by an absolute path");
    }
    let folder = model.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let (Ok(folder), Ok(file)) = (folder.canonicalize(), folder.join(location).canonicalize()) else {
        // Where a name leads that does not lead anywhere is a question of its words alone.
        return if leaves(location) { outside("lies outside of the model's folder") } else { Ok(()) };
    };
    // A cache of models links to files that all lie in one folder: the model's own, if it is a link as well.
    let own = model.canonicalize().ok().and_then(|model| model.parent().map(|own| file.starts_with(own)));
    if file.starts_with(folder) || own == Some(true) { Ok(()) } else { outside("lies outside of the model's folder") }
}

/// How the names of memory end: `*/_ORT_MEM_ADDR_/*` and `*/_ORT_NATIVE_ENDIAN_MEM_ADDR_/*`, and whatever comes next.
const MEMORY: &[u8] = b"_MEM_ADDR_/*";

/// Whether the words of a relative path lead out of where it begins.
fn leaves(location: &Path) -> bool {
    let mut depth = 0_i64;
    location.components().any(|part| {
        depth += match part {
            Component::ParentDir => -1,
            Component::Normal(_) => 1,
            _ => 0,
        };
        depth < 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn files_outside_of_the_folder_are_refused_whatever_they_are_called() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (inside, model) = (folder.path().join("in"), folder.path().join("in/m.onnx"));
        fs::create_dir_all(inside.join("sub")).expect("a folder");
        for file in ["outside", "in/ok", "in/sub/ok", "in/m.onnx"] {
            fs::write(folder.path().join(file), "x").expect("a file");
        }
        for (link, to) in [("in/link", "../outside"), ("in/good", "sub/ok"), ("in/up", "..")] {
            std::os::unix::fs::symlink(to, folder.path().join(link)).expect("a link");
        }
        for location in ["ok", "sub/ok", "./ok", "sub/../ok", "good", "absent", "sub/absent", "..."] {
            assert_eq!(check_location(&model, Path::new(location)), Ok(()), "{location}");
        }
        let absolute = inside.join("ok").display().to_string();
        for location in ["../outside", "../absent", "sub/../../outside", "link", "up/outside", "/etc/passwd", &absolute]
        {
            let message = check_location(&model, Path::new(location)).expect_err(location);
            let begin = format!("{}: its external data {location:?} ", model.display());
            assert!(message.starts_with(&begin) && message.contains("; put it into the model's folder"), "{message}");
        }
    }

    #[test]
    fn a_model_that_is_a_link_has_its_weights_where_it_really_is() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for part in ["blobs", "snapshot"] {
            fs::create_dir(folder.path().join(part)).expect("a folder");
        }
        for file in ["blobs/m", "blobs/w", "elsewhere"] {
            fs::write(folder.path().join(file), "x").expect("a file");
        }
        for (link, to) in [("m.onnx", "../blobs/m"), ("w.bin", "../blobs/w"), ("other.bin", "../elsewhere")] {
            std::os::unix::fs::symlink(to, folder.path().join("snapshot").join(link)).expect("a link");
        }
        let model = folder.path().join("snapshot/m.onnx");
        assert_eq!(check_location(&model, Path::new("w.bin")), Ok(()));
        assert!(check_location(&model, Path::new("other.bin")).is_err());
    }
    #[test]
    fn an_address_of_memory_is_no_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let model = folder.path().join("m.onnx");
        // What is in ONNX Runtime 1.32.
        for location in ["*/_ORT_MEM_ADDR_/*", "*/_ORT_NATIVE_ENDIAN_MEM_ADDR_/*"] {
            let message = check_location(&model, Path::new(location)).expect_err(location);
            assert!(message.contains("is an address of memory and no file; "), "{message}");
        }
        assert_eq!(check_location(&model, Path::new("*/weights")), Ok(()));
    }
}
