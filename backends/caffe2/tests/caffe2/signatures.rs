//! What goes in and out of a net: names, types, and shapes with the batch axis.

use crate::nets::{Argument, Files, net, operator, weight};
use crate::support::{backend, open, path_of, try_open};
use graphpiped_backend_api::{Backend, Options};
use graphpiped_backend_conformance::{Asked, Scene, shown};

#[test]
fn the_first_axis_of_every_net_of_the_zoo_is_its_batch() {
    for (name, input, output) in [
        ("squeezenet", "data float32 [N, 3, 19, 19]", "softmaxout float32 [N, 5, 1, 1]"),
        ("alexnet", "data float32 [N, 3, 35, 35]", "prob float32 [N, 7]"),
        ("vgg", "data float32 [N, 3, 12, 12]", "prob float32 [N, 9]"),
        ("resnet50", "gpu_0/data float32 [N, 3, 15, 15]", "gpu_0/softmax float32 [N, 6]"),
        ("inception_v1", "data float32 [N, 3, 21, 21]", "prob float32 [N, 6]"),
        ("inception_v2", "data float32 [N, 3, 14, 14]", "prob float32 [N, 5]"),
        ("mobilenet", "data float32 [N, 3, 16, 16]", "prob float32 [N, 5]"),
        ("shufflenet", "data float32 [N, 3, 12, 12]", "prob float32 [N, 5]"),
    ] {
        let model = open(&format!("golden/{name}"));
        assert_eq!(shown(model.signature()), (vec![input.to_string()], vec![output.to_string()]), "{name}");
        assert_eq!(model.signature().batch_axis(), Some(0), "{name}");
    }
}

#[test]
fn a_net_that_is_made_for_one_number_of_rows_says_so() {
    let model = open("models/fixed_rows");
    assert_eq!(shown(model.signature()), (vec!["x float32 [2, 6]".into()], vec!["y float32 [3, 4]".into()]));
    let found = Scene { model }.run(&[Asked::floats(0, &[2, 6], &[1.5; 12])], &[0]);
    assert_eq!((found[0].shape.as_slice(), found[0].numbers()), (&[3, 4][..], vec![1.5; 12]));
}

#[test]
fn inputs_of_different_numbers_of_rows_have_no_batch() {
    let files = Files::of(&[], &[operator("MatMul", "x z", "y", &[])]);
    files.write("value_info.json", br#"{"x": [1, [2, 3]], "z": [1, [3, 4]]}"#);
    let model = try_open(files.path()).unwrap_or_else(|error| panic!("{error}"));
    let inputs = vec!["x float32 [2, 3]".to_string(), "z float32 [3, 4]".to_string()];
    assert_eq!(shown(model.signature()), (inputs, vec!["y float32 [2, 4]".into()]));
}

#[test]
fn a_shape_that_nobody_says_follows_from_the_first_weights() {
    let (filters, bias) = (weight("w", &[2, 3, 1, 1], &[1.0; 6]), weight("b", &[2], &[0.0; 2]));
    let conv = operator("Conv", "x w b", "y", &[Argument::Int("kernel", 1)]);
    let files = Files::with(&[("init_net.pb", &net(&[filters, bias.clone()])), ("predict_net.pb", &net(&[conv]))]);
    let model = try_open(files.path()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        shown(model.signature()),
        (vec!["x float32 [N, 3, ?, ?]".into()], vec!["y float32 [N, 2, ?, ?]".into()])
    );

    let fc = net(&[operator("FC", "x w b", "y", &[])]);
    // Exporters fill the input, too, with one element: it is an input all the same.
    let init = net(&[weight("x", &[1], &[0.0]), weight("w", &[2, 3], &[1.0; 6]), bias]);
    let named = [&fc[..], b"\x3a\x01x\x3a\x01w\x3a\x01b"].concat();
    let files = Files::with(&[("init_net.pb", &init), ("predict_net.pb", &named)]);
    let model = try_open(files.path()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(shown(model.signature()), (vec!["x float32 [N, 3]".into()], vec!["y float32 [N, 2]".into()]));
}

#[test]
fn files_may_have_something_before_their_names() {
    let relu = net(&[operator("Relu", "x", "y", &[])]);
    for (before, info) in
        [("squeezenet.", "squeezenet.value_inputs.json"), ("a_", "value_info.json"), ("b-", "b-value_info.json")]
    {
        let init = net(&[weight("w", &[1], &[1.0])]);
        let files =
            Files::with(&[(&format!("{before}init_net.pb"), &init), (&format!("{before}predict_net.pb"), &relu)]);
        files.write(info, br#"{"x": [1, [1, 5]]}"#);
        for path in [files.path().to_path_buf(), files.file(&format!("{before}predict_net.pb"))] {
            let model = try_open(&path).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(shown(model.signature()).0, ["x float32 [N, 5]"], "{before}");
        }
    }
}

#[test]
fn any_blob_can_come_out_and_inputs_have_the_order_that_is_asked_for() {
    let options = Options { outputs: vec!["fc6".into(), "pool1".into(), "fc6".into()], ..Options::default() };
    let model = backend().open(&path_of("golden/vgg"), &options).unwrap_or_else(|error| panic!("{error}"));
    let outputs = ["fc6 float32 [N, 12]", "pool1 float32 [N, 4, 6, 6]"].map(String::from);
    assert_eq!(shown(model.signature()).1, outputs);
    let options = Options { inputs: vec!["b".into(), "a".into()], ..Options::default() };
    let model = backend().open(&path_of("models/two_by_two"), &options).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(shown(model.signature()).0, ["b float32 [N, ?]", "a float32 [N, ?]"]);
}

#[test]
fn an_input_that_goes_out_as_it_came_in_is_an_output_too() {
    let files = Files::with(&[
        ("init_net.pb", &net(&[])),
        ("predict_net.pb", &[net(&[operator("Relu", "x", "y", &[])]), b"\x42\x01x".to_vec()].concat()),
        ("value_info.json", br#"{"x": [1, [1, 2]]}"#),
    ]);
    let scene = Scene { model: try_open(files.path()).unwrap_or_else(|error| panic!("{error}")) };
    let found = scene.run(&[Asked::floats(0, &[1, 2], &[-1.0, 2.0])], &[0, 1]);
    assert_eq!((found[0].numbers(), found[1].numbers()), (vec![0.0, 2.0], vec![-1.0, 2.0]));
}
