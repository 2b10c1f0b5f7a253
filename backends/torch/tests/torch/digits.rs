//! The sample model, against the numbers that scikit-learn computed when it was trained.

use crate::support::{Numbers, folder, run, try_open};
use graphpipe_schema::DType;
use graphpiped_backend_api::Dim;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn path_of(file: &str) -> PathBuf {
    folder("../../models/digits").join(file)
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
    let model = try_open(&path_of("digits.pt")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(model.signature().inputs[0].dims, Some(vec![Dim::Symbol("N".into()), Dim::Fixed(64)]));
    assert_eq!(model.signature().batch_axis(), Some(0));

    let bytes = elements_of_npy(&path_of("images.npy"));
    let images = Numbers { dtype: DType::Float32, shape: vec![10, 64], bytes };
    let mut instance = model.instance().expect("an instance");
    let found = run(&mut *instance, &[images], &[0, 1]).unwrap_or_else(|error| panic!("{error}"));
    for (row, expected) in found[0].floats().chunks(10).zip(expected["probabilities"].as_array().expect("rows")) {
        for (value, expected) in row.iter().zip(expected.as_array().expect("a row")) {
            let difference = f64::from(*value) - expected.as_f64().expect("a number");
            assert!(difference.abs() < 1e-5, "{value} is not {expected}");
        }
    }
    assert_eq!((found[0].shape.as_slice(), found[1].shape.as_slice()), (&[10, 10][..], &[10][..]));
    assert_eq!(Value::from(found[1].integers()), expected["labels"]);
}
