//! The sample model, against the numbers that scikit-learn computed when it was trained.

use crate::support::backend;
use graphpiped_backend_api::Options;
use graphpiped_backend_conformance::digits::recognised;

#[test]
fn the_sample_pictures_are_recognised_as_scikit_learn_recognises_them() {
    recognised(&backend(), "digits-symbol.json", &Options::default(), "N");
}
