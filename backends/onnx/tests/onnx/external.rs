//! Weights in other files: beside the model, and where no model has any business.

use crate::support::{path_of, try_open};
use graphpiped_backend_api::OpenError;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A copy of the model whose weights are in another file, which is called otherwise.
fn model_with(location: &str, path: &Path) {
    let mut model = fs::read(path_of("external.onnx")).expect("a model");
    let name = b"external.weights";
    let start = model.windows(name.len()).position(|window| window == name).expect("it names its weights");
    // The name has to be as long, because its length and that of all around it stand in the file.
    assert!(location.len() <= name.len());
    let padded = format!("{}{location}", "./".repeat((name.len() - location.len()) / 2));
    let padded = if padded.len() == name.len() { padded } else { padded.replacen('/', "//", 1) };
    model[start..start + name.len()].copy_from_slice(padded.as_bytes());
    fs::write(path, model).expect("a file");
}

#[test]
fn weights_outside_of_the_models_folder_are_refused_and_those_within_are_not() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (inside, path) = (folder.path().join("in"), folder.path().join("in/m.onnx"));
    fs::create_dir_all(inside.join("sub")).expect("a folder");
    for place in ["w.bin", "in/w.bin", "in/sub/w.bin"] {
        fs::copy(path_of("external.weights"), folder.path().join(place)).expect("weights");
    }
    symlink("../w.bin", inside.join("link.bin")).expect("a link");
    symlink("sub/w.bin", inside.join("good.bin")).expect("a link");
    symlink("..", inside.join("up")).expect("a link");
    for location in ["w.bin", "sub/w.bin", "good.bin", "sub/../w.bin"] {
        model_with(location, &path);
        if let Err(error) = try_open(&path) {
            panic!("{location}: {error}");
        }
    }
    for location in ["../w.bin", "sub/../../w.bin", "link.bin", "up/w.bin"] {
        model_with(location, &path);
        let Err(OpenError::Model(message)) = try_open(&path) else { panic!("{location} is read") };
        assert!(message.starts_with(&format!("{}: its external data ", path.display())), "{message}");
        assert!(
            message.ends_with(
                "lies outside of the model's folder; put it into the model's folder, and name it from there"
            )
        );
    }
}

#[test]
fn weights_by_an_absolute_path_are_refused_even_if_they_are_beside_the_model() {
    let folder = tempfile::tempdir_in("/tmp").expect("a temporary folder");
    let path = folder.path().join("m.onnx");
    let mut model = fs::read(path_of("external.onnx")).expect("a model");
    let name = b"external.weights";
    let start = model.windows(name.len()).position(|window| window == name).expect("it names its weights");
    model[start..start + name.len()].copy_from_slice(b"/etc/hostname///");
    fs::write(&path, model).expect("a file");
    let Err(OpenError::Model(message)) = try_open(&path) else { panic!("it is read") };
    assert!(
        message.contains("its external data \"/etc/hostname///\" is named by an absolute path; put it"),
        "{message}"
    );
}
