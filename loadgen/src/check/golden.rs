//! What a file says that the outputs are: whether the model has such outputs, and which rows of the file belong to which
//! request. Nothing is compared here.

use crate::inputs::{Request, arrays};
use crate::protocol::Protocol;
use crate::signature::Signature;
use crate::tensor::Tensor;
use std::path::Path;

/// The outputs of each request that the file knows, under their names; the one of a `.npy` has none, and is the first
/// output. The error is a sentence without the signature.
pub fn expected(
    path: &Path,
    protocol: Protocol,
    signature: &Signature,
    requests: &[Request],
) -> Result<Vec<Vec<Tensor>>, String> {
    let outputs = arrays(path)?;
    let file = path.display();
    // Replies of GraphPipe have no names but those of the signature.
    let nameless = matches!(protocol, Protocol::Native | Protocol::GraphpipeHttp) && signature.outputs.is_empty();
    if nameless && outputs.len() > 1 {
        let count = outputs.len();
        return Err(format!("{file} has {count} outputs by name, and {protocol} does not say which output is which"));
    }
    // Where requests are rows of a file, so is this, and its first dimension is that of all requests together.
    let cut = requests.iter().any(|request| request.cut.is_some());
    for output in &outputs {
        fits(output, signature, cut).map_err(|problem| format!("{file} {problem}"))?;
    }
    if requests.len() > 1 && requests.iter().any(|request| request.cut.is_none()) {
        let count = requests.len();
        return Err(format!("{file} has the outputs of one request, and there are {count} different ones"));
    }
    requests
        .iter()
        .map(|request| outputs.iter().map(|output| rows(output, request)).collect::<Result<_, _>>())
        .collect::<Result<_, _>>()
        .map_err(|problem: String| format!("{file} {problem}"))
}

/// Whether the model has this output, as far as its server says.
fn fits(output: &Tensor, signature: &Signature, cut: bool) -> Result<(), String> {
    if signature.outputs.is_empty() {
        return Ok(());
    }
    let known = signature.outputs.iter().find(|known| output.name.is_empty() || known.name == output.name);
    let known = known.ok_or_else(|| format!("has \"{}\", which is no output of the model", output.name))?;
    let differs = || format!("has {}, and output \"{}\" is not of that type or shape", output.form(), known.name);
    if known.dtype.is_some_and(|dtype| dtype != output.dtype) {
        return Err(differs());
    }
    let Some(shape) = &known.shape else { return Ok(()) };
    let same = |(dim, of_file): (&i64, &i64)| *dim < 0 || dim == of_file;
    let fits = shape.len() == output.shape.len() && shape.iter().zip(&output.shape).skip(cut.into()).all(same);
    if fits { Ok(()) } else { Err(differs()) }
}

/// The part of an output that belongs to a request.
fn rows(output: &Tensor, request: &Request) -> Result<Tensor, String> {
    let Some(cut) = request.cut else { return Ok(output.clone()) };
    let has = output.shape.first().copied().unwrap_or(1);
    if output.shape.first() != Some(&(cut.of as i64)) {
        let of = cut.of;
        let name = if output.name.is_empty() { String::new() } else { format!(" of \"{}\"", output.name) };
        return Err(format!("has {has} rows{name}, and the inputs' file has {of}"));
    }
    Ok(output.cut(cut.first, cut.rows))
}
