//! GraphPipe's messages, as they stand in a native frame or in a body of HTTP: requests with tensors, replies with
//! tensors or an error, metadata. Where a message begins and ends is not known here.

use super::{Dialect, Encoded, Outcome, Reply, http};
use crate::signature::{Io, Signature};
use crate::tensor::{Data, Tensor};
use graphpipe_schema::metadata::{self, Metadata, metadata_request};
use graphpipe_schema::reader::{self, InferResponse, ReadResponse, Window, read_response};
use graphpipe_schema::writer::{self, Content, InferRequest, Layout};
use graphpipe_schema::{DType, MESSAGE_BYTES_MAX, Malformed};

/// Appends a request with all its payloads to `out`.
pub(super) fn write(out: &mut Vec<u8>, model: &str, inputs: &[Tensor], outputs: &[String]) -> Result<Layout, String> {
    // Without any name, inputs are given by position, which every server understands.
    let named = inputs.iter().any(|input| !input.name.is_empty());
    let input_names: Vec<&[u8]> = inputs.iter().filter(|_| named).map(|input| input.name.as_bytes()).collect();
    let output_names: Vec<&[u8]> = outputs.iter().map(String::as_bytes).collect();
    let strings: Vec<Vec<&[u8]>> = inputs.iter().map(strings).collect();
    let mut tensors = Vec::with_capacity(inputs.len());
    for (input, strings) in inputs.iter().zip(&strings) {
        let content = match &input.data {
            Data::Strings(_) => Content::Strings(strings),
            Data::Bytes(bytes) => Content::Payload(u32::try_from(bytes.len()).map_err(|_| {
                format!("input '{}' has {} bytes; a message has less than 2 GiB", input.name, bytes.len())
            })?),
        };
        tensors.push(writer::Tensor { dtype: input.dtype, shape: &input.shape, content });
    }
    let request = InferRequest {
        input_names: &input_names,
        inputs: &tensors,
        output_names: &output_names,
        model: model.as_bytes(),
        ..InferRequest::default()
    };
    let layout = writer::infer_request(out, &request).map_err(|why| format!("GraphPipe cannot say this: {why}"))?;
    payloads(out, inputs);
    Ok(layout)
}

fn strings(tensor: &Tensor) -> Vec<&[u8]> {
    match &tensor.data {
        Data::Strings(strings) => strings.iter().map(Vec::as_slice).collect(),
        Data::Bytes(_) => Vec::new(),
    }
}

/// Appends the payloads that are not empty, and the gaps between them.
fn payloads(out: &mut Vec<u8>, inputs: &[Tensor]) {
    let mut previous = None;
    for input in inputs {
        let Data::Bytes(bytes) = &input.data else { continue };
        if bytes.is_empty() {
            continue;
        }
        // The writer has taken the message, so no payload has more than 2 GiB.
        let length = bytes.len() as u32;
        if let Some(previous) = previous {
            out.extend_from_slice(writer::gap(previous, length).as_ref());
        }
        out.extend_from_slice(bytes);
        previous = Some(length);
    }
}

/// The first error in a message, if it is a reply that carries one: code and text.
pub(super) fn error(message: &[u8]) -> Option<(i64, &[u8])> {
    read(message).ok()?.error()
}

/// What the beginning of a message says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// An error, with its code.
    Error(i64),
    /// Outputs.
    Outputs,
    /// Nothing yet: so many bytes of it are needed.
    Need(u32),
    /// That it is no reply to an inference.
    NotAMessage(Malformed),
}

/// What a message of `length` bytes is, as far as its first bytes say; `length` may be too large, if it is not known.
pub(super) fn said(first: &[u8], length: u64) -> Said {
    let length = length.min(MESSAGE_BYTES_MAX.into()) as u32;
    let first = &first[..first.len().min(length as usize)];
    match read_response(Window::split(first, &[], length)) {
        Ok(ReadResponse::Infer(response)) => response.error().map_or(Said::Outputs, |(code, _)| Said::Error(code)),
        Ok(ReadResponse::Need(bytes)) => Said::Need(bytes),
        Err(malformed) => Said::NotAMessage(malformed),
    }
}

/// Whether a message is metadata, which is not the answer to an inference.
pub(super) fn is_metadata(message: &[u8]) -> bool {
    Metadata::read(message).is_ok()
}

fn read(message: &[u8]) -> Result<InferResponse<'_>, Malformed> {
    match read_response(Window::whole(message))? {
        ReadResponse::Infer(response) => Ok(response),
        // Not of a window that shows the whole message.
        ReadResponse::Need(at) => Err(Malformed { what: "a field that has not arrived", at }),
    }
}

