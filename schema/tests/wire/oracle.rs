//! For every message that FlatBuffers' own builder writes, the reader says what the generated accessors say.

use super::vectors;
use flatbuffers::{FlatBufferBuilder, WIPOffset};
use graphpipe_schema::generated as fb;
use graphpipe_schema::reader::{Read, ReadResponse, Tensor, Window, read_request, read_response};
use graphpipe_schema::{DType, fuzz};
use proptest::prelude::*;

/// A tensor with any of its fields absent; its data need not fit its shape.
#[derive(Clone, Debug)]
struct AnyTensor {
    dtype: u8,
    shape: Option<Vec<i64>>,
    data: Option<Vec<u8>>,
    strings: Option<Vec<String>>,
}

#[derive(Clone, Debug)]
struct AnyRequest {
    texts: [Option<String>; 4],
    names: [Option<Vec<String>>; 2],
    tensors: Option<Vec<AnyTensor>>,
    deadline_us: u64,
    priority: u8,
    /// Texts before tensors, or behind them: the builder writes from back to front.
    texts_first: bool,
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z]{1,12}", "\\PC{0,8}"]
}

fn any_tensor() -> impl Strategy<Value = AnyTensor> {
    let numeric = (
        prop_oneof![1_u8..=11, Just(13), Just(14)],
        proptest::option::of(proptest::collection::vec(0_i64..5, 0..5)),
        proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200)),
        proptest::option::of(Just(Vec::new())),
    );
    let string = (
        Just(12_u8),
        proptest::option::of(proptest::collection::vec(0_i64..5, 0..5)),
        proptest::option::of(Just(Vec::new())),
        proptest::option::of(proptest::collection::vec(any_text(), 0..6)),
    );
    prop_oneof![3 => numeric, 1 => string].prop_map(|(dtype, shape, data, strings)| AnyTensor {
        dtype,
        shape,
        data,
        strings,
    })
}

fn any_request() -> impl Strategy<Value = AnyRequest> {
    let text = || proptest::option::of(any_text());
    let names = || proptest::option::of(proptest::collection::vec(any_text(), 0..5));
    (
        [text(), text(), text(), text()],
        [names(), names()],
        proptest::option::of(proptest::collection::vec(any_tensor(), 0..5)),
        prop_oneof![Just(0), any::<u64>()],
        prop_oneof![Just(0), any::<u8>()],
        any::<bool>(),
    )
        .prop_map(|(texts, names, tensors, deadline_us, priority, texts_first)| AnyRequest {
            texts,
            names,
            tensors,
            deadline_us,
            priority,
            texts_first,
        })
}

type Builder<'b> = FlatBufferBuilder<'b>;
type Tensors<'b> = WIPOffset<flatbuffers::Vector<'b, flatbuffers::ForwardsUOffset<fb::Tensor<'b>>>>;
type Strings<'b> = WIPOffset<flatbuffers::Vector<'b, flatbuffers::ForwardsUOffset<&'b str>>>;

fn strings<'b>(builder: &mut Builder<'b>, strings: &[String]) -> Strings<'b> {
    let strings: Vec<_> = strings.iter().map(|string| builder.create_string(string)).collect();
    builder.create_vector(&strings)
}

fn tensors<'b>(builder: &mut Builder<'b>, tensors: &[AnyTensor]) -> Tensors<'b> {
    let tensors: Vec<_> = tensors
        .iter()
        .map(|tensor| {
            let fields = fb::TensorArgs {
                type_: fb::Type(tensor.dtype),
                shape: tensor.shape.as_ref().map(|shape| builder.create_vector(shape)),
                data: tensor.data.as_ref().map(|data| builder.create_vector(data)),
                string_val: tensor.strings.as_ref().map(|values| strings(builder, values)),
            };
            fb::Tensor::create(builder, &fields)
        })
        .collect();
    builder.create_vector(&tensors)
}

