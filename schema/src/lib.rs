//! The GraphPipe messages and frames: bytes, and nothing but bytes.
//!
//! What lives here: the element types ([`DType`]), shapes with checked arithmetic ([`Shape`]), the
//! error codes ([`Code`]), the native frame ([`frame`]), the incremental reader of requests and replies
//! ([`reader`]), the stream-ready writer ([`writer`]), and metadata ([`metadata`]). What never does:
//! sockets, threads, clocks, batching. `docs/PROTOCOL.md` is the specification.
//!
//! There is no `unsafe` here but in [`generated`], which FlatBuffers' compiler wrote: that module alone is excepted, which
//! `forbid` would not allow.
#![deny(unsafe_code)]

pub mod code;
pub mod dtype;
pub mod frame;
pub mod fuzz;
pub mod generated;
pub mod metadata;
pub mod reader;
pub mod shape;
pub mod writer;

pub use code::Code;
pub use dtype::DType;
pub use reader::Malformed;
pub use shape::Shape;

/// The most tensors that one request or reply may carry, and the most names in one list.
pub const TENSORS_MAX: usize = 64;
/// The alignment, relative to the start of the message, of every payload that [`writer`] lays out.
pub const PAYLOAD_ALIGN: usize = 64;
/// The most bytes of a message: FlatBuffers' offsets are signed in most implementations.
pub const MESSAGE_BYTES_MAX: u32 = i32::MAX as u32;
