//! The golden vectors that are ours: the writer writes them, byte for byte.

use super::vectors::{Vector, dims, dtype, hex, of_kind, text, texts};
use graphpipe_schema::metadata::metadata_request;
use graphpipe_schema::writer::{self, Content};
use graphpipe_schema::{Code, DType};
use serde_json::Value;

/// A tensor of a vector, as the writer takes it.
struct Given {
    dtype: DType,
    shape: Vec<i64>,
    strings: Vec<Vec<u8>>,
    payload: Vec<u8>,
}

fn given(facts: &Value) -> Vec<Given> {
    let tensors = facts.as_array().unwrap().iter();
    tensors
        .map(|facts| {
            let dtype = dtype(&facts["type"]);
            let is_string = dtype == DType::String;
            Given {
                dtype,
                shape: dims(&facts["shape"]),
                strings: if is_string { texts(&facts["strings"]) } else { Vec::new() },
                payload: if is_string { Vec::new() } else { hex(&facts["data"]) },
            }
        })
        .collect()
}

fn slices(strings: &[Vec<u8>]) -> Vec<&[u8]> {
    strings.iter().map(Vec::as_slice).collect()
}

fn with_tensors<T>(given: &[Given], write: impl FnOnce(&[writer::Tensor<'_>]) -> T) -> T {
    let strings: Vec<Vec<&[u8]>> = given.iter().map(|given| slices(&given.strings)).collect();
    let tensors: Vec<_> = given
        .iter()
        .zip(&strings)
        .map(|(given, strings)| writer::Tensor {
            dtype: given.dtype,
            shape: &given.shape,
            content: match given.dtype {
                DType::String => Content::Strings(strings),
                _ => Content::Payload(given.payload.len() as u32),
            },
        })
        .collect();
    write(&tensors)
}

/// Puts the payloads behind a head.
pub fn assemble<'a>(message: &mut Vec<u8>, payloads: impl IntoIterator<Item = &'a [u8]>) {
    let mut previous: Option<usize> = None;
    for payload in payloads.into_iter().filter(|payload| !payload.is_empty()) {
        if let Some(previous) = previous {
            message.extend_from_slice(writer::gap(previous as u32, payload.len() as u32).as_ref());
        }
        message.extend_from_slice(payload);
        previous = Some(payload.len());
    }
}

#[test]
fn our_requests_are_written_byte_for_byte() {
    for Vector { name, bytes, decodes, .. } in of_kind("infer_request") {
        if !name.starts_with("ours_") {
            continue;
        }
        let [config, model, version, trace_id] =
            ["config", "model", "version", "trace_id"].map(|field| text(&decodes[field]));
        let [input_names, output_names] = ["input_names", "output_names"].map(|field| texts(&decodes[field]));
        let given = given(&decodes["inputs"]);
        let mut message = Vec::new();
        let layout = with_tensors(&given, |inputs| {
            let request = writer::InferRequest {
                config: &config,
                input_names: &slices(&input_names),
                inputs,
                output_names: &slices(&output_names),
                model: &model,
                version: &version,
                deadline_us: decodes["deadline_us"].as_u64().unwrap(),
                priority: decodes["priority"].as_u64().unwrap() as u8,
                trace_id: &trace_id,
            };
            writer::infer_request(&mut message, &request).expect("a vector is small")
        });
        assert_eq!(layout.head as usize, message.len(), "{name}");
        assert_eq!(decodes["head"], layout.head, "{name}");
        assemble(&mut message, given.iter().map(|given| given.payload.as_slice()));
        assert_eq!(message, bytes, "{name}");
        assert_eq!(layout.length as usize, bytes.len(), "{name}");
    }
}

#[test]
fn our_replies_are_written_byte_for_byte() {
    for Vector { name, bytes, decodes, .. } in of_kind("infer_response") {
        if !name.starts_with("ours_") {
            continue;
        }
        let mut message = Vec::new();
        let layout = if let Some(text) = decodes["error"]["message"].as_str() {
            let code = Code::from_wire(decodes["error"]["code"].as_i64().unwrap()).unwrap();
            writer::error_response(&mut message, code, text)
        } else {
            let given = given(&decodes["outputs"]);
            let layout = with_tensors(&given, |outputs| {
                writer::infer_response(&mut message, outputs).expect("a vector is small")
            });
            assemble(&mut message, given.iter().map(|given| given.payload.as_slice()));
            layout
        };
        assert_eq!(message, bytes, "{name}");
        assert_eq!((decodes["head"].as_u64(), bytes.len() as u32), (Some(layout.head.into()), layout.length), "{name}");
    }
}

#[test]
fn our_metadata_requests_are_written_byte_for_byte_and_the_plain_one_is_everybodys() {
    for Vector { name, bytes, decodes, .. } in of_kind("metadata_request") {
        let [model, version] = ["model", "version"].map(|field| decodes[field].as_str().unwrap());
        assert_eq!(metadata_request(model, version), bytes, "{name}");
    }
}
