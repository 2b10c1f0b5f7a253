//! What a model takes and gives, and where that comes from.

use crate::support::{copy_of, open, open_with, option_of, path_of, try_open};
use graphpiped_backend_api::Options;
use graphpiped_backend_conformance::{Declared, are_as_declared, shown};

#[test]
fn names_types_and_shapes_come_from_the_symbol_the_parameters_and_the_description() {
    let declared: [Declared; 8] = [
        ("double", &["x float32 [N, 4]"], &["y float32 [N, 4]"], Some(0)),
        (
            "two_by_two",
            &["a float32 [N, K]", "b float32 [N, K]"],
            &["sum float32 [N, K]", "whole int64 [N, K]"],
            Some(0),
        ),
        ("identity_int64", &["x int64 [N]"], &["y int64 [N]"], Some(0)),
        ("first", &["x float32 [N]"], &["y float32 [1]"], None),
        ("pairs", &["x float32 [N, 4]"], &["y float32 [?, 8]"], Some(0)),
        // The 1 that stands in the symbol is the batch.
        ("convolution", &["data float32 [N, 3, 6, 6]"], &["softmax float32 [N, 3]"], Some(0)),
        (
            "parts",
            &["x float32 [N, 4]", "z float32 [N, 2]"],
            &["parts_output1 float32 [N, 2]", "parts_output0 float32 [N, 2]", "z float32 [N, 2]"],
            Some(0),
        ),
        ("gluon", &["data float32 [N, 3]"], &["dense_fwd float32 [N, 2]"], Some(0)),
    ];
    let open = |name: &str| {
        let model = open(name);
        assert!(model.copies(), "{name}");
        model
    };
    are_as_declared(open, &declared);
}

#[test]
fn a_batch_that_the_graph_has_fixed_is_fixed() {
    let model = open("two_rows");
    assert_eq!(shown(model.signature()).0, ["x float32 [2, 3]"]);
    assert_eq!(shown(model.signature()).1, ["y float32 [2, 3]"]);
}

#[test]
fn outputs_may_be_chosen_put_in_another_order_and_be_layers_within() {
    let outputs =
        |names: &[&str]| Options { outputs: names.iter().map(ToString::to_string).collect(), ..Options::default() };
    let model = open_with("two_by_two", &outputs(&["whole_output", "sum"]));
    assert_eq!(shown(model.signature()).1, ["whole_output int64 [N, K]", "sum float32 [N, K]"]);
    let model = open_with("convolution", &outputs(&["pool", "softmax"]));
    assert_eq!(shown(model.signature()).1, ["pool float32 [N, 2, 3, 3]", "softmax float32 [N, 3]"]);
}

#[test]
fn inputs_may_be_put_in_another_order() {
    let options = Options { inputs: vec!["b".into(), "a".into()], ..Options::default() };
    assert_eq!(shown(open_with("two_by_two", &options).signature()).0, ["b float32 [N, K]", "a float32 [N, K]"]);
}

#[test]
fn a_description_makes_a_model_of_unknown_shape_a_known_one_and_names_its_outputs() {
    let folder = copy_of("shapeless");
    let description =
        "[[inputs]]\nname = \"data\"\nshape = [\"rows\", 2]\n[[outputs]]\nname = \"fc\"\nshape = [\"rows\", 1]\n";
    std::fs::write(folder.path().join("shapeless-symbol.toml"), description).expect("a description");
    let model = try_open(&folder.path().join("shapeless")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(shown(model.signature()).0, ["data float32 [rows, 2]"]);
    assert_eq!(shown(model.signature()).1, ["fc float32 [rows, 1]"]);
}

#[test]
fn the_options_in_effect_are_told() {
    let model = open("convolution");
    let option = |key: &str| option_of(&*model, key);
    assert_eq!(option("params"), Some(path_of("convolution-0000.params").display().to_string()));
    assert_eq!(option("symbol"), Some(path_of("convolution-symbol.json").display().to_string()));
    assert_eq!(option("labels_not_served").as_deref(), Some("softmax_label"));
    assert_eq!(option("mxnet").as_deref(), Some("1.9.1"));
    assert!(option("library").is_some_and(|path| path.ends_with("libmxnet.so")));
    assert!(
        option("engine").is_some_and(|engine| engine.contains("MXNET_ENGINE_TYPE") || engine.contains("NaiveEngine"))
    );
    assert!(option("intra_threads").is_some());
    assert_eq!(option("epochs"), None);
}
