//! One request, one reply: all types and shapes, what is written, and how replies are looked at.

use crate::fake::{self, Server, both, echo, infer, is};
use graphpipe_client::{Client, DType, Element, Metadata, OutputError, Request, Tensor};
use graphpipe_schema::metadata::Io;
use graphpipe_schema::reader::{Read, Window, read_request};
use graphpipe_schema::{PAYLOAD_ALIGN, Shape};
use std::fmt::Debug;
use std::time::Duration;

/// Sends numbers and gets them back, in place and as a copy.
fn round_trip<T: Element + PartialEq + Debug>(client: &mut Client, dtype: DType, elements: &[T]) {
    let shape = [elements.len() as i64];
    let response = client.infer(&Request::new().input(Tensor::new(&shape, elements))).unwrap();
    let output = response.output(0).unwrap();
    assert_eq!((output.dtype(), output.shape()), (dtype, &shape[..]));
    assert_eq!(output.as_slice::<T>().unwrap(), elements);
    assert_eq!(output.to_vec::<T>().unwrap(), elements);
    assert!(output.bytes().as_ptr().addr().is_multiple_of(64));
}

#[test]
fn every_number_type_comes_back_in_place() {
    for server in both(echo) {
        let mut client = server.client();
        round_trip(&mut client, DType::Uint8, &[0_u8, 1, 255]);
        round_trip(&mut client, DType::Int8, &[i8::MIN, -1, 127]);
        round_trip(&mut client, DType::Uint16, &[0_u16, 0x1234, u16::MAX]);
        round_trip(&mut client, DType::Int16, &[i16::MIN, -2, i16::MAX]);
        round_trip(&mut client, DType::Uint32, &[0_u32, 0x1234_5678, u32::MAX]);
        round_trip(&mut client, DType::Int32, &[i32::MIN, -3, i32::MAX]);
        round_trip(&mut client, DType::Uint64, &[0_u64, 0x1234_5678_9abc_def0, u64::MAX]);
        round_trip(&mut client, DType::Int64, &[i64::MIN, -4, i64::MAX]);
        round_trip(&mut client, DType::Float32, &[0.0_f32, -1.5, f32::INFINITY]);
        round_trip(&mut client, DType::Float64, &[0.0_f64, 1e300, f64::NEG_INFINITY]);
        drop(client);
        server.finish();
    }
}

#[test]
fn numbers_are_little_endian_on_the_wire() {
    let server = Server::unix(|mut connection| {
        let (header, message) = connection.read().unwrap();
        assert_eq!(fake::payload(&message, &is(infer(&message).input(0))), [0x78, 0x56, 0x34, 0x12]);
        connection.write(&fake::reply(header.id, DType::Float32, &[], &[0, 0, 0xc0, 0x3f]));
    });
    let response = server.client().infer(&Request::new().input(Tensor::new(&[], &[0x1234_5678_u32]))).unwrap();
    assert_eq!(response.output(0).unwrap().as_slice::<f32>().unwrap(), [1.5]);
    server.finish();
}

#[test]
fn types_that_rust_does_not_have_come_back_as_bytes() {
    let server = Server::unix(echo);
    let mut client = server.client();
    for (dtype, bytes) in [(DType::Float16, 4), (DType::Bfloat16, 4), (DType::Bool, 2)] {
        let payload = &[1, 0, 1, 0][..bytes];
        let response = client.infer(&Request::new().input(Tensor::raw(dtype, &[2], payload))).unwrap();
        let output = response.output(0).unwrap();
        assert_eq!((output.dtype(), output.bytes()), (dtype, payload));
    }
}

#[test]
fn strings_come_back_byte_for_byte() {
    for server in both(echo) {
        let strings: [&[u8]; 4] = [b"foo", b"", b"with\0nul", b"\xff\xfe not text"];
        let response = server.client().infer(&Request::new().input(Tensor::strings(&[2, 2], &strings))).unwrap();
        let output = response.output(0).unwrap();
        assert_eq!((output.dtype(), output.shape()), (DType::String, &[2, 2][..]));
        assert_eq!(output.strings().unwrap().collect::<Vec<_>>(), strings);
        assert!(output.bytes().is_empty());
        server.finish();
    }
}

