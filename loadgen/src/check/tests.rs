//! Outputs as protocols decode them, held against each kind of expectation.

use super::*;
use crate::inputs::Cut;
use crate::signature::Io;
use std::path::{Path, PathBuf};

fn floats(name: &str, shape: &[i64], values: &[f32]) -> Tensor {
    let data = Data::Bytes(values.iter().flat_map(|value| value.to_le_bytes()).collect());
    Tensor { name: name.to_owned(), dtype: DType::Float32, shape: shape.to_vec(), data }
}

fn strings(name: &str, values: &[&str]) -> Tensor {
    let data = Data::Strings(values.iter().map(|value| value.as_bytes().to_vec()).collect());
    Tensor { name: name.to_owned(), dtype: DType::String, shape: vec![values.len() as i64], data }
}

fn bytes(values: &[u8]) -> Tensor {
    let shape = vec![values.len() as i64];
    Tensor { name: String::new(), dtype: DType::Uint8, shape, data: Data::Bytes(values.to_vec()) }
}

fn request(inputs: Vec<Tensor>) -> Request {
    Request { inputs, rows: 1, cut: None }
}

fn checker(expect: &Expect, tolerance: f64, protocol: Protocol, requests: &[Request]) -> Checker {
    let dialect = Dialect { protocol, host: String::new(), path: String::new(), model: String::new() };
    Checker::new(expect, tolerance, &dialect, &Signature::default(), requests).unwrap()
}

fn echo_of(inputs: Vec<Tensor>, tolerance: f64) -> Checker {
    checker(&Expect::Echo, tolerance, Protocol::Native, &[request(inputs)])
}

fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file)
}

fn error(result: Result<Checked, String>) -> String {
    result.unwrap_err()
}

#[test]
fn an_echo_has_the_inputs_in_their_order_under_any_names() {
    let inputs = vec![floats("a", &[2], &[1.0, 2.0]), strings("b", &["x", "y"])];
    let echo = echo_of(inputs, 0.0);
    echo.judge(0, vec![floats("p", &[2], &[1.0, 2.0]), strings("q", &["x", "y"])]).unwrap();
    let swapped = echo.judge(0, vec![strings("q", &["x", "y"]), floats("p", &[2], &[1.0, 2.0])]);
    assert_eq!(error(swapped), "output \"q\" is string[2], expected float32[2]");
    assert_eq!(error(echo.judge(0, vec![floats("p", &[2], &[1.0, 2.0])])), "the reply has 1 output, expected 2");
    let other = echo.judge(0, vec![floats("p", &[2], &[1.0, 2.0]), strings("q", &["x", "\"\n"])]);
    assert_eq!(error(other), "output \"q\": element [1] is \"\\\"\\n\", expected \"y\"");
}

#[test]
fn the_first_difference_is_shown_and_the_others_are_counted() {
    let mut values = [0.5; 24];
    let echo = echo_of(vec![floats("x", &[4, 6], &values)], 0.0);
    values[23] = 0.25;
    assert_eq!(
        error(echo.judge(0, vec![floats("y", &[4, 6], &values)])),
        "output \"y\": element [3,5] is 0.25, expected 0.5"
    );
    values[..12].fill(1e30);
    assert_eq!(
        error(echo.judge(0, vec![floats("", &[4, 6], &values)])),
        "output \"x\": element [0,0] is 1e30, expected 0.5 (and 12 more differ)".replace("\"x\"", "0")
    );
    assert_eq!(
        error(echo.judge(0, vec![floats("y", &[6, 4], &values)])),
        "output \"y\" is float32[6,4], expected float32[4,6]"
    );
    let short = Tensor { data: Data::Bytes(vec![0; 95]), ..floats("y", &[4, 6], &[]) };
    assert_eq!(error(echo.judge(0, vec![short])), "output \"y\" has 95 bytes, expected 96");
}

#[test]
fn integers_are_exact_and_shown_with_their_sign() {
    let int =
        |dtype, bytes: &[u8]| Tensor { name: "y".to_owned(), dtype, shape: vec![], data: Data::Bytes(bytes.to_vec()) };
    for (dtype, is, right, sentence) in [
        (DType::Int8, &[0x80][..], &[1][..], "is -128, expected 1"),
        (DType::Uint16, &[0xff, 0xff], &[0, 1], "is 65535, expected 256"),
        (DType::Int64, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], &[0; 8], "is -2, expected 0"),
        (DType::Uint64, &[0xff; 8], &[0; 8], "is 18446744073709551615, expected 0"),
        (DType::Bool, &[1], &[0], "is 1, expected 0"),
        // 0x3c00 is 1 in binary16, 0x3f80 in bfloat16; 0xc000 is -2 in both.
        (DType::Float16, &[0x00, 0x3c], &[0x00, 0xc0], "is 1.0, expected -2.0"),
        (DType::Bfloat16, &[0x80, 0x3f], &[0x00, 0xc0], "is 1.0, expected -2.0"),
    ] {
        let echo = echo_of(vec![int(dtype, right)], 1e-3);
        echo.judge(0, vec![int(dtype, right)]).unwrap();
        assert_eq!(error(echo.judge(0, vec![int(dtype, is)])), format!("output \"y\": element [] {sentence}"));
    }
}

