//! HTTP/1.1 as bytes: request heads, chunked bodies, response heads, and how a connection's first bytes tell what it
//! speaks. Every function here takes bytes and gives an answer. Sockets, clocks, buffers that outlive a call and the
//! order of requests on a connection never live here: the connection state machine has them.
//!
//! What a peer sends can only end in an answer or in a [`Reject`]; the limits stand beside what they limit
//! ([`HEAD_BYTES_MAX`], [`HEADERS_MAX`], [`Chunked`]).

mod chunked;
mod fields;
mod fuzz;
mod head;
mod response;
mod sniff;

pub use chunked::{Chunked, Step};
pub use fuzz::{fuzz_chunked, fuzz_http_head};
pub use head::{Body, HEAD_BYTES_MAX, HEADERS_MAX, Method, Parsed, RequestHead, Version, read_head};
pub use response::{
    CONTINUE, JSON, OCTET_STREAM, ResponseHead, TEXT, reason, write_reject, write_response_head, write_text,
};
pub use sniff::{Sniff, looks_like_http};

use std::borrow::Cow;

/// Bytes that are not an HTTP request this server takes. The answer is `status` with `message` as its text, and then
/// the connection closes: where the next request would begin is no longer known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Reject {
    /// The HTTP status of the answer.
    pub status: u16,
    /// What is wrong with the request, for people.
    pub message: Cow<'static, str>,
}

impl Reject {
    /// A body of more than `limit` bytes, whether it was declared or came in chunks.
    pub fn body_over(limit: u64) -> Reject {
        Reject { status: 413, message: format!("the body is over the largest message, {limit} bytes").into() }
    }

    /// A TLS handshake. The client cannot show this text, but whoever looks at the bytes can read it.
    pub fn tls() -> Reject {
        Reject::new(400, "TLS is not spoken here: this address takes GraphPipe frames and plain HTTP/1.1")
    }

    const fn new(status: u16, message: &'static str) -> Reject {
        Reject { status, message: Cow::Borrowed(message) }
    }
}
