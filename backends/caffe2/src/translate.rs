//! A net becomes an ONNX model: which blobs go in, in which shapes, and then one operator after the other.

use crate::fill::{self, Room};
use crate::graph::Graph;
use crate::net::{self, Net};
use crate::operators::{self, Call};
use crate::proto::OperatorDef;
use crate::shape::Dim;
use crate::uses::Uses;
use crate::value_info::Declared;
use graphpiped_backend_api::Options;
use graphpiped_onnx_proto::{DataType, ModelProto, TensorProto, tensor_shape_proto::dimension};
use std::collections::{HashMap, HashSet};

/// The symbol of the first axis.
const BATCH: &str = "N";

/// Weights by their blobs.
pub(crate) type Weights = HashMap<String, TensorProto>;

/// The weights that an init_net makes, as far as there is room for constants.
pub(crate) fn weights(init: &Net<'_>, room: &mut Room) -> Result<Weights, String> {
    let mut weights = Weights::new();
    for operator in &init.operators {
        let operator = net::operator(operator)?;
        let shown = operator.shown();
        if !fill::is_fill(&operator) {
            return Err(format!(
                "{shown}: makes no weight, and an init_net does nothing else; if this file and the predict_net are swapped, \
                 give each the other's name"
            ));
        }
        let (blob, tensor) = fill::tensor(&operator, room).map_err(|cause| format!("{shown}: {cause}"))?;
        weights.insert(blob.to_string(), tensor);
    }
    Ok(weights)
}

/// The model that a predict_net is, with these weights and inputs, and other constants as far as there is room for them.
/// `wanted` is where the inputs would be declared.
pub(crate) fn model(
    predict: &Net<'_>,
    weights: Weights,
    room: &mut Room,
    declared: Option<&[Declared]>,
    wanted: &str,
    options: &Options,
) -> Result<ModelProto, String> {
    let operators = predict.decoded()?;
    if operators.iter().all(fill::is_fill) {
        let remedy = "if this file and the init_net are swapped, give each the other's name";
        return Err(format!("makes weights and nothing else; {remedy}"));
    }
    let uses = Uses::of(predict, &operators);
    let known: HashMap<&str, &Declared> =
        declared.unwrap_or_default().iter().map(|input| (&*input.name, input)).collect();
    let input = |name: String| {
        let known = known.get(&*name).map(|&input| input.clone());
        let found = known.or_else(|| uses.infer(&name, &operators, &weights));
        found.ok_or_else(|| unknown_shape(&name, wanted))
    };
    let names = uses.inputs(&weights, declared, options)?;
    let inputs = names.into_iter().map(input).collect::<Result<Vec<_>, _>>()?;
    let outputs = uses.outputs(predict, options);

    let mut graph = Graph::new(uses.blobs, uses.writes, weights);
    let has_batch = has_batch(&inputs);
    for input in &inputs {
        graph.feed(&input.name, input.kind, Some(shape(input, has_batch)));
    }
    let mut fixes_the_batch = false;
    for operator in &operators {
        let fixes = one(operator, &mut graph, room);
        fixes_the_batch |= fixes.map_err(|cause| format!("{}: {cause}", operator.shown()))?;
        graph.check_size()?;
    }
    for input in &inputs {
        // Where the net itself is made for one number of rows, that number is the truth.
        let dims = input.dims.iter().zip(shape(input, has_batch)).map(|(size, dim)| match (size, dim) {
            (Some(size), Dim::Batch) if fixes_the_batch => Some(dimension::Value::DimValue(*size)),
            (_, Dim::Batch) => Some(dimension::Value::DimParam(BATCH.to_string())),
            (Some(size), _) => Some(dimension::Value::DimValue(*size)),
            (None, _) => None,
        });
        graph.declare(&input.name, input.kind, dims.collect());
    }
    graph.finish("caffe2", &outputs)
}

/// Translates one operator; tells whether it fixes the number of rows.
fn one(operator: &OperatorDef, graph: &mut Graph, room: &mut Room) -> Result<bool, String> {
    if fill::is_fill(operator) {
        let (blob, mut tensor) = fill::tensor(operator, room)?;
        tensor.name = Some(graph.write(blob, DataType::Undefined, None).name);
        graph.replace(blob, tensor)?;
        return Ok(false);
    }
    let mut call = Call::begin(operator, graph)?;
    operators::translate(&mut call)?;
    Ok(call.end())
}

/// The shape of an input.
fn shape(input: &Declared, has_batch: bool) -> Vec<Dim> {
    let dim = |(axis, size): (usize, &Option<i64>)| match size {
        _ if axis == 0 && has_batch => Dim::Batch,
        Some(size) => Dim::Fixed(*size),
        None => Dim::Any,
    };
    input.dims.iter().enumerate().map(dim).collect()
}

/// Whether the first axis is the rows of a request: all inputs have one, of the same size.
fn has_batch(inputs: &[Declared]) -> bool {
    let firsts: Option<HashSet<_>> = inputs.iter().map(|input| input.dims.first()).collect();
    firsts.is_some_and(|firsts| firsts.len() == 1)
}

fn unknown_shape(name: &str, wanted: &str) -> String {
    format!(
        "nothing says the shape of its input {name}, if that is one and no weight that init_net lacks; write {wanted}, \
         as in {{\"{name}\": [1, [1, 3, 227, 227]]}} (1 is float32)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Argument;
    use prost::Message;

    /// Puts `x` together with itself so many times, along an axis that each of them gets for it.
    fn concat(inputs: usize, output: &str) -> OperatorDef {
        let add_axis = Argument { name: Some("add_axis".to_string()), i: Some(1), ..Argument::default() };
        OperatorDef {
            input: vec!["x".to_string(); inputs],
            output: vec![output.to_string()],
            r#type: Some("Concat".to_string()),
            arg: vec![add_axis],
        }
    }

    /// Translates operators that read `x`, a row of three. With the bytes that they have in a file.
    fn translated(operators: &[OperatorDef]) -> (usize, Result<ModelProto, String>) {
        let mut bytes = Vec::new();
        for operator in operators {
            // Field 2 of a net.
            bytes.push(0x12);
            operator.encode_length_delimited(&mut bytes).expect("memory");
        }
        let dims = vec![Some(1), Some(3)];
        let x = [Declared { name: "x".to_string(), kind: DataType::Float, dims }];
        let net = Net::read_with_operators(&bytes).expect("a net");
        let model =
            model(&net, Weights::new(), &mut Room::of_a_model(), Some(&x), "value_info.json", &Options::default());
        (bytes.len(), model)
    }

    #[test]
    fn a_long_name_is_not_repeated_for_each_input() {
        let (bytes, model) = translated(&[concat(1_000, &"y".repeat(10_000))]);
        let length = model.expect("a model").encoded_len();
        assert!(length < 20 * bytes, "{bytes} bytes became {length}");
    }

    #[test]
    fn operators_that_become_too_many_nodes_are_refused() {
        let (_, model) = translated(&[concat(99_999, "y"), concat(99_999, "y"), concat(99_999, "y")]);
        let error = model.map(|model| model.encoded_len()).expect_err("there are too many");
        assert!(error.starts_with("its operators become more than 268435456 bytes of nodes, "), "{error}");
    }
}
