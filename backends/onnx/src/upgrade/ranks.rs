//! How many axes values have, as far as it is known without a look at sizes.

use graphpiped_onnx_proto::{AttributeProto, GraphProto, NodeProto, TensorProto, TypeProto, type_proto};
use std::collections::HashMap;

/// More axes than any tensor has.
const RANK_MAX: usize = 64;

/// The ranks of the values of a graph that are known so far.
pub(super) struct Ranks {
    known: HashMap<String, usize>,
    /// How many elements constants have.
    elements: HashMap<String, i64>,
}

impl Ranks {
    /// What inputs, constants and declared types say.
    pub fn of(graph: &GraphProto) -> Ranks {
        let mut ranks = Ranks { known: HashMap::new(), elements: HashMap::new() };
        for value in graph.input.iter().chain(&graph.value_info).chain(&graph.output) {
            if let (Some(name), Some(rank)) = (&value.name, value.r#type.as_ref().and_then(rank_of_type)) {
                ranks.known.insert(name.clone(), rank);
            }
        }
        for tensor in &graph.initializer {
            if let Some(name) = &tensor.name {
                ranks.known.insert(name.clone(), tensor.dims.len());
                ranks.elements.insert(name.clone(), elements(&tensor.dims));
            }
        }
        ranks
    }

    /// The rank of a value, unless it is one that no tensor has: a chain of operators may double it at each.
    pub fn get(&self, name: &str) -> Option<usize> {
        self.known.get(name).copied().filter(|rank| *rank <= RANK_MAX)
    }

    /// Whether a value is a constant of one element.
    pub fn is_one_element(&self, name: &str) -> bool {
        self.elements.get(name) == Some(&1)
    }

    /// Learns the ranks of a node's outputs, where its operator tells. The node is of opset 7.
    pub fn follow(&mut self, node: &NodeProto) {
        if let (Some("Constant"), [output], Some(tensor)) = (node.op_type.as_deref(), &node.output[..], constant(node))
        {
            self.elements.insert(output.clone(), elements(&tensor.dims));
        }
        let Some(rank) = self.rank_of(node) else { return };
        // What is said in the file counts more.
        for output in &node.output {
            self.known.entry(output.clone()).or_insert(rank);
        }
    }

    fn rank_of(&self, node: &NodeProto) -> Option<usize> {
        let of_input = |position: usize| self.get(node.input.get(position)?);
        let attribute = |name: &str| node.attribute.iter().find(|attribute| attribute.name.as_deref() == Some(name));
        let operator = node.op_type.as_deref()?;
        match operator {
            "Add" | "Sub" | "Mul" | "Div" | "Pow" | "And" | "Or" | "Xor" | "Equal" | "Greater" | "Less" => {
                Some(of_input(0)?.max(of_input(1)?))
            }
            "Flatten" | "Gemm" => Some(2),
            "MatMul" => match (of_input(0)?, of_input(1)?) {
                (left, right) if left >= 2 && right >= 2 => Some(left.max(right)),
                _ => None,
            },
            "Constant" => constant(node).map(|tensor| tensor.dims.len()),
            // The target is a constant more often than not, and its length is the rank.
            "Reshape" => {
                node.input.get(1).and_then(|target| self.elements.get(target)).and_then(|&rank| rank.try_into().ok())
            }
            "Squeeze" => of_input(0)?.checked_sub(attribute("axes")?.ints.len()),
            "Unsqueeze" => Some(of_input(0)? + attribute("axes")?.ints.len()),
            _ if operator.starts_with("Reduce") => reduced(of_input(0)?, attribute("axes"), attribute("keepdims")),
            "ArgMax" | "ArgMin" => {
                let keeps = attribute("keepdims").and_then(|attribute| attribute.i).unwrap_or(1) != 0;
                of_input(0)?.checked_sub(usize::from(!keeps))
            }
            "Gather" => (of_input(0)? + of_input(1)?).checked_sub(1),
            "Shape" => Some(1),
            "Size" => Some(0),
            // Everything else that is upgraded keeps its first input's rank.
            _ => of_input(0),
        }
    }
}

fn constant(node: &NodeProto) -> Option<&TensorProto> {
    let value = node.attribute.iter().find(|attribute| attribute.name.as_deref() == Some("value"))?;
    value.t.as_ref()
}

fn elements(dims: &[i64]) -> i64 {
    dims.iter().fold(1, |all, &size| i64::saturating_mul(all, size))
}

/// What is left of a rank when some axes, or all, are reduced.
fn reduced(rank: usize, axes: Option<&AttributeProto>, keepdims: Option<&AttributeProto>) -> Option<usize> {
    let keeps = keepdims.and_then(|attribute| attribute.i).unwrap_or(1) != 0;
    match axes {
        _ if keeps => Some(rank),
        Some(axes) => rank.checked_sub(axes.ints.len()),
        None => Some(0),
    }
}

fn rank_of_type(of_value: &TypeProto) -> Option<usize> {
    match &of_value.value {
        Some(type_proto::Value::TensorType(tensor)) => tensor.shape.as_ref().map(|shape| shape.dim.len()),
        _ => None,
    }
}
