//! Whether a request fits a model: which tensor is which input, whether its type, shape and length are right, and which
//! outputs are wanted. Pure functions of a signature and a request; no memory, no clock, no model.
//!
//! GraphPipe's rules for names: the i-th tensor is the input called by the i-th name, or the model's i-th input where the
//! name is absent or empty. A name may have a `:0` behind it that the model does not have, or lack one that it has
//! (TensorFlow's habit, in both directions). Outputs come in the order in which they are asked for, twice if asked twice;
//! all of them, in the model's order, if none is named.
//!
//! Every refusal names the tensor, what was expected and what came.

use graphpipe_schema::reader::{InferRequest, Seen, Tensor};
use graphpipe_schema::{Code, DType, Shape};
use graphpiped_backend_api::{Dim, Signature, TensorSpec};
use graphpiped_transport::service::Refusal;
use smallvec::SmallVec;
use std::fmt::Write;
use std::ops::Range;

/// A request that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Its tensors, in the order of the message.
    pub inputs: SmallVec<[AdmittedInput; 1]>,
    /// Indices of the outputs that are wanted, in the order of the reply.
    pub outputs: SmallVec<[u16; 4]>,
}

impl Admitted {
    /// Whether one of its inputs has byte strings, whose elements lie all over the message.
    pub fn has_strings(&self) -> bool {
        self.inputs.iter().any(|input| input.dtype == DType::String)
    }
}

/// A tensor that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmittedInput {
    /// Which of the signature's inputs it is; its own position for a variadic signature.
    pub index: u16,
    /// Its element type.
    pub dtype: DType,
    /// Its shape; no dimension is negative, and the product fits.
    pub shape: Shape,
    /// Where its elements lie in the message; empty for byte strings.
    pub payload: Range<u32>,
}

/// Checks a request of which everything but payload bytes has been seen. `length` is that of the whole message.
pub fn admit(signature: &Signature, request: &InferRequest<'_>, length: u32) -> Result<Admitted, Refusal> {
    let inputs = inputs(signature, request, length)?;
    payloads_fit(&inputs, length)?;
    if !signature.variadic {
        nothing_is_missing(signature, &inputs)?;
        symbols_agree(signature, &inputs)?;
    }
    let outputs = outputs(signature, request, inputs.len())?;
    Ok(Admitted { inputs, outputs })
}

fn inputs(
    signature: &Signature,
    request: &InferRequest<'_>,
    length: u32,
) -> Result<SmallVec<[AdmittedInput; 1]>, Refusal> {
    let count = seen(request.inputs_count())?;
    let names = seen(request.input_names_count())?;
    if names > count {
        let message = format!("{names} input names were sent with {count} input tensors");
        return Err(Refusal::new(Code::UnknownTensor, message));
    }
    if !signature.variadic && count > signature.inputs.len() {
        let message = format!("{count} inputs were sent; the model takes {}", listed(&signature.inputs));
        return Err(Refusal::new(Code::UnknownTensor, message));
    }
    let mut inputs: SmallVec<[AdmittedInput; 1]> = SmallVec::new();
    for position in 0..count {
        let name = if position < names { seen(request.input_name(position))? } else { b"" };
        let tensor = seen(request.input(position))?;
        let (index, spec) = which_input(signature, position, name)?;
        if let Some(spec) = spec
            && inputs.iter().any(|input| usize::from(input.index) == index)
        {
            return Err(Refusal::new(Code::UnknownTensor, format!("input \"{}\" was sent twice", spec.name)));
        }
        inputs.push(tensor_fits(Label { spec, position }, index, &tensor, length)?);
    }
    Ok(inputs)
}

/// The index of an input, and what the model says about it (nothing, if it is variadic).
fn which_input<'s>(
    signature: &'s Signature,
    position: usize,
    name: &[u8],
) -> Result<(usize, Option<&'s TensorSpec>), Refusal> {
    if signature.variadic {
        return Ok((position, None));
    }
    // The caller has checked that there are not more tensors than inputs.
    let index = if name.is_empty() { Some(position) } else { named(&signature.inputs, name) };
    index.map(|index| (index, Some(&signature.inputs[index]))).ok_or_else(|| {
        let message = format!("unknown input {}; the model takes {}", quoted(name), listed(&signature.inputs));
        Refusal::new(Code::UnknownTensor, message)
    })
}

