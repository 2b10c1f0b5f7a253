//! Models of operator sets below 7, against what the specification of their time says (computed by NumPy in `make_old.py`).

use crate::support::{backend, path_of, try_open};
use graphpipe_schema::DType;
use graphpiped_backend_api::{Model, OpenError, Produced};
use graphpiped_backend_conformance::{Asked, Found, Scene, change_every_byte};
use serde_json::Value;
use std::sync::Arc;

fn numbers(of: &Value) -> Vec<f64> {
    of["values"].as_array().expect("a list").iter().map(|value| value.as_f64().expect("a number")).collect()
}

fn shape(of: &Value) -> Vec<i64> {
    of["shape"].as_array().expect("a list").iter().map(|size| size.as_i64().expect("a size")).collect()
}

fn list(of: &Value) -> &[Value] {
    of.as_array().expect("a list")
}

fn found_numbers(found: &Found) -> Vec<f64> {
    match &found.how {
        Produced::Lent { dtype: DType::Bool, owner, .. } => {
            (**owner).as_ref().iter().map(|&byte| byte.into()).collect()
        }
        _ => found.numbers(),
    }
}

fn option_of(model: &dyn Model, key: &str) -> Option<String> {
    model.effective_options().into_iter().find(|(other, _)| other == key).map(|(_, value)| value)
}

#[test]
fn models_of_old_operator_sets_give_what_their_specification_says() {
    let cases: Value = serde_json::from_slice(&std::fs::read(path_of("old.json")).expect("cases")).expect("JSON");
    assert!(list(&cases).len() > 25);
    for case in list(&cases) {
        let name = case["model"].as_str().expect("a name");
        let model = try_open(&path_of(&format!("{name}.onnx"))).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(option_of(&*model, "upgraded_from_opset"), Some(case["opset"].to_string()), "{name}");
        assert_eq!(option_of(&*model, "opset").as_deref(), Some("7"), "{name}");
        let scene = Scene { model: Arc::clone(&model) };
        let inputs = list(&case["inputs"]).iter().enumerate().map(|(index, input)| {
            Asked::floats(index, &shape(input), &numbers(input).iter().map(|&value| value as f32).collect::<Vec<_>>())
        });
        let outputs = list(&case["outputs"]);
        let found = scene.run(&inputs.collect::<Vec<_>>(), &(0..outputs.len()).collect::<Vec<_>>());
        for (output, (found, expected)) in found.iter().zip(outputs).enumerate() {
            assert_eq!(found.shape, shape(expected), "{name}, output {output}");
            for (found, expected) in found_numbers(found).into_iter().zip(numbers(expected)) {
                let near = 2e-6 * expected.abs().max(1.0);
                assert!((found - expected).abs() <= near, "{name}, output {output}: {found} is not {expected}");
            }
        }
    }
}

#[test]
fn what_cannot_be_upgraded_is_named_with_its_node_and_its_opset() {
    let cases = [
        ("lstm", "node \"y\" (LSTM of opset 6) is not one of the operators whose change is one of words"),
        ("batchnorm_training", "node \"y\" (BatchNormalization of opset 6) is set to train (is_test is 0)"),
        ("dropout_training", "node \"y\" (Dropout of opset 6) is set to train (is_test is 0)"),
        ("dropout_used_mask", "node \"y\" (Dropout of opset 6) has 2 outputs, of which it gives one"),
        (
            "unknown_rank",
            "node \"y\" (Add of opset 6) spreads a tensor from axis 1, and nothing says how many axes \"x\" has",
        ),
        ("wrong_axis", "node \"y\" (Add of opset 6) spreads 2 axes from axis 3 over 4, which does not fit"),
        ("split_sizes", "node \"y\" (Split of opset 1) has sizes that are computed"),
        ("branches", "node \"y\" (If of opset 6) has a graph within"),
    ];
    for (name, expected) in cases {
        let path = path_of(&format!("old_{name}.onnx"));
        let Err(OpenError::Model(message)) = try_open(&path) else { panic!("{name} is not refused") };
        let begin = format!("{}: {expected}", path.display());
        assert!(message.starts_with(&begin), "{message}");
        assert!(
            message.ends_with("so that it cannot be upgraded to opset 7; export the model again, for opset 7 or newer")
        );
        assert!(!message.contains('\n'), "{message}");
    }
    let Err(error) = try_open(&path_of("old_opset_0.onnx")) else { panic!("there is no such opset") };
    assert!(error.to_string().contains("there is no opset 0 to upgrade; export it again"), "{error}");
}

#[test]
fn no_flipped_or_missing_byte_of_an_old_model_does_worse_than_an_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("m.onnx");
    std::fs::copy(path_of("old_network.onnx"), &path).expect("a model");
    change_every_byte(&backend(), &path, &path, 0x15, 1);
}

#[test]
fn a_model_that_is_new_enough_is_left_as_it_is() {
    let model = try_open(&path_of("double.onnx")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(option_of(&*model, "upgraded_from_opset"), None);
}
