//! What a bad model or a bad run gets: one line, with TensorFlow's own words.

use crate::support::{backend, floats, input, lent, open, path_of, run, run_list, try_open};
use graphpipe_schema::DType;
use graphpiped_backend_api::{Backend, Elements, Input, OpenError, Options, Produced, RunError};
use graphpiped_backend_conformance::{Aligned, Watched, cause, change_every_byte};
use graphpiped_backend_tensorflow::{Locations, TensorflowBackend};
use std::fs;
use std::path::Path;

fn refused(path: &Path) -> String {
    cause(&backend(), path, &Options::default())
}

fn failed(result: Result<Vec<Produced>, RunError>) -> String {
    let (RunError::Model(message) | RunError::Request(message)) = result.expect_err("the run fails") else {
        panic!("it is neither the framework's fault nor the machine's")
    };
    assert!(!message.is_empty() && !message.contains('\n'), "{message}");
    message
}

/// A field of protobuf that has a length.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).ok().filter(|&length| length < 128).expect("a length of one byte");
    [&[number << 3 | 2, length][..], content].concat()
}

/// A node of a graph, whose `key` is float32.
fn node(name: &str, operation: &str, inputs: &[&str], key: &str) -> Vec<u8> {
    // `AttrValue.type` is field 6, and `DT_FLOAT` 1; `NodeDef.attr` is a map.
    let attribute = [field(1, key.as_bytes()), field(2, &[6 << 3, 1])].concat();
    let inputs: Vec<u8> = inputs.iter().flat_map(|input| field(3, input.as_bytes())).collect();
    field(1, &[field(1, name.as_bytes()), field(2, operation.as_bytes()), inputs, field(5, &attribute)].concat())
}

#[test]
fn a_product_of_matrices_without_elements_does_not_end_the_process() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("product.pb");
    let nodes = [node("a", "Placeholder", &[], "dtype"), node("b", "Placeholder", &[], "dtype")];
    // `GraphDef.versions` is field 4, and its producer field 1.
    let graph = [nodes.concat(), node("c", "MatMul", &["a", "b"], "T"), field(4, &[1 << 3, 27])].concat();
    fs::write(&path, graph).expect("a file");
    let model = try_open(&path, &Options::default()).unwrap_or_else(|error| panic!("{error}"));
    let mut instance = model.instance().expect("an instance");
    let memory = floats(&[]);
    let mut product = |rows: i64, columns: i64| {
        let (a, b) = ([rows, 0], [0, columns]);
        let list = [input(0, &a, memory.piece(0)), input(1, &b, memory.piece(0))];
        run_list(&mut *instance, &memory, &list, &[0])
    };
    assert_eq!(lent(&product(2, 3).expect("it runs")[0]), (vec![0.0; 6], vec![2, 3]));
    let message = failed(product(1 << 40, 1 << 40));
    assert_eq!(message, "input a: the sizes of [1099511627776, 0] are more than TensorFlow can count");
}

/// A copy of a SavedModel.
fn copy(name: &str, into: &Path) {
    fs::create_dir_all(into.join("variables")).expect("a folder");
    let variables = ["variables/variables.index", "variables/variables.data-00000-of-00001"];
    let files = variables.into_iter().filter(|file| path_of(name).join(file).exists());
    for file in files.chain(["saved_model.pb"]) {
        fs::copy(path_of(name).join(file), into.join(file)).expect("a copy");
    }
}

#[test]
fn models_that_cannot_be_served_are_refused_with_cause_and_remedy() {
    let cases = [
        (
            "unknown_operation.pb",
            "it cannot be loaded; TensorFlow 2.",
            "; its operations have to be known to this version",
        ),
        (
            "complex_only.pb",
            "no output can be served (c is a tensor of complex numbers); ",
            "with a plain tensor as output",
        ),
        ("complex_input.pb", "input x is a tensor of complex numbers, which GraphPipe cannot carry; ", "as inputs"),
        ("rank17.pb", "input x is a tensor of 17 dimensions, of 16 at most, which", "as inputs"),
        ("training", "none of its graphs is tagged \"serve\" alone (there is train); ", "export it for serving"),
    ];
    for (name, cause, remedy) in cases {
        let message = refused(&path_of(name));
        assert!(message.starts_with(cause) && message.contains(remedy), "{name}: {message}");
    }
}

#[test]
fn a_saved_model_without_its_variables_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    copy("weighted", folder.path());
    assert!(try_open(folder.path(), &Options::default()).is_ok(), "a copy is as good");
    fs::remove_file(folder.path().join("variables/variables.data-00000-of-00001")).expect("the weights");
    let message = refused(folder.path());
    assert!(
        message.contains("variables.data-00000-of-00001") && message.contains("its files have to be whole"),
        "{message}"
    );
    fs::remove_dir_all(folder.path().join("variables")).expect("the folder");
    let message = refused(folder.path());
    let expected = "its graph has variables, and there is no variables/variables.index; copy the whole folder";
    assert_eq!(message, expected);
}