fn nothing_is_missing(signature: &Signature, inputs: &[AdmittedInput]) -> Result<(), Refusal> {
    let is_there = |index: usize| inputs.iter().any(|input| usize::from(input.index) == index);
    match (0..signature.inputs.len()).find(|index| !is_there(*index)) {
        None => Ok(()),
        Some(index) => {
            let name = &signature.inputs[index].name;
            let message = format!("input \"{name}\" is missing; the model takes {}", listed(&signature.inputs));
            Err(Refusal::new(Code::UnknownTensor, message))
        }
    }
}

/// What a refusal calls a tensor.
#[derive(Clone, Copy)]
struct Label<'s> {
    spec: Option<&'s TensorSpec>,
    position: usize,
}

impl Label<'_> {
    fn refuse(self, why: std::fmt::Arguments<'_>) -> Refusal {
        let message = match self.spec {
            Some(spec) => format!("input \"{}\": {why}", spec.name),
            None => format!("input {}: {why}", self.position),
        };
        Refusal::new(Code::WrongTensor, message)
    }
}

fn tensor_fits(label: Label<'_>, index: usize, tensor: &Tensor<'_>, length: u32) -> Result<AdmittedInput, Refusal> {
    let (dtype, shape) = (tensor.dtype(), seen(tensor.shape())?);
    if let Some(spec) = label.spec {
        if spec.dtype != dtype {
            return Err(label.refuse(format_args!("expected {}, got {dtype}", spec.dtype)));
        }
        if !spec.admits(&shape) {
            return Err(label.refuse(format_args!("expected {spec}, got shape {shape}")));
        }
    }
    let payload = if dtype == DType::String {
        strings_fit(label, tensor, &shape, length)?;
        0..0
    } else {
        let payload = seen(tensor.payload())?;
        let got = u64::from(payload.end - payload.start);
        // The reader lets no shape pass that has no size; if it did, no number of bytes would fit it.
        let expected = shape.bytes(dtype).unwrap_or(u64::MAX);
        if expected != got {
            return Err(label.refuse(format_args!("expected {expected} bytes for {dtype} {shape}, got {got}")));
        }
        payload
    };
    Ok(AdmittedInput { index: index as u16, dtype, shape, payload })
}

/// Payloads that lie on top of each other would make a short message move or send much: once for each that shares them.
fn payloads_fit(inputs: &[AdmittedInput], length: u32) -> Result<(), Refusal> {
    let bytes: u64 = inputs.iter().map(|input| input.payload.len() as u64).sum();
    if bytes > u64::from(length) {
        let message = format!("the tensors overlap: {bytes} bytes of payload in a message of {length}");
        return Err(Refusal::new(Code::Malformed, message));
    }
    Ok(())
}

/// Elements of a string tensor. Each costs about 70 bytes on its way through a framework and back, which no budget counts;
/// so their number has a bound.
const STRINGS_MAX: u64 = 1 << 20;

fn strings_fit(label: Label<'_>, tensor: &Tensor<'_>, shape: &Shape, length: u32) -> Result<(), Refusal> {
    let elements = shape.elements().unwrap_or(u64::MAX);
    let count = seen(tensor.strings_count())? as u64;
    if count != elements {
        return Err(label.refuse(format_args!("expected {elements} strings for shape {shape}, got {count}")));
    }
    if count > STRINGS_MAX {
        let refusal = label.refuse(format_args!("{count} strings are too many; {STRINGS_MAX} is the most of a tensor"));
        return Err(Refusal { code: Code::TooLarge, ..refusal });
    }
    // A framework copies every element. If they lay on top of each other, a short message could make it copy without end.
    let bytes: u64 = tensor.strings().map(|element| element.len() as u64).sum();
    if bytes > u64::from(length) {
        return Err(label.refuse(format_args!("its strings overlap: {bytes} bytes in a message of {length}")));
    }
    Ok(())
}

