//! Writes ONNX models: the part of the format that a chain of layers takes, which is nodes with whole numbers as attributes,
//! weights of f32, one input and one output whose first dimension is `N`. Field numbers are those of `onnx.proto3`. Reading
//! models will never be here: that is the framework's.

use super::layers::{self, INPUT, OUTPUT, Window, bytes_of};
use super::protobuf::Message;

/// The version of the format, and of the operators: old enough for every runtime, new enough for what is used here.
const IR_VERSION: u64 = 8;
const OPSET: u64 = 17;
/// `TensorProto.DataType.FLOAT`.
const FLOAT: u64 = 1;
/// `AttributeProto.AttributeType.INT` and `INTS`.
const INT: u64 = 2;
const INTS: u64 = 7;
/// The name of the first dimension, the rows.
const ROWS: &str = "N";

/// A value of an attribute.
#[derive(Clone, Copy, Debug)]
pub enum Attribute<'a> {
    /// One whole number.
    Int(u64),
    /// A list of them.
    Ints(&'a [u64]),
}

/// A model that is being made, layer by layer. Values have the names that [`Graph::node`] returns.
#[derive(Debug, Default)]
pub struct Graph {
    nodes: Vec<Message>,
    weights: Vec<Message>,
}

impl Graph {
    /// Adds a weight of f32; returns its name.
    pub fn weight(&mut self, shape: &[u64], values: &[f32]) -> String {
        debug_assert_eq!(shape.iter().product::<u64>(), values.len() as u64);
        let name = format!("w{}", self.weights.len());
        let mut tensor = Message::default();
        tensor.numbers(1, shape);
        tensor.number(2, FLOAT);
        tensor.text(8, &name);
        tensor.bytes(9, &bytes_of(values));
        self.weights.push(tensor);
        name
    }