#[test]
fn without_a_tolerance_bits_decide_but_any_nan_is_nan() {
    let echo = echo_of(vec![floats("", &[2], &[0.0, f32::NAN])], 0.0);
    echo.judge(0, vec![floats("", &[2], &[0.0, f32::from_bits(0xffc0_0001)])]).unwrap();
    let zero = echo.judge(0, vec![floats("", &[2], &[-0.0, f32::NAN])]);
    assert_eq!(error(zero), "output 0: element [0] is -0.0, expected 0.0");
    let number = echo.judge(0, vec![floats("", &[2], &[0.0, 1.0])]);
    assert_eq!(error(number), "output 0: element [1] is 1.0, expected NaN");
    assert!(echo_of(vec![floats("", &[1], &[1.0])], 0.0).judge(0, vec![floats("", &[1], &[1.000_000_1])]).is_err());
}

#[test]
fn a_tolerance_is_absolute_and_relative() {
    // With t = 0.25, the most that 4 may be is 4 + 0.25 + 0.25 * 4 = 5.25, the least 2.75; 0 may be 0.25.
    let echo = echo_of(vec![floats("y", &[4], &[4.0, 4.0, 0.0, f32::INFINITY])], 0.25);
    echo.judge(0, vec![floats("y", &[4], &[5.25, 2.75, -0.25, f32::INFINITY])]).unwrap();
    for (at, value) in
        [(0, 5.26), (1, 2.74), (2, 0.26), (3, 1.0), (3, f32::NEG_INFINITY), (0, f32::NAN), (0, f32::INFINITY)]
    {
        let mut values = [4.0, 4.0, 0.0, f32::INFINITY];
        values[at] = value;
        let error = error(echo.judge(0, vec![floats("y", &[4], &values)]));
        assert!(error.starts_with(&format!("output \"y\": element [{at}] is {value:?}, expected")), "{error}");
    }
    for tolerance in [-1.0, f64::NAN, f64::INFINITY] {
        let dialect =
            Dialect { protocol: Protocol::Raw, host: String::new(), path: String::new(), model: String::new() };
        assert!(Checker::new(&Expect::Echo, tolerance, &dialect, &Signature::default(), &[]).is_err());
    }
}

#[test]
fn the_first_reply_to_each_request_is_what_later_ones_are_held_against() {
    let requests = [request(vec![]), request(vec![])];
    let first = checker(&Expect::First, 0.0, Protocol::Native, &requests);
    first.judge(0, vec![floats("a", &[1], &[1.0]), floats("b", &[1], &[2.0])]).unwrap();
    first.judge(1, vec![floats("a", &[1], &[3.0])]).unwrap();
    // JSON objects have no order.
    first.judge(0, vec![floats("b", &[1], &[2.0]), floats("a", &[1], &[1.0])]).unwrap();
    first.judge(1, vec![floats("a", &[1], &[3.0])]).unwrap();
    assert_eq!(
        error(first.judge(1, vec![floats("a", &[1], &[1.0])])),
        "output \"a\": element [0] is 1.0, expected 3.0"
    );
    assert_eq!(error(first.judge(0, vec![floats("a", &[1], &[1.0])])), "the reply has 1 output, expected 2");
    let renamed = first.judge(0, vec![floats("a", &[1], &[1.0]), floats("c", &[1], &[2.0])]);
    assert_eq!(error(renamed), "the reply has no output \"b\"");
}

#[test]
fn raw_bytes_are_compared_as_what_is_expected() {
    let raw = checker(&Expect::Echo, 0.5, Protocol::Raw, &[request(vec![floats("x", &[1, 2], &[1.0, 2.0])])]);
    raw.judge(0, vec![bytes(&[1.25_f32.to_le_bytes(), 2.0_f32.to_le_bytes()].concat())]).unwrap();
    let wrong = raw.judge(0, vec![bytes(&[1.0_f32.to_le_bytes(), 9.0_f32.to_le_bytes()].concat())]);
    assert_eq!(error(wrong), "output 0: element [0,1] is 9.0, expected 2.0");
    assert_eq!(error(raw.judge(0, vec![bytes(&[0; 7])])), "output 0 is uint8[7], expected float32[1,2]");
    let text = checker(&Expect::Echo, 0.0, Protocol::Raw, &[request(vec![strings("x", &["ab", "", "c"])])]);
    text.judge(0, vec![bytes(b"abc")]).unwrap();
    assert_eq!(error(text.judge(0, vec![bytes(b"abd")])), "output 0: element [2] is \"d\", expected \"c\"");
}

