//! Elements, written. Floats are written with as few digits as say which float it is: `0.1` for the float32 that is
//! nearest to it, not the 17 digits of the same number as a double.

use crate::protocol::describe;
use crate::tensor::{Data, Tensor};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use graphpipe_schema::DType;
use half::{bf16, f16};
use serde::Serialize;

/// How elements that are byte strings, and no text, are said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) enum Text {
    /// Not at all.
    Only,
    /// As `{"b64": "…"}`.
    OrBase64,
}

/// Appends all elements as one list.
pub(in crate::protocol) fn flat(out: &mut Vec<u8>, tensor: &Tensor, strings: Text) -> Result<(), String> {
    let count = match (&tensor.data, tensor.dtype.size()) {
        (Data::Bytes(bytes), Some(size)) => bytes.len() / size,
        (Data::Strings(strings), _) => strings.len(),
        (Data::Bytes(_), None) => 0,
    };
    list(out, count, |out, index| element(out, tensor, index, strings))
}

/// Appends the elements as lists of lists, one level for each dimension.
pub(in crate::protocol) fn nested(out: &mut Vec<u8>, tensor: &Tensor, strings: Text) -> Result<(), String> {
    let held = match &tensor.data {
        Data::Bytes(bytes) => bytes.len(),
        Data::Strings(strings) => strings.len(),
    };
    if lists(&tensor.shape).is_none_or(|lists| lists > held.max(EMPTY_LISTS_MAX)) {
        return Err(format!("{} would be more than {EMPTY_LISTS_MAX} empty lists in JSON", describe(tensor)));
    }
    let mut next = 0;
    level(out, &tensor.shape, &mut |out| {
        next += 1;
        element(out, tensor, next - 1, strings)
    })
}

/// The most lists that are written of a tensor that has less than an element for each.
const EMPTY_LISTS_MAX: usize = 1 << 20;

/// How many innermost lists a shape makes; `None` if no integer holds it.
fn lists(shape: &[i64]) -> Option<usize> {
    let outer = shape.iter().rev().skip(1).rev();
    // No list is within an empty one.
    outer.take_while(|dim| **dim != 0).try_fold(1_usize, |lists, dim| lists.checked_mul(usize::try_from(*dim).ok()?))
}

fn level(
    out: &mut Vec<u8>,
    shape: &[i64],
    element: &mut dyn FnMut(&mut Vec<u8>) -> Result<(), String>,
) -> Result<(), String> {
    match shape.split_first() {
        None => element(out),
        Some((&dim, shape)) => list(out, dim as usize, |out, _| level(out, shape, element)),
    }
}

/// Appends a list of `count` parts.
fn list(
    out: &mut Vec<u8>,
    count: usize,
    mut part: impl FnMut(&mut Vec<u8>, usize) -> Result<(), String>,
) -> Result<(), String> {
    out.push(b'[');
    for index in 0..count {
        if index != 0 {
            out.push(b',');
        }
        part(out, index)?;
    }
    out.push(b']');
    Ok(())
}

/// Appends a number, a string or a list of them.
pub(in crate::protocol) fn value(out: &mut Vec<u8>, value: impl Serialize) {
    serde_json::to_writer(out, &value)
        .expect("numbers and strings are JSON, and a Vec takes all that is written to it");
}

fn element(out: &mut Vec<u8>, tensor: &Tensor, index: usize, strings: Text) -> Result<(), String> {
    match &tensor.data {
        Data::Bytes(bytes) => number(out, tensor, bytes, index),
        Data::Strings(elements) => match std::str::from_utf8(&elements[index]) {
            Ok(element) => {
                value(out, element);
                Ok(())
            }
            Err(_) if strings == Text::OrBase64 => {
                out.extend_from_slice(br#"{"b64":""#);
                out.extend_from_slice(STANDARD.encode(&elements[index]).as_bytes());
                out.extend_from_slice(br#""}"#);
                Ok(())
            }
            Err(_) => {
                let tensor = describe(tensor);
                Err(format!("JSON cannot say element {index} of {tensor}: it is not UTF-8"))
            }
        },
    }
}

/// Appends the `index`-th number.
fn number(out: &mut Vec<u8>, tensor: &Tensor, bytes: &[u8], index: usize) -> Result<(), String> {
    match tensor.dtype {
        DType::Uint8 => value(out, bytes[index]),
        DType::Int8 => value(out, i8::from_le_bytes(at(bytes, index))),
        DType::Uint16 => value(out, u16::from_le_bytes(at(bytes, index))),
        DType::Int16 => value(out, i16::from_le_bytes(at(bytes, index))),
        DType::Uint32 => value(out, u32::from_le_bytes(at(bytes, index))),
        DType::Int32 => value(out, i32::from_le_bytes(at(bytes, index))),
        DType::Uint64 => value(out, u64::from_le_bytes(at(bytes, index))),
        DType::Int64 => value(out, i64::from_le_bytes(at(bytes, index))),
        DType::Bool => value(out, bytes[index] != 0),
        DType::Float16 => return float(out, tensor, index, f16::from_le_bytes(at(bytes, index)).to_f32()),
        DType::Bfloat16 => return float(out, tensor, index, bf16::from_le_bytes(at(bytes, index)).to_f32()),
        DType::Float32 => return float(out, tensor, index, f32::from_le_bytes(at(bytes, index))),
        DType::Float64 => return float(out, tensor, index, f64::from_le_bytes(at(bytes, index))),
        DType::String | DType::Null => return Err(format!("{} has no numbers", describe(tensor))),
    }
    Ok(())
}

/// The bytes of the `index`-th element.
fn at<const N: usize>(bytes: &[u8], index: usize) -> [u8; N] {
    let mut element = [0; N];
    element.copy_from_slice(&bytes[index * N..][..N]);
    element
}

fn float<T: Serialize + Copy + Into<f64>>(
    out: &mut Vec<u8>,
    tensor: &Tensor,
    index: usize,
    float: T,
) -> Result<(), String> {
    if !float.into().is_finite() {
        let float: f64 = float.into();
        return Err(format!("JSON cannot say element {index} of {}: it is {float}", describe(tensor)));
    }
    value(out, float);
    Ok(())
}
