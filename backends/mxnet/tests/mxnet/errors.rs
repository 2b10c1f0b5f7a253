//! What bad files, bad options and bad runs get: one line, by whose fault it is.

use crate::support::{backend, copy_of, open, path_of, refused, try_open};
use graphpiped_backend_api::{Backend, OpenError, Options};
use graphpiped_backend_conformance::process::{child, is_child};
use graphpiped_backend_conformance::{Asked, Scene, change_every_byte};
use graphpiped_backend_mxnet::{Locations, MxnetBackend};
use std::fs;
use std::path::Path;

#[test]
fn a_model_without_one_of_its_files_says_which() {
    let folder = copy_of("double");
    let at = |name: &str| folder.path().join(name);
    fs::remove_file(at("double-0000.params")).expect("it is there");
    let message = refused(&at("double-symbol.json"), &Options::default());
    assert_eq!(message, "there are no parameters beside it (double-0000.params, or another number); put them there");
    fs::remove_file(at("double-symbol.json")).expect("it is there");
    let message = refused(&at("double"), &Options::default());
    assert_eq!(message, "there is no such file, and no double-symbol.json; check the path of the model");
}

#[test]
fn an_absent_file_is_reported_even_without_the_library_and_an_absent_library_with_the_remedy() {
    let remedy = "install it".to_string();
    let nowhere = Locations { explicit: Some("/no/such/libmxnet.so".into()), remedy, ..Locations::default() };
    let backend = MxnetBackend::new(nowhere);
    let error = backend.open(Path::new("/no/such-symbol.json"), &Options::default()).err().expect("there is no file");
    assert!(matches!(&error, OpenError::Model(message) if message.starts_with("/no/such-symbol.json: ")), "{error}");
    // Nothing else in this process may have loaded it, or it would be there: it is asked in one of its own.
    if is_child() {
        let error = backend.open(&path_of("double"), &Options::default()).err().expect("there is no library");
        println!("refused {error:?}");
        return;
    }
    let name = "errors::an_absent_file_is_reported_even_without_the_library_and_an_absent_library_with_the_remedy";
    let written = child(name, |_| {});
    let path = path_of("double").display().to_string();
    let expected = format!(
        "refused Framework(\"{path}: no MXNet (1.9) to load: /no/such/libmxnet.so (named on the command line or in the \
         configuration): there is no such file; install it\")"
    );
    assert!(written.contains(&expected), "{written}");
}

#[test]
fn files_that_are_damaged_or_something_else_are_told_by_their_own_names() {
    let folder = copy_of("convolution");
    let at = |name: &str| folder.path().join(name);
    let (symbol, params) = (at("convolution-symbol.json"), at("convolution-0000.params"));
    let whole = fs::read(&params).expect("parameters");
    let cases: [(&Path, &[u8], &str); 5] = [
        (&params, b"{}", "is not a file of MXNet parameters"),
        (&params, &whole[..whole.len() - 3], "is damaged (it ends within its names); copy it again"),
        (&params, &whole[..500], "is damaged (array 4 of 8: the file ends within it); copy it again"),
        (&symbol, b"{\"nodes\": []}", "is not an MXNet symbol (missing field `arg_nodes`"),
        (&symbol, b"\x12\x01", "is not an MXNet symbol (expected value"),
    ];
    for (file, content, expected) in cases {
        let original = fs::read(file).expect("a file");
        fs::write(file, content).expect("a file");
        let message = refused(&symbol, &Options::default());
        let cause = message.strip_prefix(&format!("{}: ", file.display())).unwrap_or(&message);
        assert!(cause.starts_with(expected), "{message}");
        fs::write(file, original).expect("a file");
    }
    assert!(try_open(&symbol).is_ok());
}

#[test]
fn parameters_that_are_missing_are_never_left_to_chance() {
    // Each of these would be computed with whatever is in the memory.
    let folder = copy_of("convolution");
    let at = |name: &str| folder.path().join(name);
    let symbol = at("convolution-symbol.json");
    let names = ["arg:fc_weight", "aux:bn_moving_mean"];
    let expected = [
        "the parameters have no fc_weight, and the symbol does not say the shape",
        "there is no aux:bn_moving_mean in it, which the symbol wants; save both anew, together",
    ];
    let original = fs::read(at("convolution-0000.params")).expect("parameters");
    for (name, expected) in names.into_iter().zip(expected) {
        let start = original.windows(name.len()).position(|window| window == name.as_bytes()).expect("it is there");
        let mut renamed = original.clone();
        renamed[start + name.len() - 1] = b'X';
        fs::write(at("convolution-0000.params"), renamed).expect("a file");
        let message = refused(&symbol, &Options::default());
        assert!(message.contains(expected), "{message}");
    }
    let folder = copy_of("gluon");
    fs::copy(path_of("double-0000.params"), folder.path().join("gluon-0000.params")).expect("a copy");
    let message = refused(&folder.path().join("gluon"), &Options::default());
    assert!(
        message.ends_with("there is no arg:dense_weight in it, which the symbol wants; save both anew, together"),
        "{message}"
    );
}

