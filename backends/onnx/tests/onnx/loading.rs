//! Finding the library by its name alone, which takes a process of its own: a process loads one library, once.

use crate::support::{open, path_of};
use graphpiped_backend_api::{Backend, Model, Options};
use graphpiped_backend_conformance::process::{child, is_child};
use graphpiped_backend_onnx::{Locations, OnnxBackend, WANTED};

fn library_of(model: &dyn Model) -> String {
    let options = model.effective_options();
    options.into_iter().find(|(key, _)| key == "library").expect("the library is among the options").1
}

#[test]
fn the_systems_library_path_is_searched_and_the_file_is_named() {
    if is_child() {
        let backend = OnnxBackend::new(Locations::new(&WANTED, None, vec!["/no/such/folder".into()], ""));
        let model =
            backend.open(&path_of("double.onnx"), &Options::default()).unwrap_or_else(|error| panic!("{error}"));
        println!("loaded {}", library_of(&*model));
        return;
    }
    let file = std::fs::canonicalize(library_of(&*open("double"))).expect("the library is a file");
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::os::unix::fs::symlink(&file, folder.path().join("libonnxruntime.so.1")).expect("a link");
    let written = child("loading::the_systems_library_path_is_searched_and_the_file_is_named", |command| {
        command.env("LD_LIBRARY_PATH", folder.path()).env_remove("ORT_DYLIB_PATH");
    });
    assert!(written.contains(&format!("loaded {}", file.display())), "{written}");
}
