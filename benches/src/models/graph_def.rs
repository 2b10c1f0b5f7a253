//! Writes frozen graphs of TensorFlow: a `GraphDef`, which is a list of operations by name, weights among them. What stands here
//! is the part of it that layers take. Field numbers are those of `graph.proto`, `node_def.proto`, `attr_value.proto` and
//! `tensor.proto`. On processors TensorFlow has convolutions for pictures whose channels come last, and no others.

use super::layers::{Graph, INPUT, OUTPUT, Window, bytes_of};
use super::protobuf::Message;

/// The version of the operations, in which all that are used here are known.
const PRODUCER: u64 = 27;
/// `DataType.DT_FLOAT` and `DT_INT32`.
const FLOAT: u64 = 1;
const INT32: u64 = 3;
/// As a size: whatever it is.
const ANY: u64 = u64::MAX;

/// A graph that is being made.
#[derive(Debug, Default)]
pub struct GraphDef {
    nodes: Vec<Message>,
}

/// A value of an attribute.
enum Attribute<'a> {
    Type(u64),
    Text(&'a str),
    Truth(bool),
    Numbers(&'a [u64]),
    Shape(&'a [u64]),
    Tensor { dtype: u64, shape: &'a [u64], bytes: &'a [u8] },
}

impl GraphDef {
    /// Adds an operation with one output; returns its name.
    fn node(&mut self, kind: &str, inputs: &[&str], attributes: &[(&str, Attribute<'_>)]) -> String {
        let name = format!("n{}", self.nodes.len());
        self.named(&name, kind, inputs, attributes);
        name
    }

    fn named(&mut self, name: &str, kind: &str, inputs: &[&str], attributes: &[(&str, Attribute<'_>)]) {
        let mut node = Message::default();
        node.text(1, name);
        node.text(2, kind);
        for input in inputs {
            node.text(3, input);
        }
        for (key, value) in attributes {
            let mut entry = Message::default();
            entry.text(1, key);
            entry.message(2, &value.message());
            node.message(5, &entry);
        }
        self.nodes.push(node);
    }

    fn constant(&mut self, dtype: u64, shape: &[u64], bytes: &[u8]) -> String {
        let value = Attribute::Tensor { dtype, shape, bytes };
        self.node("Const", &[], &[("dtype", Attribute::Type(dtype)), ("value", value)])
    }

    fn weight(&mut self, shape: &[u64], values: &[f32]) -> String {
        self.constant(FLOAT, shape, &bytes_of(values))
    }

    fn with_bias(&mut self, last: &str, bias: &[f32]) -> String {
        let bias = self.weight(&[bias.len() as u64], bias);
        self.node("BiasAdd", &[last, &bias], &[T])
    }
}

/// What operations work with.
const T: (&str, Attribute<'_>) = ("T", Attribute::Type(FLOAT));

impl Graph for GraphDef {
    const ARE_CHANNELS_LAST: bool = true;

    fn dense(&mut self, last: &str, sizes: [u64; 2], weights: &[f32], bias: &[f32]) -> String {
        let weights = self.weight(&sizes, weights);
        let product = self.node("MatMul", &[last, &weights], &[T]);
        self.with_bias(&product, bias)
    }

    fn convolution(&mut self, last: &str, window: Window, weights: &[f32], bias: &[f32]) -> String {
        let weights = channels_last(window, weights);
        let weights = self.weight(&[window.size, window.size, window.before, window.after], &weights);
        let (strides, paddings) = (strides(window), paddings(window));
        let attributes = [
            T,
            ("strides", Attribute::Numbers(&strides)),
            ("padding", Attribute::Text("EXPLICIT")),
            ("explicit_paddings", Attribute::Numbers(&paddings)),
        ];
        let sums = self.node("Conv2D", &[last, &weights], &attributes);
        self.with_bias(&sums, bias)
    }

    fn relu(&mut self, last: &str) -> String {
        self.node("Relu", &[last], &[T])
    }

    fn sum(&mut self, one: &str, other: &str) -> String {
        self.node("AddV2", &[one, other], &[T])
    }

    fn maximum(&mut self, last: &str, window: Window) -> String {
        let (sizes, strides, paddings) = ([1, window.size, window.size, 1], strides(window), paddings(window));
        let attributes = [
            T,
            ("ksize", Attribute::Numbers(&sizes)),
            ("strides", Attribute::Numbers(&strides)),
            ("padding", Attribute::Text("EXPLICIT")),
            ("explicit_paddings", Attribute::Numbers(&paddings)),
        ];
        self.node("MaxPool", &[last], &attributes)
    }

    fn mean(&mut self, last: &str) -> String {
        let axes: Vec<u8> = [1_i32, 2].into_iter().flat_map(i32::to_le_bytes).collect();
        let axes = self.constant(INT32, &[2], &axes);
        let attributes = [T, ("Tidx", Attribute::Type(INT32)), ("keep_dims", Attribute::Truth(false))];
        self.node("Mean", &[last, &axes], &attributes)
    }

    fn finish(mut self, last: &str, row: &[u64], _: &[u64]) -> Vec<u8> {
        let shape: Vec<u64> = std::iter::once(ANY).chain(row.iter().copied()).collect();
        let attributes = [("dtype", Attribute::Type(FLOAT)), ("shape", Attribute::Shape(&shape))];
        self.named(INPUT, "Placeholder", &[], &attributes);
        self.named(OUTPUT, "Identity", &[last], &[T]);
        let (mut graph, mut versions) = (Message::default(), Message::default());
        for node in &self.nodes {
            graph.message(1, node);
        }
        versions.number(1, PRODUCER);
        graph.message(4, &versions);
        graph.0
    }
}

fn strides(window: Window) -> [u64; 4] {
    [1, window.stride, window.stride, 1]
}

/// Before and behind each axis.
fn paddings(window: Window) -> [u64; 8] {
    let padding = window.padding();
    [0, 0, padding, padding, padding, padding, 0, 0]
}

/// Weights [after, before, size, size] as [size, size, before, after].
fn channels_last(window: Window, weights: &[f32]) -> Vec<f32> {
    let Window { before, after, size, .. } = window;
    let mut turned = Vec::with_capacity(weights.len());
    for place in 0..size * size {
        for channel in 0..before {
            turned.extend((0..after).map(|to| weights[((to * before + channel) * size * size + place) as usize]));
        }
    }
    turned
}

impl Attribute<'_> {
    /// An `AttrValue`.
    fn message(&self) -> Message {
        let mut message = Message::default();
        match self {
            Attribute::Type(dtype) => message.number(6, *dtype),
            Attribute::Text(text) => message.text(2, text),
            Attribute::Truth(truth) => message.number(5, u64::from(*truth)),
            Attribute::Numbers(numbers) => {
                let mut list = Message::default();
                list.numbers(3, numbers);
                message.message(1, &list);
            }
            Attribute::Shape(sizes) => message.message(7, &shape(sizes)),
            Attribute::Tensor { dtype, shape: sizes, bytes } => {
                let mut tensor = Message::default();
                tensor.number(1, *dtype);
                tensor.message(2, &shape(sizes));
                tensor.bytes(4, bytes);
                message.message(8, &tensor);
            }
        }
        message
    }
}

/// A `TensorShapeProto`.
fn shape(sizes: &[u64]) -> Message {
    let mut shape = Message::default();
    for size in sizes {
        let mut axis = Message::default();
        axis.number(1, *size);
        shape.message(2, &axis);
    }
    shape
}
