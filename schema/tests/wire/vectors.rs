//! The golden vectors of `schema/vectors`: the reader decodes them as their JSON says, whole and in parts.

use graphpipe_schema::frame::{BadFrame, Header};
use graphpipe_schema::metadata::{Io, Metadata};
use graphpipe_schema::reader::{
    InferRequest, InferResponse, Read, ReadResponse, Tensor, Window, read_request, read_response,
};
use graphpipe_schema::{DType, Shape, fuzz};
use serde_json::Value;
use std::path::PathBuf;

/// A vector.
pub struct Vector {
    /// Its name, without extension.
    pub name: String,
    /// What kind of bytes they are.
    pub kind: String,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What they decode to.
    pub decodes: Value,
}

/// All vectors, by name.
pub fn all() -> Vec<Vector> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let mut vectors = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the vectors are beside the sources") {
        let path = entry.expect("a readable folder").path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let json = std::fs::read_to_string(&path).expect("a readable file");
        let facts: Value = serde_json::from_str(&json).expect("a vector's facts are JSON");
        let bytes = std::fs::read(path.with_extension("bin")).expect("a vector has its bytes");
        assert_eq!(facts["bytes"], bytes.len(), "{}", path.display());
        vectors.push(Vector {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            kind: facts["kind"].as_str().unwrap().to_owned(),
            bytes,
            decodes: facts["decodes"].clone(),
        });
    }
    vectors.sort_by(|left, right| left.name.cmp(&right.name));
    assert!(vectors.len() >= 71, "{} vectors", vectors.len());
    vectors
}

/// The vectors of this kind.
pub fn of_kind(kind: &str) -> impl Iterator<Item = Vector> {
    all().into_iter().filter(move |vector| vector.kind == kind)
}

/// The same bytes at each of the eight alignments of a 64-bit integer.
fn at_all_alignments(bytes: &[u8], mut check: impl FnMut(&[u8])) {
    let mut copy = vec![0; bytes.len() + 16];
    for shift in 0..8 {
        let start = copy.as_ptr().align_offset(8) + shift;
        let copy = &mut copy[start..start + bytes.len()];
        copy.copy_from_slice(bytes);
        check(copy);
    }
}

/// A byte string.
pub fn text(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        other => hex(&other["hex"]),
    }
}

/// Byte strings.
pub fn texts(value: &Value) -> Vec<Vec<u8>> {
    value.as_array().unwrap().iter().map(text).collect()
}

/// Bytes in hexadecimal.
pub fn hex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// An element type by its name; one that the protocol does not have is Null.
pub fn dtype(value: &Value) -> DType {
    let name = value.as_str().unwrap();
    DType::ALL.into_iter().find(|dtype| dtype.name() == name).unwrap_or(DType::Null)
}

/// Dimensions.
pub fn dims(value: &Value) -> Vec<i64> {
    value.as_array().unwrap().iter().map(|dim| dim.as_i64().unwrap()).collect()
}

fn assert_tensor(name: &str, message: &[u8], tensor: &Tensor<'_>, facts: &Value) {
    assert_eq!(tensor.dtype(), dtype(&facts["type"]), "{name}");
    assert_eq!(tensor.shape().get().unwrap().dims(), dims(&facts["shape"]), "{name}");
    let payload = tensor.payload().get().unwrap();
    if tensor.dtype() == DType::String {
        let strings: Vec<_> = tensor.strings().map(<[u8]>::to_vec).collect();
        assert_eq!(strings, texts(&facts["strings"]), "{name}");
        assert_eq!(tensor.strings_count().get(), Some(strings.len()), "{name}");
        assert!(payload.is_empty(), "{name}");
    } else {
        assert_eq!(payload.start, facts["data_at"].as_u64().unwrap() as u32, "{name}");
        assert_eq!(message[payload.start as usize..payload.end as usize], hex(&facts["data"]), "{name}");
        assert_eq!(tensor.strings_count().get(), Some(0), "{name}");
    }
}

