//! The stream-ready writer: all tables, names, shapes and strings first, then the payloads.
//!
//! The head of a message is written here; the payloads are sent by the caller from where they lie, by one vectored send,
//! so nothing here ever copies one. The layout is what every GraphPipe client reads, and what FlatBuffers' verifiers
//! accept: `shape` and `data` are always there, 64-bit integers are aligned, a NUL stands behind each string.
//!
//! Nothing is allocated but what `out` grows by; it is the caller's, to be used again. What never lives here: whether the
//! tensors are what a model takes.

mod head;
mod tensors;

use crate::shape::RANK_MAX;
use crate::{Code, DType, MESSAGE_BYTES_MAX, PAYLOAD_ALIGN, TENSORS_MAX};
use head::Head;

/// What stands in the `data` or `string_val` of a tensor to be written.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// So many bytes, which the caller sends itself from where they lie.
    Payload(u32),
    /// Byte strings, written into the head.
    Strings(&'a [&'a [u8]]),
}

/// A tensor to be written. Its strings are those of [`DType::String`], its payload is that of any other type.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    /// The element type.
    pub dtype: DType,
    /// The dimensions.
    pub shape: &'a [i64],
    /// The elements.
    pub content: Content<'a>,
}

/// An inference request to be written; empty strings and lists are left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct InferRequest<'a> {
    /// Options for the server, any bytes.
    pub config: &'a [u8],
    /// Names of the inputs, or empty.
    pub input_names: &'a [&'a [u8]],
    /// The inputs.
    pub inputs: &'a [Tensor<'a>],
    /// Names of the outputs, or empty for all.
    pub output_names: &'a [&'a [u8]],
    /// The model's name.
    pub model: &'a [u8],
    /// The model's version.
    pub version: &'a [u8],
    /// Microseconds from the receipt of the head; 0 = none.
    pub deadline_us: u64,
    /// Larger is more urgent.
    pub priority: u8,
    /// An identifier for traces.
    pub trace_id: &'a [u8],
}

/// The layout of a message whose head has been written.
///
/// The message is: the head, then each payload that is not empty in the order of the tensors, with a [`gap`] between two
/// of them, and nothing behind the last. Empty payloads and strings lie in the head. FlatBuffers wants a vector's length
/// right before its first byte: the first payload's is the end of the head, each other one's the end of its gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of the head: of the message before the first payload byte, a multiple of 64 if there is a payload.
    pub head: u32,
    /// Bytes of the whole message.
    pub length: u32,
}

/// Why a message cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// More than [`crate::MESSAGE_BYTES_MAX`] bytes.
    #[error("the message would have more than {MESSAGE_BYTES_MAX} bytes")]
    TooLarge,
    /// More than [`crate::TENSORS_MAX`] tensors or names, or a shape of more than [`RANK_MAX`] dimensions.
    #[error("more than {TENSORS_MAX} tensors or names, or a shape of more than {RANK_MAX} dimensions")]
    TooMany,
}

/// The bytes between two payloads: zeros up to the next multiple of 64, of which the last four are the next one's length.
#[derive(Clone, Copy, Debug)]
pub struct Gap {
    bytes: [u8; GAP_BYTES_MAX],
    length: u8,
}

/// A payload that ends right on a multiple of 64 less 3 leaves no room for a length before the next one.
const GAP_BYTES_MAX: usize = PAYLOAD_ALIGN + 3;

impl AsRef<[u8]> for Gap {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// The gap between a payload of `previous` bytes and one of `next` bytes (4 to 67 bytes).
pub fn gap(previous: u32, next: u32) -> Gap {
    let length = gap_bytes(previous.into()) as usize;
    let mut bytes = [0; GAP_BYTES_MAX];
    bytes[length - 4..length].copy_from_slice(&next.to_le_bytes());
    Gap { bytes, length: length as u8 }
}

/// Bytes from `at` to the next payload: the least that has room for its length and ends on a multiple of 64.
fn gap_bytes(at: u64) -> u64 {
    (at + 4).next_multiple_of(PAYLOAD_ALIGN as u64) - at
}

/// The most bytes of the text of an error; what is longer is cut at a character. An error is to be read by people, and
/// its message has to fit into a reply whatever a framework had to say.
pub const ERROR_BYTES_MAX: usize = 4096;

/// Appends the head of a `Request` with an `InferRequest` to `out` (which may hold other bytes; positions count from where
/// it ended). On an error, `out` is as it was.
pub fn infer_request(out: &mut Vec<u8>, request: &InferRequest<'_>) -> Result<Layout, Unwritable> {
    let extended = !request.model.is_empty()
        || !request.version.is_empty()
        || !request.trace_id.is_empty()
        || request.deadline_us != 0
        || request.priority != 0;
    let texts = [request.config, request.model, request.version, request.trace_id];
    let names = [request.input_names, request.output_names];
    let mut bytes: u64 = texts.iter().map(|text| tensors::string_bytes(text)).sum();
    for list in names {
        if list.len() > TENSORS_MAX {
            return Err(Unwritable::TooMany);
        }
        bytes += tensors::strings_bytes(list);
    }
    tensors::check(request.inputs, bytes)?;

    let mut head = Head::new(out, bytes + tensors::head_bytes(request.inputs));
    head.request(1);
    let fields = if extended { head.infer_request_extended(request) } else { head.infer_request() };
    let tensors = tensors::tables(&mut head, fields.input_tensors, request.inputs);
    head.strings(fields.input_names, request.input_names);
    head.strings(fields.output_names, request.output_names);
    head.string(fields.config, request.config);
    for (slot, text) in fields.extensions.into_iter().zip(&texts[1..]) {
        if !text.is_empty() {
            head.string(slot, text);
        }
    }
    tensors::contents(head, tensors, request.inputs)
}

/// Appends the head of an `InferResponse` with these outputs. On an error, `out` is as it was.
pub fn infer_response(out: &mut Vec<u8>, outputs: &[Tensor<'_>]) -> Result<Layout, Unwritable> {
    tensors::check(outputs, 0)?;
    let mut head = Head::new(out, tensors::head_bytes(outputs));
    let slot = head.infer_response();
    let tensors = tensors::tables(&mut head, slot, outputs);
    tensors::contents(head, tensors, outputs)
}

/// Appends an `InferResponse` that carries one error and no tensor. Of a longer message, the first [`ERROR_BYTES_MAX`]
/// bytes are sent.
pub fn error_response(out: &mut Vec<u8>, code: Code, message: &str) -> Layout {
    let message = &message[..message.floor_char_boundary(ERROR_BYTES_MAX)];
    let mut head = Head::new(out, 128 + message.len() as u64);
    head.error_response(code as i64, message);
    let length = head.at();
    Layout { head: length, length }
}

/// Appends a `Request` with a `MetadataRequest`; returns its length.
pub(crate) fn metadata_request(out: &mut Vec<u8>, model: &[u8], version: &[u8]) -> u32 {
    let mut head = Head::new(out, 64 + tensors::string_bytes(model) + tensors::string_bytes(version));
    head.request(2);
    head.metadata_request(model, version);
    head.at()
}
