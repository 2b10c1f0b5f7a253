//! The ONNX graph as it grows: blobs, which are written over and over, become values, which are written once.
//!
//! A blob keeps its name where somebody outside sees it: as an input of the graph, as the last value that it is given,
//! as a weight that nobody writes. Values between have names that no blob has.

use crate::shape::{AXES_MAX, Shape, fixed};
use graphpiped_onnx_proto::{
    AttributeProto, DataType, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, tensor_shape_proto, tensor_shape_proto::dimension, type_proto,
};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// The operator set that nets are translated to: the last in which `Softmax` sees a matrix, as Caffe2's does.
const OPSET: i64 = 12;

/// The version of the representation that goes with it.
const IR_VERSION: i64 = 7;

/// A value of the graph.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    /// Its name in the graph.
    pub name: String,
    /// What its elements are.
    pub kind: DataType,
    /// Its shape, as far as it is known.
    pub shape: Shape,
}

/// A graph in the making.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    inputs: Vec<ValueInfoProto>,
    /// What a blob stands for at this point of the net.
    current: HashMap<String, Value>,
    /// Weights that no operator has read yet.
    constants: HashMap<String, TensorProto>,
    /// How often blobs will be written from here on.
    writes_left: HashMap<String, usize>,
    /// Blobs that are inputs.
    fed: HashSet<String>,
    /// Blobs that operators write and that are not translated, with those operators.
    untranslated: HashMap<String, Rc<str>>,
    /// Names that are spoken for: those of all blobs, and of values that are none.
    taken: HashSet<String>,
    next: usize,
    /// What its nodes take in memory.
    node_bytes: usize,
}

/// Bytes of memory for all nodes. Those of the largest net of the model zoo take some megabytes, but three bytes of a net, an
/// input of a `Concat`, may become a node of more than a thousand.
const NODE_BYTES_MAX: usize = 256 << 20;

impl Graph {
    /// A graph of a net with these blobs, each as often as operators write it, and these weights.
    pub fn new(
        blobs: HashSet<String>,
        writes: HashMap<String, usize>,
        constants: HashMap<String, TensorProto>,
    ) -> Graph {
        Graph { taken: blobs, writes_left: writes, constants, ..Graph::default() }
    }

    /// Makes a blob an input. Of its weight, if it has one, nothing remains.
    pub fn feed(&mut self, blob: &str, kind: DataType, shape: Shape) {
        self.constants.remove(blob);
        self.fed.insert(blob.to_string());
        self.current.insert(blob.to_string(), Value { name: blob.to_string(), kind, shape });
    }

    /// Declares an input of the graph to whoever runs it.
    pub fn declare(&mut self, blob: &str, kind: DataType, dims: Vec<Option<dimension::Value>>) {
        let dim = |value| tensor_shape_proto::Dimension { value, denotation: None };
        self.inputs.push(tensor(blob, kind, Some(dims.into_iter().map(dim).collect())));
    }

    /// What a blob stands for at this point.
    pub fn read(&mut self, blob: &str) -> Result<Value, String> {
        if let Some(value) = self.current.get(blob) {
            return Ok(value.clone());
        }
        if let Some(operator) = self.untranslated.get(blob) {
            return Err(format!(
                "reads {blob}, an output of {operator} that is not translated; export the net to ONNX"
            ));
        }
        let Some(mut constant) = self.constants.remove(blob) else {
            return Err(format!(
                "reads {blob}, which nobody makes, neither the init_net nor an operator before it; take both files from \
                 the same export, or name it as an input in value_info.json"
            ));
        };
        let is_written_later = self.writes_left.get(blob).is_some_and(|&writes| writes > 0);
        constant.name = Some(if is_written_later { self.fresh(blob) } else { blob.to_string() });
        let value = self.initialize(constant)?;
        self.current.insert(blob.to_string(), value.clone());
        Ok(value)
    }

    /// Gives a blob a new value, which somebody still has to make.
    pub fn write(&mut self, blob: &str, kind: DataType, shape: Shape) -> Value {
        let is_last = self.count_write(blob) == 0 && !self.fed.contains(blob);
        let name = if is_last { blob.to_string() } else { self.fresh(blob) };
        // Operators in a row might add axes without end, each to a list of its own.
        let shape = shape.filter(|dims| dims.len() <= AXES_MAX);
        let value = Value { name, kind, shape };
        self.untranslated.remove(blob);
        self.current.insert(blob.to_string(), value.clone());
        value
    }

    /// How often a blob will be written from here on, after it has been once more.
    fn count_write(&mut self, blob: &str) -> usize {
        let left = self.writes_left.entry(blob.to_string()).or_default();
        *left = left.saturating_sub(1);
        *left
    }

    /// Takes the value of a blob away: an operator writes it, in a way that has no translation.
    pub fn forget(&mut self, blob: &str, operator: &Rc<str>) {
        self.count_write(blob);
        self.current.remove(blob);
        self.constants.remove(blob);
        self.untranslated.insert(blob.to_string(), Rc::clone(operator));
    }

    /// A constant that has its name already.
    pub fn initialize(&mut self, constant: TensorProto) -> Result<Value, String> {
        let kind = constant.data_type.and_then(|number| DataType::try_from(number).ok());
        let value = Value {
            name: constant.name.clone().unwrap_or_default(),
            kind: kind.ok_or("holds elements of an unknown type")?,
            shape: Some(fixed(&constant.dims)),
        };
        self.initializers.push(constant);
        Ok(value)
    }