/// Rows of a file of six.
fn pairs() -> Vec<Request> {
    (0..3).map(|at| Request { cut: Some(Cut { first: 2 * at, rows: 2, of: 6 }), ..request(vec![]) }).collect()
}

#[test]
fn golden_rows_belong_to_the_rows_that_were_sent() {
    // The array in both files is 0, 0.25, … 2.75, in rows of two.
    let row = |first: f32| floats("image", &[2, 2], &[first, first + 0.25, first + 0.5, first + 0.75]);
    let named = checker(&Expect::Golden(data("two.npz")), 0.0, Protocol::OipJson, &pairs());
    let int = |value: i32| value.to_le_bytes();
    let ids = Tensor {
        name: "ids".to_owned(),
        dtype: DType::Int32,
        shape: vec![2, 2],
        data: Data::Bytes([4, 5, 6, 7].map(int).concat()),
    };
    named.judge(1, vec![floats("more", &[1], &[0.0]), row(1.0), ids.clone()]).unwrap();
    assert_eq!(error(named.judge(1, vec![row(1.0)])), "the reply has no output \"ids\"");
    let wrong = named.judge(2, vec![row(2.0), ids]);
    assert_eq!(error(wrong), "output \"ids\": element [0,0] is 4, expected 8 (and 3 more differ)");
    let first = checker(&Expect::Golden(data("float32.npy")), 0.0, Protocol::Native, &pairs());
    first.judge(2, vec![row(2.0)]).unwrap();
    assert!(first.judge(0, vec![row(2.0)]).is_err());
    let whole = checker(&Expect::Golden(data("scalar.npy")), 0.0, Protocol::Native, &[request(vec![])]);
    whole.judge(0, vec![floats("y", &[], &[3.0])]).unwrap();
    assert_eq!(error(whole.judge(0, vec![])), "the reply has no output 0");
}

#[test]
fn an_only_output_needs_no_name() {
    let golden = checker(&Expect::Golden(data("compressed.npz")), 0.0, Protocol::OipJson, &[request(vec![])]);
    golden.judge(0, vec![floats("", &[100, 10], &[0.0; 1000])]).unwrap();
    assert!(golden.judge(0, vec![floats("other", &[100, 10], &[0.0; 1000])]).is_err());
}

#[test]
fn golden_files_that_no_reply_can_match_are_refused_up_front() {
    let output = |name: &str, dtype, shape: &[i64]| Io {
        name: name.to_owned(),
        dtype: Some(dtype),
        shape: Some(shape.to_vec()),
    };
    let refused = |file: &str, outputs: Vec<Io>, requests: &[Request]| {
        let dialect =
            Dialect { protocol: Protocol::Native, host: String::new(), path: String::new(), model: String::new() };
        let signature = Signature { model: "m".to_owned(), outputs, ..Signature::default() };
        let error = Checker::new(&Expect::Golden(data(file)), 0.0, &dialect, &signature, requests).unwrap_err();
        let known = if signature.outputs.is_empty() { String::new() } else { format!("; the model is {signature}") };
        assert!(error.ends_with(&known), "{error}");
        error.replace(&data(file).display().to_string(), file)
    };
    let one = [request(vec![])];
    let image = || output("image", DType::Float32, &[-1, 2]);
    let unknown = refused("two.npz", vec![image()], &one);
    assert!(unknown.starts_with("two.npz has \"ids\", which is no output of the model"), "{unknown}");
    for outputs in [
        vec![output("y", DType::Float64, &[-1, 2])],
        vec![output("y", DType::Float32, &[-1, 3])],
        vec![output("y", DType::Float32, &[5, 2])],
    ] {
        let error = refused("float32.npy", outputs, &one);
        assert!(
            error.starts_with("float32.npy has float32[6,2], and output \"y\" is not of that type or shape"),
            "{error}"
        );
    }
    let many = refused("float32.npy", vec![image()], &[request(vec![]), request(vec![])]);
    assert!(many.starts_with("float32.npy has the outputs of one request, and there are 2 different ones"), "{many}");
    let rows = refused("bool.npy", vec![], &pairs());
    assert!(rows.starts_with("bool.npy has 3 rows, and the inputs' file has 6"), "{rows}");
    assert!(refused("absent.npy", vec![], &one).starts_with("cannot read absent.npy: "));
}

