//! What a model file is, by the names in its archive: nothing of it is loaded or run before that is known.
//!
//! PyTorch writes zip archives of several kinds with the same endings. They are told apart by the files that only one kind
//! has; the paths within an archive begin with a name of its own.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use zip::ZipArchive;

/// A file that can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Code for PyTorch's interpreter, and its weights (`torch.jit.save`).
    TorchScript,
    /// Machine code (`torch._inductor.aoti_compile_and_package`).
    Package,
}

impl Format {
    /// As operators know it.
    pub fn name(self) -> &'static str {
        match self {
            Format::TorchScript => "TorchScript",
            Format::Package => "AOTInductor",
        }
    }

    /// What a file is. Otherwise: one line with the path, the cause and the remedy.
    pub fn of(path: &Path) -> Result<Format, String> {
        let shown = path.display();
        let cannot_be_read = |error| format!("{shown}: cannot be read: {error}; it has to be readable by this user");
        // Looked at before it is opened: opening a pipe would wait for somebody to write into it.
        let metadata = match path.metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(format!("{shown}: there is no such file; check the path of the model"));
            }
            Err(error) => return Err(cannot_be_read(error)),
        };
        if !metadata.is_file() {
            let is = if metadata.is_dir() { "is a folder" } else { "is not a regular file" };
            return Err(format!("{shown}: {is}; name the model's file"));
        }
        let mut file = File::open(path).map_err(cannot_be_read)?;
        let mut start = [0; 4];
        let length = file.read(&mut start).map_err(cannot_be_read)?;
        let format = match &start[..length] {
            b"PK\x03\x04" => names_in(file)
                .map_err(|error| format!("is a damaged zip archive ({error}); copy it again"))
                .and_then(|names| of_names(&names)),
            [] => Err("is empty; copy it again".to_string()),
            [0x80, 2..=5, ..] => Err(format!("is a Python pickle, as old versions of torch.save write; {SCRIPT_IT}")),
            _ => Err(format!("is neither a TorchScript file nor an AOTInductor package; {SCRIPT_IT}")),
        };
        format.map_err(|cause| format!("{shown}: {cause}"))
    }
}

const SCRIPT_IT: &str = "make one with torch.jit.script(model).save(\"MODEL.pt\")";

/// The names in an archive, out of the list at its end; nothing is unpacked.
fn names_in(file: File) -> zip::result::ZipResult<Vec<String>> {
    ZipArchive::new(file)?.file_names().map(|name| name.map(Into::into)).collect()
}

/// The model in a package that a file belongs to.
fn packaged_model(name: &str) -> Option<&str> {
    Some(name.strip_prefix("data/aotinductor/")?.split_once('/')?.0)
}

/// What an archive of these names is.
fn of_names(names: &[impl AsRef<str>]) -> Result<Format, String> {
    // Behind the name of the archive.
    let inner = || names.iter().filter_map(|name| name.as_ref().split_once('/')).map(|(_, inner)| inner);
    let has = |is: &dyn Fn(&str) -> bool| inner().any(is);
    if has(&|name| packaged_model(name).is_some()) {
        return if has(&|name| packaged_model(name) == Some("model")) {
            Ok(Format::Package)
        } else {
            Err("is an AOTInductor package without a model that is called `model`; package it by that name".into())
        };
    }
    if has(&|name| name.starts_with("models/") || name.starts_with("serialized_exported_program")) {
        return Err(
            "is a graph of torch.export, and there is no interpreter in libtorch for it; export the model to ONNX \
                    (torch.onnx.export), or compile it with AOTInductor (torch._inductor.aoti_compile_and_package)"
                .into(),
        );
    }
    if has(&|name| name == "constants.pkl") && has(&|name| name.starts_with("code/")) {
        return Ok(Format::TorchScript);
    }
    if has(&|name| name == "data.pkl") {
        return Err(format!("holds weights or objects of torch.save, and no code to run; {SCRIPT_IT}"));
    }
    Err(format!("is a zip archive, and neither a TorchScript file nor an AOTInductor package; {SCRIPT_IT}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn refused(path: &Path) -> String {
        let message = Format::of(path).expect_err("it is no model");
        assert!(!message.contains('\n') && message.contains("; "), "{message}");
        message.strip_prefix(&format!("{}: ", path.display())).expect("the path comes first").to_string()
    }

    #[test]
    fn archives_are_told_apart_by_what_only_one_kind_has() {
        let script = ["m/data.pkl", "m/code/__torch__.py", "m/constants.pkl", "m/data/0", "m/version"];
        assert_eq!(of_names(&script), Ok(Format::TorchScript));
        let package = ["p/archive_format", "p/data/aotinductor/model/a.wrapper.so", "p/data/weights/x", "p/version"];
        assert_eq!(of_names(&package), Ok(Format::Package));
        let exported = ["e/archive_format", "e/models/model.json", "e/data/weights/weight_0", "e/version"];
        for names in [exported.as_slice(), &["version", "e/serialized_exported_program.json"]] {
            let message = of_names(names).expect_err("there is no interpreter");
            assert!(message.contains("no interpreter in libtorch") && message.contains("export the model to ONNX"));
        }
        let both = [exported.as_slice(), &package].concat();
        assert_eq!(of_names(&both), Ok(Format::Package));
        let other = of_names(&["p/data/aotinductor/encoder/a.so"]).expect_err("which one?");
        assert!(other.contains("without a model that is called `model`"), "{other}");
        let weights = of_names(&["w/data.pkl", "w/data/0", "w/version"]).expect_err("no code");
        assert!(weights.starts_with("holds weights"), "{weights}");
        assert!(of_names(&["word/document.xml"]).expect_err("a text").starts_with("is a zip archive"));
        assert!(of_names(&[""]).is_err());
    }

    #[test]
    fn what_is_no_archive_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("m.pt");
        let cases: [(&[u8], &str); 5] = [
            (b"", "is empty; copy"),
            (b"\x80\x02\x8a\nl\xfc\x9c", "is a Python pickle"),
            (b"PK\x03\x04\x14\0 and no more", "is a damaged zip archive ("),
            (b"\x08", "is neither a TorchScript file nor"),
            (b"hello, world", "is neither a TorchScript file nor"),
        ];
        for (content, expected) in cases {
            fs::write(&path, content).expect("a file");
            let message = refused(&path);
            assert!(message.starts_with(expected), "{message}");
        }
        assert_eq!(refused(folder.path()), "is a folder; name the model's file");
        let absent = folder.path().join("absent");
        assert_eq!(refused(&absent), "there is no such file; check the path of the model");
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        assert_eq!(refused(&socket), "is not a regular file; name the model's file");
    }
}
