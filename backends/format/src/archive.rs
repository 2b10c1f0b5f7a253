//! Zip archives: what PyTorch and Keras put into them, by the names of the members. Their content is not unpacked.

use crate::Format;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use zip::ZipArchive;
use zip::result::ZipResult;

/// The format of the model in an archive; otherwise what it is, and the remedy.
pub fn format(file: File) -> Result<Format, String> {
    let names = names(file).map_err(|error| {
        format!("is a zip archive, such as PyTorch and Keras write, and damaged or cut off ({error}); copy it again")
    })?;
    of_names(&names.iter().map(String::as_str).collect::<Vec<_>>()).map_err(str::to_string)
}

/// The names of the members. They stand together at the end of the file, so as much is read as they have.
fn names(file: File) -> ZipResult<Vec<String>> {
    let archive = ZipArchive::new(BufReader::new(file))?;
    archive.file_names().map(|name| Ok(name?.into_owned())).collect()
}

fn of_names(names: &[&str]) -> Result<Format, &'static str> {
    // PyTorch puts everything into one folder, which is called after the file or the archive.
    let inner: Vec<&str> = names.iter().map(|name| name.split_once('/').map_or(*name, |(_, rest)| rest)).collect();
    let has = |name: &str| names.contains(&name) || inner.contains(&name);
    let has_below = |folder: &str| names.iter().chain(&inner).any(|name| name.starts_with(folder));
    // First of all, because a file may be called as a folder of the others is.
    if has("data.pkl") && has("constants.pkl") && has_below("code/") {
        Ok(Format::TorchScript)
    } else if has_below("data/aotinductor/model/") {
        Ok(Format::AotInductor)
    } else if has_below("data/aotinductor/") {
        Err("is an AOTInductor package without a model that is called `model`; package it by that name")
    } else if has_below("models/") || has("serialized_exported_program.json") {
        Err("is a package of torch.export, for which libtorch has no interpreter; export the model to ONNX \
             (torch.onnx.export), or compile it (torch._inductor.aoti_compile_and_package)")
    } else if has("data.pkl") {
        Err("holds weights only and no program, as torch.save writes it; make a program of the model with \
             torch.jit.script, or export it to ONNX (torch.onnx.export)")
    } else if has("model.weights.h5") {
        Err("is a Keras file; load it there, and make a SavedModel of it (model.export)")
    } else if has("MAR-INF/MANIFEST.json") {
        Err("is an archive of TorchServe; unpack it, and name the model in it")
    } else if !names.is_empty() && names.iter().all(|name| Path::new(name).extension().is_some_and(|e| e == "npy")) {
        Err("holds arrays of NumPy and no model; name the model's file")
    } else {
        Err("is a zip archive without a model that is known; unpack it, and name the model in it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why_not(names: &[&str]) -> &'static str {
        of_names(names).expect_err("it is none")
    }

    #[test]
    fn what_pytorch_writes_is_told_apart() {
        let script =
            ["m/data.pkl", "m/code/__torch__.py", "m/code/__torch__.py.debug_pkl", "m/constants.pkl", "m/version"];
        assert_eq!(of_names(&script), Ok(Format::TorchScript));
        let called_as_a_folder = ["models/data.pkl", "models/constants.pkl", "models/code/__torch__.py"];
        assert_eq!(of_names(&called_as_a_folder), Ok(Format::TorchScript));
        let weights = ["archive/data.pkl", "archive/byteorder", "archive/data/0", "archive/version"];
        assert!(why_not(&weights).starts_with("holds weights only and no program"));
        assert!(why_not(&["m/data.pkl", "m/constants.pkl"]).starts_with("holds weights only"), "there is no code");
        let compiled = [
            "m/data/aotinductor/model/c1.wrapper.so",
            "m/data/aotinductor/model/c1.wrapper_metadata.json",
            "m/version",
        ];
        assert_eq!(of_names(&compiled), Ok(Format::AotInductor));
        assert_eq!(of_names(&["data/aotinductor/model/c1.wrapper.cpp"]), Ok(Format::AotInductor));
        assert!(why_not(&["p/data/aotinductor/encoder/a.so"]).contains("without a model that is called `model`"));
        let exported = ["e/archive_format", "e/models/model.json", "e/data/weights/weight_0"];
        let both = [exported.as_slice(), &compiled].concat();
        assert_eq!(of_names(&both), Ok(Format::AotInductor), "the code is there");
        assert!(
            why_not(&["m/archive_format", "m/models/model.json", "m/data/weights/weight_0"]).contains("torch.export")
        );
        assert!(why_not(&["serialized_exported_program.json", "version"]).contains("torch.export"));
    }

    #[test]
    fn archives_of_others_are_named() {
        assert!(why_not(&["metadata.json", "config.json", "model.weights.h5"]).contains("is a Keras file"));
        assert!(why_not(&["MAR-INF/MANIFEST.json", "model.pt"]).contains("TorchServe"));
        assert!(why_not(&["arr_0.npy", "arr_1.npy"]).contains("NumPy"));
        assert!(why_not(&["readme.txt"]).contains("without a model"));
        assert!(why_not(&[]).contains("without a model"));
    }
}
