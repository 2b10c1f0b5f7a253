//! The Open Inference Protocol v2 over HTTP, with tensors as JSON or, by its binary tensor extension, as bytes behind
//! the JSON. 16-bit floats are written as numbers, as KServe takes them; Triton takes them only as bytes, and says so.

mod reply;

pub(super) use reply::{read_outputs, read_signature};

use super::json::{self, Text};
use super::{Dialect, Encoded, http};
use crate::tensor::{Data, Tensor};
use graphpipe_schema::DType;

/// The protocol's names of element types.
const DATATYPES: [(DType, &str); 14] = [
    (DType::Uint8, "UINT8"),
    (DType::Int8, "INT8"),
    (DType::Uint16, "UINT16"),
    (DType::Int16, "INT16"),
    (DType::Uint32, "UINT32"),
    (DType::Int32, "INT32"),
    (DType::Uint64, "UINT64"),
    (DType::Int64, "INT64"),
    (DType::Float16, "FP16"),
    (DType::Float32, "FP32"),
    (DType::Float64, "FP64"),
    (DType::String, "BYTES"),
    (DType::Bool, "BOOL"),
    (DType::Bfloat16, "BF16"),
];

/// What paths that ask for an inference end with; without it, they are those of the model.
const INFER: &str = "/infer";

/// The request for a model's metadata.
pub(super) fn signature_request(dialect: &Dialect) -> Option<Vec<u8>> {
    match dialect.path.strip_suffix(INFER) {
        Some(model) => Some(http::get(&dialect.host, model)),
        None if dialect.model.is_empty() => None,
        None => Some(http::get(&dialect.host, &model_path(&dialect.model))),
    }
}

fn model_path(model: &str) -> String {
    format!("/v2/models/{}", http::segment(model))
}

fn infer_path(dialect: &Dialect) -> Result<String, String> {
    match (dialect.path.as_str(), dialect.model.as_str()) {
        ("", "") => Err("the Open Inference Protocol asks for a model by its name, and none is given".to_owned()),
        ("", model) => Ok(model_path(model) + INFER),
        (path, _) => Ok(path.to_owned()),
    }
}

/// The request with tensors as JSON.
pub(super) fn encode_json(dialect: &Dialect, inputs: &[Tensor], outputs: &[String]) -> Result<Encoded, String> {
    let path = infer_path(dialect)?;
    let mut body = Vec::new();
    request(&mut body, inputs, outputs, "", |body, input| {
        body.extend_from_slice(br#","data":"#);
        json::flat(body, input, Text::Only)
    })?;
    let bytes = http::post(&dialect.host, &path, &[("Content-Type", "application/json")], &body);
    Ok(Encoded { bytes, id_at: None })
}

/// The request with tensors as bytes, for outputs as bytes.
pub(super) fn encode_binary(dialect: &Dialect, inputs: &[Tensor], outputs: &[String]) -> Result<Encoded, String> {
    let path = infer_path(dialect)?;
    let mut body = Vec::new();
    request(&mut body, inputs, outputs, r#","parameters":{"binary_data_output":true}"#, |body, input| {
        let size = format!(r#","parameters":{{"binary_data_size":{}}}"#, binary_bytes(input));
        body.extend_from_slice(size.as_bytes());
        Ok(())
    })?;
    let json_bytes = body.len().to_string();
    for input in inputs {
        binary(&mut body, input)?;
    }
    let fields = [("Content-Type", "application/octet-stream"), ("Inference-Header-Content-Length", &json_bytes)];
    Ok(Encoded { bytes: http::post(&dialect.host, &path, &fields, &body), id_at: None })
}

/// Appends the JSON of a request; `elements` appends what says them to an input, `end` is the request's last field.
fn request(
    body: &mut Vec<u8>,
    inputs: &[Tensor],
    outputs: &[String],
    end: &str,
    mut elements: impl FnMut(&mut Vec<u8>, &Tensor) -> Result<(), String>,
) -> Result<(), String> {
    body.extend_from_slice(br#"{"inputs":["#);
    for (index, input) in inputs.iter().enumerate() {
        if input.name.is_empty() {
            return Err(format!("the Open Inference Protocol names its inputs, and input {index} has no name"));
        }
        named(body, index, &input.name);
        let (_, datatype) = DATATYPES
            .into_iter()
            .find(|(dtype, _)| *dtype == input.dtype)
            .ok_or_else(|| format!("the Open Inference Protocol has no name for {}", input.dtype))?;
        body.extend_from_slice(br#","shape":"#);
        json::value(body, &input.shape);
        body.extend_from_slice(format!(r#","datatype":"{datatype}""#).as_bytes());
        elements(body, input)?;
        body.push(b'}');
    }
    body.push(b']');
    if !outputs.is_empty() {
        body.extend_from_slice(br#","outputs":["#);
        for (index, output) in outputs.iter().enumerate() {
            named(body, index, output);
            body.push(b'}');
        }
        body.push(b']');
    }
    body.extend_from_slice(end.as_bytes());
    body.push(b'}');
    Ok(())
}

/// Appends the beginning of the `index`-th object of a list: its name.
fn named(body: &mut Vec<u8>, index: usize, name: &str) {
    let begin: &[u8] = if index == 0 { br#"{"name":"# } else { br#",{"name":"# };
    body.extend_from_slice(begin);
    json::value(body, name);
}

/// Bytes of an input in the binary extension: before each string stand 4 bytes, its length.
fn binary_bytes(input: &Tensor) -> usize {
    match &input.data {
        Data::Bytes(bytes) => bytes.len(),
        Data::Strings(strings) => strings.iter().map(|string| 4 + string.len()).sum(),
    }
}

fn binary(body: &mut Vec<u8>, input: &Tensor) -> Result<(), String> {
    match &input.data {
        Data::Bytes(bytes) => body.extend_from_slice(bytes),
        Data::Strings(strings) => {
            for string in strings {
                let length = u32::try_from(string.len())
                    .map_err(|_| format!("a string of {} bytes in '{}'; less than 4 GiB", string.len(), input.name))?;
                body.extend_from_slice(&length.to_le_bytes());
                body.extend_from_slice(string);
            }
        }
    }
    Ok(())
}