#[test]
fn a_scalar_and_empty_tensors_keep_their_shapes() {
    let server = Server::unix(echo);
    let none: [f64; 0] = [];
    let request = Request::new()
        .input(Tensor::new(&[], &[2.5_f64]))
        .input(Tensor::new(&[0, 3], &none))
        .input(Tensor::strings(&[0], &[]));
    let response = server.client().infer(&request).unwrap();
    let shapes: Vec<_> = response.outputs().map(|output| output.shape()).collect();
    assert_eq!(shapes, [&[][..], &[0, 3], &[0]]);
    assert_eq!(response.output(0).unwrap().as_slice::<f64>().unwrap(), [2.5]);
    assert_eq!(response.output(1).unwrap().as_slice::<f64>().unwrap(), none);
    assert_eq!(response.output(2).unwrap().strings().unwrap().count(), 0);
}

#[test]
fn a_request_without_inputs_gets_a_reply_without_outputs() {
    let server = Server::unix(echo);
    assert!(server.client().infer(&Request::new()).unwrap().is_empty());
}

#[test]
fn many_payloads_of_odd_lengths_keep_their_places() {
    for server in both(echo) {
        let mut client = server.client();
        // Around each way in which a payload can end before, on and behind a multiple of 64.
        let bytes: Vec<u8> = (0..=255).collect();
        for first in 58..=70 {
            let shapes = [[first], [0], [1], [200], [64]];
            let request = shapes
                .iter()
                .fold(Request::new(), |request, shape| request.input(Tensor::new(shape, &bytes[..shape[0] as usize])));
            let response = client.infer(&request).unwrap();
            assert_eq!(response.len(), shapes.len());
            for (output, shape) in response.outputs().zip(&shapes) {
                assert_eq!(output.shape(), shape);
                assert_eq!(output.as_slice::<u8>().unwrap(), &bytes[..shape[0] as usize]);
            }
        }
        drop(client);
        server.finish();
    }
}

#[test]
fn every_field_of_a_request_arrives() {
    let server = Server::unix(|mut connection| {
        let (header, message) = connection.read().unwrap();
        assert_eq!((header.flags, header.length as usize), (0, message.len()));
        assert_eq!(header.head as usize % PAYLOAD_ALIGN, 0);
        let request = infer(&message);
        let fields = [request.model(), request.version(), request.config(), request.trace_id()].map(is);
        assert_eq!(fields, [b"digits", &b"7"[..], b"fast=1", b"t-1"]);
        assert_eq!((request.deadline_us(), request.priority()), (1500, 3));
        assert_eq!(is(request.input_names_count()), 2);
        assert_eq!([is(request.input_name(0)), is(request.input_name(1))], [b"", &b"mask"[..]]);
        assert_eq!(is(request.output_names_count()), 2);
        assert_eq!([is(request.output_name(0)), is(request.output_name(1))], [b"label", &b"score"[..]]);
        // The first payload begins where the frame says, so a server can place it before it has read on.
        assert_eq!(is(is(request.input(0)).payload()).start, header.head);
        connection.write(&fake::echoed(header.id, &message));
    });
    let request = Request::new()
        .model("digits")
        .version("7")
        .config(b"fast=1")
        .trace_id("t-1")
        .deadline(Duration::from_micros(1500))
        .priority(3)
        .input(Tensor::new(&[2], &[1.0_f32, 2.0]))
        .named_input("mask", Tensor::new(&[1], &[1_u8]))
        .output("label")
        .output("score");
    server.client().infer(&request).unwrap();
    server.finish();
}

#[test]
fn names_that_say_nothing_are_not_sent() {
    let server = Server::unix(|mut connection| {
        let (header, message) = connection.read().unwrap();
        let request = infer(&message);
        assert_eq!((is(request.inputs_count()), is(request.input_names_count())), (2, 0));
        assert_eq!(is(request.output_names_count()), 0);
        connection.write(&fake::echoed(header.id, &message));
    });
    let tensor = Tensor::new(&[1], &[1_u8]);
    server.client().infer(&Request::new().input(tensor).input(tensor)).unwrap();
    server.finish();
}

