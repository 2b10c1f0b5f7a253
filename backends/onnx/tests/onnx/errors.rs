//! What a bad file or a bad run gets: one line, with ONNX Runtime's own words.

use crate::support::{
    backend, floats, floats_of, input, instance, open, path_of, prepared, run_one, slot, try_open, unkept,
};
use graphpipe_schema::DType;
use graphpiped_backend_api::{Backend, Elements, Input, OpenError, Options, Produced, RunError};
use graphpiped_backend_conformance::process::child;
use graphpiped_backend_conformance::{Aligned, cause, change_every_byte};
use std::path::Path;

fn refused(path: &Path) -> String {
    cause(&backend(), path, &Options::default())
}

fn failed(result: Result<Produced, RunError>) -> String {
    let (RunError::Model(message) | RunError::Request(message)) = result.expect_err("the run fails") else {
        panic!("it is neither the framework's fault nor the machine's")
    };
    assert!(!message.is_empty() && !message.contains('\n'), "{message}");
    message
}

#[test]
fn files_that_are_not_models_are_refused_with_cause_and_remedy() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let whole = std::fs::read(path_of("two_by_two.onnx")).expect("a model");
    let cases: [(&str, &[u8], &str); 6] = [
        ("empty", b"", "is empty; "),
        ("words", b"this is not a model", "it is damaged or not an ONNX model; its fields"),
        ("zeros", &[0; 4096], "it is damaged or not an ONNX model; ONNX Runtime 1."),
        ("cut", &whole[..whole.len() - 7], "it is damaged or not an ONNX model; its fields"),
        ("archive", b"PK\x03\x04rest", "is a zip archive, such as PyTorch"),
        ("graph", b"\x0a\x09\x0a\x01x\x12\x04Relu", "is a TensorFlow graph and not an ONNX model; "),
    ];
    for (name, content, expected) in cases {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("a file");
        let message = refused(&path);
        assert!(message.starts_with(expected), "{name}: {message}");
        assert!(message.contains("; "), "{name}: no remedy in: {message}");
    }
    assert!(refused(folder.path()).starts_with("is a folder without a model"));
    assert!(refused(&folder.path().join("absent.onnx")).starts_with("there is no such file; "));
}

#[test]
fn no_flipped_or_missing_byte_of_a_model_does_worse_than_an_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("m.onnx");
    std::fs::copy(path_of("two_by_two.onnx"), &path).expect("a model");
    change_every_byte(&backend(), &path, &path, 0x55, 1);
}

#[test]
fn models_that_cannot_be_served_are_refused_with_cause_and_remedy() {
    let cases = [
        (
            "unknown_operator",
            "it cannot be loaded; ONNX Runtime 1.",
            "; its operators have to be known to this version, and its external data has to lie beside it",
        ),
        ("no_room", "its graph is not sound, or asks for what this version does not have; ", "export it again"),
        ("only_sequence", "no output can be served (all is a sequence); ", "export the model with a tensor as output"),
        ("sequence_input", "input all is a sequence, which GraphPipe cannot carry; ", "with tensors as inputs"),
        ("rank17", "input x is a tensor of 17 dimensions, of 16 at most, which", "with tensors as inputs"),
    ];
    for (name, cause, remedy) in cases {
        let message = refused(&path_of(&format!("{name}.onnx")));
        assert!(message.starts_with(cause) && message.contains(remedy), "{name}: {message}");
    }
}

#[test]
fn weights_that_are_not_beside_the_model_are_an_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("external.onnx");
    std::fs::copy(path_of("external.onnx"), &path).expect("a copy");
    let message = refused(&path);
    assert!(
        message.contains("external.weights") && message.contains("external data has to lie beside it"),
        "{message}"
    );
}

#[test]
fn a_model_in_memory_is_opened_as_if_it_were_the_file_that_it_comes_from() {
    let place = path_of("external.onnx");
    let whole = std::fs::read(&place).expect("a model");
    let open = |place: &Path, model: &[u8]| backend().open_bytes(place, model, &Options::default());
    let model = open(&place, &whole).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(model.signature(), try_open(&place).unwrap_or_else(|error| panic!("{error}")).signature());

    let folder = tempfile::tempdir().expect("a temporary folder");
    let elsewhere = folder.path().join("external.onnx");
    let error = open(&elsewhere, &whole).err().expect("its weights are not there");
    assert!(error.to_string().contains("external.weights"), "{error}");
    let error = open(&elsewhere, b"this is not a model").err().expect("it is none").to_string();
    let expected = format!("{}: it is damaged or not an ONNX model; ", elsewhere.display());
    assert!(error.starts_with(&expected) && !error.contains('\n'), "{error}");
}

#[test]
fn an_absent_file_is_reported_even_without_the_library() {
    let nowhere = graphpiped_backend_onnx::Locations { explicit: Some("/no/such.so".into()), ..Default::default() };
    let backend = graphpiped_backend_onnx::OnnxBackend::new(nowhere);
    let error = backend.open(Path::new("/no/such.onnx"), &Options::default()).err().expect("there is no such file");
    assert!(matches!(&error, OpenError::Model(message) if message.starts_with("/no/such.onnx: ")), "{error}");
}

