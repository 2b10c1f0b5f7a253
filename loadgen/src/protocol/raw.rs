//! Raw bytes over HTTP: the one input's as the body of a POST, and the body of the answer as the one output. This is
//! what servers without a protocol of their own are asked with; nothing here says what the bytes are.

use super::{Dialect, Encoded, describe, http};
use crate::tensor::{Data, Tensor};
use graphpipe_schema::DType;

/// The request.
pub(super) fn encode(dialect: &Dialect, inputs: &[Tensor], outputs: &[String]) -> Result<Encoded, String> {
    let [input] = inputs else {
        return Err(format!("raw bytes are those of exactly one input, and there are {}", inputs.len()));
    };
    if let Some(name) = outputs.first() {
        return Err(format!("raw bytes cannot ask for an output by name ('{name}')"));
    }
    let Data::Bytes(bytes) = &input.data else {
        return Err(format!("raw bytes cannot say where a string ends: {}", describe(input)));
    };
    let path = if dialect.path.is_empty() { "/" } else { &dialect.path };
    let bytes = http::post(&dialect.host, path, &[("Content-Type", "application/octet-stream")], bytes);
    Ok(Encoded { bytes, id_at: None })
}

/// The body of an answer.
pub(super) fn output(body: &[u8]) -> Tensor {
    Tensor {
        name: String::new(),
        dtype: DType::Uint8,
        shape: vec![body.len() as i64],
        data: Data::Bytes(body.to_vec()),
    }
}
