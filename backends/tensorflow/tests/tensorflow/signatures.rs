//! What is derived from a model when it is opened: which signature, which names, and what is told about it.

use crate::support::{backend, floats, lent, names, open, open_with, path_of, run};
use graphpiped_backend_api::{Options, Produced};
use graphpiped_backend_conformance::{Declared, are_as_declared, shown};

fn with_signature(name: &str) -> Options {
    Options { signature: Some(name.into()), ..Options::default() }
}

fn refused(model: &str, options: &Options) -> String {
    graphpiped_backend_conformance::refused(&backend(), &path_of(model), options)
}

#[test]
fn names_types_and_dimensions_are_those_of_the_model() {
    let declared: [Declared; 9] = [
        ("double", &["x float32 [?, 4]"], &["y float32 [?, 4]"], Some(0)),
        (
            "two_by_two.pb",
            &["a float32 [?, ?]", "b float32 [?, ?]"],
            &["sum float32 [?, ?]", "whole int64 [?, ?]"],
            Some(0),
        ),
        ("scalar", &["x float32 []"], &["y float32 []"], None),
        ("identity_float32", &["x float32 […]"], &["y float32 […]"], None),
        ("identity_float64.pb", &["x float64 […]"], &["y float64 […]"], None),
        ("strings", &["a string [?]", "b string [?]"], &["joined string [?]", "length int32 [?]"], Some(0)),
        ("weighted_v1", &["x float32 [?, 2]"], &["y float32 [?, 2]"], Some(0)),
        ("weighted", &["x float32 [?, 2]"], &["y float32 [?, 2]"], Some(0)),
        ("remember", &["x float32 [?]"], &["before float32 []"], None),
    ];
    let open = |name: &str| {
        let model = open(name);
        assert!(!model.copies(), "{name}");
        model
    };
    are_as_declared(open, &declared);
}

#[test]
fn placeholders_of_a_graph_go_in_and_what_nobody_takes_comes_out() {
    let (inputs, outputs) = shown(open("layers.pb").signature());
    assert_eq!(inputs, ["x float32 [?, 2]"], "a placeholder with a default need not be fed");
    assert_eq!(outputs, ["low float32 [?, 1]", "high float32 [?, 1]"], "neither a constant nor a check comes out");
}

#[test]
fn a_signature_that_is_named_is_served() {
    let model = open_with("signatures", &with_signature("negate"));
    assert_eq!(shown(model.signature()), (vec!["x float32 [?, 2]".into()], vec!["y float32 [?, 2]".into()]));
    assert!(model.effective_options().contains(&("signature".into(), "negate".into())));
}

#[test]
fn a_signature_that_there_is_not_is_answered_with_those_that_there_are() {
    let path = path_of("signatures").display().to_string();
    let message = refused("signatures", &with_signature("serve"));
    assert_eq!(message, format!("{path}: it has no signature \"serve\"; its signatures are aliases, negate, same"));
    let message = refused("signatures", &Options::default());
    let expected = "it has no signature \"serving_default\"; choose one with `signature`: aliases, negate, same";
    assert_eq!(message, format!("{path}: {expected}"));
    let message = refused("unsigned", &Options::default());
    assert!(message.contains("it has no signature; export it with one, or name its inputs and outputs"), "{message}");
    let message = refused("two_by_two.pb", &with_signature("serve"));
    assert!(message.ends_with("a frozen graph has no signatures; leave out `signature` for it"), "{message}");
}

#[test]
fn an_output_that_is_an_input_is_given_back_and_not_asked_of_tensorflow() {
    // TensorFlow refuses to fetch what is fed.
    let model = open_with("signatures", &with_signature("same"));
    let memory = floats(&[1.0, -2.0]);
    let mut instance = model.instance().expect("an instance");
    let produced = run(&mut *instance, &memory, &[1, 2], &[0, 1, 0]).expect("it runs");
    assert!(matches!(produced[0], Produced::SameAsInput(0)) && matches!(produced[2], Produced::SameAsInput(0)));
    assert_eq!(lent(&produced[1]).0, [-1.0, 2.0]);
    let produced = run(&mut *instance, &memory, &[1, 2], &[0]).expect("it runs");
    assert!(matches!(produced[0], Produced::SameAsInput(0)));
}

#[test]
fn two_names_for_one_output_are_both_served() {
    let model = open_with("signatures", &with_signature("aliases"));
    let mut instance = model.instance().expect("an instance");
    let produced = run(&mut *instance, &floats(&[1.0, -2.0]), &[1, 2], &[1, 0]).expect("it runs");
    assert_eq!(lent(&produced[0]), lent(&produced[1]));
    assert_eq!(lent(&produced[0]).0, [-1.0, 2.0]);
}

#[test]
fn outputs_of_a_signature_are_chosen_and_ordered_by_name() {
    let (_, outputs) = shown(open_with("strings", &names(&[], &["length", "joined"])).signature());
    assert_eq!(outputs, ["length int32 [?]", "joined string [?]"]);
    let (_, outputs) = shown(open_with("strings", &names(&[], &["length"])).signature());
    assert_eq!(outputs, ["length int32 [?]"]);
}

#[test]
fn who_names_inputs_and_outputs_needs_no_signature() {
    let model = open_with("unsigned", &names(&["x"], &["y:0"]));
    assert_eq!(shown(model.signature()), (vec!["x float32 [?]".into()], vec!["y float32 [?]".into()]));
    let mut instance = model.instance().expect("an instance");
    let produced = run(&mut *instance, &floats(&[4.0]), &[1], &[0]).expect("it runs");
    assert_eq!(lent(&produced[0]).0, [-4.0]);
}

#[test]
fn an_output_that_cannot_be_carried_is_left_out_and_named() {
    let model = open("complex_output.pb");
    assert_eq!(shown(model.signature()).1, ["y float32 [?]"]);
    let options = model.effective_options();
    let expected = ("outputs_not_served".to_string(), "c is a tensor of complex numbers".to_string());
    assert!(options.contains(&expected), "{options:?}");
}

#[test]
fn as_many_dimensions_as_the_protocol_has_are_taken() {
    assert_eq!(open("rank16.pb").signature().inputs[0].metadata_shape().rank(), 16);
}

#[test]
fn the_options_in_effect_are_told() {
    let options = open("double").effective_options();
    let value = |key: &str| options.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_str());
    assert_eq!(value("intra_threads"), Some("1"));
    assert_eq!(value("inter_threads"), Some("0"));
    assert_eq!(value("format"), Some("SavedModel"));
    assert_eq!(value("signature"), Some("serving_default"));
    assert_eq!(value("devices"), Some("CPU"));
    assert!(value("tensorflow").is_some_and(|version| version.starts_with("2.")), "{options:?}");
    assert!(value("library").is_some_and(|path| path.contains("libtensorflow")), "{options:?}");
    assert_eq!(value("outputs_not_served"), None);
    let options = open("two_by_two.pb").effective_options();
    assert!(options.contains(&("format".into(), "GraphDef".into())), "{options:?}");
}