#[test]
fn a_saved_model_whose_weights_are_cut_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    copy("weighted", folder.path());
    let weights = folder.path().join("variables/variables.data-00000-of-00001");
    let whole = fs::read(&weights).expect("the weights");
    fs::write(&weights, &whole[..4]).expect("a file");
    assert!(refused(folder.path()).contains("its files have to be whole"));
}

#[test]
fn the_file_of_a_saved_model_is_told_from_a_graph() {
    let message = refused(&path_of("double").join("saved_model.pb"));
    assert_eq!(
        message,
        "is the graph of a SavedModel, whose weights lie beside it; name the folder in which it is saved_model.pb"
    );
}

#[test]
fn no_flipped_or_missing_byte_of_a_graph_does_worse_than_an_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("m.pb");
    fs::copy(path_of("two_by_two.pb"), &path).expect("a model");
    change_every_byte(&backend(), &path, &path, 0x55, 1);
}

#[test]
fn no_flipped_or_missing_byte_around_constants_does_worse_than_an_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Its constants are as small as what says of them what they are.
    let path = folder.path().join("m.pb");
    fs::copy(path_of("layers.pb"), &path).expect("a model");
    // The last bit of a size, and whether its number goes on, which may make it a negative one.
    for flip in [0x01, 0x80] {
        change_every_byte(&backend(), &path, &path, flip, 3);
    }
    let saved = folder.path().join("saved");
    fs::create_dir(&saved).expect("a folder");
    copy("double", &saved);
    change_every_byte(&backend(), &saved, &saved.join("saved_model.pb"), 0x55, 3);
}

/// The bias of the hidden layer says that it is one number, and has 64: TensorFlow opens that graph.
#[test]
fn a_constant_of_another_size_than_its_shape_says_is_no_constant() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("m.pb");
    let mut graph = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/digits/digits.pb")).expect("a model");
    // Its type, its shape (one axis), and its content of 256 bytes.
    let tensor = b"\x08\x01\x12\x04\x12\x02\x08\x40\x22\x80\x02";
    let at = graph.windows(tensor.len()).position(|bytes| bytes == tensor).expect("a bias");
    graph[at + 7] = 1;
    fs::write(&path, graph).expect("a file");
    assert_eq!(
        refused(&path),
        "is damaged: a constant of node hidden_bias has 256 bytes, and its shape says 4; copy it again, or freeze it again"
    );
}

#[test]
fn names_of_a_model_never_make_a_message_two_lines() {
    // The name of the signature's input `x`, and that of a signature, become line breaks.
    for (model, name, broken) in
        [("double", &b"\x0a\x01x\x12"[..], &b"\x0a\x01\x0a\x12"[..]), ("signatures", b"same", b"sa\ne")]
    {
        let folder = tempfile::tempdir().expect("a temporary folder");
        copy(model, folder.path());
        let mut bytes = fs::read(folder.path().join("saved_model.pb")).expect("a model");
        let starts: Vec<_> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(name)).collect();
        assert!(!starts.is_empty(), "{model} has that name");
        for at in starts {
            bytes[at..at + broken.len()].copy_from_slice(broken);
        }
        fs::write(folder.path().join("saved_model.pb"), bytes).expect("a file");
        let message = refused(folder.path());
        assert!(
            message.starts_with("its signature is damaged (") || message.contains("aliases, negate, sa e"),
            "{message}"
        );
    }
}

