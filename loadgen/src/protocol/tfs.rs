//! TensorFlow Serving's REST API: `:predict` in the column format, where tensors are nested lists without types.

use super::json::{self, Dim, Text};
use super::{Dialect, Encoded, Outcome, Reply, http};
use crate::signature::{Io, Signature};
use crate::tensor::Tensor;
use graphpipe_schema::DType;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What paths that ask for a prediction end with.
const PREDICT: &str = ":predict";

/// TensorFlow's names of element types.
const TYPES: [(&str, DType); 14] = [
    ("DT_UINT8", DType::Uint8),
    ("DT_INT8", DType::Int8),
    ("DT_UINT16", DType::Uint16),
    ("DT_INT16", DType::Int16),
    ("DT_UINT32", DType::Uint32),
    ("DT_INT32", DType::Int32),
    ("DT_UINT64", DType::Uint64),
    ("DT_INT64", DType::Int64),
    ("DT_HALF", DType::Float16),
    ("DT_FLOAT", DType::Float32),
    ("DT_DOUBLE", DType::Float64),
    ("DT_STRING", DType::String),
    ("DT_BOOL", DType::Bool),
    ("DT_BFLOAT16", DType::Bfloat16),
];

/// The request for a model's metadata.
pub(super) fn signature_request(dialect: &Dialect) -> Option<Vec<u8>> {
    let model = match dialect.path.strip_suffix(PREDICT) {
        Some(model) => model.to_owned(),
        None if dialect.model.is_empty() => return None,
        None => model_path(&dialect.model),
    };
    Some(http::get(&dialect.host, &(model + "/metadata")))
}

fn model_path(model: &str) -> String {
    format!("/v1/models/{}", http::segment(model))
}

/// The request with a prediction.
pub(super) fn encode(dialect: &Dialect, inputs: &[Tensor], outputs: &[String]) -> Result<Encoded, String> {
    let path = match (dialect.path.as_str(), dialect.model.as_str()) {
        ("", "") => return Err("TensorFlow Serving asks for a model by its name, and none is given".to_owned()),
        ("", model) => model_path(model) + PREDICT,
        (path, _) => path.to_owned(),
    };
    if let Some(name) = outputs.first() {
        return Err(format!("TensorFlow Serving's REST API cannot ask for an output by name ('{name}')"));
    }
    let mut body = br#"{"inputs":"#.to_vec();
    match inputs {
        // A single input needs no name.
        [input] if input.name.is_empty() => json::nested(&mut body, input, Text::OrBase64)?,
        inputs => named(&mut body, inputs)?,
    }
    body.push(b'}');
    let bytes = http::post(&dialect.host, &path, &[("Content-Type", "application/json")], &body);
    Ok(Encoded { bytes, id_at: None })
}

fn named(body: &mut Vec<u8>, inputs: &[Tensor]) -> Result<(), String> {
    for (index, input) in inputs.iter().enumerate() {
        if input.name.is_empty() {
            return Err(format!("TensorFlow Serving tells several inputs by their names, and input {index} has none"));
        }
        body.push(if index == 0 { b'{' } else { b',' });
        json::value(body, &input.name);
        body.push(b':');
        json::nested(body, input, Text::OrBase64)?;
    }
    body.extend_from_slice(if inputs.is_empty() { b"{}" } else { b"}" });
    Ok(())
}

/// A model's metadata, as far as it is used: the message `GetModelMetadataResponse` in JSON.
#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    model_spec: ModelSpec,
    metadata: SignatureDefs,
}

#[derive(Default, Deserialize)]
struct ModelSpec {
    #[serde(default)]
    name: String,
}

/// A map within a map, both of this name.
#[derive(Deserialize)]
struct SignatureDefs {
    signature_def: SignatureDefMap,
}

#[derive(Deserialize)]
struct SignatureDefMap {
    signature_def: Signatures,
}

/// The signature that a request without `signature_name` means.
#[derive(Deserialize)]
struct Signatures {
    serving_default: SignatureDef,
}

