//! The sample model of the project, which is there in every format, against the numbers that scikit-learn computed when it
//! was trained.

use crate::scene::{Asked, Scene};
use crate::shown;
use graphpipe_schema::DType;
use graphpiped_backend_api::{Backend, Options, Produced};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Opens the sample model in a format, of which the rows are called `N` or, where axes have no names, `?`. It has to recognise
/// the ten sample pictures as scikit-learn does. Then the model and the pictures, for what else there is to be seen with them.
pub fn recognised(backend: &dyn Backend, file: &str, options: &Options, rows: &str) -> (Scene, Asked) {
    let model = backend.open(&sample(file), options).unwrap_or_else(|error| panic!("{error}"));
    let signature = model.signature();
    let inputs = vec![format!("image float32 [{rows}, 64]")];
    let outputs = vec![format!("probabilities float32 [{rows}, 10]"), format!("digit int64 [{rows}]")];
    assert_eq!(shown(signature), (inputs, outputs));
    assert_eq!(signature.batch_axis(), Some(0));

    let scene = Scene { model };
    let images = Asked::bytes(0, DType::Float32, &[10, 64], images());
    let found = scene.run(std::slice::from_ref(&images), &[0, 1]);
    for (found, (dtype, shape)) in found.iter().zip([(DType::Float32, &[10, 10][..]), (DType::Int64, &[10])]) {
        assert!(matches!(found.how, Produced::Lent { dtype: lent, .. } if lent == dtype), "{found:?}");
        assert_eq!(found.shape, shape);
    }
    are_expected(&found[0].numbers(), &found[1].numbers());
    (scene, images)
}

/// The elements of the ten sample pictures, float32 [10, 64].
pub fn images() -> Vec<u8> {
    elements_of_npy(&sample("images.npy"))
}

/// Compares what a model makes of the pictures, ten probabilities for each and its digit, with what scikit-learn does.
pub fn are_expected(probabilities: &[f64], digits: &[f64]) {
    let bytes = std::fs::read(sample("expected.json")).expect("a sample");
    let expected: Value = serde_json::from_slice(&bytes).expect("JSON");
    let rows = expected["probabilities"].as_array().expect("rows");
    let wanted: Vec<f64> = rows.iter().flat_map(numbers).collect();
    assert_eq!((probabilities.len(), wanted.len()), (100, 100));
    for (found, expected) in probabilities.iter().zip(wanted) {
        assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
    }
    assert_eq!(digits, numbers(&expected["labels"]));
}

fn sample(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits").join(file)
}

/// The elements of a NumPy file of version 1: they follow a header whose length is in bytes 8 and 9.
fn elements_of_npy(path: &Path) -> Vec<u8> {
    let file = std::fs::read(path).expect("a sample");
    assert!(file.starts_with(b"\x93NUMPY\x01\0"));
    let header = usize::from(u16::from_le_bytes([file[8], file[9]]));
    file[10 + header..].to_vec()
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().expect("a list").iter().map(|value| value.as_f64().expect("a number")).collect()
}