#[test]
fn an_output_answers_for_one_expectation_only() {
    let first = checker(&Expect::First, 0.0, Protocol::OipJson, &[request(vec![])]);
    let (a, x) = (floats("a", &[1], &[1.0]), floats("x", &[1], &[1.0]));
    assert_eq!(first.judge(0, vec![a.clone(), x.clone()]), Ok(Checked::Kept));
    assert_eq!(first.judge(0, vec![x, a.clone()]), Ok(Checked::Compared));
    assert_eq!(error(first.judge(0, vec![a.clone(), a])), "the reply has no output \"x\"");
    let golden = checker(&Expect::Golden(data("compressed.npz")), 0.0, Protocol::OipJson, &[request(vec![])]);
    let name = crate::inputs::arrays(&data("compressed.npz")).unwrap().remove(0).name;
    let (right, wrong) = (floats(&name, &[100, 10], &[0.0; 1000]), floats(&name, &[1], &[7.0]));
    golden.judge(0, vec![right.clone()]).unwrap();
    assert_eq!(error(golden.judge(0, vec![right, wrong])), format!("the reply has output \"{name}\" twice"));
}

/// A checker of first replies of a model with these outputs.
fn first_of(outputs: &[(&str, DType, &[i64])]) -> Checker {
    let io = |&(name, dtype, shape): &(&str, DType, &[i64])| Io {
        name: name.to_owned(),
        dtype: Some(dtype),
        shape: Some(shape.to_vec()),
    };
    let signature = Signature { outputs: outputs.iter().map(io).collect(), ..Signature::default() };
    let dialect =
        Dialect { protocol: Protocol::OipJson, host: String::new(), path: String::new(), model: String::new() };
    Checker::new(&Expect::First, 0.0, &dialect, &signature, &[request(vec![])]).unwrap()
}

#[test]
fn a_first_reply_that_is_not_what_the_signature_says_is_wrong_and_not_kept() {
    let first = first_of(&[("y", DType::Float32, &[-1, 2])]);
    let gives = "and the model gives y float32[?,2]";
    for (tensor, form) in [
        (floats("y", &[2], &[1.0; 2]), "float32[2]"),
        (floats("y", &[1, 3], &[1.0; 3]), "float32[1,3]"),
        (Tensor { name: "y".to_owned(), ..bytes(&[1]) }, "uint8[1]"),
    ] {
        assert_eq!(error(first.judge(0, vec![tensor])), format!("output \"y\" is {form}, {gives}"));
    }
    assert_eq!(error(first.judge(0, vec![])), "the reply has 0 outputs, expected 1");
    let other = first.judge(0, vec![floats("z", &[1, 2], &[1.0; 2])]);
    assert_eq!(error(other), "the reply has no output \"y\"");
    let right = || vec![floats("y", &[1, 2], &[1.0; 2])];
    assert_eq!(first.judge(0, right()), Ok(Checked::Kept));
    assert_eq!(first.judge(0, right()), Ok(Checked::Compared));
}

#[test]
fn what_cannot_be_read_is_told_from_what_is_wrong() {
    let echo = echo_of(vec![floats("x", &[1], &[1.0])], 0.0);
    let reply = |outcome, body| Reply { id: None, outcome, closes: false, json_bytes: None, body };
    let unreadable = echo.check(0, &reply(Outcome::Outputs, b"nonsense")).unwrap_err();
    assert!(matches!(&unreadable, Problem::Unreadable(why) if why.starts_with("the reply is no GraphPipe message")));
    assert!(matches!(echo.check(0, &reply(Outcome::Status(500), b"")), Err(Problem::Wrong(_))));
}

#[test]
fn types_that_nobody_has_said_are_those_that_are_expected() {
    let inputs = || vec![floats("x", &[2], &[0.1, 1.0])];
    let echo = checker(&Expect::Echo, 0.0, Protocol::TfsJson, &[request(inputs())]);
    for body in [br#"{"outputs":[0.1,1.0]}"#.as_slice(), br#"{"outputs":{"y":[0.1,1.0]}}"#] {
        let reply = Reply { id: None, outcome: Outcome::Outputs, closes: false, json_bytes: None, body };
        assert_eq!(echo.check(0, &reply), Ok(Checked::Compared));
    }
}

#[test]
fn several_names_are_of_no_use_where_replies_have_none() {
    let dialect =
        Dialect { protocol: Protocol::Native, host: String::new(), path: String::new(), model: String::new() };
    let golden = Expect::Golden(data("two.npz"));
    let error = Checker::new(&golden, 0.0, &dialect, &Signature::default(), &[request(vec![])]).unwrap_err();
    assert!(error.contains("has 2 outputs by name, and native does not say which output is which"), "{error}");
}
