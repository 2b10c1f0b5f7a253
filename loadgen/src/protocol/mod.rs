//! The protocols that servers of tensors speak: how a request is written, how replies are found in a stream of bytes,
//! and what is in them. No socket, clock or thread lives here.
//!
//! A request is written once and sent often, so writing may take its time. Replies are found while latency is measured:
//! [`Replies`] copies nothing that is not kept and allocates nothing but what its buffer grows by.

mod body;
mod graphpipe;
mod http;
mod json;
mod native;
mod oip;
mod printable;
mod raw;
mod refusal;
mod replies;
#[cfg(test)]
mod tests;
mod tfs;

pub use replies::Replies;

use printable::printable;

use crate::signature::Signature;
use crate::tensor::{Data, Tensor};
use graphpipe_schema::{DType, Shape};
use std::fmt;

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocol {
    /// GraphPipe messages in native frames; replies in any order.
    Native,
    /// GraphPipe messages as bodies of HTTP.
    GraphpipeHttp,
    /// The Open Inference Protocol v2, tensors as JSON.
    OipJson,
    /// The Open Inference Protocol v2 with its binary tensor extension.
    OipBinary,
    /// TensorFlow Serving's REST API (`:predict`, column format).
    TfsJson,
    /// An HTTP POST whose body is the bytes of the one input.
    Raw,
}

/// How one server is asked for one model.
#[derive(Clone, Debug)]
pub struct Dialect {
    /// The protocol.
    pub protocol: Protocol,
    /// The `Host` of HTTP; not used by [`Protocol::Native`].
    pub host: String,
    /// The path of the URL if it had one but `/`; where it is empty, the protocol and the model make it.
    pub path: String,
    /// The model's name; empty = the server's default (of GraphPipe), or none.
    pub model: String,
}

/// A request as bytes, to be sent as often as wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Encoded {
    /// All of it: header and message, or HTTP head and body.
    pub bytes: Vec<u8>,
    /// Where the sender writes the 8 bytes (little-endian) of the request's id; `None` if replies come in order.
    pub id_at: Option<usize>,
}

/// One whole reply.
#[derive(Debug)]
pub struct Reply<'a> {
    /// The id that it echoes; `None` if replies come in order.
    pub id: Option<u64>,
    /// Whether it is outputs or a refusal.
    pub outcome: Outcome,
    /// Whether the server closes the connection after it.
    pub closes: bool,
    /// Of [`Protocol::OipBinary`], how many bytes of the body are JSON; `None` if the server has not said it.
    pub json_bytes: Option<usize>,
    /// The body or message. Empty if it is outputs and bodies are not kept; of a refusal, at most the first
    /// [`REFUSAL_BYTES_MAX`] bytes.
    pub body: &'a [u8],
}

/// The most bytes that are kept of a refusal: room for any error text that a person would read.
pub const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// The most characters of a name that a server says; no model's are longer.
const NAME_CHARS_MAX: usize = 256;

/// The most characters of a sentence about what a server says, of which it may quote anything.
const SENTENCE_CHARS_MAX: usize = 600;

/// The most bytes of a reply's body: what a GraphPipe message may have, and one more. A server that announces more is
/// broken or hostile, and a load of such replies would measure nothing but memory.
pub const BODY_BYTES_MAX: u64 = 1 << 31;

/// What a reply is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// What was asked for.
    Outputs,
    /// An error of GraphPipe, with its code.
    Code(i64),
    /// A status of HTTP other than 200.
    Status(u16),
}

/// Bytes that are no reply in this protocol: the connection is of no further use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub String);

impl Dialect {
    /// The bytes that ask for the model's signature; `None` if the protocol has no such question, or if it is asked by
    /// a name and there is none.
    pub fn signature_request(&self) -> Option<Vec<u8>> {
        match self.protocol {
            Protocol::Native => Some(native::signature_request(&self.model)),
            Protocol::GraphpipeHttp => Some(graphpipe::http_signature_request(self)),
            Protocol::OipJson | Protocol::OipBinary => oip::signature_request(self),
            Protocol::TfsJson => tfs::signature_request(self),
            Protocol::Raw => None,
        }
    }