fn build(request: &AnyRequest) -> Vec<u8> {
    let builder = &mut FlatBufferBuilder::new();
    let mut fields =
        fb::InferRequestArgs { deadline_us: request.deadline_us, priority: request.priority, ..Default::default() };
    for pass in [true, false] {
        if request.texts_first == pass {
            let [config, model, version, trace_id] =
                request.texts.each_ref().map(|text| text.as_ref().map(|text| builder.create_string(text)));
            (fields.config, fields.model, fields.version, fields.trace_id) = (config, model, version, trace_id);
            fields.input_names = request.names[0].as_ref().map(|names| strings(builder, names));
        } else {
            fields.input_tensors = request.tensors.as_ref().map(|list| tensors(builder, list));
            fields.output_names = request.names[1].as_ref().map(|names| strings(builder, names));
        }
    }
    let infer = fb::InferRequest::create(builder, &fields);
    let fields = fb::RequestArgs { req_type: fb::Req::InferRequest, req: Some(infer.as_union_value()) };
    let root = fb::Request::create(builder, &fields);
    builder.finish(root, None);
    builder.finished_data().to_vec()
}

/// The same message at an address that is a multiple of 8, plus `shift`.
fn shifted<T>(message: &[u8], shift: usize, read: impl FnOnce(&[u8]) -> T) -> T {
    let mut copy = vec![0; message.len() + 16];
    let start = copy.as_ptr().align_offset(8) + shift;
    let copy = &mut copy[start..start + message.len()];
    copy.copy_from_slice(message);
    read(copy)
}

fn assert_tensor(message: &[u8], ours: &Tensor<'_>, theirs: fb::Tensor<'_>) {
    assert_eq!(ours.dtype() as u8, theirs.type_().0);
    let shape: Vec<i64> = theirs.shape().map(|shape| shape.iter().collect()).unwrap_or_default();
    assert_eq!(ours.shape().get().unwrap().dims(), shape);
    let payload = ours.payload().get().unwrap();
    let data = theirs.data().map(|data| data.bytes()).unwrap_or_default();
    assert_eq!(&message[payload.start as usize..payload.end as usize], data);
    let strings: Vec<&[u8]> =
        theirs.string_val().map(|strings| strings.iter().map(str::as_bytes).collect()).unwrap_or_default();
    assert_eq!(ours.strings().collect::<Vec<_>>(), strings);
    assert_eq!(ours.strings_count().get(), Some(strings.len()));
}

/// The reader and the generated accessors agree on this message.
pub fn assert_request(message: &[u8]) {
    let theirs = flatbuffers::root::<fb::Request<'_>>(message).expect("FlatBuffers verifies its own messages");
    let theirs = theirs.req_as_infer_request().expect("an inference");
    for shift in 0..8 {
        shifted(message, shift, |message| {
            let read = read_request(Window::whole(message));
            let Ok(Read::Infer(ours)) = read else { panic!("{read:?}") };
            assert!(ours.is_complete());
            for (ours, theirs) in [
                (ours.config(), theirs.config()),
                (ours.model(), theirs.model()),
                (ours.version(), theirs.version()),
                (ours.trace_id(), theirs.trace_id()),
            ] {
                assert_eq!(ours.get().unwrap(), theirs.unwrap_or_default().as_bytes());
            }
            assert_eq!((ours.deadline_us(), ours.priority()), (theirs.deadline_us(), theirs.priority()));
            let names = |names: Option<flatbuffers::Vector<'_, flatbuffers::ForwardsUOffset<&str>>>| {
                names
                    .map(|names| names.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>())
                    .unwrap_or_default()
            };
            let inputs = 0..ours.input_names_count().get().unwrap();
            let inputs: Vec<_> = inputs.map(|index| ours.input_name(index).get().unwrap().to_vec()).collect();
            assert_eq!(inputs, names(theirs.input_names()));
            let outputs = 0..ours.output_names_count().get().unwrap();
            let outputs: Vec<_> = outputs.map(|index| ours.output_name(index).get().unwrap().to_vec()).collect();
            assert_eq!(outputs, names(theirs.output_names()));
            let tensors: Vec<_> = theirs.input_tensors().map(|tensors| tensors.iter().collect()).unwrap_or_default();
            assert_eq!(ours.inputs_count().get(), Some(tensors.len()));
            for (index, theirs) in tensors.into_iter().enumerate() {
                assert_tensor(message, &ours.input(index).get().unwrap(), theirs);
            }
        });
    }
}

