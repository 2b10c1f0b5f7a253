//! What goes into a model and comes out, as specifications, and which tensors of the graph those are.
//!
//! A SavedModel says it in its signature. A frozen graph does not: then placeholders go in, and what no operation takes
//! comes out, as with GraphPipe's own server. The operator may name any tensors of the graph instead.

use crate::graph::{Graph, Operation};
use crate::name::TensorName;
use crate::protobuf;
use crate::types;
use graphpipe_schema::shape::RANK_MAX;
use graphpiped_backend_api::{Dim, TensorSpec};
use std::collections::BTreeMap;

/// One input or output.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    /// What clients know about it.
    pub spec: TensorSpec,
    /// Which tensor it is.
    pub tensor: TensorName,
}

/// What goes in and comes out.
#[derive(Debug, Default)]
pub(crate) struct Outlets {
    /// What goes in.
    pub inputs: Vec<Outlet>,
    /// What comes out, as far as the protocol can carry it.
    pub outputs: Vec<Outlet>,
    /// The rest of what comes out, as in `y is a sparse tensor`.
    pub not_served: Vec<String>,
}

/// The names that the operator has given, each empty if none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given<'a> {
    /// Of inputs.
    pub inputs: &'a [String],
    /// Of outputs.
    pub outputs: &'a [String],
}

/// Those of a frozen graph. Otherwise: cause and remedy.
pub(crate) fn of_graph(graph: &Graph, given: Given<'_>) -> Result<Outlets, String> {
    let operations = graph.operations();
    let named = |names: &[String]| names.iter().map(|name| TensorName::parse(name)).collect::<Vec<_>>();
    let (inputs, outputs) = (named(given.inputs), named(given.outputs));
    let inputs = if inputs.is_empty() { placeholders(&operations) } else { inputs };
    let read = |tensor: TensorName| (tensor.to_string(), of_tensor(graph, tensor));
    if outputs.is_empty() {
        let outputs = ends(&operations).into_iter().map(read);
        return collected(inputs.into_iter().map(read), outputs, false);
    }
    collected(inputs.into_iter().map(read), outputs.into_iter().map(read), true)
}

/// Those of a SavedModel's signature: all of them in the alphabet's order, as a signature has none, or those that are given,
/// in their order. Names that are not in the signature are those of tensors in the graph. Otherwise: cause and remedy.
pub(crate) fn of_signature(
    graph: &Graph,
    signature: &protobuf::Signature,
    given: Given<'_>,
) -> Result<Outlets, String> {
    let side = |names: &[String], declared: &BTreeMap<String, protobuf::Tensor>| {
        let all = declared.keys().cloned().collect::<Vec<_>>();
        let names = if names.is_empty() { all } else { names.to_vec() };
        let read = |name: String| {
            let Some(tensor) = declared.get(&name) else {
                let tensor = TensorName::parse(&name);
                return (tensor.to_string(), of_tensor(graph, tensor));
            };
            let outlet = of_declared(graph, &name, tensor);
            (name, outlet)
        };
        names.into_iter().map(read).collect::<Vec<_>>()
    };
    let (inputs, outputs) = (side(given.inputs, &signature.inputs), side(given.outputs, &signature.outputs));
    collected(inputs.into_iter(), outputs.into_iter(), !given.outputs.is_empty())
}

/// A name, and what it names or why that cannot be served.
type Read = (String, Result<Outlet, Refused>);

/// Why something cannot be served.
#[derive(Debug)]
enum Refused {
    /// The protocol has no such thing: what it is, as in `a sparse tensor`.
    Stranger(String),
    /// Cause and remedy.
    Cause(String),
}

/// All inputs, and the outputs that can be served; or all outputs too, if they have been asked for.
fn collected(
    inputs: impl Iterator<Item = Read>,
    outputs: impl Iterator<Item = Read>,
    is_asked_for: bool,
) -> Result<Outlets, String> {
    let mut found = Outlets::default();
    for (name, outlet) in inputs {
        found.inputs.push(outlet.map_err(|refused| strange(refused, |what| {
            format!("input {name} is {what}, which GraphPipe cannot carry; export the model with plain tensors as inputs")
        }))?);
    }
    for (name, outlet) in outputs {
        match outlet {
            Ok(outlet) => found.outputs.push(outlet),
            Err(Refused::Stranger(what)) if !is_asked_for => found.not_served.push(format!("{name} is {what}")),
            Err(refused) => {
                let words = |what| format!("output {name} is {what}, which GraphPipe cannot carry; leave it out");
                return Err(strange(refused, words));
            }
        }
    }
    if found.outputs.is_empty() {
        let causes = if found.not_served.is_empty() { "there is none".into() } else { found.not_served.join(", ") };
        return Err(format!("no output can be served ({causes}); export the model with a plain tensor as output"));
    }
    for (side, outlets) in [("input", &found.inputs), ("output", &found.outputs)] {
        if let Some(name) = twice(outlets, |outlet| outlet.spec.name.as_str()) {
            return Err(format!("{side} {name} is named twice; name it once"));
        }
    }
    // TensorFlow could not tell which of the two values is meant.
    if let Some(name) = twice(&found.inputs, |outlet| outlet.tensor.to_string()) {
        return Err(format!("two inputs are the tensor {name}; name one of them"));
    }
    Ok(found)
}

fn strange(refused: Refused, words: impl FnOnce(String) -> String) -> String {
    match refused {
        Refused::Stranger(what) => words(what),
        Refused::Cause(cause) => cause,
    }
}

/// What two of the outlets have in common.
fn twice<'a, T: PartialEq>(outlets: &'a [Outlet], of: impl Fn(&'a Outlet) -> T) -> Option<T> {
    outlets.iter().enumerate().find_map(|(at, outlet)| {
        let value = of(outlet);
        outlets[..at].iter().any(|other| of(other) == value).then_some(value)
    })
}