#[test]
fn memory_that_is_not_to_be_had_is_the_machines_fault() {
    let model = open("fill.pb");
    let mut instance = model.instance().expect("an instance");
    let mut fill = |count: i64| {
        let memory = Watched::new(vec![Aligned::of(&count.to_le_bytes())]);
        let inputs = [Input { dtype: DType::Int64, ..input(0, &[], memory.piece(0)) }];
        run_list(&mut *instance, &memory, &inputs, &[0])
    };
    // 256 TiB, which is more than a process can address.
    match fill(1 << 46) {
        Err(RunError::Machine(message)) => assert!(message.contains("OOM") && !message.contains('\n'), "{message}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(lent(&fill(2).expect("it runs")[0]).0, [1.0, 1.0]);
}

#[test]
fn an_absent_model_is_reported_even_without_the_library() {
    let nowhere = Locations { explicit: Some("/no/such.so".into()), ..Locations::default() };
    let backend = TensorflowBackend::new(nowhere);
    let open = |path: &Path, options: &Options| backend.open(path, options).err().expect("it is refused");
    let error = open(Path::new("/no/such.pb"), &Options::default());
    assert!(matches!(&error, OpenError::Model(message) if message.starts_with("/no/such.pb: ")), "{error}");
    let options = Options { signature: Some("absent".into()), ..Options::default() };
    let error = open(&path_of("signatures"), &options);
    assert!(error.to_string().contains("its signatures are aliases"), "{error}");
}

#[test]
fn a_value_that_the_model_refuses_fails_the_run_and_no_later_one() {
    let model = open("gather.pb");
    let mut instance = model.instance().expect("an instance");
    let indices = |values: [i64; 2]| Watched::new(vec![Aligned::of(&values.map(i64::to_le_bytes).concat())]);
    let mut gather = |values| {
        let memory = indices(values);
        let inputs = [Input { dtype: DType::Int64, ..input(0, &[2], memory.piece(0)) }];
        run_list(&mut *instance, &memory, &inputs, &[0])
    };
    for _ in 0..3 {
        let message = failed(gather([1, 99]));
        assert!(message.contains("99 is not in [0, 3)"), "{message}");
        assert_eq!(lent(&gather([2, 0]).expect("it runs")[0]).0, [30.0, 10.0]);
    }
}

#[test]
fn a_run_that_fails_keeps_no_memory() {
    let model = open("pairs");
    let mut instance = model.instance().expect("an instance");
    let memory = floats(&[1.0; 12]);
    failed(run(&mut *instance, &memory, &[3, 4], &[0]));
    assert_eq!(memory.references(), 0);
}

#[test]
fn inputs_that_do_not_fit_the_model_never_reach_the_library() {
    let model = open("double");
    let mut instance = model.instance().expect("an instance");
    let memory = floats(&[0.0; 12]);
    let bytes = memory.piece(0);
    let mut fail = |inputs: &[Input<'_>], outputs: &[usize]| failed(run_list(&mut *instance, &memory, inputs, outputs));
    assert_eq!(fail(&[], &[0]), "input x is missing");
    assert_eq!(fail(&[input(1, &[3, 4], bytes)], &[0]), "the model has no input 1");
    assert_eq!(fail(&[input(0, &[3, 4], bytes)], &[1]), "the model has no output 1");
    assert_eq!(fail(&[input(0, &[3, 4], bytes), input(0, &[3, 4], bytes)], &[0]), "input x: it is given twice");
    let integers = Input { dtype: DType::Int32, ..input(0, &[3, 4], bytes) };
    assert_eq!(fail(&[integers], &[0]), "input x: it is int32, and the model takes float32");
    let strings = Input { elements: Elements::Strings(&[b"a"]), ..input(0, &[1, 1], bytes) };
    assert_eq!(fail(&[strings], &[0]), "input x: it is string, and the model takes float32");
    for shape in [&[12][..], &[4, 3], &[3, 4, 1], &[], &[-3, 4]] {
        let message = fail(&[input(0, shape, bytes)], &[0]);
        assert_eq!(message, format!("input x: its shape is {shape:?}, and the model takes x float32 [?, 4]"));
    }
    for rows in [4, 2, i64::MAX] {
        let message = fail(&[input(0, &[rows, 4], bytes)], &[0]);
        assert_eq!(message, format!("input x: 48 bytes are not a float32 tensor of shape [{rows}, 4]"));
    }
}

#[test]
fn shapes_that_would_end_the_process_never_reach_the_library() {
    // TensorFlow multiplies the sizes whether or not one of them is 0, and ends the process where the product is too large.
    let model = open("identity_float32");
    let mut instance = model.instance().expect("an instance");
    let memory = floats(&[]);
    for shape in [&[i64::MAX, 2, 0][..], &[0, 1 << 62, 2], &[1 << 40, 2, 0]] {
        let message = failed(run(&mut *instance, &memory, shape, &[0]));
        assert_eq!(message, format!("input x: the sizes of {shape:?} are more than TensorFlow can count"));
    }
    assert!(run(&mut *instance, &memory, &[0, 7], &[0]).is_ok());
    let model = open("identity_string.pb");
    let strings = |shape| Input { index: 0, dtype: DType::String, shape, elements: Elements::Strings(&[]) };
    let result = run_list(&mut *model.instance().expect("an instance"), &memory, &[strings(&[0, 1 << 62, 2])], &[0]);
    assert_eq!(failed(result), "input x: the sizes of [0, 4611686018427387904, 2] are more than TensorFlow can count");
}

#[test]
fn a_bool_that_is_neither_0_nor_1_never_reaches_the_library() {
    let memory = Watched::new(vec![Aligned::of(&[0, 1, 2, 1])]);
    let model = open("identity_bool");
    let inputs = [Input { dtype: DType::Bool, ..input(0, &[4], memory.piece(0)) }];
    let message = failed(run_list(&mut *model.instance().expect("an instance"), &memory, &inputs, &[0]));
    assert_eq!(message, "input x: element 2 is 2, and a bool is 0 or 1");
}

#[test]
fn the_backend_is_named_tensorflow() {
    assert_eq!(backend().name(), "tensorflow");
}