#[derive(Deserialize)]
struct SignatureDef {
    #[serde(default)]
    inputs: BTreeMap<String, TensorInfo>,
    #[serde(default)]
    outputs: BTreeMap<String, TensorInfo>,
}

#[derive(Deserialize)]
struct TensorInfo {
    dtype: Option<String>,
    tensor_shape: Option<TensorShape>,
}

#[derive(Deserialize)]
struct TensorShape {
    #[serde(default)]
    dim: Vec<Dimension>,
    #[serde(default)]
    unknown_rank: bool,
}

/// One without a size is not known.
#[derive(Deserialize)]
struct Dimension {
    size: Option<Dim>,
}

/// Reads metadata. The inputs and outputs of a signature are a map; their order is that of their names.
pub(super) fn read_signature(reply: &Reply<'_>) -> Result<Signature, String> {
    if reply.outcome != Outcome::Outputs {
        return Err(reply.refusal().unwrap_or_default());
    }
    let said: Metadata = serde_json::from_slice(reply.body).map_err(|why| json::not_json(reply.body, &why))?;
    let SignatureDef { inputs, outputs } = said.metadata.signature_def.signature_def.serving_default;
    let ios = |tensors: BTreeMap<String, TensorInfo>| tensors.into_iter().map(io).collect();
    Ok(Signature { model: said.model_spec.name, server: String::new(), inputs: ios(inputs), outputs: ios(outputs) })
}

fn io((name, info): (String, TensorInfo)) -> Io {
    let dtype = TYPES.into_iter().find(|(dtype, _)| Some(*dtype) == info.dtype.as_deref()).map(|(_, dtype)| dtype);
    let shape = info.tensor_shape.filter(|shape| !shape.unknown_rank);
    let open = |dim: &Dimension| dim.size.as_ref().map_or(-1, Dim::or_open);
    let shape = shape.map(|shape| shape.dim.iter().map(open).collect());
    Io { name, dtype, shape }
}

/// The answer to a prediction: a tensor if the model has one output, else an object of tensors by name.
#[derive(Deserialize)]
struct Predicted<'a> {
    #[serde(borrow)]
    outputs: &'a RawValue,
}

/// Reads outputs, in the signature's order; those that it does not have come last, by name.
pub(super) fn read_outputs(signature: &Signature, body: &[u8]) -> Result<Vec<Tensor>, String> {
    let reply: Predicted<'_> = serde_json::from_slice(body).map_err(|why| json::not_json(body, &why))?;
    let Some(mut by_name) = by_name(signature, reply.outputs) else {
        let io = signature.outputs.first();
        let name = io.map_or("", |io| &io.name);
        return Ok(vec![read_output(name, io.and_then(|io| io.dtype), reply.outputs)?]);
    };
    let mut outputs = Vec::new();
    for io in &signature.outputs {
        if let Some(json) = by_name.remove(&io.name) {
            outputs.push(read_output(&io.name, io.dtype, json)?);
        }
    }
    // Whoever knows types and no names has them in this order.
    let mut unnamed = signature.outputs.iter().filter(|io| io.name.is_empty());
    for (name, json) in by_name {
        outputs.push(read_output(&name, unnamed.next().and_then(|io| io.dtype), json)?);
    }
    Ok(outputs)
}

/// The tensors of an object, unless it is the one element of a tensor without dimensions, `{"b64": "…"}`.
fn by_name<'a>(signature: &Signature, outputs: &'a RawValue) -> Option<BTreeMap<String, &'a RawValue>> {
    let by_name: BTreeMap<String, &RawValue> = serde_json::from_str(outputs.get()).ok()?;
    let is_element = by_name.len() == 1
        && by_name.get("b64").is_some_and(|value| value.get().starts_with('"'))
        && signature.outputs.iter().all(|io| io.name != "b64");
    (!is_element).then_some(by_name)
}

fn read_output(name: &str, dtype: Option<DType>, json: &RawValue) -> Result<Tensor, String> {
    let elements = json::elements(json, dtype).map_err(|why| format!("output '{name}' of the reply: {why}"))?;
    Ok(Tensor { name: name.to_owned(), dtype: elements.dtype, shape: elements.shape, data: elements.data })
}