    /// The name of a constant with these integers: a shape, or axes.
    pub fn integers(&mut self, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.small("integers", DataType::Int64, vec![values.len() as i64], bytes)
    }

    /// The name of a constant with this number.
    pub fn number(&mut self, value: f32) -> String {
        self.small("number", DataType::Float, Vec::new(), value.to_le_bytes().to_vec())
    }

    fn small(&mut self, stem: &str, kind: DataType, dims: Vec<i64>, bytes: Vec<u8>) -> String {
        let name = self.fresh(stem);
        self.initializers.push(TensorProto {
            name: Some(name.clone()),
            data_type: Some(kind as i32),
            dims,
            raw_data: Some(bytes),
            ..TensorProto::default()
        });
        name
    }

    /// Gives the current value of a blob by a constant, which has the name of that value.
    pub fn replace(&mut self, blob: &str, constant: TensorProto) -> Result<(), String> {
        let value = self.initialize(constant)?;
        self.current.insert(blob.to_string(), value);
        Ok(())
    }

    /// A name that nobody has.
    pub fn fresh(&mut self, stem: &str) -> String {
        loop {
            self.next += 1;
            let name = format!("{stem}@{}", self.next);
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }

    /// Adds a node. An input without a name is one that is left out.
    pub fn node(&mut self, kind: &str, inputs: &[&str], attributes: Vec<AttributeProto>, outputs: &[&str]) {
        let names: usize = inputs.iter().chain(outputs).map(|name| size_of::<String>() + name.len()).sum();
        self.node_bytes += size_of::<NodeProto>() + attributes.len() * size_of::<AttributeProto>() + names;
        self.nodes.push(NodeProto {
            op_type: Some(kind.to_string()),
            name: outputs.first().map(ToString::to_string),
            input: inputs.iter().map(ToString::to_string).collect(),
            output: outputs.iter().map(ToString::to_string).collect(),
            attribute: attributes,
            ..NodeProto::default()
        });
    }

    /// Refuses a net whose nodes have become too many. One operator alone makes less than that.
    pub fn check_size(&self) -> Result<(), String> {
        if self.node_bytes <= NODE_BYTES_MAX {
            return Ok(());
        }
        Err(format!(
            "its operators become more than {NODE_BYTES_MAX} bytes of nodes, which no net needs; export it again"
        ))
    }

    /// The model, which gives these blobs.
    pub fn finish(mut self, name: &str, outputs: &[String]) -> Result<ModelProto, String> {
        let mut declared = Vec::with_capacity(outputs.len());
        for blob in outputs {
            if let Some(operator) = self.untranslated.get(blob) {
                return Err(format!("its output {blob} is one of {operator} that is not translated; leave it out"));
            }
            let missing = |_| format!("its output {blob} is made by nobody; name one that an operator makes");
            let value = self.read(blob).map_err(missing)?;
            if value.name != *blob {
                let remedy = "give its output another name";
                return Err(format!("{blob} is an input that is written over and then an output, too; {remedy}"));
            }
            declared.push(tensor(blob, value.kind, None));
        }
        let graph = GraphProto {
            name: Some(name.to_string()),
            node: self.nodes,
            initializer: self.initializers,
            input: self.inputs,
            output: declared,
            ..GraphProto::default()
        };
        Ok(ModelProto {
            ir_version: Some(IR_VERSION),
            producer_name: Some("graphpiped".to_string()),
            opset_import: vec![OperatorSetIdProto { domain: None, version: Some(OPSET) }],
            graph: Some(graph),
            ..ModelProto::default()
        })
    }
}

fn tensor(name: &str, kind: DataType, dim: Option<Vec<tensor_shape_proto::Dimension>>) -> ValueInfoProto {
    let shape = dim.map(|dim| TensorShapeProto { dim });
    let tensor = type_proto::Tensor { elem_type: Some(kind as i32), shape };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), denotation: None };
    ValueInfoProto { name: Some(name.to_string()), r#type: Some(kind), ..ValueInfoProto::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::Call;
    use crate::proto::OperatorDef;

    #[test]
    fn a_shape_that_no_tensor_has_is_forgotten() {
        let mut graph = Graph::default();
        for (axes, is_kept) in [(16, true), (17, false)] {
            let value = graph.write("b", DataType::Float, Some(vec![crate::shape::Dim::Any; axes]));
            assert_eq!(value.shape.is_some(), is_kept, "{axes} axes");
            assert_eq!(graph.read("b").expect("it was written").shape.is_some(), is_kept, "{axes} axes");
        }
    }

    #[test]
    fn outputs_that_are_not_translated_share_the_words_about_their_operator() {
        let output = ["y", "a", "b"].map(str::to_string).into();
        let operator = OperatorDef { output, ..OperatorDef::default() };
        let mut graph = Graph::default();
        Call::begin(&operator, &mut graph).expect("it reads nothing").end();
        assert!(Rc::ptr_eq(&graph.untranslated["a"], &graph.untranslated["b"]));
        let error = graph.read("b").expect_err("nothing makes it");
        assert!(error.starts_with("reads b, an output of  (output y) that is not translated"), "{error}");
    }
}
