//! What is derived from a file when it is opened.

use crate::support::{backend, open, path_of};
use graphpiped_backend_api::{Backend, Options};
use graphpiped_backend_conformance::{Declared, are_as_declared, shown};

#[test]
fn names_types_and_dimensions_are_those_of_the_file() {
    let declared: [Declared; 9] = [
        ("double", &["x float32 [N, 4]"], &["y float32 [N, 4]"], Some(0)),
        (
            "two_by_two",
            &["a float32 [N, K]", "b float32 [N, K]"],
            &["sum float32 [N, K]", "whole int64 [N, K]"],
            Some(0),
        ),
        ("scalar", &["x float32 []"], &["y float32 []"], None),
        ("fixed", &["x float32 [2, 3]"], &["y float32 [2, 3]"], None),
        ("identity_float32", &["x float32 […]"], &["y float32 […]"], None),
        ("nonzero", &["x float32 [N]"], &["where int64 [1, found]"], None),
        ("string_twice", &["x string [N]"], &["y string [N]"], Some(0)),
        ("external", &["x float32 [N, 64]"], &["y float32 [N, 64]"], Some(0)),
        ("passthrough", &["x float32 [N]"], &["x float32 [N]", "weight float32 [3]", "negative float32 [N]"], None),
    ];
    are_as_declared(open, &declared);
}

#[test]
fn an_output_that_is_not_a_tensor_is_left_out_and_named() {
    let model = open("sequence");
    assert_eq!(shown(model.signature()).1, ["y float32 [N]"]);
    let options = model.effective_options();
    assert!(options.contains(&("outputs_not_served".to_string(), "all is a sequence".to_string())), "{options:?}");
}

#[test]
fn as_many_dimensions_as_the_protocol_has_are_taken() {
    assert_eq!(open("rank16").signature().inputs[0].metadata_shape().rank(), 16);
}

#[test]
fn the_options_in_effect_are_told() {
    let model =
        backend().open(&path_of("double.onnx"), &Options { intra_threads: 2, ..Options::default() }).expect("it opens");
    let options = model.effective_options();
    let value = |key: &str| options.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_str());
    assert_eq!(value("intra_threads"), Some("2"));
    assert_eq!(value("providers"), Some("CPU"));
    assert_eq!(value("opset"), Some("21"));
    assert!(value("onnxruntime").is_some_and(|version| version.starts_with("1.")), "{options:?}");
    assert!(value("library").is_some_and(|path| path.contains("libonnxruntime.so")), "{options:?}");
    assert_eq!(value("outputs_not_served"), None);
}

#[test]
fn no_threads_at_all_means_the_calling_thread() {
    let model =
        backend().open(&path_of("double.onnx"), &Options { intra_threads: 0, ..Options::default() }).expect("it opens");
    assert!(model.effective_options().contains(&("intra_threads".to_string(), "1".to_string())));
}
