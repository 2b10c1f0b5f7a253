//! Descriptions as operators write them, right and wrong.

use super::*;
use std::fs;

/// A framework that has no strings.
const NO_STRINGS: Framework = Framework { name: "PyTorch", has: |dtype| dtype != DType::String };

fn refused(text: &str) -> String {
    let message = parse(text, NO_STRINGS).expect_err(text);
    assert!(!message.contains(char::is_control), "{message}");
    message
}

#[test]
fn names_types_and_shapes_are_read_in_their_order_or_left_out() {
    let text = r#"
        [[inputs]]
        name = "image"
        dtype = "float32"
        shape = ["N", 64, "?"]

        [[inputs]]
        name = "mask"

        [[outputs]]
        name = "digit"
        dtype = "int64"
        shape = []
    "#;
    let description = parse(text, NO_STRINGS).expect("it is sound");
    let dims = vec![Dim::Symbol("N".into()), Dim::Fixed(64), Dim::Any];
    let image = Described { name: "image".into(), dtype: Some(DType::Float32), dims: Some(dims), line: 2 };
    let mask = Described { name: "mask".into(), dtype: None, dims: None, line: 7 };
    let digit = Described { name: "digit".into(), dtype: Some(DType::Int64), dims: Some(vec![]), line: 10 };
    assert_eq!(description, Description { inputs: vec![image, mask], outputs: vec![digit] });
    assert_eq!(parse("", NO_STRINGS), Ok(Description::default()));
}

#[test]
fn tensors_may_be_written_in_one_line() {
    let text = "# As an error says it.\ninputs = [{ name = \"data\", shape = [\"N\", 3, 224, 224] }]\n";
    let description = parse(text, NO_STRINGS).expect("it is sound");
    let [data] = &description.inputs[..] else { panic!("{description:?}") };
    assert_eq!((data.name.as_str(), data.dims.as_ref().map(Vec::len), data.line), ("data", Some(4), 2));
}

#[test]
fn a_key_that_is_unknown_is_named_with_its_line() {
    let message = refused("[[outputs]]\nname = \"y\"\ndtype = \"int8\"\nshapes = [1]\n");
    assert!(message.starts_with("line 4: unknown field `shapes`, expected "), "{message}");
    let message = refused("[[outputs]]\nname = \"y\"\ndtype = \"int8\"\n[model]\n");
    assert!(message.contains("unknown field `model`"), "{message}");
}

#[test]
fn what_is_not_a_description_is_refused_with_its_line() {
    let output = |rest: &str| format!("[[outputs]]\nname = \"y\"\n{rest}\n");
    let cases = [
        ("[[outputs]".into(), "line 1: "),
        ("\n[[inputs]]\nshape = [1]\n".into(), "line 2: missing field `name`"),
        (output("dtype = \"float8\""), "line 3: PyTorch has no type \"float8\"; it has uint8, int8, "),
        (output("dtype = \"string\""), "line 3: PyTorch has no type \"string\"; it has "),
        (output("dtype = \"int8\"\nshape = [-1]"), "line 4: invalid value: integer `-1`, expected a size, a name"),
        (output("dtype = \"int8\"\nshape = [1.5]"), "line 4: invalid type: floating point `1.5`, expected a size, a"),
        (output("dtype = \"int8\"\nshape = [\"64\"]"), "line 4: invalid value: string \"64\", expected a size, a name"),
        (output("dtype = \"int8\"\nshape = [\"\"]"), "line 4: invalid value: string \"\", expected a size, a name"),
        (output("dtype = \"int8\"\nshape = 4"), "line 4: invalid type: integer `4`, expected a sequence"),
        (output("dtype = \"int8\"").repeat(2), "two outputs have the name \"y\"; describe each of them once"),
        ("inputs = [{ name = \"a\" }, { name = \"a\" }]".into(), "two inputs have the name \"a\"; describe each"),
        ("[[outputs]]\nname = \"\"\ndtype = \"int8\"".into(), "an output has the name \"\"; "),
        ("[[outputs]]\nname = \"a\\u0000b\"\ndtype = \"int8\"".into(), "an output has the name \"a\\0b\"; "),
        ("[[outputs]]\nname = \"a\\nb\"\ndtype = \"int8\"".into(), "an output has the name \"a\\nb\"; "),
        ("[[outputs]]\nname = \"a\\u001b[31m\"\ndtype = \"int8\"".into(), "an output has the name \"a\\u{1b}[31m\"; "),
        (
            output("dtype = \"int8\"\nshape = [\"N\\u001b\"]"),
            "line 4: invalid value: string \"N\\u{1b}\", expected a size, a name",
        ),
        (output("dtype = \"a\\u001b\""), "line 3: PyTorch has no type \"a\\u{1b}\"; it has "),
        (output("\"a\\u001b\" = 1"), "line 3: unknown field `a?`, expected "),
        (output(&format!("dtype = \"int8\"\nshape = {:?}", [1; 17])), "output y has more than 16 axes, "),
    ];
    for (text, expected) in cases {
        let message = refused(&text);
        assert!(message.starts_with(expected), "{text}: {message}");
    }
}

#[test]
fn a_file_that_is_not_there_says_nothing_and_one_that_is_none_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = path_of(&folder.path().join("m.pt"));
    assert_eq!(path, folder.path().join("m.toml"));
    assert_eq!(read(&path, NO_STRINGS), Ok(None));
    fs::write(&path, "[[outputs]]\nname = \"y\"\n").expect("a file");
    let description = read(&path, NO_STRINGS).expect("it is sound").expect("it is there");
    assert_eq!(description.outputs[0].name, "y");
    fs::write(&path, "#".repeat(70_000)).expect("a file");
    let expected = "is longer than 65536 bytes; say no more in it than what goes in and out";
    assert_eq!(read(&path, NO_STRINGS), Err(expected.into()));
    fs::write(&path, b"\xff\xfe").expect("a file");
    assert_eq!(read(&path, NO_STRINGS), Err("is not text in UTF-8; save it as such".into()));
    fs::remove_file(&path).expect("a file");
    fs::create_dir(&path).expect("a folder");
    assert_eq!(read(&path, NO_STRINGS), Err("is not a regular file".into()));
}
