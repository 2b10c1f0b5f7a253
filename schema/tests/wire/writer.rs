//! What the writer promises: every message passes FlatBuffers' verifier, says what was given, and places its payloads.

use super::{oracle, ours};
use flatbuffers::FlatBufferBuilder;
use graphpipe_schema::generated as fb;
use graphpipe_schema::metadata::{Io, Metadata};
use graphpipe_schema::reader::{Read, ReadResponse, Window, read_request, read_response};
use graphpipe_schema::writer::{self, Content, InferRequest, Layout, Tensor, Unwritable};
use graphpipe_schema::{Code, DType, MESSAGE_BYTES_MAX, Shape, TENSORS_MAX};
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Given {
    dtype: DType,
    shape: Vec<i64>,
    payload: Vec<u8>,
    strings: Vec<String>,
}

fn any_tensor() -> impl Strategy<Value = Given> {
    let dtype = (0..DType::ALL.len()).prop_map(|index| DType::ALL[index]);
    (dtype, proptest::collection::vec(0_i64..6, 0..4)).prop_flat_map(|(dtype, shape)| {
        let shaped = Shape::new(&shape).unwrap();
        let bytes = shaped.bytes(dtype).unwrap_or(0) as usize;
        let count = if dtype == DType::String { shaped.elements().unwrap() as usize } else { 0 };
        let content = (proptest::collection::vec(any::<u8>(), bytes), proptest::collection::vec("\\PC{0,9}", count));
        content.prop_map(move |(payload, strings)| Given { dtype, shape: shape.clone(), payload, strings })
    })
}

fn any_texts(count: usize) -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(prop_oneof![Just(String::new()), "\\PC{0,20}"], 0..=count)
}

fn slices(strings: &[String]) -> Vec<&[u8]> {
    strings.iter().map(String::as_bytes).collect()
}