    /// Adds a node with one output; returns its name.
    pub fn node(&mut self, operator: &str, inputs: &[&str], attributes: &[(&str, Attribute<'_>)]) -> String {
        let output = format!("n{}", self.nodes.len());
        self.named_node(operator, inputs, &output, attributes);
        output
    }

    fn named_node(&mut self, operator: &str, inputs: &[&str], output: &str, attributes: &[(&str, Attribute<'_>)]) {
        let mut node = Message::default();
        for input in inputs {
            node.text(1, input);
        }
        node.text(2, output);
        node.text(4, operator);
        for (name, value) in attributes {
            node.message(5, &attribute(name, *value));
        }
        self.nodes.push(node);
    }
}

impl layers::Graph for Graph {
    const ARE_CHANNELS_LAST: bool = false;

    fn dense(&mut self, last: &str, sizes: [u64; 2], weights: &[f32], bias: &[f32]) -> String {
        let (weights, bias) = (self.weight(&sizes, weights), self.weight(&sizes[1..], bias));
        self.node("Gemm", &[last, &weights, &bias], &[])
    }

    fn convolution(&mut self, last: &str, window: Window, weights: &[f32], bias: &[f32]) -> String {
        let Window { before, after, size, stride } = window;
        let (weights, bias) = (self.weight(&[after, before, size, size], weights), self.weight(&[after], bias));
        let attributes =
            [("strides", Attribute::Ints(&[stride; 2])), ("pads", Attribute::Ints(&[window.padding(); 4]))];
        self.node("Conv", &[last, &weights, &bias], &attributes)
    }

    fn relu(&mut self, last: &str) -> String {
        self.node("Relu", &[last], &[])
    }

    fn sum(&mut self, one: &str, other: &str) -> String {
        self.node("Add", &[one, other], &[])
    }

    fn maximum(&mut self, last: &str, window: Window) -> String {
        let attributes = [
            ("kernel_shape", Attribute::Ints(&[window.size; 2])),
            ("strides", Attribute::Ints(&[window.stride; 2])),
            ("pads", Attribute::Ints(&[window.padding(); 4])),
        ];
        self.node("MaxPool", &[last], &attributes)
    }

    fn mean(&mut self, last: &str) -> String {
        let pooled = self.node("GlobalAveragePool", &[last], &[]);
        self.node("Flatten", &[&pooled], &[("axis", Attribute::Int(1))])
    }

    /// The file's bytes.
    fn finish(mut self, last: &str, row: &[u64], out: &[u64]) -> Vec<u8> {
        self.named_node("Identity", &[last], OUTPUT, &[]);
        let mut graph = Message::default();
        for node in &self.nodes {
            graph.message(1, node);
        }
        graph.text(2, "made");
        for weight in &self.weights {
            graph.message(5, weight);
        }
        graph.message(11, &value_info(INPUT, row));
        graph.message(12, &value_info(OUTPUT, out));
        let mut operators = Message::default();
        operators.text(1, "");
        operators.number(2, OPSET);
        let mut model = Message::default();
        model.number(1, IR_VERSION);
        model.message(7, &graph);
        model.message(8, &operators);
        model.0
    }
}

fn attribute(name: &str, value: Attribute<'_>) -> Message {
    let mut message = Message::default();
    message.text(1, name);
    match value {
        Attribute::Int(number) => message.number(3, number),
        Attribute::Ints(numbers) => message.numbers(8, numbers),
    }
    message.number(20, if matches!(value, Attribute::Int(_)) { INT } else { INTS });
    message
}

/// A `ValueInfoProto`: a name, and a tensor of f32 of shape [N, row].
fn value_info(name: &str, row: &[u64]) -> Message {
    let mut shape = Message::default();
    let mut rows = Message::default();
    rows.text(2, ROWS);
    shape.message(1, &rows);
    for size in row {
        let mut dimension = Message::default();
        dimension.number(1, *size);
        shape.message(1, &dimension);
    }
    let mut tensor = Message::default();
    tensor.number(1, FLOAT);
    tensor.message(2, &shape);
    let mut kind = Message::default();
    kind.message(1, &tensor);
    let mut info = Message::default();
    info.text(1, name);
    info.message(2, &kind);
    info
}

#[cfg(test)]
mod tests {
    use super::layers::Graph as _;
    use super::*;
    use crate::framework::{Framework, Kind};

    /// Runs a model on rows in ONNX Runtime.
    fn run(model: &[u8], rows: usize, input: &[f32]) -> Vec<f32> {
        let folder = tempfile::tempdir().unwrap();
        let path = super::super::save(folder.path(), "model.onnx", model).unwrap();
        let mut bare = Framework::open(Kind::Onnx, &path, 1).unwrap().rows(rows).unwrap();
        bare.set_input(input);
        bare.once().unwrap();
        let numbers = bare.output(0).chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
        numbers.collect()
    }

    /// `[[1, 2], [-3, 1]] · [[1, 0, -1], [2, 1, 0]] + [0, 10, 0]` is `[[5, 12, -1], [-1, 11, 3]]`; negative ones become 0.
    #[test]
    fn a_layer_gives_what_is_calculated_by_hand() {
        let mut graph = Graph::default();
        let weight = graph.weight(&[2, 3], &[1.0, 0.0, -1.0, 2.0, 1.0, 0.0]);
        let bias = graph.weight(&[3], &[0.0, 10.0, 0.0]);
        let sum = graph.node("Gemm", &[INPUT, &weight, &bias], &[]);
        let last = graph.node("Relu", &[&sum], &[]);
        let model = graph.finish(&last, &[2], &[3]);
        assert_eq!(run(&model, 2, &[1.0, 2.0, -3.0, 1.0]), [5.0, 12.0, 0.0, 0.0, 11.0, 3.0]);
    }

    /// A window of 2 × 2 ones that moves by two over `1 … 16` adds up to 14, 22, 46 and 54; flattened with `axis = 1`.
    #[test]
    fn attributes_of_one_number_and_of_several_are_understood() {
        let mut graph = Graph::default();
        let window = graph.weight(&[1, 1, 2, 2], &[1.0; 4]);
        let strides = [("strides", Attribute::Ints(&[2, 2]))];
        let sums = graph.node("Conv", &[INPUT, &window], &strides);
        let last = graph.node("Flatten", &[&sums], &[("axis", Attribute::Int(1))]);
        let model = graph.finish(&last, &[1, 4, 4], &[4]);
        let numbers: Vec<f32> = (1..=16).map(|number| number as f32).collect();
        assert_eq!(run(&model, 1, &numbers), [14.0, 22.0, 46.0, 54.0]);
    }
}
