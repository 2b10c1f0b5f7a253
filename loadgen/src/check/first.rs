//! Whether a first reply can be what others are held against: it has the outputs that the signature says, as far as it
//! says them. Otherwise one wrong reply would make all that follow right.

use crate::signature::{Io, Signature};
use crate::tensor::Tensor;

/// Holds outputs against the signature's. The error is a sentence.
pub fn fits(outputs: &[Tensor], signature: &Signature) -> Result<(), String> {
    if signature.outputs.is_empty() {
        return Ok(());
    }
    super::same_count(outputs.len(), signature.outputs.len())?;
    for (at, io) in signature.outputs.iter().enumerate() {
        // A name that is missing belongs to whatever is at its place.
        let named = outputs.iter().find(|output| output.name == io.name);
        let placed = outputs.get(at).filter(|output| output.name.is_empty() || io.name.is_empty());
        let output = named.or(placed).ok_or_else(|| format!("the reply has no output \"{}\"", io.name))?;
        if !is(output, io) {
            return Err(format!("output \"{}\" is {}, and the model gives {io}", io.name, output.form()));
        }
    }
    Ok(())
}

fn is(output: &Tensor, io: &Io) -> bool {
    let same = |(dim, of_output): (&i64, &i64)| *dim < 0 || dim == of_output;
    let fits = |shape: &Vec<i64>| {
        // Lists of JSON do not say the dimensions behind a zero.
        output.shape.contains(&0) || (shape.len() == output.shape.len() && shape.iter().zip(&output.shape).all(same))
    };
    io.dtype.is_none_or(|dtype| dtype == output.dtype) && io.shape.as_ref().is_none_or(fits)
}