#[test]
fn a_value_that_the_model_refuses_fails_the_run_and_no_later_one() {
    let mut instance = instance("gather");
    let (good, bad) = (Aligned::integers(&[2, 0]), Aligned::integers(&[1, 99]));
    for _ in 0..3 {
        let message = failed(run_one(&mut *instance, &[input(0, DType::Int64, &[2], &bad)]));
        assert!(message.contains("out of data bounds") && message.contains("99"), "{message}");
        let produced = run_one(&mut *instance, &[input(0, DType::Int64, &[2], &good)]).expect("it runs");
        assert!(matches!(produced, Produced::Lent { .. }));
    }
}

#[test]
fn a_run_that_fails_writes_no_line_of_its_own() {
    // Whoever may send requests must not be able to fill the log. The other test runs in a process of its own, because
    // what ONNX Runtime writes goes past the test harness.
    let written = child("errors::a_value_that_the_model_refuses_fails_the_run_and_no_later_one", |command| {
        command.env_remove("ORT_LOG");
    });
    assert!(!written.contains("onnxruntime"), "{written}");
}

#[test]
fn a_refused_value_with_prepared_memory_is_an_error_too_and_no_wrong_prediction() {
    let model = open("gather");
    let mut instance = model.instance().expect("an instance");
    let (good, bad) = (Aligned::integers(&[2, 0]), Aligned::integers(&[1, 99]));
    let mut memory = Aligned::zeros(8);
    let mut slots = [prepared(0, &[2], &mut memory)];
    instance.run(&unkept(&[input(0, DType::Int64, &[2], &bad)]), &mut slots).expect_err("the run fails");
    let inputs = [input(0, DType::Int64, &[2], &good)];
    instance.run(&unkept(&inputs), &mut slots).expect("it runs");
    assert!(matches!(slots[0].produced, Some(Produced::InPlace)));
    assert_eq!(floats_of(&slots[0], &inputs).0, [30.0, 10.0]);
}

#[test]
fn inputs_that_do_not_fit_the_model_fail_in_onnx_runtimes_words() {
    let bytes = Aligned::floats(&[0.0; 12]);
    let mut instance = instance("double");
    let rank = failed(run_one(&mut *instance, &[floats(0, &[12], &bytes)]));
    assert!(rank.contains("Invalid rank for input: x"), "{rank}");
    let dimension = failed(run_one(&mut *instance, &[floats(0, &[4, 3], &bytes)]));
    assert!(dimension.contains("Got invalid dimensions for input: x"), "{dimension}");
    let dtype = failed(run_one(&mut *instance, &[input(0, DType::Int32, &[3, 4], &bytes)]));
    assert!(dtype.contains("Unexpected input data type"), "{dtype}");
    let missing = failed(run_one(&mut *instance, &[]));
    assert!(missing.contains('x'), "{missing}");
    let unknown = failed(run_one(&mut *instance, &[floats(1, &[3, 4], &bytes)]));
    assert_eq!(unknown, "the model has no input 1");
    let error = instance.run(&unkept(&[floats(0, &[3, 4], &bytes)]), &mut [slot(1)]).expect_err("there is one output");
    assert_eq!(error.to_string(), "the model has no output 1");
}

#[test]
fn memory_that_is_not_what_the_shape_says_never_reaches_the_library() {
    let bytes = Aligned::floats(&[0.0; 12]);
    let mut instance = instance("double");
    for shape in [[4, 4].as_slice(), &[2, 4], &[-1, 4], &[-3, -4], &[i64::MAX, 4], &[i64::MAX, i64::MAX]] {
        let message = failed(run_one(&mut *instance, &[floats(0, shape, &bytes)]));
        assert_eq!(message, format!("input x: 48 bytes are not a float32 tensor of shape {shape:?}"));
    }
    let shifted = Input { elements: Elements::Bytes(&bytes.as_ref()[2..18]), ..floats(0, &[1, 4], &bytes) };
    let message = failed(run_one(&mut *instance, &[shifted]));
    assert_eq!(message, "input x: its elements are not aligned to the size of a float32");
}

#[test]
fn a_bool_that_is_neither_0_nor_1_never_reaches_the_library() {
    let bytes = Aligned::of(&[0, 1, 2, 1]);
    let message = failed(run_one(&mut *instance("identity_bool"), &[input(0, DType::Bool, &[4], &bytes)]));
    assert_eq!(message, "input x: element 2 is 2, and a bool is 0 or 1");
}

#[test]
fn strings_that_are_not_as_many_as_the_shape_says_never_reach_the_library() {
    for shape in [[3].as_slice(), &[1], &[-2], &[i64::MAX, 2]] {
        let strings =
            Input { index: 0, dtype: DType::String, shape, elements: Elements::Strings(&[b"a".as_slice(), b"b"]) };
        let message = failed(run_one(&mut *instance("identity_string"), &[strings]));
        assert_eq!(message, format!("input x: 2 strings are not a tensor of shape {shape:?}"));
    }
}

#[test]
fn the_backend_is_named_onnx() {
    assert_eq!(backend().name(), "onnx");
}
