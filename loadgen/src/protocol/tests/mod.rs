//! Tests of the protocols, from outside: bytes in, replies out, and tensors in, bytes out. Here is what they share.

mod graphpipe;
mod http;
mod json;
mod native;
mod oip;
mod refusals;
mod streams;
mod tfs;

use super::{Dialect, Outcome, Protocol, Reply};
use crate::signature::Io;
use crate::tensor::{Data, Tensor};
use clap::ValueEnum;
use graphpipe_schema::DType;
use std::path::Path;

/// A dialect for the model `model` of `host`.
fn dialect(protocol: Protocol, model: &str) -> Dialect {
    Dialect { protocol, host: "host:1".to_owned(), path: String::new(), model: model.to_owned() }
}

fn tensor(name: &str, dtype: DType, shape: &[i64], bytes: &[u8]) -> Tensor {
    Tensor { name: name.to_owned(), dtype, shape: shape.to_vec(), data: Data::Bytes(bytes.to_vec()) }
}

fn strings(name: &str, shape: &[i64], strings: &[&[u8]]) -> Tensor {
    let data = Data::Strings(strings.iter().map(|string| string.to_vec()).collect());
    Tensor { name: name.to_owned(), dtype: DType::String, shape: shape.to_vec(), data }
}

/// The float32 of these numbers.
fn floats(name: &str, shape: &[i64], numbers: &[f32]) -> Tensor {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    tensor(name, DType::Float32, shape, &bytes)
}

/// An input or output as a signature has it.
fn io(name: &str, dtype: Option<DType>, shape: Option<&[i64]>) -> Io {
    Io { name: name.to_owned(), dtype, shape: shape.map(<[i64]>::to_vec) }
}

/// A reply that outlives its connection.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    id: Option<u64>,
    outcome: Outcome,
    closes: bool,
    json_bytes: Option<usize>,
    body: Vec<u8>,
}

impl Seen {
    fn of(reply: &Reply<'_>) -> Seen {
        Seen {
            id: reply.id,
            outcome: reply.outcome,
            closes: reply.closes,
            json_bytes: reply.json_bytes,
            body: reply.body.to_vec(),
        }
    }

    fn reply(&self) -> Reply<'_> {
        Reply { id: self.id, outcome: self.outcome, closes: self.closes, json_bytes: self.json_bytes, body: &self.body }
    }
}

/// All replies in these parts of a connection's bytes, after which the server closes; what they had come to if it ends
/// with a violation.
fn receive<'a>(
    protocol: Protocol,
    keep_bodies: bool,
    parts: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Seen>, Result<(), String>) {
    let mut replies = dialect(protocol, "").replies(keep_bodies);
    let mut seen = Vec::new();
    for mut part in parts {
        while !part.is_empty() {
            match replies.next(&mut part) {
                Ok(Some(reply)) => seen.push(Seen::of(&reply)),
                Ok(None) => assert!(part.is_empty(), "{} bytes were left", part.len()),
                Err(violation) => return (seen, Err(violation.to_string())),
            }
        }
    }
    match replies.end() {
        Ok(reply) => seen.extend(reply.as_ref().map(Seen::of)),
        Err(violation) => return (seen, Err(violation.to_string())),
    }
    (seen, Ok(()))
}

/// The one reply in these bytes, its body kept.
fn only(protocol: Protocol, bytes: &[u8]) -> Seen {
    let (mut seen, end) = receive(protocol, true, [bytes]);
    assert_eq!(end, Ok(()));
    assert_eq!(seen.len(), 1, "{seen:?}");
    seen.remove(0)
}

/// The violation that these bytes are.
fn violation(protocol: Protocol, bytes: &[u8]) -> String {
    let (seen, end) = receive(protocol, true, [bytes]);
    end.expect_err(&format!("{seen:?}"))
}

/// The bytes of a golden vector.
fn vector(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schema/vectors");
    std::fs::read(folder.join(name).with_extension("bin")).expect("the vectors are beside the schema")
}

/// A response of HTTP with a length.
fn response(status: u16, fields: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status} X\r\n{fields}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// What stands behind the head of a request.
fn body(request: &[u8]) -> &str {
    let text = std::str::from_utf8(request).expect("a request in JSON is text");
    text.split_once("\r\n\r\n").expect("a head").1
}

#[test]
fn a_protocol_is_called_what_the_command_line_calls_it() {
    let names = Protocol::value_variants().iter().map(|protocol| {
        assert_eq!(protocol.to_string(), protocol.to_possible_value().expect("a name").get_name());
        protocol.to_string()
    });
    let names: Vec<String> = names.collect();
    assert_eq!(names, ["native", "graphpipe-http", "oip-json", "oip-binary", "tfs-json", "raw"]);
}

#[test]
fn a_tensor_without_all_of_its_elements_is_refused_by_every_protocol() {
    for &protocol in Protocol::value_variants() {
        let refusal = |input: Tensor| dialect(protocol, "m").encode(&[input], &[]).unwrap_err();
        let short = refusal(tensor("x", DType::Float32, &[2, 3], &[0; 23]));
        assert_eq!(short, "input x float32[2,3] takes 24 bytes and has 23");
        let short = refusal(strings("x", &[2], &[b"one"]));
        assert_eq!(short, "input x string[2] takes 2 elements and has 1");
        let negative = refusal(tensor("x", DType::Uint8, &[-1], &[]));
        assert_eq!(negative, "input x uint8[-1] is a shape or type that no tensor can have");
        let deep = refusal(tensor("x", DType::Uint8, &[1; 17], &[0]));
        assert_eq!(deep, "input 'x' has 17 dimensions; 16 are the most");
    }
}

#[test]
fn raw_bytes_are_posted_as_they_are_and_come_back_as_bytes() {
    let mut raw = dialect(Protocol::Raw, "");
    raw.path = "/predict?top=5".to_owned();
    let encoded = raw.encode(&[tensor("x", DType::Uint16, &[2], b"abcd")], &[]).unwrap();
    let expected = b"POST /predict?top=5 HTTP/1.1\r\nHost: host:1\r\nContent-Type: application/octet-stream\r\n\
                     Content-Length: 4\r\n\r\nabcd";
    assert_eq!(encoded.bytes, expected);
    assert_eq!(encoded.id_at, None);
    assert_eq!(raw.signature_request(), None);
    let reply = only(Protocol::Raw, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nxyz");
    let outputs = raw.read_outputs(&crate::signature::Signature::default(), &reply.reply()).unwrap();
    assert_eq!(outputs, [tensor("", DType::Uint8, &[3], b"xyz")]);
}

#[test]
fn raw_bytes_are_those_of_one_input_that_is_not_of_strings() {
    let x = || tensor("x", DType::Uint8, &[1], b"a");
    let dialect = dialect(Protocol::Raw, "");
    let refusal = |inputs: &[Tensor], outputs: &[String]| dialect.encode(inputs, outputs).unwrap_err();
    assert_eq!(refusal(&[x(), x()], &[]), "raw bytes are those of exactly one input, and there are 2");
    assert_eq!(refusal(&[], &[]), "raw bytes are those of exactly one input, and there are 0");
    assert_eq!(refusal(&[x()], &["y".to_owned()]), "raw bytes cannot ask for an output by name ('y')");
    let words = strings("x", &[1], &[b"a"]);
    assert_eq!(refusal(&[words], &[]), "raw bytes cannot say where a string ends: x string[1]");
}
