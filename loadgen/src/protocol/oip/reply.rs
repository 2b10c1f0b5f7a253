//! What servers of the Open Inference Protocol answer: metadata, and outputs as JSON or bytes. A reply may have both
//! kinds: some servers take no notice of a wish for bytes.

use super::DATATYPES;
use crate::protocol::json::{self, Dim};
use crate::protocol::{Outcome, Reply};
use crate::signature::{Io, Signature};
use crate::tensor::{Data, Tensor};
use graphpipe_schema::DType;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;

/// A model's metadata; what it says of platform and versions is not the server's name, and not used.
#[derive(Deserialize)]
struct Metadata {
    name: String,
    inputs: Option<Vec<TensorMetadata>>,
    outputs: Option<Vec<TensorMetadata>>,
}

#[derive(Deserialize)]
struct TensorMetadata {
    name: String,
    datatype: Option<String>,
    shape: Option<Vec<Dim>>,
}

/// The answer to an inference.
#[derive(Deserialize)]
struct Inferred<'a> {
    #[serde(borrow)]
    outputs: Vec<Output<'a>>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    datatype: Cow<'a, str>,
    shape: Vec<Dim>,
    parameters: Option<Parameters>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Parameters {
    binary_data_size: Option<u64>,
}

fn dtype(name: &str) -> Option<DType> {
    DATATYPES.into_iter().find(|(_, datatype)| *datatype == name).map(|(dtype, _)| dtype)
}

/// Reads metadata.
pub(in crate::protocol) fn read_signature(reply: &Reply<'_>) -> Result<Signature, String> {
    if reply.outcome != Outcome::Outputs {
        return Err(reply.refusal().unwrap_or_default());
    }
    let metadata: Metadata = serde_json::from_slice(reply.body).map_err(|why| json::not_json(reply.body, &why))?;
    // Servers of models that were never described leave both lists out.
    let ios = |tensors: Option<Vec<TensorMetadata>>| tensors.unwrap_or_default().into_iter().map(io).collect();
    Ok(Signature {
        model: metadata.name,
        server: String::new(),
        inputs: ios(metadata.inputs),
        outputs: ios(metadata.outputs),
    })
}

fn io(tensor: TensorMetadata) -> Io {
    let shape = tensor.shape.map(|shape| shape.iter().map(Dim::or_open).collect());
    Io { dtype: tensor.datatype.as_deref().and_then(dtype), shape, name: tensor.name }
}

/// Reads outputs, in the signature's order; servers write them in any. Those that it does not have come last.
pub(in crate::protocol) fn read_outputs(signature: &Signature, reply: &Reply<'_>) -> Result<Vec<Tensor>, String> {
    let json_bytes = reply.json_bytes.unwrap_or(reply.body.len());
    let Some((json, mut binary)) = reply.body.split_at_checked(json_bytes) else {
        return Err(format!("the reply says that it has {json_bytes} bytes of JSON, and has {}", reply.body.len()));
    };
    let reply: Inferred<'_> = serde_json::from_slice(json).map_err(|why| json::not_json(json, &why))?;
    let mut tensors = Vec::new();
    for output in &reply.outputs {
        let tensor = read_output(output, &mut binary);
        tensors.push(tensor.map_err(|why| format!("output '{}' of the reply: {why}", output.name))?);
    }
    if !binary.is_empty() {
        return Err(format!("{} bytes of the reply are of no output", binary.len()));
    }
    let places: HashMap<&str, usize> = signature.outputs.iter().zip(0..).map(|(io, at)| (&*io.name, at)).collect();
    tensors.sort_by_key(|tensor| places.get(tensor.name.as_str()).copied().unwrap_or(usize::MAX));
    Ok(tensors)
}

fn read_output(output: &Output<'_>, binary: &mut &[u8]) -> Result<Tensor, String> {
    let dtype = dtype(&output.datatype).ok_or_else(|| format!("unknown datatype {:?}", output.datatype))?;
    let shape = output.shape.iter().map(Dim::number).collect::<Option<_>>().ok_or("a dimension that is no number")?;
    let size = output.parameters.as_ref().and_then(|parameters| parameters.binary_data_size);
    let data = match (size, output.data) {
        (Some(size), _) => {
            let size = usize::try_from(size).map_err(|_| format!("binary_data_size is {size}"))?;
            let Some((bytes, rest)) = binary.split_at_checked(size) else {
                return Err(format!("binary_data_size is {size}, and {} bytes are left", binary.len()));
            };
            *binary = rest;
            if dtype == DType::String { Data::Strings(strings(bytes)?) } else { Data::Bytes(bytes.to_vec()) }
        }
        (None, Some(data)) => json::elements(data, Some(dtype))?.data,
        (None, None) => return Err("neither data nor binary_data_size".to_owned()),
    };
    Ok(Tensor { name: output.name.clone().into_owned(), dtype, shape, data })
}

/// Byte strings, each behind its length in 4 bytes.
fn strings(mut bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut strings = Vec::new();
    while !bytes.is_empty() {
        let string = bytes.split_first_chunk::<4>().and_then(|(length, rest)| {
            let length = u32::from_le_bytes(*length) as usize;
            rest.split_at_checked(length)
        });
        let Some((string, rest)) = string else {
            return Err("a string that is longer than the bytes of its output".to_owned());
        };
        strings.push(string.to_vec());
        bytes = rest;
    }
    Ok(strings)
}
