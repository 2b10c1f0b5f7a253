//! FlatBuffers' own code for the messages, as its compiler made it: nobody edits it.
//!
//! Made from `graphpipe.fbs` by `schema/generate.sh`, which runs `flatc --rust -o OUT graphpipe.fbs` of the version that
//! the `flatbuffers` crate has. It writes the messages that carry no payload, and is what the tests hold the reader and the
//! writer against. It reads nothing that a peer sent: that is what [`reader`](crate::reader) is for.

#[rustfmt::skip]
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    missing_docs,
    rust_2018_idioms,
    unsafe_op_in_unsafe_fn,
    unsafe_code,
)]
mod graphpipe_generated;

pub use graphpipe_generated::graphpipe::*;
