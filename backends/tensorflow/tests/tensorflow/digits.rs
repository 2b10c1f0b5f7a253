//! The sample model in both formats, against the numbers that scikit-learn computed when it was trained.

use crate::support::{backend, names};
use graphpiped_backend_api::Options;
use graphpiped_backend_conformance::digits::recognised;

#[test]
fn the_saved_model_recognises_the_sample_pictures() {
    // Outputs of a signature have the order of the alphabet, unless the operator names another.
    recognised(&backend(), "tensorflow", &names(&[], &["probabilities", "digit"]), "?");
}

#[test]
fn the_frozen_graph_recognises_the_sample_pictures() {
    recognised(&backend(), "digits.pb", &Options::default(), "?");
}
