//! Opening models, copying them, and running them: what all tests of this binary share.

pub use crate::subject::{backend, path_of};

use graphpipe_schema::DType;
use graphpiped_backend_api::{Backend, Model, OpenError, Options};
use graphpiped_backend_conformance::{Asked, Scene};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// Opens a model.
pub fn try_open(path: &Path) -> Result<Arc<dyn Model>, OpenError> {
    backend().open(path, &Options::default())
}

/// Opens one of the models.
pub fn open(name: &str) -> Arc<dyn Model> {
    open_with(name, &Options::default())
}

/// Opens one of the models with options.
pub fn open_with(name: &str, options: &Options) -> Arc<dyn Model> {
    backend().open(&path_of(name), options).unwrap_or_else(|error| panic!("{error}"))
}

/// Why a model is not opened: one line that begins with the path, which is left out.
pub fn refused(path: &Path, options: &Options) -> String {
    graphpiped_backend_conformance::cause(&backend(), path, options)
}

/// Numbers of the model's first output (or another) for one input.
pub fn run(model: &Arc<dyn Model>, shape: &[i64], values: &[f32], output: usize) -> (Vec<i64>, Vec<f64>) {
    let scene = Scene { model: Arc::clone(model) };
    let found = scene.run(&[Asked::floats(0, shape, values)], &[output]).pop().expect("one output");
    assert!(found.dtype.is_none_or(|dtype| [DType::Float32, DType::Int64].contains(&dtype)));
    (found.shape.clone(), found.numbers())
}

/// A folder with a copy of a model's files.
pub fn copy_of(name: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for entry in fs::read_dir(path_of("")).expect("the models") {
        let path = entry.expect("an entry").path();
        let file = path.file_name().and_then(|file| file.to_str()).expect("a name that is text");
        if file.strip_prefix(name).is_some_and(|rest| rest.starts_with('-')) {
            fs::copy(&path, folder.path().join(file)).expect("a copy");
        }
    }
    folder
}

/// The option in effect of this key.
pub fn option_of(model: &dyn Model, key: &str) -> Option<String> {
    model.effective_options().into_iter().find(|(other, _)| other == key).map(|(_, value)| value)
}