fn assert_infer(name: &str, message: &[u8], request: &InferRequest<'_>, facts: &Value) {
    assert!(request.is_complete(), "{name}");
    for (found, field) in [
        (request.config(), "config"),
        (request.model(), "model"),
        (request.version(), "version"),
        (request.trace_id(), "trace_id"),
    ] {
        assert_eq!(found.get().unwrap(), text(&facts[field]), "{name}: {field}");
    }
    assert_eq!(request.deadline_us(), facts["deadline_us"].as_u64().unwrap(), "{name}");
    assert_eq!(u64::from(request.priority()), facts["priority"].as_u64().unwrap(), "{name}");
    let names = |count: Option<usize>| 0..count.unwrap();
    let inputs: Vec<_> =
        names(request.input_names_count().get()).map(|index| request.input_name(index).get().unwrap()).collect();
    assert_eq!(inputs, texts(&facts["input_names"]), "{name}");
    let outputs: Vec<_> =
        names(request.output_names_count().get()).map(|index| request.output_name(index).get().unwrap()).collect();
    assert_eq!(outputs, texts(&facts["output_names"]), "{name}");
    let tensors = facts["inputs"].as_array().unwrap();
    assert_eq!(request.inputs_count().get(), Some(tensors.len()), "{name}");
    for (index, facts) in tensors.iter().enumerate() {
        assert_tensor(name, message, &request.input(index).get().unwrap(), facts);
    }
}

#[test]
fn every_clients_inference_is_read_at_every_alignment() {
    for Vector { name, bytes, decodes, .. } in of_kind("infer_request") {
        at_all_alignments(&bytes, |message| match read_request(Window::whole(message)) {
            Ok(Read::Infer(request)) => assert_infer(&name, message, &request, &decodes),
            other => panic!("{name}: {other:?}"),
        });
    }
}

#[test]
fn every_clients_metadata_request_is_read_at_every_alignment() {
    for Vector { name, bytes, decodes, .. } in of_kind("metadata_request") {
        at_all_alignments(&bytes, |message| match read_request(Window::whole(message)) {
            Ok(Read::Metadata(request)) => {
                assert_eq!(request.model(), text(&decodes["model"]), "{name}");
                assert_eq!(request.version(), text(&decodes["version"]), "{name}");
            }
            other => panic!("{name}: {other:?}"),
        });
    }
}

#[test]
fn every_servers_reply_is_read_at_every_alignment() {
    for Vector { name, bytes, decodes, .. } in of_kind("infer_response") {
        at_all_alignments(&bytes, |message| {
            let Ok(ReadResponse::Infer(reply)) = read_response(Window::whole(message)) else { panic!("{name}") };
            assert_reply(&name, message, &reply, &decodes);
        });
    }
}

fn assert_reply(name: &str, message: &[u8], reply: &InferResponse<'_>, facts: &Value) {
    let outputs = facts["outputs"].as_array().unwrap();
    assert_eq!(reply.outputs_count(), outputs.len(), "{name}");
    for (index, facts) in outputs.iter().enumerate() {
        assert_tensor(name, message, &reply.output(index), facts);
    }
    let error = &facts["error"];
    let expected = (!error.is_null()).then(|| (error["code"].as_i64().unwrap(), text(&error["message"])));
    assert_eq!(reply.error().map(|(code, text)| (code, text.to_vec())), expected, "{name}");
}