#[test]
fn a_shape_that_nobody_says_is_asked_for_with_what_to_write_where() {
    let path = path_of("shapeless-symbol.json");
    let message = refused(&path, &Options::default());
    assert_eq!(
        message,
        format!(
            "the parameters have no data, and the symbol does not say the shape of an input of this name; for each one that \
             is an input, write inputs = [{{ name = \"data\", shape = [\"N\", 3, 224, 224] }}] (with its own sizes) into {}",
            path_of("shapeless-symbol.toml").display()
        )
    );
    // What it says to write, with its own sizes.
    let folder = copy_of("shapeless");
    let description = "inputs = [{ name = \"data\", shape = [\"N\", 2] }]";
    fs::write(folder.path().join("shapeless-symbol.toml"), description).expect("a description");
    assert!(try_open(&folder.path().join("shapeless")).is_ok());
}

#[test]
fn a_description_that_contradicts_the_model_is_refused() {
    let folder = copy_of("shapeless");
    let at = |name: &str| folder.path().join(name);
    let input = "[[inputs]]\nname = \"data\"\nshape = [\"N\", 2]\n";
    let cases = [
        (
            "[[inputs]]\nname = \"date\"\n".to_string(),
            "there is no input \"date\"; variables without parameters are: data",
        ),
        ("[[inputs]]\nname = \"data\"\nshape = [\"N\", 5]\n".to_string(), "MXNet does not take data float32 [N, 5]: "),
        (
            format!("{input}[[outputs]]\nname = \"fd\"\n"),
            "there is no output \"fd\"; its outputs are: fc; and every layer",
        ),
        (
            format!("{input}[[outputs]]\nname = \"fc\"\nshape = [\"N\", 2]\n"),
            "the description says fc float32 [N, 2], and MXNet gives fc float32 [N, 1]; correct it",
        ),
        (
            format!("{input}[[outputs]]\nname = \"fc\"\ndtype = \"int32\"\n"),
            "the description says fc is int32, and MXNet gives float32",
        ),
    ];
    for (text, expected) in cases {
        fs::write(at("shapeless-symbol.toml"), text).expect("a description");
        let message = refused(&at("shapeless"), &Options::default());
        assert!(message.starts_with(expected), "{message}");
    }
    fs::write(at("shapeless-symbol.toml"), "[[inputs]]\nname = 3\n").expect("a description");
    let message = refused(&at("shapeless"), &Options::default());
    assert!(message.starts_with(&format!("{}: line 2: ", at("shapeless-symbol.toml").display())), "{message}");
}

#[test]
fn names_in_options_are_compared_with_the_model() {
    let path = path_of("two_by_two");
    let inputs =
        |names: &[&str]| Options { inputs: names.iter().map(ToString::to_string).collect(), ..Options::default() };
    assert_eq!(refused(&path, &inputs(&["a"])), "`inputs` has to name each of these once: a, b");
    assert_eq!(refused(&path, &inputs(&["a", "a"])), "`inputs` has to name each of these once: a, b");
    assert_eq!(refused(&path, &inputs(&["a", "c"])), "there is no input \"c\"; variables without parameters are: a, b");
    let outputs = |name: &str| Options { outputs: vec![name.to_string()], ..Options::default() };
    let message = refused(&path, &outputs("total"));
    assert_eq!(
        message,
        "there is no output \"total\"; its outputs are: sum, whole; and every layer that has one output"
    );
    let sums = vec!["sum".to_string(), "whole".to_string(), "sum".to_string()];
    let twice = Options { outputs: sums, ..Options::default() };
    assert_eq!(refused(&path, &twice), "`outputs` names \"sum\" twice; name it once");
    let message = refused(&path_of("identity_int64"), &outputs("none"));
    assert!(message.starts_with("there is no output"), "{message}");
}

#[test]
fn an_operator_that_nobody_knows_is_named() {
    let folder = copy_of("double");
    let symbol = folder.path().join("double-symbol.json");
    let text = fs::read_to_string(&symbol).expect("a symbol").replace("elemwise_add", "no_such_operator");
    fs::write(&symbol, text).expect("a file");
    let message = refused(&symbol, &Options::default());
    assert!(message.contains("no_such_operator is not registered"), "{message}");
    assert!(message.contains("; its operators have to be known to this version, "), "{message}");
}