fn with_tensors<T>(given: &[Given], write: impl FnOnce(&[Tensor<'_>]) -> T) -> T {
    let strings: Vec<Vec<&[u8]>> = given.iter().map(|given| slices(&given.strings)).collect();
    let tensors: Vec<_> = given
        .iter()
        .zip(&strings)
        .map(|(given, strings)| {
            let content = match given.dtype {
                DType::String => Content::Strings(strings),
                _ => Content::Payload(given.payload.len() as u32),
            };
            Tensor { dtype: given.dtype, shape: &given.shape, content }
        })
        .collect();
    write(&tensors)
}

/// Checks the layout, and returns the whole message, without the bytes that `out` began with.
fn assembled(out: &[u8], skip: usize, layout: Layout, given: &[Given]) -> Vec<u8> {
    let mut message = out[skip..].to_vec();
    assert_eq!(message.len(), layout.head as usize);
    ours::assemble(&mut message, given.iter().map(|given| given.payload.as_slice()));
    assert_eq!(message.len(), layout.length as usize);
    if layout.head == layout.length {
        assert!(given.iter().all(|given| given.payload.is_empty()));
    } else {
        assert_eq!(layout.head % 64, 0);
    }
    message
}

fn assert_given(message: &[u8], tensor: &graphpipe_schema::reader::Tensor<'_>, given: &Given) {
    assert_eq!(tensor.dtype(), given.dtype);
    assert_eq!(tensor.shape().get().unwrap().dims(), given.shape);
    let payload = tensor.payload().get().unwrap();
    assert_eq!(message[payload.start as usize..payload.end as usize], given.payload);
    if !given.payload.is_empty() {
        assert_eq!(payload.start % 64, 0);
    }
    assert!(tensor.strings().eq(given.strings.iter().map(String::as_bytes)));
}

proptest! {
    #[test]
    fn requests_pass_the_verifier_and_say_what_was_given(
        inputs in proptest::collection::vec(any_tensor(), 0..6),
        names in [any_texts(6), any_texts(6)],
        texts in ["\\PC{0,20}", "\\PC{0,9}", "\\PC{0,9}", "\\PC{0,9}"],
        deadline_us in prop_oneof![Just(0), any::<u64>()],
        priority in prop_oneof![Just(0), any::<u8>()],
        skip in 0..9_usize,
    ) {
        let mut out = vec![0xAA; skip];
        let [input_names, output_names] = names.each_ref().map(|names| slices(names));
        let layout = with_tensors(&inputs, |inputs| writer::infer_request(&mut out, &InferRequest {
            config: texts[0].as_bytes(),
            input_names: &input_names,
            inputs,
            output_names: &output_names,
            model: texts[1].as_bytes(),
            version: texts[2].as_bytes(),
            deadline_us,
            priority,
            trace_id: texts[3].as_bytes(),
        })).unwrap();
        let message = assembled(&out, skip, layout, &inputs);
        oracle::assert_request(&message);

        // The head alone says all.
        let read = read_request(Window::split(&message[..layout.head as usize], &[], layout.length));
        let Ok(Read::Infer(request)) = read else { panic!("{read:?}") };
        prop_assert!(request.is_complete());
        for (index, given) in inputs.iter().enumerate() {
            assert_given(&message, &request.input(index).get().unwrap(), given);
        }
        prop_assert_eq!(request.config().get().unwrap(), texts[0].as_bytes());
        prop_assert_eq!(request.model().get().unwrap(), texts[1].as_bytes());
        prop_assert_eq!(request.version().get().unwrap(), texts[2].as_bytes());
        prop_assert_eq!(request.trace_id().get().unwrap(), texts[3].as_bytes());
        prop_assert_eq!((request.deadline_us(), request.priority()), (deadline_us, priority));
        for (index, name) in input_names.iter().enumerate() {
            prop_assert_eq!(request.input_name(index).get().unwrap(), *name);
        }
        for (index, name) in output_names.iter().enumerate() {
            prop_assert_eq!(request.output_name(index).get().unwrap(), *name);
        }
    }

    #[test]
    fn replies_pass_the_verifier_and_say_what_was_given(
        outputs in proptest::collection::vec(any_tensor(), 0..6),
        skip in 0..9_usize,
    ) {
        let mut out = vec![0xAA; skip];
        let layout = with_tensors(&outputs, |outputs| writer::infer_response(&mut out, outputs)).unwrap();
        let message = assembled(&out, skip, layout, &outputs);
        oracle::assert_response(&message);
        let theirs = flatbuffers::root::<fb::InferResponse<'_>>(&message).unwrap();
        // What old clients take for granted.
        prop_assert!(theirs.errors().is_none());
        for tensor in theirs.output_tensors().expect("a list, if an empty one") {
            prop_assert!(tensor.shape().is_some());
            prop_assert_eq!(tensor.data().is_some(), tensor.type_() != fb::Type::String);
            prop_assert_eq!(tensor.string_val().is_some(), tensor.type_() == fb::Type::String);
        }
        let read = read_response(Window::split(&message[..layout.head as usize], &[], layout.length));
        let Ok(ReadResponse::Infer(reply)) = read else { panic!("{read:?}") };
        for (tensor, given) in reply.outputs().zip(&outputs) {
            assert_given(&message, &tensor, given);
        }
    }

    #[test]
    fn metadata_passes_the_verifier_and_reads_the_same(
        texts in ["\\PC{0,9}", "\\PC{0,9}", "\\PC{0,9}", "\\PC{0,9}"],
        ios in proptest::collection::vec(("\\PC{0,9}", "\\PC{0,9}", proptest::collection::vec(-1_i64..9, 0..5), 0..15_usize), 0..5),
        models in any_texts(4),
        batch_rows_max in prop_oneof![Just(0), any::<u32>()],
    ) {
        let mut ios: Vec<_> = ios.into_iter().map(|(name, description, shape, dtype)| Io {
            name,
            description,
            shape: Shape::new(&shape).unwrap(),
            dtype: DType::ALL.get(dtype).copied().unwrap_or(DType::Null),
        }).collect();
        let outputs = ios.split_off(ios.len() / 2);
        let [name, version, server, description] = texts;
        let metadata = Metadata { name, version, server, description, inputs: ios, outputs, models, batch_rows_max };
        let message = metadata.write();
        prop_assert_eq!(Metadata::read(&message), Ok(metadata.clone()));
        let theirs = flatbuffers::root::<fb::MetadataResponse<'_>>(&message).unwrap();
        prop_assert_eq!(theirs.name(), Some(metadata.name.as_str()));
        prop_assert_eq!(theirs.inputs().map(|ios| ios.len()), Some(metadata.inputs.len()));
        prop_assert_eq!(theirs.outputs().map(|ios| ios.len()), Some(metadata.outputs.len()));
        prop_assert_eq!(theirs.models().is_some(), !metadata.models.is_empty());
        for (theirs, ours) in theirs.inputs().unwrap().iter().zip(&metadata.inputs) {
            prop_assert_eq!(theirs.name(), Some(ours.name.as_str()));
            prop_assert_eq!(theirs.shape().expect("a shape, if an empty one").iter().collect::<Vec<_>>(), ours.shape.dims());
        }
    }
}

#[test]
fn an_error_reply_has_its_code_and_text_and_an_empty_list_of_tensors() {
    for (code, text) in [(Code::Busy, ""), (Code::WrongTensor, "input 'x'"), (Code::Internal, "böse")] {
        let mut out = vec![1, 2, 3];
        let layout = writer::error_response(&mut out, code, text);
        let message = &out[3..];
        assert_eq!((layout.head, layout.length), (message.len() as u32, message.len() as u32));
        oracle::assert_response(message);
        let theirs = flatbuffers::root::<fb::InferResponse<'_>>(message).unwrap();
        assert!(theirs.output_tensors().expect("a list, if an empty one").is_empty());
        let error = theirs.errors().unwrap().get(0);
        assert_eq!((error.code(), error.message()), (code as i64, Some(text)));
    }
}

#[test]
fn the_text_of_an_error_is_cut_at_a_character() {
    let mut out = Vec::new();
    let text = "é".repeat(4096);
    writer::error_response(&mut out, Code::ModelFailed, &text[..1 + "é".len() * 3000 - 1]);
    let Ok(ReadResponse::Infer(reply)) = read_response(Window::whole(&out)) else { panic!("an error") };
    assert_eq!(reply.error(), Some((7, "é".repeat(2048).as_bytes())));
    out.clear();
    writer::error_response(&mut out, Code::ModelFailed, &format!("x{text}"));
    let Ok(ReadResponse::Infer(reply)) = read_response(Window::whole(&out)) else { panic!("an error") };
    assert_eq!(reply.error().unwrap().1.len(), 4095);
}

#[test]
fn gaps_end_on_multiples_of_64_with_the_length_of_what_comes() {
    for (previous, bytes) in [(1, 63), (59, 5), (60, 4), (61, 67), (62, 66), (63, 65), (64, 64), (u32::MAX, 65)] {
        let gap = writer::gap(previous, 0x0102_0304);
        let gap = gap.as_ref();
        assert_eq!(gap.len(), bytes, "{previous}");
        assert_eq!(gap[bytes - 4..], [4, 3, 2, 1]);
        assert!(gap[..bytes - 4].iter().all(|&byte| byte == 0));
    }
}

fn payloads(bytes: &[u32]) -> Result<Layout, Unwritable> {
    let tensors: Vec<_> = bytes
        .iter()
        .map(|&bytes| Tensor { dtype: DType::Uint8, shape: &[], content: Content::Payload(bytes) })
        .collect();
    let mut out = vec![7];
    let layout = writer::infer_response(&mut out, &tensors);
    if layout.is_err() {
        assert_eq!(out, [7], "what was written is taken back");
    }
    layout
}

#[test]
fn a_message_of_the_largest_size_is_written_and_one_of_a_byte_more_is_not() {
    let head = payloads(&[1]).unwrap().head;
    let most = MESSAGE_BYTES_MAX - head;
    assert_eq!(payloads(&[most]), Ok(Layout { head, length: MESSAGE_BYTES_MAX }));
    assert_eq!(payloads(&[most + 1]), Err(Unwritable::TooLarge));
    assert_eq!(payloads(&[u32::MAX]), Err(Unwritable::TooLarge));
    assert_eq!(payloads(&[u32::MAX; 64]), Err(Unwritable::TooLarge));
    assert_eq!(payloads(&[1 << 30, 1 << 30]), Err(Unwritable::TooLarge));
}

#[test]
fn more_than_the_most_tensors_names_or_dimensions_are_refused() {
    assert!(payloads(&[0; TENSORS_MAX]).is_ok());
    assert_eq!(payloads(&[0; TENSORS_MAX + 1]), Err(Unwritable::TooMany));
    let names: Vec<&[u8]> = vec![b"x"; TENSORS_MAX + 1];
    for (input_names, output_names, writable) in
        [(&names[1..], &names[1..], true), (&names[..], &[][..], false), (&[][..], &names[..], false)]
    {
        let request = InferRequest { input_names, output_names, ..InferRequest::default() };
        assert_eq!(writer::infer_request(&mut Vec::new(), &request).is_ok(), writable);
    }
    for (rank, writable) in [(16, true), (17, false)] {
        let tensor = Tensor { dtype: DType::Uint8, shape: &[1; 17][..rank], content: Content::Payload(1) };
        assert_eq!(writer::infer_response(&mut Vec::new(), &[tensor]).is_ok(), writable);
    }
}

#[test]
fn a_head_that_would_be_too_long_is_refused_before_a_byte_is_written() {
    let long = vec![b'x'; 1 << 20];
    let strings = vec![long.as_slice(); 2048];
    let tensor = Tensor { dtype: DType::String, shape: &[2048], content: Content::Strings(&strings) };
    let mut out = Vec::new();
    assert_eq!(writer::infer_response(&mut out, &[tensor]), Err(Unwritable::TooLarge));
    assert_eq!(out.capacity(), 0);
}

#[test]
fn each_extension_is_written_on_its_own() {
    let none = InferRequest::default();
    for request in [
        InferRequest { model: b"x", ..none },
        InferRequest { version: b"x", ..none },
        InferRequest { deadline_us: 7, ..none },
        InferRequest { priority: 7, ..none },
        InferRequest { trace_id: b"x", ..none },
    ] {
        let mut out = Vec::new();
        writer::infer_request(&mut out, &request).unwrap();
        let Ok(Read::Infer(read)) = read_request(Window::whole(&out)) else { panic!("a request") };
        assert_eq!(read.model().get(), Some(request.model));
        assert_eq!(read.version().get(), Some(request.version));
        assert_eq!(read.trace_id().get(), Some(request.trace_id));
        assert_eq!((read.deadline_us(), read.priority()), (request.deadline_us, request.priority));
    }
}

#[test]
fn nothing_is_written_for_extensions_that_have_their_defaults() {
    let mut out = Vec::new();
    writer::infer_request(&mut out, &InferRequest::default()).unwrap();
    // The vtable of the InferRequest, at 24, has room for GraphPipe's own four fields.
    assert_eq!(out[24..26], [12, 0]);
    let mut builder = FlatBufferBuilder::new();
    let empty = fb::MetadataResponse::create(&mut builder, &fb::MetadataResponseArgs::default());
    builder.finish(empty, None);
    assert_eq!(Metadata::read(builder.finished_data()), Ok(Metadata::default()));
}