    /// Reads the answer to [`Dialect::signature_request`], whatever its outcome, from a connection whose bodies are
    /// kept. The error is a sentence.
    pub fn read_signature(&self, reply: &Reply<'_>) -> Result<Signature, String> {
        let read = match self.protocol {
            Protocol::Native | Protocol::GraphpipeHttp => graphpipe::read_signature(reply),
            Protocol::OipJson | Protocol::OipBinary => oip::read_signature(reply),
            Protocol::TfsJson => tfs::read_signature(reply),
            Protocol::Raw => Err("a server of raw bytes says no signature".to_owned()),
        };
        let mut signature = read.map_err(|why| printable(&why, SENTENCE_CHARS_MAX))?;
        signature.model = printable(&signature.model, NAME_CHARS_MAX);
        signature.server = printable(&signature.server, NAME_CHARS_MAX);
        for io in signature.inputs.iter_mut().chain(&mut signature.outputs) {
            io.name = printable(&io.name, NAME_CHARS_MAX);
        }
        Ok(signature)
    }

    /// Writes a request with these inputs (in the signature's order) for these outputs (none = all). The error is a
    /// sentence: what this protocol cannot say.
    pub fn encode(&self, inputs: &[Tensor], outputs: &[String]) -> Result<Encoded, String> {
        inputs.iter().try_for_each(check).map_err(|why| format!("input {why}"))?;
        match self.protocol {
            Protocol::Native => native::encode(&self.model, inputs, outputs),
            Protocol::GraphpipeHttp => graphpipe::http_encode(self, inputs, outputs),
            Protocol::OipJson => oip::encode_json(self, inputs, outputs),
            Protocol::OipBinary => oip::encode_binary(self, inputs, outputs),
            Protocol::TfsJson => tfs::encode(self, inputs, outputs),
            Protocol::Raw => raw::encode(self, inputs, outputs),
        }
    }

    /// Reads the outputs in a reply whose body was kept. JSON does not always say element types: there the signature's
    /// count; GraphPipe does not say names: there the signature's outputs are those that were asked for, in that order.
    /// Of [`Protocol::Raw`], one unnamed uint8 tensor of rank 1.
    pub fn read_outputs(&self, signature: &Signature, reply: &Reply<'_>) -> Result<Vec<Tensor>, String> {
        if let Some(refusal) = reply.refusal() {
            return Err(format!("a refusal has no outputs: {refusal}"));
        }
        let read = match self.protocol {
            Protocol::Native | Protocol::GraphpipeHttp => graphpipe::read_outputs(signature, reply.body),
            Protocol::OipJson | Protocol::OipBinary => oip::read_outputs(signature, reply),
            Protocol::TfsJson => tfs::read_outputs(signature, reply.body),
            Protocol::Raw => Ok(vec![raw::output(reply.body)]),
        };
        let mut outputs = read.map_err(|why| printable(&why, SENTENCE_CHARS_MAX))?;
        for output in &mut outputs {
            // Names of the signature are so already; the same is done to both, so that they stay equal.
            output.name = printable(&output.name, NAME_CHARS_MAX);
        }
        outputs.iter().try_for_each(check).map_err(|why| format!("output {why}"))?;
        Ok(outputs)
    }

    /// Finds replies in what one connection receives.
    pub fn replies(&self, keep_bodies: bool) -> Replies {
        Replies::new(self.protocol, keep_bodies)
    }
}

impl fmt::Display for Protocol {
    /// The name on the command line: `native`, `graphpipe-http`, `oip-json`, `oip-binary`, `tfs-json`, `raw`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Native => "native",
            Protocol::GraphpipeHttp => "graphpipe-http",
            Protocol::OipJson => "oip-json",
            Protocol::OipBinary => "oip-binary",
            Protocol::TfsJson => "tfs-json",
            Protocol::Raw => "raw",
        })
    }
}

/// Whether a tensor has the elements that its type and shape say. All that is written or read here is held against it.
fn check(tensor: &Tensor) -> Result<(), String> {
    let shape = Shape::new(&tensor.shape)
        .ok_or_else(|| format!("'{}' has {} dimensions; 16 are the most", tensor.name, tensor.shape.len()))?;
    let (has, wants) = match (&tensor.data, tensor.dtype) {
        (Data::Strings(strings), DType::String) => (strings.len() as u64, shape.elements()),
        (Data::Bytes(bytes), _) => (bytes.len() as u64, shape.bytes(tensor.dtype)),
        (Data::Strings(_), _) => (0, None),
    };
    match wants {
        Some(wants) if wants == has => Ok(()),
        Some(wants) => {
            let unit = if tensor.dtype == DType::String { "elements" } else { "bytes" };
            Err(format!("{} takes {wants} {unit} and has {has}", describe(tensor)))
        }
        None => Err(format!("{} is a shape or type that no tensor can have", describe(tensor))),
    }
}

/// A tensor in words, as signatures are written: `image float32[2,64]`.
fn describe(tensor: &Tensor) -> String {
    format!("{} {}", tensor.name, tensor.form()).trim_start().to_owned()
}