/// The outputs in a reply, with the names of the signature's: the message has none.
pub(super) fn read_outputs(signature: &Signature, message: &[u8]) -> Result<Vec<Tensor>, String> {
    let response = read(message).map_err(|why| format!("the reply is no GraphPipe message: {why}"))?;
    let mut outputs = Vec::with_capacity(response.outputs_count());
    // Many strings may be the same bytes, of which each would be a copy: no message makes more bytes than it has.
    let mut left = message.len();
    for (index, tensor) in response.outputs().enumerate() {
        let name = signature.outputs.get(index).map_or("", |io| &io.name);
        let output = read_output(name, message, &tensor, &mut left);
        outputs.push(output.map_err(|why| format!("output {index} of the reply {why}"))?);
    }
    Ok(outputs)
}

/// Copies an output; its bytes are taken from the `left` ones that the message may still make.
fn read_output(
    name: &str,
    message: &[u8],
    tensor: &reader::Tensor<'_>,
    left: &mut usize,
) -> Result<Tensor, &'static str> {
    const MISSING: &str = "is not all there";
    let mut copy = |bytes: &[u8]| -> Result<Vec<u8>, &'static str> {
        *left = left.checked_sub(bytes.len()).ok_or("shares its bytes with others, and has more than the message")?;
        Ok(bytes.to_vec())
    };
    let data = if tensor.dtype() == DType::String {
        Data::Strings(tensor.strings().map(copy).collect::<Result<_, _>>()?)
    } else {
        let payload = tensor.payload().get().ok_or(MISSING)?;
        Data::Bytes(copy(message.get(payload.start as usize..payload.end as usize).ok_or(MISSING)?)?)
    };
    let shape = tensor.shape().get().ok_or(MISSING)?.dims().to_vec();
    Ok(Tensor { name: name.to_owned(), dtype: tensor.dtype(), shape, data })
}

/// Reads metadata.
///
/// Over HTTP, a reply that carries an error is known only by what is in it, and metadata of which some other server is
/// the author may read like one: the version stands where the errors would. Only metadata has inputs or outputs,
/// though.
pub(super) fn read_signature(reply: &Reply<'_>) -> Result<Signature, String> {
    let metadata = match reply.outcome {
        Outcome::Outputs => Metadata::read(reply.body),
        Outcome::Code(_) => match Metadata::read(reply.body) {
            Ok(metadata) if !metadata.inputs.is_empty() || !metadata.outputs.is_empty() => Ok(metadata),
            _ => return Err(reply.refusal().unwrap_or_default()),
        },
        Outcome::Status(_) => return Err(reply.refusal().unwrap_or_default()),
    };
    let metadata = metadata.map_err(|why| format!("its metadata is no GraphPipe message: {why}"))?;
    let ios = |ios: Vec<metadata::Io>| ios.into_iter().map(io).collect();
    Ok(Signature {
        model: metadata.name,
        server: format!("{} {}", metadata.server, metadata.version).trim().to_owned(),
        inputs: ios(metadata.inputs),
        outputs: ios(metadata.outputs),
    })
}

fn io(io: metadata::Io) -> Io {
    // The message has one word for rank 0 and for an unknown rank. The latter is what servers mean by it: models that
    // take a single number are rare, models whose shapes nobody has written down are not.
    let shape = (io.shape.rank() != 0).then(|| io.shape.dims().to_vec());
    Io { name: io.name, dtype: (io.dtype != DType::Null).then_some(io.dtype), shape }
}

/// Where messages are posted to.
fn path(dialect: &Dialect) -> String {
    match (dialect.path.as_str(), dialect.model.as_str()) {
        ("", "") => "/".to_owned(),
        ("", model) => format!("/models/{}", http::segment(model)),
        (path, _) => path.to_owned(),
    }
}

/// The body is the message; its type is the one with which servers answer.
fn post(dialect: &Dialect, message: &[u8]) -> Vec<u8> {
    http::post(&dialect.host, &path(dialect), &[("Content-Type", "application/octet-stream")], message)
}

/// The request for metadata, over HTTP.
pub(super) fn http_signature_request(dialect: &Dialect) -> Vec<u8> {
    post(dialect, &metadata_request(&dialect.model, ""))
}

/// The request with an inference, over HTTP.
pub(super) fn http_encode(dialect: &Dialect, inputs: &[Tensor], outputs: &[String]) -> Result<Encoded, String> {
    let mut message = Vec::new();
    write(&mut message, &dialect.model, inputs, outputs)?;
    Ok(Encoded { bytes: post(dialect, &message), id_at: None })
}
