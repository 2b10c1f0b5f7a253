//! The sample model in both formats, against the numbers that scikit-learn computed when it was trained.

use crate::support::{input, names, run_list, try_open};
use graphpipe_schema::DType;
use graphpiped_backend_api::{Options, Produced};
use graphpiped_backend_conformance::{Aligned, Watched};
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

fn bytes(produced: &Produced, dtype: DType) -> &[u8] {
    match produced {
        Produced::Lent { dtype: lent, owner, .. } if *lent == dtype => (**owner).as_ref(),
        other => panic!("{other:?}"),
    }
}

fn recognises(file: &str, options: &Options) {
    let expected: Value =
        serde_json::from_slice(&std::fs::read(path_of("expected.json")).expect("a sample")).expect("JSON");
    let model = try_open(&path_of(file), options).unwrap_or_else(|error| panic!("{error}"));
    let signature = model.signature();
    assert_eq!(signature.inputs[0].to_string(), "image float32 [?, 64]");
    let shown: Vec<_> = signature.outputs.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["probabilities float32 [?, 10]", "digit int64 [?]"]);
    assert_eq!(signature.batch_axis(), Some(0));

    let images = Watched::new(vec![Aligned::of(&elements_of_npy(&path_of("images.npy")))]);
    let mut instance = model.instance().expect("an instance");
    let inputs = [input(0, &[10, 64], images.piece(0))];
    let produced = run_list(&mut *instance, &images, &inputs, &[0, 1]).expect("it runs");

    let (values, _) = bytes(&produced[0], DType::Float32).as_chunks();
    let rows = expected["probabilities"].as_array().expect("rows");
    let numbers = rows.iter().flat_map(|row| row.as_array().expect("a row"));
    assert_eq!(values.len(), 100);
    for (value, expected) in values.iter().zip(numbers) {
        let difference = f64::from(f32::from_le_bytes(*value)) - expected.as_f64().expect("a number");
        assert!(difference.abs() < 1e-5, "{value:?} is not {expected}");
    }
    let (digits, _) = bytes(&produced[1], DType::Int64).as_chunks();
    let digits: Vec<_> = digits.iter().map(|&digit| i64::from_le_bytes(digit)).collect();
    assert_eq!(Value::from(digits), expected["labels"]);
}

#[test]
fn the_saved_model_recognises_the_sample_pictures() {
    // Outputs of a signature have the order of the alphabet, unless the operator names another.
    recognises("tensorflow", &names(&[], &["probabilities", "digit"]));
}

#[test]
fn the_frozen_graph_recognises_the_sample_pictures() {
    recognises("digits.pb", &Options::default());
}
