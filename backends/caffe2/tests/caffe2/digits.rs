//! The sample model as a net of Caffe2, against the numbers that scikit-learn computed when it was trained.

use crate::support::{is_close, json, numbers, try_open};
use graphpipe_schema::DType;
use graphpiped_backend_api::Dim;
use graphpiped_backend_conformance::{Asked, Scene};
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
    let expected = json(&path_of("expected.json"));
    let scene = Scene { model: try_open(&path_of("caffe2")).unwrap_or_else(|error| panic!("{error}")) };
    let signature = scene.model.signature();
    assert_eq!((signature.inputs[0].name.as_str(), signature.inputs[0].dtype), ("image", DType::Float32));
    assert_eq!(signature.inputs[0].dims, Some(vec![Dim::Symbol("N".into()), Dim::Fixed(64)]));
    assert_eq!(signature.batch_axis(), Some(0));

    let images = Asked::bytes(0, DType::Float32, &[10, 64], elements_of_npy(&path_of("images.npy")));
    let found = scene.run(&[images], &[0, 1]);
    assert_eq!((found[0].shape.as_slice(), found[1].shape.as_slice()), (&[10, 10][..], &[10][..]));
    let probabilities = found[0].numbers();
    for (row, expected) in probabilities.chunks(10).zip(expected["probabilities"].as_array().expect("rows")) {
        for (value, expected) in row.iter().zip(numbers(expected)) {
            assert!(is_close(*value, expected), "{value} is not {expected}");
        }
    }
    assert_eq!(found[1].numbers(), numbers(&expected["digit"]));
}
