//! Writes ONNX models, so that a program can make the one that its question needs, and needs no other package for it. An
//! ONNX file is a protobuf message; what stands here is the part of it that a chain of layers takes: nodes with whole numbers
//! as attributes, weights of f32, one input and one output whose first dimension is `N`. Field numbers are those of
//! `onnx.proto3`. Reading models will never be here: that is the framework's.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

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
/// The name of the model's input, which is where every graph begins.
pub const INPUT: &str = "x";
/// The name of its output.
const OUTPUT: &str = "y";

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
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        tensor.bytes(9, &raw);
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

    /// Ends the graph with the value `last`: the file's bytes, of a model from `x` [N, row] to `y` [N, out].
    pub fn finish(mut self, last: &str, row: &[u64], out: &[u64]) -> Vec<u8> {
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

/// Writes a model into a folder, whole or not at all: an interrupted run must not leave half of one.
pub fn save(folder: &Path, name: &str, model: &[u8]) -> Result<PathBuf> {
    let path = folder.join(format!("{name}.onnx"));
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let begun = tempfile::NamedTempFile::new_in(folder)?;
        std::fs::write(begun.path(), model)?;
        begun.persist(&path)?;
        Ok(())
    };
    write().with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
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

/// A protobuf message: fields one after the other, each a key (its number and how it is written) and a value.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

/// How a value is written: as a varint, or as a length and so many bytes.
const VARINT: u64 = 0;
const LENGTH: u64 = 2;

impl Message {
    fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3 | VARINT);
        self.varint(value);
    }

    /// A repeated field of numbers, each on its own: that is read wherever the packed form is.
    fn numbers(&mut self, field: u64, values: &[u64]) {
        for value in values {
            self.number(field, *value);
        }
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | LENGTH);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn message(&mut self, field: u64, message: &Message) {
        self.bytes(field, &message.0);
    }

    /// Seven bits a byte, the lowest first; all bytes but the last have the highest bit set.
    fn varint(&mut self, mut value: u64) {
        while value > 0x7f {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framework::Framework;

    /// The examples of protobuf's own page on its encoding: `a = 150` in field 1, `"testing"` in field 2, and the first one
    /// as a message in field 3.
    #[test]
    fn the_encoding_is_that_of_protobufs_documentation() {
        let mut number = Message::default();
        number.number(1, 150);
        assert_eq!(number.0, [0x08, 0x96, 0x01]);
        let mut text = Message::default();
        text.text(2, "testing");
        assert_eq!(text.0, b"\x12\x07testing");
        let mut nested = Message::default();
        nested.message(3, &number);
        assert_eq!(nested.0, [0x1a, 0x03, 0x08, 0x96, 0x01]);
    }

    #[test]
    fn a_varint_of_any_length_has_its_high_bits_last() {
        let bytes = |value| {
            let mut message = Message::default();
            message.varint(value);
            message.0
        };
        assert_eq!(bytes(0), [0]);
        assert_eq!(bytes(127), [0x7f]);
        assert_eq!(bytes(300), [0xac, 0x02]);
        assert_eq!(bytes(u64::MAX), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    }

    /// Runs a model on rows in ONNX Runtime.
    fn run(model: &[u8], rows: usize, input: &[f32]) -> Vec<f32> {
        let folder = tempfile::tempdir().unwrap();
        let path = save(folder.path(), "model", model).unwrap();
        let mut bare = Framework::open(&path, 1).unwrap().rows(rows).unwrap();
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
