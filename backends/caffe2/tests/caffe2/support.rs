//! Opening nets, and tensors in JSON: what all tests of this binary share.

use graphpipe_schema::{DType, Shape};
use graphpiped_backend_api::{Backend, Model, OpenError, Options, Produced};
use graphpiped_backend_caffe2::Caffe2Backend;
use graphpiped_backend_conformance::{Asked, Found};
use graphpiped_backend_onnx::{Locations, WANTED};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A path in the tests' folder.
pub fn path_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// A backend that looks in the project's runtime folder.
pub fn backend() -> Caffe2Backend {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtime/onnxruntime");
    Caffe2Backend::new(Locations::new(&WANTED, None, vec![folder], "get it with `make runtime`"))
}

/// Opens a net.
pub fn try_open(path: &Path) -> Result<Arc<dyn Model>, OpenError> {
    backend().open(path, &Options::default())
}

/// Opens a net of the tests' folder.
pub fn open(name: &str) -> Arc<dyn Model> {
    try_open(&path_of(name)).unwrap_or_else(|error| panic!("{error}"))
}

/// The message that refuses a net; one line, which names the path first.
pub fn refused(path: &Path, options: &Options) -> String {
    graphpiped_backend_conformance::refused(&backend(), path, options)
}

/// A JSON file.
pub fn json(path: &Path) -> Value {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The numbers of a JSON list.
pub fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().expect("a list").iter().map(|value| value.as_f64().expect("a number")).collect()
}

/// The sizes of a JSON list.
pub fn sizes(list: &Value) -> Vec<i64> {
    list.as_array().expect("a list").iter().map(|value| value.as_i64().expect("a size")).collect()
}

/// The bytes of numbers of this type.
fn bytes_of(dtype: DType, numbers: &[f64]) -> Vec<u8> {
    let one = |&number: &f64| match dtype {
        DType::Float32 => (number as f32).to_le_bytes().to_vec(),
        DType::Int64 => (number as i64).to_le_bytes().to_vec(),
        _ => panic!("no test has an input of {dtype}"),
    };
    numbers.iter().flat_map(one).collect()
}

/// An input, out of JSON.
pub fn asked(model: &dyn Model, name: &str, tensor: &Value) -> Asked {
    let index = model.signature().input_index(name.as_bytes()).unwrap_or_else(|| panic!("no input {name}"));
    let dtype = model.signature().inputs[index].dtype;
    Asked::bytes(index, dtype, &sizes(&tensor["shape"]), bytes_of(dtype, &numbers(&tensor["values"])))
}

/// The type and the numbers of an output that was not prepared for.
pub fn numbers_of(model: &dyn Model, inputs: &[Asked], index: usize, found: &Found) -> (DType, Vec<f64>) {
    let dtype = found.dtype.unwrap_or(model.signature().outputs[index].dtype);
    let Produced::Lent { owner, .. } = &found.how else { panic!("{:?} of {inputs:?}", found.how) };
    let bytes: &[u8] = (**owner).as_ref();
    let numbers = match dtype {
        DType::Float32 => bytes.as_chunks().0.iter().map(|&one| f32::from_le_bytes(one).into()).collect(),
        DType::Float64 => bytes.as_chunks().0.iter().map(|&one| f64::from_le_bytes(one)).collect(),
        DType::Int64 => bytes.as_chunks().0.iter().map(|&one| i64::from_le_bytes(one) as f64).collect(),
        DType::Int32 => bytes.as_chunks().0.iter().map(|&one| i32::from_le_bytes(one).into()).collect(),
        DType::Int16 => bytes.as_chunks().0.iter().map(|&one| i16::from_le_bytes(one).into()).collect(),
        DType::Uint8 | DType::Bool => bytes.iter().map(|&one| one.into()).collect(),
        _ => panic!("no test has an output of {dtype}"),
    };
    let elements = Shape::new(&found.shape).and_then(|shape| shape.elements());
    let numbers: Vec<f64> = numbers;
    assert_eq!(elements, Some(numbers.len() as u64));
    (dtype, numbers)
}

/// Whether a number is what another implementation makes of the same.
pub fn is_close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-5 + 1e-5 * expected.abs()
}