/// The reader and the generated accessors agree on this reply.
pub fn assert_response(message: &[u8]) {
    let theirs = flatbuffers::root::<fb::InferResponse<'_>>(message).expect("FlatBuffers verifies its own messages");
    for shift in 0..8 {
        shifted(message, shift, |message| {
            let read = read_response(Window::whole(message));
            let Ok(ReadResponse::Infer(ours)) = read else { panic!("{read:?}") };
            let tensors: Vec<_> = theirs.output_tensors().map(|tensors| tensors.iter().collect()).unwrap_or_default();
            assert_eq!(ours.outputs_count(), tensors.len());
            for (ours, theirs) in ours.outputs().zip(tensors) {
                assert_tensor(message, &ours, theirs);
            }
            let error = theirs.errors().filter(|errors| !errors.is_empty()).map(|errors| errors.get(0));
            let error = error.map(|error| (error.code(), error.message().unwrap_or_default().as_bytes()));
            assert_eq!(ours.error(), error);
        });
    }
}

proptest! {
    #[test]
    fn requests_read_as_the_generated_code_reads_them(request in any_request()) {
        assert_request(&build(&request));
    }

    #[test]
    fn requests_that_arrive_in_parts_are_the_same(request in any_request(), parts in proptest::collection::vec(0.0..1.0, 8)) {
        let message = build(&request);
        fuzz::fuzz_reader(&message);
        for part in parts {
            fuzz::request_prefix(&message, (message.len() as f64 * part) as usize);
        }
    }

    #[test]
    fn replies_read_as_the_generated_code_reads_them(
        outputs in proptest::option::of(proptest::collection::vec(any_tensor(), 0..5)),
        errors in proptest::option::of(proptest::collection::vec((any::<i64>(), proptest::option::of(any_text())), 0..3)),
    ) {
        let builder = &mut FlatBufferBuilder::new();
        let errors = errors.map(|errors| {
            let errors: Vec<_> = errors.iter().map(|(code, message)| {
                let message = message.as_ref().map(|message| builder.create_string(message));
                fb::Error::create(builder, &fb::ErrorArgs { code: *code, message })
            }).collect();
            builder.create_vector(&errors)
        });
        let output_tensors = outputs.as_ref().map(|outputs| tensors(builder, outputs));
        let root = fb::InferResponse::create(builder, &fb::InferResponseArgs { output_tensors, errors });
        builder.finish(root, None);
        assert_response(builder.finished_data());
        fuzz::fuzz_reader(builder.finished_data());
    }

    #[test]
    fn metadata_requests_read_as_the_generated_code_reads_them(
        model in proptest::option::of(any_text()),
        version in proptest::option::of(any_text()),
    ) {
        let builder = &mut FlatBufferBuilder::new();
        let fields = fb::MetadataRequestArgs {
            model: model.as_ref().map(|model| builder.create_string(model)),
            version: version.as_ref().map(|version| builder.create_string(version)),
        };
        let metadata = fb::MetadataRequest::create(builder, &fields);
        let fields = fb::RequestArgs { req_type: fb::Req::MetadataRequest, req: Some(metadata.as_union_value()) };
        let root = fb::Request::create(builder, &fields);
        builder.finish(root, None);
        let Ok(Read::Metadata(request)) = read_request(Window::whole(builder.finished_data())) else {
            panic!("a metadata request");
        };
        prop_assert_eq!(request.model(), model.as_deref().unwrap_or_default().as_bytes());
        prop_assert_eq!(request.version(), version.as_deref().unwrap_or_default().as_bytes());
    }
}

#[test]
fn element_types_have_the_numbers_of_the_schema() {
    assert_eq!(fb::Type::ENUM_MAX as usize, DType::ALL.len());
    for dtype in DType::ALL {
        let name = fb::Type(dtype as u8).variant_name().expect("a type of the schema");
        assert_eq!(name.to_lowercase(), dtype.name());
    }
}

#[test]
fn vectors_that_flatbuffers_verifies_read_as_the_generated_code_reads_them() {
    let mut verified = 0;
    for vector in vectors::all() {
        if vector.kind == "infer_request" && flatbuffers::root::<fb::Request<'_>>(&vector.bytes).is_ok() {
            assert_request(&vector.bytes);
            verified += 1;
        }
        if vector.kind == "infer_response" && flatbuffers::root::<fb::InferResponse<'_>>(&vector.bytes).is_ok() {
            assert_response(&vector.bytes);
            verified += 1;
        }
    }
    // Some of each, or this test would say nothing: the verifier does not take what is not aligned, or not UTF-8.
    assert!(verified >= 6, "{verified}");
}