/// Whether each symbol stands for one size.
fn symbols_agree(signature: &Signature, inputs: &[AdmittedInput]) -> Result<(), Refusal> {
    let mut bound: SmallVec<[(&str, i64, &str); 8]> = SmallVec::new();
    for input in inputs {
        let spec = &signature.inputs[usize::from(input.index)];
        for (axis, (dim, &size)) in spec.dims.iter().flatten().zip(input.shape.dims()).enumerate() {
            let Dim::Symbol(symbol) = dim else { continue };
            match bound.iter().find(|(other, ..)| **other == **symbol) {
                None => bound.push((symbol, size, &spec.name)),
                Some((_, expected, _)) if *expected == size => {}
                Some((_, expected, first)) => {
                    let message = format!(
                        "input \"{}\": axis {axis} ({symbol}) has size {size}, but {symbol} is {expected} in input \"{first}\"",
                        spec.name
                    );
                    return Err(Refusal::new(Code::WrongTensor, message));
                }
            }
        }
    }
    Ok(())
}

fn outputs(
    signature: &Signature,
    request: &InferRequest<'_>,
    inputs_count: usize,
) -> Result<SmallVec<[u16; 4]>, Refusal> {
    let names = seen(request.output_names_count())?;
    if signature.variadic {
        // Such a model's outputs have no names of their own: the i-th name is the i-th output, whatever it says.
        if names > inputs_count {
            let message = format!("{names} outputs were asked for; {inputs_count} inputs give {inputs_count}");
            return Err(Refusal::new(Code::UnknownTensor, message));
        }
        let count = if names == 0 { inputs_count } else { names };
        return Ok((0..count as u16).collect());
    }
    if names == 0 {
        return Ok((0..signature.outputs.len() as u16).collect());
    }
    (0..names)
        .map(|position| {
            let name = seen(request.output_name(position))?;
            named(&signature.outputs, name).map(|index| index as u16).ok_or_else(|| {
                let message =
                    format!("unknown output {}; the model gives {}", quoted(name), listed(&signature.outputs));
                Refusal::new(Code::UnknownTensor, message)
            })
        })
        .collect()
}

/// The position of the tensor of this name: as it is, else without its `:0`, else with one.
fn named(specs: &[TensorSpec], name: &[u8]) -> Option<usize> {
    let exactly = |name: &[u8]| specs.iter().position(|spec| spec.name.as_bytes() == name);
    let with_suffix = || specs.iter().position(|spec| spec.name.as_bytes().strip_suffix(b":0") == Some(name));
    exactly(name).or_else(|| exactly(name.strip_suffix(b":0")?)).or_else(with_suffix)
}

/// A field of a request that has been seen entirely.
fn seen<T>(field: Seen<T>) -> Result<T, Refusal> {
    match field {
        Seen::Is(value) => Ok(value),
        Seen::NotYet => Err(Refusal::new(Code::Malformed, "the message ends before all of its fields")),
    }
}

/// A name that a peer sent, safe to show: at most 64 characters, on one line.
pub fn quoted(name: &[u8]) -> String {
    // Four bytes make a character at most; more of the name need not be looked at.
    let text = String::from_utf8_lossy(&name[..name.len().min(4 * QUOTED_CHARS_MAX)]);
    let short: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    let more = if short.len() < name.len() && short.chars().count() == QUOTED_CHARS_MAX { "…" } else { "" };
    format!("{short:?}{more}")
}

const QUOTED_CHARS_MAX: usize = 64;

/// How many there are and what they are called; not more names than a line can take.
fn listed(specs: &[TensorSpec]) -> String {
    const SHOWN_MAX: usize = 8;
    let mut text = format!("{}: ", specs.len());
    for (position, spec) in specs.iter().take(SHOWN_MAX).enumerate() {
        let comma = if position == 0 { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}\"{}\"", spec.name);
    }
    if specs.len() > SHOWN_MAX {
        text.push_str(", …");
    }
    text
}

#[cfg(test)]
mod tests;
