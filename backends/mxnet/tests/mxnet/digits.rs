//! The sample model, against the numbers that scikit-learn computed when it was trained.

use crate::support::try_open;
use graphpiped_backend_api::{Dim, Produced};
use graphpiped_backend_conformance::{Asked, Scene};
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
    let model = try_open(&path_of("digits-symbol.json")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(model.signature().inputs[0].dims, Some(vec![Dim::Symbol("N".into()), Dim::Fixed(64)]));
    assert_eq!(model.signature().inputs[0].name, "image");
    let outputs: Vec<_> = model.signature().outputs.iter().map(ToString::to_string).collect();
    assert_eq!(outputs, ["probabilities float32 [N, 10]", "digit int64 [N]"]);
    assert_eq!(model.signature().batch_axis(), Some(0));

    let scene = Scene { model };
    let images = Asked::bytes(0, graphpipe_schema::DType::Float32, &[10, 64], elements_of_npy(&path_of("images.npy")));
    let found = scene.run(&[images], &[0, 1]);
    assert!(matches!(found[0].how, Produced::Lent { .. }));
    let rows = found[0].numbers();
    for (row, expected) in rows.chunks(10).zip(expected["probabilities"].as_array().expect("rows")) {
        for (value, expected) in row.iter().zip(expected.as_array().expect("a row")) {
            let difference = value - expected.as_f64().expect("a number");
            assert!(difference.abs() < 1e-5, "{value} is not {expected}");
        }
    }
    let digits: Vec<i64> = found[1].numbers().iter().map(|&digit| digit as i64).collect();
    assert_eq!(Value::from(digits), expected["labels"]);
}
