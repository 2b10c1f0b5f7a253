//! The incremental reader of requests and replies.
//!
//! FlatBuffers' own verifiers refuse what GraphPipe's clients really send: 64-bit integers that are not aligned, strings
//! without a final NUL, text that is not UTF-8. So this reader is our own. It loads little-endian values from wherever
//! they lie, checks every position against the length of the message, and assumes nothing about the order of the parts.
//! It neither recurses nor allocates, and its work is bounded by the bytes of the message, whatever these bytes claim.
//!
//! It is incremental: a [`Window`] shows the part of a message that has arrived. From that, [`read_request`] answers
//! either *this many bytes of the beginning are needed*, or *this is the request, as far as it can be seen*, or *this can
//! never become a request*. What is seen never changes when more arrives.
//!
//! What never lives here: what a model takes. Whether a tensor has as many bytes as its shape says is for whoever knows
//! the model to answer, with the tensor's name.

mod request;
mod response;
mod survey;
mod table;
mod tensor;
#[cfg(test)]
mod tests;
mod window;

pub use request::{InferRequest, MetadataRequest, Read, read_request};
pub use response::{InferResponse, ReadResponse, read_response};
pub use tensor::Tensor;
pub use window::{Malformed, Window};

pub(crate) use table::{Table, Vector};
pub(crate) use window::Stop;

/// A field that may lie behind a payload that has not arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<T> {
    /// It lies in bytes that are not there yet.
    NotYet,
    /// It is there (an absent field has its default).
    Is(T),
}

impl<T> Seen<T> {
    /// What is there, if it is.
    #[inline]
    pub fn get(self) -> Option<T> {
        match self {
            Seen::NotYet => None,
            Seen::Is(value) => Some(value),
        }
    }

    /// The same of a part of it.
    #[inline]
    pub fn map<U>(self, part: impl FnOnce(T) -> U) -> Seen<U> {
        match self {
            Seen::NotYet => Seen::NotYet,
            Seen::Is(value) => Seen::Is(part(value)),
        }
    }
}
