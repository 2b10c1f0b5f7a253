//! Models that are opened in vain, and what is told of those that are not.

use crate::cases::assert_one_line;
use graphpiped_backend_api::{Backend, Model, OpenError, Options, Signature, TensorSpec};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// The line that refuses what is at a path, for which the model is to blame.
pub fn refused(backend: &dyn Backend, path: &Path, options: &Options) -> String {
    match backend.open(path, options) {
        Err(OpenError::Model(message)) => {
            assert_one_line(&message);
            message
        }
        Err(OpenError::Framework(message) | OpenError::Machine(message)) => panic!("{message}"),
        Ok(_) => panic!("{} was opened", path.display()),
    }
}

/// The same, which has to begin with the path, without the path.
pub fn cause(backend: &dyn Backend, path: &Path, options: &Options) -> String {
    let message = refused(backend, path, options);
    let prefix = format!("{}: ", path.display());
    message.strip_prefix(&prefix).unwrap_or_else(|| panic!("the path comes first: {message}")).to_string()
}

/// Flips bits of a file of the model at `path`, and cuts the file off, at every `step`-th byte: the model opens all the same, or
/// is refused in one line, and nothing but the model is blamed.
pub fn change_every_byte(backend: &dyn Backend, path: &Path, file: &Path, flip: u8, step: usize) {
    let whole = fs::read(file).expect("a file of a model");
    for at in (0..whole.len()).step_by(step) {
        let mut flipped = whole.clone();
        flipped[at] ^= flip;
        for content in [&flipped, &whole[..at]] {
            fs::write(file, content).expect("a file");
            if let Err(error) = backend.open(path, &Options::default()) {
                assert_one_line(&error.to_string());
                assert!(matches!(error, OpenError::Model(_)), "byte {at}: {error:?}");
            }
        }
    }
    fs::write(file, whole).expect("a file");
}

/// Shows every file in a folder and in those below it, whole and cut off at each eighth.
pub fn whole_and_cut(folder: &Path, look: &mut dyn FnMut(&[u8])) {
    for entry in folder.read_dir().expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            whole_and_cut(&path, look);
            continue;
        }
        let whole = fs::read(&path).expect("a file");
        (0..=8).for_each(|part| look(&whole[..whole.len() * part / 8]));
    }
}

/// Inputs and outputs as people are shown them.
pub fn shown(signature: &Signature) -> (Vec<String>, Vec<String>) {
    let shown = |specs: &[TensorSpec]| specs.iter().map(ToString::to_string).collect();
    (shown(&signature.inputs), shown(&signature.outputs))
}

/// A model, its inputs, its outputs and its batch axis, as the script declares them that has made it.
pub type Declared = (&'static str, &'static [&'static str], &'static [&'static str], Option<usize>);

/// Compares signatures with what is declared.
pub fn are_as_declared(open: impl Fn(&str) -> Arc<dyn Model>, declared: &[Declared]) {
    for &(name, inputs, outputs, batch_axis) in declared {
        let model = open(name);
        let signature = model.signature();
        let (found_inputs, found_outputs) = shown(signature);
        assert_eq!(found_inputs, inputs, "{name}");
        assert_eq!(found_outputs, outputs, "{name}");
        assert_eq!(signature.batch_axis(), batch_axis, "{name}");
        assert!(!signature.variadic && !model.is_cheap(), "{name}");
    }
}