#[test]
fn metadata_arrives_with_all_its_fields() {
    let io = |name: &str, dims: &[i64], dtype| Io {
        name: name.to_owned(),
        description: format!("the {name}"),
        shape: Shape::new(dims).unwrap(),
        dtype,
    };
    let metadata = Metadata {
        name: "digits".to_owned(),
        version: "1.2".to_owned(),
        server: "fake".to_owned(),
        description: "reads digits".to_owned(),
        inputs: vec![io("pixels", &[-1, 64], DType::Float32)],
        outputs: vec![io("label", &[-1], DType::Int64)],
        models: vec!["digits".to_owned(), "other".to_owned()],
        batch_rows_max: 32,
    };
    let message = metadata.write();
    let server = Server::unix(move |mut connection| {
        let (header, request) = connection.read().unwrap();
        let Ok(Read::Metadata(asked)) = read_request(Window::whole(&request)) else { panic!("not for metadata") };
        assert_eq!((asked.model(), asked.version()), (&b"digits"[..], &b""[..]));
        connection.write(&fake::frame(header.id, 0, &message));
    });
    assert_eq!(server.client().metadata("digits").unwrap(), metadata);
    server.finish();
}

#[test]
fn a_large_reply_is_whole_and_its_memory_is_used_again() {
    for server in both(echo) {
        let mut client = server.client();
        let elements: Vec<u32> = (0..1_500_000_u32).map(|index| index.wrapping_mul(2_654_435_761)).collect();
        let shape = [1500, 1000];
        let request = Request::new().input(Tensor::new(&shape, &elements));
        let address = |client: &mut Client| {
            let response = client.infer(&request).unwrap();
            let slice = response.output(0).unwrap().as_slice::<u32>().unwrap();
            assert!(slice == elements);
            slice.as_ptr()
        };
        assert_eq!(address(&mut client), address(&mut client));
        drop(client);
        server.finish();
    }
}

#[test]
fn a_response_outlives_its_client() {
    let server = Server::unix(echo);
    let mut client = server.client();
    let response = client.infer(&Request::new().input(Tensor::new(&[1], &[7_u8]))).unwrap();
    drop(client);
    server.finish();
    assert_eq!(response.output(0).unwrap().as_slice::<u8>().unwrap(), [7]);
}

#[test]
fn an_output_is_shown_only_as_what_it_is() {
    let server = Server::unix(echo);
    let mut client = server.client();
    let strings: [&[u8]; 1] = [b"x"];
    let request = Request::new().input(Tensor::new(&[1], &[7_u8])).input(Tensor::strings(&[1], &strings));
    let response = client.infer(&request).unwrap();
    let number = response.output(0).unwrap();
    let as_signed = OutputError::Type { wanted: DType::Int8, found: DType::Uint8 };
    assert_eq!(number.as_slice::<i8>().unwrap_err(), as_signed);
    assert_eq!(number.to_vec::<i8>().unwrap_err(), as_signed);
    assert!(matches!(number.strings().map(Iterator::count), Err(OutputError::Type { wanted: DType::String, .. })));
    assert!(response.output(1).unwrap().as_slice::<u8>().is_err());
    assert_eq!(response.output(2).unwrap_err().to_string(), "there is no output 2; the reply has 2");
}

#[test]
fn an_output_that_is_not_aligned_can_be_copied() {
    // An InferResponse with one float64 scalar, by hand; its eight bytes begin at 68.
    let halves = |low: u32, high: u32| high << 16 | low;
    let words: [u32; 19] = [
        12,             // root
        halves(6, 8),   // vtable of InferResponse: its own 6 bytes, the table's 8
        4,              // output_tensors at 4
        8,              // InferResponse: 8 bytes behind its vtable
        4,              // output_tensors, right behind
        1,              // one tensor
        16,             // at 40
        halves(10, 16), // vtable of Tensor
        halves(4, 8),   // type at 4, shape at 8
        12,             // data at 12
        12,             // Tensor
        11,             // Float64
        8,              // shape at 56
        12,             // data at 64
        0,              // no dimensions
        0,              // nothing
        8,              // eight bytes
        0,
        0x3ff8_0000, // 1.5
    ];
    let message: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let server = Server::unix(move |mut connection| {
        let (header, _) = connection.read().unwrap();
        connection.write(&fake::frame(header.id, 0, &message));
    });
    let response = server.client().infer(&Request::new()).unwrap();
    let output = response.output(0).unwrap();
    assert_eq!(output.as_slice::<f64>().unwrap_err(), OutputError::Unaligned { wanted: DType::Float64 });
    assert_eq!(output.to_vec::<f64>().unwrap(), [1.5]);
    server.finish();
}
