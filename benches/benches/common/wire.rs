//! The reader and the writer of messages.

use super::Piece;
use super::messages::SMALL;
use graphpipe_schema::reader::{Read, ReadResponse, Tensor, Window};
use graphpipe_schema::{DType, reader};
use std::hint::black_box;

/// Everything that admission wants to know of a request.
pub fn read_request() -> Piece {
    let message = SMALL.request(b"echo");
    let read = move || {
        let Ok(Read::Infer(request)) = reader::read_request(Window::whole(black_box(&message))) else {
            panic!("an inference that is all there")
        };
        black_box((request.model(), request.version(), request.deadline_us(), request.output_names_count()));
        black_box(facts(&request.input(0).get().expect("it has an input")));
    };
    Piece { name: "read a request", run: Box::new(read), floor_name: FIXED, floor: Box::new(fixed_layout()) }
}

/// Everything that a client wants to know of a reply.
pub fn read_reply() -> Piece {
    let message = SMALL.reply();
    let read = move || {
        let Ok(ReadResponse::Infer(reply)) = reader::read_response(Window::whole(black_box(&message))) else {
            panic!("a reply that is all there")
        };
        assert!(reply.error().is_none());
        black_box(facts(&reply.output(0)));
    };
    Piece { name: "read a reply", run: Box::new(read), floor_name: FIXED, floor: Box::new(fixed_layout()) }
}

/// The head of a request, into a buffer that has been used before.
pub fn write_request() -> Piece {
    let mut out = Vec::new();
    let mut write = move || {
        out.clear();
        black_box(black_box(SMALL).write_request(b"echo", &mut out));
    };
    write();
    let mut head = Vec::new();
    SMALL.write_request(b"echo", &mut head);
    Piece { name: "write a request's head", run: Box::new(write), floor_name: COPY, floor: Box::new(copy_of(head)) }
}

/// The head of a reply, into a buffer that has been used before.
pub fn write_reply() -> Piece {
    let mut out = Vec::new();
    let mut write = move || {
        out.clear();
        black_box(black_box(SMALL).write_reply(&mut out));
    };
    write();
    let mut head = Vec::new();
    SMALL.write_reply(&mut head);
    Piece { name: "write a reply's head", run: Box::new(write), floor_name: COPY, floor: Box::new(copy_of(head)) }
}

const FIXED: &str = "the same facts at fixed places";
const COPY: &str = "memcpy of the head";

fn facts(tensor: &Tensor<'_>) -> (DType, [i64; 2], std::ops::Range<u32>) {
    let shape = tensor.shape().get().expect("its shape is there");
    let dims = [shape.dims()[0], shape.dims()[1]];
    (tensor.dtype(), dims, tensor.payload().get().expect("its payload is there"))
}

/// Reads the type, the shape and the place of a payload from places that never move: a format without tables, whose only
/// check is that the message is as long as it says.
fn fixed_layout() -> impl FnMut() {
    let mut message = vec![0_u8; 64 + SMALL.bytes as usize];
    message[0] = 8;
    message[1] = 2;
    message[4..8].copy_from_slice(&SMALL.bytes.to_le_bytes());
    message[8..16].copy_from_slice(&SMALL.shape[0].to_le_bytes());
    message[16..24].copy_from_slice(&SMALL.shape[1].to_le_bytes());
    move || {
        let message = black_box(&message);
        let (head, payload) = message.split_first_chunk::<64>().expect("it is longer");
        let bytes = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        assert_eq!(payload.len(), bytes as usize);
        let dim = |at: usize| i64::from_le_bytes(std::array::from_fn(|index| head[at + index]));
        black_box((head[0], head[1], [dim(8), dim(16)], 64..64 + bytes));
    }
}

/// Copies bytes into a buffer that has been used before.
fn copy_of(bytes: Vec<u8>) -> impl FnMut() {
    let mut out = Vec::with_capacity(bytes.len());
    move || {
        out.clear();
        out.extend_from_slice(black_box(&bytes));
        black_box(&out);
    }
}
