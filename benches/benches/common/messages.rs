//! The messages that pieces are given: one float32 tensor to the echo model and back, small or large.

use graphpipe_schema::DType;
use graphpipe_schema::frame::Header;
use graphpipe_schema::writer::{self, Content, Tensor};

/// 200 numbers: what most requests of the other benchmarks carry.
pub const SMALL: Size = Size { shape: [1, 200], bytes: 800 };
/// A picture of 224 × 224 pixels in three colours.
pub const LARGE: Size = Size { shape: [1, 3 * 224 * 224], bytes: 3 * 224 * 224 * 4 };

/// How large a tensor is.
#[derive(Clone, Copy)]
pub struct Size {
    /// Its shape.
    pub shape: [i64; 2],
    /// Its bytes.
    pub bytes: u32,
}

impl Size {
    /// The tensor, to be written.
    pub fn tensor(&self) -> Tensor<'_> {
        Tensor { dtype: DType::Float32, shape: &self.shape, content: Content::Payload(self.bytes) }
    }

    /// Appends the head of a request.
    pub fn write_request(&self, model: &[u8], out: &mut Vec<u8>) -> writer::Layout {
        let inputs = [self.tensor()];
        let request = writer::InferRequest { inputs: &inputs, model, ..writer::InferRequest::default() };
        writer::infer_request(out, &request).expect("one tensor can be written")
    }

    /// Appends the head of a reply.
    pub fn write_reply(&self, out: &mut Vec<u8>) -> writer::Layout {
        writer::infer_response(out, &[self.tensor()]).expect("one tensor can be written")
    }

    /// A whole request.
    pub fn request(&self, model: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        let layout = self.write_request(model, &mut message);
        message.resize(layout.length as usize, 1);
        message
    }

    /// A whole reply.
    pub fn reply(&self) -> Vec<u8> {
        let mut message = Vec::new();
        let layout = self.write_reply(&mut message);
        message.resize(layout.length as usize, 1);
        message
    }

    /// A request in a native frame.
    pub fn frame(&self, model: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        let layout = self.write_request(model, &mut frame);
        let header = Header { length: layout.length, head: layout.head, flags: 0, id: 1 };
        let mut frame = header.write().into_iter().chain(frame).collect::<Vec<u8>>();
        frame.resize(header.write().len() + layout.length as usize, 1);
        frame
    }

    /// A request as the body of a POST.
    pub fn post(&self, path: &str) -> Vec<u8> {
        let message = self.request(b"");
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
            message.len()
        );
        [head.into_bytes(), message].concat()
    }
}
