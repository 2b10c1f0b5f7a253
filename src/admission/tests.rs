//! Requests as the writer writes them, against signatures of all kinds. Expected answers are GraphPipe's rules by hand.

use super::*;
use graphpipe_schema::reader::{Read, Window, read_request};
use graphpipe_schema::writer::{self, Content};
use proptest::prelude::*;

/// `N` is a symbol, `?` any size, a number itself; no text at all is an unknown rank.
fn spec(name: &str, dtype: DType, dims: Option<&str>) -> TensorSpec {
    let dim = |word: &str| match word.parse() {
        Ok(size) => Dim::Fixed(size),
        Err(_) if word == "?" => Dim::Any,
        Err(_) => Dim::Symbol(word.into()),
    };
    TensorSpec { name: name.into(), dtype, dims: dims.map(|dims| dims.split_whitespace().map(dim).collect()) }
}

/// Two inputs that share an axis, and two outputs.
fn model() -> Signature {
    Signature {
        inputs: vec![spec("x", DType::Float32, Some("N 3")), spec("y:0", DType::Int64, Some("N ?"))],
        outputs: vec![spec("sum", DType::Float32, Some("N")), spec("top:0", DType::Int64, Some("N"))],
        variadic: false,
    }
}

fn variadic() -> Signature {
    Signature { variadic: true, ..one(DType::Float32, None) }
}

/// One input `x` and one output `z`.
fn one(dtype: DType, dims: Option<&str>) -> Signature {
    Signature { inputs: vec![spec("x", dtype, dims)], outputs: vec![spec("z", dtype, dims)], variadic: false }
}

type Sent<'a> = (DType, &'a [i64], Content<'a>);

const X: Sent<'static> = (DType::Float32, &[2, 3], Content::Payload(24));
const Y: Sent<'static> = (DType::Int64, &[2, 1], Content::Payload(16));

