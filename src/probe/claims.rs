//! What a signature alone says: why rows of several requests cannot be put together, in the words of an operator.
//!
//! It agrees with [`Signature::batch_axis`] about which models could be batched, which a test asserts, but for strings.

use graphpipe_schema::DType;
use graphpiped_backend_api::{Dim, Signature, TensorSpec};
use std::sync::Arc;

/// Accepts a model that claims to take any number of rows. Otherwise: why it does not.
pub(super) fn check(signature: &Signature) -> Result<(), String> {
    if signature.variadic {
        return Err("it takes any number of tensors of any shape".into());
    }
    if signature.inputs.is_empty() {
        return Err("it has no inputs".into());
    }
    if signature.outputs.is_empty() {
        return Err("it has no outputs".into());
    }
    let mut common = None;
    for (what, spec) in specs(signature) {
        check_first_axis(&what, spec, &mut common)?;
    }
    if let Some((_, name)) = common {
        let is_elsewhere = |spec: &TensorSpec| {
            let mut inner = spec.dims.iter().flat_map(|dims| dims.iter().skip(1));
            inner.any(|dim| matches!(dim, Dim::Symbol(other) if other == name))
        };
        if let Some((what, _)) = specs(signature).find(|(_, spec)| is_elsewhere(spec)) {
            return Err(format!("{name}, the number of rows, is also an inner axis of {what}"));
        }
    }
    match specs(signature).find(|(_, spec)| spec.dtype.size().is_none()) {
        Some((what, spec)) if spec.dtype == DType::String => {
            Err(format!("{what} holds strings, and rows of strings have no fixed size"))
        }
        Some((what, spec)) => Err(format!("{what} holds {}, whose size is not known", spec.dtype)),
        None => Ok(()),
    }
}

/// Checks that the first axis is any number, called as in the first tensor that calls it anything.
fn check_first_axis<'s>(
    what: &str,
    spec: &'s TensorSpec,
    common: &mut Option<(String, &'s Arc<str>)>,
) -> Result<(), String> {
    let Some(dims) = &spec.dims else { return Err(format!("{what} does not say how many axes it has")) };
    match dims.first() {
        None => Err(format!("{what} has no axes")),
        Some(Dim::Fixed(size)) => Err(format!("{what} has a fixed first axis ({size})")),
        Some(Dim::Any) => Ok(()),
        Some(Dim::Symbol(name)) => match common {
            None => {
                *common = Some((what.to_string(), name));
                Ok(())
            }
            Some((_, other)) if *other == name => Ok(()),
            Some((first, other)) => Err(format!("the first axis of {first} is {other}, and that of {what} is {name}")),
        },
    }
}

/// All inputs and outputs, and what they are called.
fn specs(signature: &Signature) -> impl Iterator<Item = (String, &TensorSpec)> {
    let inputs = signature.inputs.iter().map(|spec| (format!("input {}", spec.name), spec));
    inputs.chain(signature.outputs.iter().map(|spec| (format!("output {}", spec.name), spec)))
}