#[test]
fn metadata_is_read_and_what_we_write_reads_the_same() {
    for Vector { name, bytes, decodes, .. } in of_kind("metadata_response") {
        let word = |field: &str| decodes[field].as_str().unwrap().to_owned();
        let ios = |field: &str| {
            let io = |io: &Value| Io {
                name: io["name"].as_str().unwrap().to_owned(),
                description: io["description"].as_str().unwrap().to_owned(),
                shape: Shape::new(&dims(&io["shape"])).unwrap(),
                dtype: dtype(&io["type"]),
            };
            decodes[field].as_array().unwrap().iter().map(io).collect()
        };
        let expected = Metadata {
            name: word("name"),
            version: word("version"),
            server: word("server"),
            description: word("description"),
            inputs: ios("inputs"),
            outputs: ios("outputs"),
            models: texts(&decodes["models"]).into_iter().map(|model| String::from_utf8(model).unwrap()).collect(),
            batch_rows_max: decodes["batch_rows_max"].as_u64().unwrap() as u32,
        };
        assert_eq!(Metadata::read(&bytes).as_ref(), Ok(&expected), "{name}");
        assert_eq!(Metadata::read(&expected.write()).as_ref(), Ok(&expected), "{name}");
    }
}

#[test]
fn frames_are_read_and_written() {
    for Vector { name, bytes, decodes, .. } in of_kind("frame") {
        let bytes = bytes.try_into().expect("a header has 32 bytes");
        let read = Header::read(&bytes);
        if let Some(error) = decodes["error"].as_str() {
            let kind = match read {
                Ok(header) => panic!("{name}: {header:?}"),
                Err(BadFrame::Magic { .. }) => "magic",
                Err(BadFrame::Flags { .. }) => "flags",
                Err(BadFrame::Reserved { .. }) => "reserved",
                Err(BadFrame::Length { .. }) => "length",
                Err(BadFrame::Head { .. }) => "head",
            };
            assert_eq!(kind, error, "{name}");
            continue;
        }
        let word = |field: &str| decodes[field].as_u64().unwrap();
        let header = Header {
            length: word("length") as u32,
            head: word("head") as u32,
            flags: word("flags") as u32,
            id: word("id"),
        };
        assert_eq!(read, Ok(header), "{name}");
        assert_eq!(header.write(), bytes, "{name}");
    }
}

#[test]
fn bad_requests_are_refused_with_what_and_where() {
    for Vector { name, bytes, decodes, .. } in of_kind("bad_request") {
        let malformed = read_request(Window::whole(&bytes)).unwrap_err();
        assert_eq!(malformed.what, decodes["what"], "{name}");
        assert_eq!(malformed.at, decodes["at"].as_u64().unwrap() as u32, "{name}");
        assert_eq!(malformed.to_string(), format!("{} at byte {}", malformed.what, malformed.at));
    }
}

#[test]
fn bad_metadata_is_refused_with_what_and_where() {
    for Vector { name, bytes, decodes, .. } in of_kind("bad_metadata") {
        let malformed = Metadata::read(&bytes).unwrap_err();
        assert_eq!(malformed.what, decodes["what"], "{name}");
        assert_eq!(malformed.at, decodes["at"].as_u64().unwrap() as u32, "{name}");
    }
}

#[test]
fn every_prefix_of_a_vector_says_nothing_that_the_whole_does_not_say() {
    for Vector { bytes, .. } in all() {
        for have in 0..=bytes.len() {
            fuzz::request_prefix(&bytes, have);
        }
        fuzz::fuzz_reader(&bytes);
    }
}

#[test]
fn every_flip_of_a_byte_of_a_vector_keeps_all_promises() {
    for Vector { mut bytes, .. } in all() {
        for at in 0..bytes.len() {
            let byte = bytes[at];
            for flip in [0x01, 0x80, 0xFF] {
                bytes[at] = byte ^ flip;
                fuzz::fuzz_reader(&bytes);
                fuzz::fuzz_frame(&bytes);
            }
            bytes[at] = byte;
        }
    }
}