fn message(tensors: &[Sent<'_>], names: &[&str], outputs: &[&str]) -> Vec<u8> {
    let inputs: Vec<_> =
        tensors.iter().map(|&(dtype, shape, content)| writer::Tensor { dtype, shape, content }).collect();
    let names: Vec<_> = names.iter().map(|name| name.as_bytes()).collect();
    let outputs: Vec<_> = outputs.iter().map(|name| name.as_bytes()).collect();
    let request = writer::InferRequest {
        inputs: &inputs,
        input_names: &names,
        output_names: &outputs,
        ..writer::InferRequest::default()
    };
    let mut bytes = Vec::new();
    let layout = writer::infer_request(&mut bytes, &request).expect("a small request");
    bytes.resize(layout.length as usize, 0);
    // The gaps between payloads, as a sender would fill them.
    let mut at = layout.head as usize;
    let payloads: Vec<u32> = tensors.iter().filter_map(|sent| payload_bytes(sent)).collect();
    for pair in payloads.windows(2) {
        at += pair[0] as usize;
        let gap = writer::gap(pair[0], pair[1]);
        bytes[at..at + gap.as_ref().len()].copy_from_slice(gap.as_ref());
        at += gap.as_ref().len();
    }
    bytes
}

fn payload_bytes(sent: &Sent<'_>) -> Option<u32> {
    match sent.2 {
        Content::Payload(bytes) if bytes > 0 => Some(bytes),
        _ => None,
    }
}

fn admitted(signature: &Signature, message: &[u8]) -> Result<Admitted, Refusal> {
    match read_request(Window::whole(message)).expect("our own writer's message") {
        Read::Infer(request) => admit(signature, &request, message.len() as u32),
        other => panic!("{other:?}"),
    }
}

fn indices(admitted: &Admitted) -> Vec<u16> {
    admitted.inputs.iter().map(|input| input.index).collect()
}

fn refused(signature: &Signature, message: &[u8], code: Code, text: &str) {
    let refusal = admitted(signature, message).expect_err(text);
    assert_eq!((refusal.code, refusal.message.as_str()), (code, text));
}

#[test]
fn unnamed_inputs_are_the_models_in_order() {
    let admitted = admitted(&model(), &message(&[X, Y], &[], &[])).unwrap();
    assert_eq!(indices(&admitted), [0, 1]);
    assert_eq!(admitted.outputs.as_slice(), [0, 1]);
    assert_eq!(admitted.inputs[1].shape.dims(), [2, 1]);
    assert_eq!(admitted.inputs[1].payload.len(), 16);
    assert!(!admitted.has_strings());
}

#[test]
fn named_inputs_may_come_in_any_order() {
    assert_eq!(indices(&admitted(&model(), &message(&[Y, X], &["y:0", "x"], &[])).unwrap()), [1, 0]);
}

#[test]
fn an_empty_or_absent_name_means_the_input_of_that_position() {
    assert_eq!(indices(&admitted(&model(), &message(&[X, Y], &["", "y:0"], &[])).unwrap()), [0, 1]);
    assert_eq!(indices(&admitted(&model(), &message(&[X, Y], &["x"], &[])).unwrap()), [0, 1]);
}

#[test]
fn a_suffix_of_tensorflow_may_be_there_or_not() {
    assert_eq!(indices(&admitted(&model(), &message(&[X, Y], &["x:0", "y"], &[])).unwrap()), [0, 1]);
    let outputs = admitted(&model(), &message(&[X, Y], &[], &["sum:0", "top"])).unwrap().outputs;
    assert_eq!(outputs.as_slice(), [0, 1]);
}

#[test]
fn outputs_come_as_they_are_asked_for_twice_if_asked_twice() {
    let outputs = admitted(&model(), &message(&[X, Y], &[], &["top:0", "sum", "top:0"])).unwrap().outputs;
    assert_eq!(outputs.as_slice(), [1, 0, 1]);
}

#[test]
fn unknown_names_are_refused_with_those_that_are_known() {
    let inputs = message(&[X, Y], &["x", "q"], &[]);
    refused(&model(), &inputs, Code::UnknownTensor, "unknown input \"q\"; the model takes 2: \"x\", \"y:0\"");
    let outputs = message(&[X, Y], &[], &["sum", "q"]);
    refused(&model(), &outputs, Code::UnknownTensor, "unknown output \"q\"; the model gives 2: \"sum\", \"top:0\"");
    let empty = message(&[X, Y], &[], &[""]);
    refused(&model(), &empty, Code::UnknownTensor, "unknown output \"\"; the model gives 2: \"sum\", \"top:0\"");
}

#[test]
fn every_input_is_needed_once() {
    let missing = message(&[X], &[], &[]);
    let text = "input \"y:0\" is missing; the model takes 2: \"x\", \"y:0\"";
    refused(&model(), &missing, Code::UnknownTensor, text);
    refused(
        &model(),
        &message(&[], &[], &[]),
        Code::UnknownTensor,
        "input \"x\" is missing; the model takes 2: \"x\", \"y:0\"",
    );
    let twice = message(&[X, X], &["x", "x:0"], &[]);
    refused(&model(), &twice, Code::UnknownTensor, "input \"x\" was sent twice");
    let many = message(&[X, Y, Y], &[], &[]);
    refused(&model(), &many, Code::UnknownTensor, "3 inputs were sent; the model takes 2: \"x\", \"y:0\"");
    let names = message(&[X, Y], &["x", "y:0", "z"], &[]);
    refused(&model(), &names, Code::UnknownTensor, "3 input names were sent with 2 input tensors");
}

#[test]
fn a_wrong_type_rank_or_dimension_is_refused() {
    let of = |dtype, shape, bytes| message(&[(dtype, shape, Content::Payload(bytes)), Y], &[], &[]);
    let wrong = |bytes: Vec<u8>, text| refused(&model(), &bytes, Code::WrongTensor, text);
    wrong(of(DType::Float64, &[2, 3], 48), "input \"x\": expected float32, got float64");
    wrong(of(DType::Float32, &[2, 4], 32), "input \"x\": expected x float32 [N, 3], got shape [2, 4]");
    wrong(of(DType::Float32, &[2, 3, 1], 24), "input \"x\": expected x float32 [N, 3], got shape [2, 3, 1]");
    wrong(of(DType::Float32, &[], 4), "input \"x\": expected x float32 [N, 3], got shape []");
}

#[test]
fn the_length_of_the_elements_is_that_of_the_shape() {
    for bytes in [0, 20, 23, 25, 28] {
        let sent = message(&[(DType::Float32, &[2, 3], Content::Payload(bytes)), Y], &[], &[]);
        let text = format!("input \"x\": expected 24 bytes for float32 [2, 3], got {bytes}");
        refused(&model(), &sent, Code::WrongTensor, &text);
    }
}

#[test]
fn a_symbol_has_one_size() {
    let sent = message(&[X, (DType::Int64, &[5, 1], Content::Payload(40))], &[], &[]);
    let text = "input \"y:0\": axis 0 (N) has size 5, but N is 2 in input \"x\"";
    refused(&model(), &sent, Code::WrongTensor, text);
    let square = one(DType::Uint8, Some("N N"));
    let sent = message(&[(DType::Uint8, &[2, 3], Content::Payload(6))], &[], &[]);
    let text = "input \"x\": axis 1 (N) has size 3, but N is 2 in input \"x\"";
    refused(&square, &sent, Code::WrongTensor, text);
}

#[test]
fn rank_zero_and_no_elements_are_fine() {
    let scalar = message(&[(DType::Float64, &[], Content::Payload(8))], &[], &[]);
    assert_eq!(admitted(&one(DType::Float64, Some("")), &scalar).unwrap().inputs[0].payload.len(), 8);
    let empty = message(&[(DType::Float64, &[0, 3], Content::Payload(0))], &[], &[]);
    assert!(admitted(&one(DType::Float64, Some("N 3")), &empty).unwrap().inputs[0].payload.is_empty());
}

#[test]
fn strings_are_counted_not_measured() {
    let signature = one(DType::String, Some("N"));
    let words: &[&[u8]] = &[b"a", b"", b"\0\xff"];
    let sent = |shape| message(&[(DType::String, shape, Content::Strings(words))], &[], &[]);
    assert!(admitted(&signature, &sent(&[3])).unwrap().has_strings());
    let text = "input \"x\": expected 4 strings for shape [4], got 3";
    refused(&signature, &sent(&[4]), Code::WrongTensor, text);
}

#[test]
fn strings_on_top_of_each_other_are_refused() {
    let words: &[&[u8]] = &[&[b'w'; 200], b"", b"", b"", b""];
    let mut sent = message(&[(DType::String, &[5], Content::Strings(words))], &[], &[]);
    let signature = one(DType::String, None);
    let long = sent.windows(200).position(|window| window == words[0]).unwrap() - 4;
    // Elements are offsets from where they stand; all five are made to point to the long string.
    let first = (0..sent.len() - 4).step_by(4).find(|&at| at + offset(&sent, at) == long).unwrap();
    for at in (first..first + 20).step_by(4) {
        let distance = (long - at) as u32;
        sent[at..at + 4].copy_from_slice(&distance.to_le_bytes());
    }
    let refusal = admitted(&signature, &sent).unwrap_err();
    assert!(refusal.message.contains("its strings overlap: 1000 bytes"), "{}", refusal.message);
}

fn offset(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

#[test]
fn a_variadic_model_takes_anything_and_gives_it_back() {
    let words: &[&[u8]] = &[b"w"];
    let sent = message(&[X, Y, (DType::String, &[1], Content::Strings(words))], &["a", "a"], &[]);
    let taken = admitted(&variadic(), &sent).unwrap();
    assert_eq!((indices(&taken), taken.outputs.as_slice()), (vec![0, 1, 2], &[0, 1, 2][..]));
    let one_asked = admitted(&variadic(), &message(&[X, Y], &[], &["whatever"])).unwrap();
    assert_eq!(one_asked.outputs.as_slice(), [0]);
    let text = "2 outputs were asked for; 1 inputs give 1";
    refused(&variadic(), &message(&[X], &[], &["a", "b"]), Code::UnknownTensor, text);
    let short = message(&[(DType::Int16, &[3], Content::Payload(5))], &[], &[]);
    refused(&variadic(), &short, Code::WrongTensor, "input 0: expected 6 bytes for int16 [3], got 5");
    let nothing = admitted(&variadic(), &message(&[], &[], &[])).unwrap();
    assert!(nothing.inputs.is_empty() && nothing.outputs.is_empty());
}

#[test]
fn names_are_shown_short_and_on_one_line() {
    assert_eq!(quoted(b"a\nb"), "\"a\\nb\"");
    assert_eq!(quoted(&[b'n'; 64]), format!("\"{}\"", "n".repeat(64)));
    assert_eq!(quoted(&vec![b'n'; 100_000]), format!("\"{}\"…", "n".repeat(64)));
    assert_eq!(quoted(b"\xff"), "\"\u{fffd}\"");
}

proptest! {
    /// Whatever is admitted really fits: types are the model's, lengths those of the shapes, symbols agree.
    #[test]
    fn what_is_admitted_fits(
        rows in prop::collection::vec(0_i64..4, 2), columns in 0_i64..5, bytes in 0_u32..200, extra in 0_u32..3,
        dtype in 0_usize..3,
    ) {
        let dtype = [DType::Float32, DType::Int64, DType::Int32][dtype];
        let y_bytes = (rows[1] * columns * 8) as u32 + extra / 2;
        let (x_shape, y_shape) = ([rows[0], 3], [rows[1], columns]);
        let tensors = [(dtype, &x_shape[..], Content::Payload(bytes)), (DType::Int64, &y_shape[..], Content::Payload(y_bytes))];
        let fits = dtype == DType::Float32 && bytes == (rows[0] * 12) as u32 && extra < 2 && rows[0] == rows[1];
        prop_assert_eq!(admitted(&model(), &message(&tensors, &[], &[])).is_ok(), fits);
    }
}

#[test]
fn payloads_on_top_of_each_other_are_refused() {
    let input = |payload| AdmittedInput { index: 0, dtype: DType::Uint8, shape: Shape::SCALAR, payload };
    assert_eq!(payloads_fit(&[input(64..164), input(200..300)], 300), Ok(()));
    let shared = [input(100..300), input(100..300)];
    let refusal = payloads_fit(&shared, 300).unwrap_err();
    assert_eq!(refusal.code, Code::Malformed);
    assert!(refusal.message.contains("400 bytes of payload in a message of 300"), "{}", refusal.message);
}

#[test]
fn more_strings_than_the_bound_are_too_many() {
    let strings = vec![b"".as_slice(); STRINGS_MAX as usize + 1];
    let (count, most) = (strings.len() as i64, STRINGS_MAX as i64);
    let signature = one(DType::String, Some("?"));
    let fits = message(&[(DType::String, &[most], Content::Strings(&strings[1..]))], &[], &[]);
    assert!(admitted(&signature, &fits).is_ok());
    let over = message(&[(DType::String, &[count], Content::Strings(&strings))], &[], &[]);
    refused(
        &signature,
        &over,
        Code::TooLarge,
        "input \"x\": 1048577 strings are too many; 1048576 is the most of a tensor",
    );
}