#[test]
fn memory_at_places_that_a_client_chooses_is_read_in_a_process_of_the_models_own_alone() {
    let folder = copy_of("double");
    let symbol = folder.path().join("double-symbol.json");
    let variable = |name: &str, shape: &str| {
        format!(r#"{{"op": "null", "name": "{name}", "attrs": {{"__shape__": "{shape}"}}, "inputs": []}}"#)
    };
    let last = r#"{"op": "SequenceLast", "name": "last", "attrs": {"use_sequence_length": "True"},
        "inputs": [[0, 0, 0], [1, 0, 0]]}"#;
    let (x, lengths) = (variable("x", "(2, 2, 3)"), variable("lengths", "(2,)"));
    let json = format!(r#"{{"nodes": [{x}, {lengths}, {last}], "arg_nodes": [0, 1], "heads": [[2, 0, 0]]}}"#);
    fs::write(&symbol, json).expect("a file");
    let message = refused(&symbol, &Options::default());
    assert_eq!(
        message,
        "node last (SequenceLast) reads memory at places that input lengths says, and MXNet does not look whether they are in \
         the tensor; serve the model with isolation = \"process\""
    );
    let isolated = Options { is_isolated: true, ..Options::default() };
    let model = backend().open(&symbol, &isolated).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(model.signature().outputs[0].name, "last");
}

#[test]
fn no_flipped_or_missing_byte_of_a_file_does_worse_than_an_error() {
    let folder = copy_of("convolution");
    let path = folder.path().join("convolution");
    for file in ["convolution-symbol.json", "convolution-0000.params"] {
        let file = folder.path().join(file);
        // Every byte of the symbol and of what describes the parameters, and some of their numbers.
        change_every_byte(&backend(), &path, &file, 0x15, 3);
    }
}

#[test]
fn memory_and_shapes_that_are_not_what_they_say_never_reach_the_library() {
    let scene = Scene { model: open("convolution") };
    let mut instance = scene.instance();
    let cases: [(&[i64], usize, &str); 6] = [
        (&[1, 3, 6], 18, "input data: its shape is [1, 3, 6], and the model takes data float32 [N, 3, 6, 6]"),
        (&[1, 6, 3, 6], 108, "input data: its shape is [1, 6, 3, 6], and the model takes data float32 [N, 3, 6, 6]"),
        (&[2, 3, 6, 6], 108, "input data: 432 bytes are not a float32 tensor of shape [2, 3, 6, 6]"),
        (&[0, 3, 6, 6], 0, "input data: an axis of size 0 is to MXNet one of unknown size"),
        (&[i64::MAX, 3, 6, 6], 108, "input data: 432 bytes are not a float32 tensor of shape"),
        (&[-1, 3, 6, 6], 108, "input data: its shape is [-1, 3, 6, 6], and the model takes data"),
    ];
    for (shape, count, expected) in cases {
        let error = scene.try_run(&mut *instance, &[Asked::floats(0, shape, &vec![0.0; count])], &[0]);
        let message = error.expect_err("it does not fit").to_string();
        assert!(message.starts_with(expected), "{message}");
    }
    let error = scene.try_run(&mut *instance, &[], &[0]).expect_err("nothing went in").to_string();
    assert_eq!(error, "input data is missing");
    let twice = [Asked::floats(0, &[1, 3, 6, 6], &[0.0; 108]), Asked::floats(0, &[1, 3, 6, 6], &[0.0; 108])];
    let error = scene.try_run(&mut *instance, &twice, &[0]).expect_err("one too many").to_string();
    assert_eq!(error, "input data: it is given twice");
}

#[test]
fn memory_that_there_is_not_is_the_machines_fault() {
    let folder = copy_of("identity_float32");
    // 13 terabytes.
    let description = "[[inputs]]\nname = \"x\"\nshape = [1048576, 3, 1024, 1024]\n";
    fs::write(folder.path().join("identity_float32-symbol.toml"), description).expect("a description");
    match try_open(&folder.path().join("identity_float32")) {
        Err(OpenError::Machine(message)) => {
            assert!(message.contains("Failed to allocate CPU Memory"), "{message}");
            assert!(message.ends_with("; give the daemon more, or serve a smaller model"), "{message}");
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was opened"),
    }
}

#[test]
fn the_backend_is_named_mxnet() {
    assert_eq!(backend().name(), "mxnet");
}
