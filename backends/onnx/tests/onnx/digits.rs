//! The sample model, against the numbers that scikit-learn computed when it was trained.

use crate::support::backend;
use graphpiped_backend_api::{Options, Produced};
use graphpiped_backend_conformance::digits::recognised;

#[test]
fn the_sample_pictures_are_recognised_as_scikit_learn_recognises_them() {
    let (scene, images) = recognised(&backend(), "digits.onnx", &Options::default(), "N");
    assert!(matches!(scene.run_prepared(&[images], 0, &[10, 10]).how, Produced::InPlace));
}