#[test]
fn the_payload_of_an_old_client_can_be_placed_before_its_shape_has_arrived() {
    let vector = all().into_iter().find(|vector| vector.name == "python_f32").unwrap();
    let window = Window::split(&vector.bytes[..104], &[], 156);
    let Ok(Read::Infer(request)) = read_request(window) else { panic!("104 bytes are all before the payload") };
    assert!(!request.is_complete());
    let tensor = request.input(0).get().unwrap();
    assert_eq!(tensor.payload().get(), Some(104..128));
    assert_eq!(tensor.dtype(), DType::Float32);
    assert_eq!(tensor.shape().get(), None);
    assert_eq!(request.config().get(), None);
    assert_eq!(request.input_names_count().get(), Some(0));

    // When the rest has arrived, the window shows it without the payload.
    let window = Window::split(&vector.bytes[..104], &vector.bytes[128..], 156);
    let Ok(Read::Infer(request)) = read_request(window) else { panic!("all but the payload is there") };
    assert!(request.is_complete());
    assert_eq!(request.input(0).get().unwrap().shape().get().unwrap().dims(), [2, 3]);

    // One byte less before the payload, and its length is not known.
    let window = Window::split(&vector.bytes[..103], &[], 156);
    assert!(matches!(read_request(window), Ok(Read::Need(104))));
    let window = Window::split(&vector.bytes[..103], &vector.bytes[128..], 156);
    assert_eq!(read_request(window).unwrap_err().to_string(), "metadata inside of a payload at byte 103");
}

#[test]
fn a_reply_with_metadata_in_its_payload_is_refused() {
    let vector = all().into_iter().find(|vector| vector.name == "go_reply").unwrap();
    let read = |prefix: usize, tail: usize| {
        let (prefix, tail) = (&vector.bytes[..prefix], &vector.bytes[108 - tail..]);
        read_response(Window::split(prefix, tail, 108))
    };
    let Ok(ReadResponse::Infer(reply)) = read(84, 0) else { panic!("all but the payload is there") };
    assert_eq!(reply.output(0).payload().get(), Some(84..108));
    // The distance to the root's vtable, the tensor's type, its dimensions.
    for (prefix, at) in [(14, 14), (44, 55), (60, 60)] {
        assert!(matches!(read(prefix, 0), Ok(ReadResponse::Need(_))));
        let malformed = read(prefix, 8).unwrap_err();
        assert_eq!(malformed.to_string(), format!("metadata inside of a payload at byte {at}"));
    }
}

#[test]
fn strings_behind_a_payload_are_not_awaited_before_it() {
    let vector = all().into_iter().find(|vector| vector.name == "odd_strings_behind").unwrap();
    let window = Window::split(&vector.bytes[..156], &[], 272);
    let Ok(Read::Infer(request)) = read_request(window) else { panic!("156 bytes are all before the payload") };
    assert!(!request.is_complete());
    assert_eq!(request.input(0).get().unwrap().payload().get(), Some(156..256));
    let words = request.input(1).get().unwrap();
    assert_eq!(words.strings_count().get(), None);
    assert_eq!(words.strings().count(), 0);

    let window = Window::split(&vector.bytes[..156], &vector.bytes[256..], 272);
    let Ok(Read::Infer(request)) = read_request(window) else { panic!("all but the payload is there") };
    assert!(request.is_complete());
    assert!(request.input(1).get().unwrap().strings().eq([b"one", b"two"]));
}

#[test]
fn all_payloads_of_a_stream_ready_message_are_known_from_its_head() {
    let vector = all().into_iter().find(|vector| vector.name == "ours_all").unwrap();
    let head = vector.decodes["head"].as_u64().unwrap() as usize;
    let length = vector.bytes.len() as u32;
    let Ok(Read::Infer(request)) = read_request(Window::split(&vector.bytes[..head], &[], length)) else {
        panic!("the head is all that is needed")
    };
    assert!(request.is_complete());
    let places = [1, 3, 4, 5].map(|index| request.input(index).get().unwrap().payload().get().unwrap());
    assert_eq!(places, [640..700, 704..765, 832..834, 896..899]);
    let Ok(Read::Need(bytes)) = read_request(Window::split(&vector.bytes[..head - 1], &[], length)) else {
        panic!("a byte of the head is not there")
    };
    assert_eq!(bytes as usize, head);
}
