//! The sample model, against the numbers that scikit-learn computed when it was trained.

use crate::support::{Aligned, floats, floats_of, integers_of, prepared, slot, try_open, unkept};
use graphpiped_backend_api::{Dim, Produced};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn path_of(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits").join(file)
}

/// The elements of a NumPy file of version 1: they follow a header whose length is in bytes 8 and 9.
fn elements_of_npy(path: &Path) -> Vec<u8> {
    let file = std::fs::read(path).expect("a sample");
    assert!(file.starts_with(b"\x93NUMPY\x01\0"));
    let header = usize::from(u16::from_le_bytes([file[8], file[9]]));
    file[10 + header..].to_vec()
}

#[test]
fn the_sample_pictures_are_recognised_as_scikit_learn_recognises_them() {
    let expected: Value =
        serde_json::from_slice(&std::fs::read(path_of("expected.json")).expect("a sample")).expect("JSON");
    let model = try_open(&path_of("digits.onnx")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(model.signature().inputs[0].dims, Some(vec![Dim::Symbol("N".into()), Dim::Fixed(64)]));
    assert_eq!(model.signature().batch_axis(), Some(0));

    let images = Aligned::of(&elements_of_npy(&path_of("images.npy")));
    let inputs = [floats(0, &[10, 64], &images)];
    let mut memory = Aligned::zeros(10 * 10 * 4);
    let mut slots = [prepared(0, &[10, 10], &mut memory), slot(1)];
    model.instance().expect("an instance").run(&unkept(&inputs), &mut slots).expect("it runs");

    assert!(matches!(slots[0].produced, Some(Produced::InPlace)));
    let (probabilities, _) = floats_of(&slots[0], &inputs);
    for (row, expected) in probabilities.chunks(10).zip(expected["probabilities"].as_array().expect("rows")) {
        for (value, expected) in row.iter().zip(expected.as_array().expect("a row")) {
            let difference = f64::from(*value) - expected.as_f64().expect("a number");
            assert!(difference.abs() < 1e-5, "{value} is not {expected}");
        }
    }
    let (digits, shape) = integers_of(&slots[1], &inputs);
    assert_eq!((&digits, shape), (&(0..10).collect(), vec![10]));
    assert_eq!(Value::from(digits), expected["labels"]);
}