/// What goes into a frozen graph: its placeholders, in the graph's order.
fn placeholders(operations: &[Operation]) -> Vec<TensorName> {
    let placeholders = operations.iter().filter(|operation| operation.kind.starts_with("Placeholder"));
    // One with a default need not be fed.
    let placeholders = placeholders.filter(|operation| operation.kind != "PlaceholderWithDefault");
    placeholders.map(|operation| TensorName { operation: operation.name.clone(), index: 0 }).collect()
}

/// What comes out of a frozen graph: all tensors of the operations of which nobody takes one, in the graph's order. What
/// an operation gives besides what is taken, such as the means of a normalisation, nobody has asked for.
fn ends(operations: &[Operation]) -> Vec<TensorName> {
    let is_end = |operation: &&Operation| {
        let is_source = operation.kind == "Const" || operation.kind.starts_with("Placeholder");
        !operation.is_consumed && !is_source && operation.kind != "CheckNumerics"
    };
    let tensors = |operation: &Operation| {
        let name = operation.name.clone();
        (0..operation.outputs).map(move |index| TensorName { operation: name.clone(), index })
    };
    operations.iter().filter(is_end).flat_map(tensors).collect()
}

/// A tensor of the graph, under its own name.
fn of_tensor(graph: &Graph, tensor: TensorName) -> Result<Outlet, Refused> {
    let described = graph.describe(&tensor).map_err(|failure| Refused::Cause(failure.words))?;
    let absent = || Refused::Cause(format!("there is no tensor {tensor} in its graph; check the name"));
    let described = described.ok_or_else(absent)?;
    let spec = spec(tensor.to_string(), described.dtype, described.sizes.as_deref())?;
    Ok(Outlet { spec, tensor })
}

/// A tensor that a signature names.
fn of_declared(graph: &Graph, name: &str, declared: &protobuf::Tensor) -> Result<Outlet, Refused> {
    let damaged = |cause: String| Refused::Cause(format!("its signature is damaged ({cause}); export it again"));
    // Names stand in messages of one line.
    if name.contains(char::is_control) {
        return Err(damaged(format!("the name {name:?} has control characters in it")));
    }
    if declared.sparse.is_some() || declared.composite.is_some() {
        let what = if declared.sparse.is_some() { "a sparse tensor" } else { "several tensors in one" };
        return Err(Refused::Stranger(what.to_string()));
    }
    let tensor = TensorName::parse(&declared.name);
    let described = graph.describe(&tensor).map_err(|failure| Refused::Cause(failure.words))?;
    let described = described.ok_or_else(|| damaged(format!("{name} is {tensor}, which is not in the graph")))?;
    let sizes: Option<Vec<i64>> = match &declared.shape {
        Some(shape) if !shape.is_unknown => Some(shape.axes.iter().map(|axis| axis.size).collect()),
        _ => None,
    };
    let spec = spec(name.to_string(), declared.dtype, sizes.as_deref())?;
    if types::from_tensorflow(described.dtype) != Some(spec.dtype) {
        return Err(damaged(format!("{name} is said to be {}, and is not", spec.dtype)));
    }
    Ok(Outlet { spec, tensor })
}

/// The specification of a tensor, if the protocol has its like.
fn spec(name: String, dtype: i32, sizes: Option<&[i64]>) -> Result<TensorSpec, Refused> {
    let dtype = types::from_tensorflow(dtype).ok_or_else(|| Refused::Stranger(types::stranger(dtype)))?;
    if let Some(sizes) = sizes.filter(|sizes| sizes.len() > RANK_MAX) {
        return Err(Refused::Stranger(format!("a tensor of {} dimensions, of {RANK_MAX} at most", sizes.len())));
    }
    // TensorFlow has no names for axes.
    let dim = |&size: &i64| u64::try_from(size).map_or(Dim::Any, Dim::Fixed);
    Ok(TensorSpec { name, dtype, dims: sizes.map(|sizes| sizes.iter().map(dim).collect()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(name: &str, kind: &str, outputs: usize, is_consumed: bool) -> Operation {
        Operation { name: name.into(), kind: kind.into(), outputs, is_consumed }
    }

    fn shown(names: &[TensorName]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn placeholders_go_in_and_what_nobody_takes_comes_out() {
        let operations = [
            operation("b", "Placeholder", 1, true),
            operation("a", "PlaceholderV2", 1, false),
            operation("rate", "PlaceholderWithDefault", 1, true),
            operation("w", "Const", 1, true),
            operation("unused", "Const", 1, false),
            operation("norm", "FusedBatchNormV3", 6, true),
            operation("check", "CheckNumerics", 1, false),
            operation("nothing", "NoOp", 0, false),
            operation("top", "TopKV2", 2, false),
            operation("y", "Softmax", 1, false),
        ];
        assert_eq!(shown(&placeholders(&operations)), ["b", "a"]);
        assert_eq!(shown(&ends(&operations)), ["top", "top:1", "y"]);
    }

    #[test]
    fn what_the_protocol_does_not_have_is_named() {
        let refused = |dtype, sizes: &[i64]| match spec("x".into(), dtype, Some(sizes)) {
            Err(Refused::Stranger(what)) => what,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(8, &[]), "a tensor of complex numbers");
        assert_eq!(refused(1, &[1; 17]), "a tensor of 17 dimensions, of 16 at most");
        assert_eq!(spec("x".into(), 1, Some(&[-1, 3])).expect("a tensor").to_string(), "x float32 [?, 3]");
        assert_eq!(spec("x".into(), 101, None).expect("a tensor").to_string(), "x float32 […]");
    }
}
