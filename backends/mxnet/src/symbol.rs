//! A symbol: the graph of a model, as JSON, read before MXNet reads it.
//!
//! MXNet follows the numbers of nodes without a look at them, so they are compared with the number of nodes here. What operators
//! there are, and what they mean, is MXNet's to know.
#![forbid(unsafe_code)]

use serde::Deserialize;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// The most bytes of a symbol; the largest that are known have some millions.
pub(crate) const BYTES_MAX: u64 = 64 << 20;

/// A variable: an input, a parameter, or a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    /// The number of its node.
    pub node: usize,
    /// Its name.
    pub name: String,
    /// What the symbol says about its shape; 0 and -1 are sizes that it leaves open.
    pub shape: Option<Vec<i64>>,
    /// MXNet's number for its type, if the symbol says it.
    pub number: Option<i32>,
    /// Whether only losses look at it.
    pub is_label: bool,
    /// Whether it says how it is to be trained, as Gluon's parameters do.
    pub is_parameter: bool,
}

/// A symbol whose numbers of nodes are sound.
pub(crate) struct Symbol {
    graph: Graph,
    /// The same, with all that MXNet wants.
    json: Value,
    /// Its variables, in its order.
    pub variables: Vec<Variable>,
}

impl Symbol {
    /// Reads a symbol. Otherwise: what is the matter, to follow the path.
    pub fn read(json: &[u8]) -> Result<Symbol, String> {
        let is_none = |error: serde_json::Error| {
            format!(
                "is not an MXNet symbol ({error}); name the file that save_checkpoint or HybridBlock.export has written"
            )
        };
        let graph: Graph = serde_json::from_slice(json).map_err(is_none)?;
        graph.check().map_err(|cause| format!("is damaged ({cause}); copy it again"))?;
        if let Some(node) = graph.nodes.iter().position(|node| node.name.contains(char::is_control)) {
            return Err(format!(
                "cannot be served: the name of node {node} has control characters; give it another one"
            ));
        }
        let json = serde_json::from_slice(json).map_err(is_none)?;
        let variables = graph.variables();
        let mut names = HashSet::new();
        if let Some(variable) = variables.iter().find(|variable| !names.insert(&variable.name)) {
            let name = &variable.name;
            return Err(format!("cannot be served: it has several variables {name:?}; give them names of their own"));
        }
        Ok(Symbol { graph, json, variables })
    }

    /// How many nodes it has.
    pub fn nodes(&self) -> usize {
        self.graph.nodes.len()
    }

    /// The name of a node.
    pub fn name(&self, node: usize) -> &str {
        self.graph.nodes.get(node).map_or("", |node| &node.name)
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Option<usize> {
        self.graph.nodes.iter().position(|node| node.name == name)
    }

    /// What it gives: nodes, each with one of its outputs.
    pub fn heads(&self) -> impl Iterator<Item = (usize, usize)> {
        self.graph.heads.iter().map(reference)
    }

    /// All that its nodes, and its heads, refer to: nodes, each with one of its outputs.
    pub fn references(&self) -> impl Iterator<Item = (usize, usize)> {
        let inputs = self.graph.nodes.iter().flat_map(|node| node.inputs.iter().map(reference));
        inputs.chain(self.heads())
    }

    /// For each node, whether one of these is computed from it.
    pub fn leads_to(&self, roots: impl IntoIterator<Item = usize>) -> Vec<bool> {
        let mut leads = vec![false; self.nodes()];
        for root in roots {
            leads[root] = true;
        }
        // Every node comes behind those that it is computed from.
        for (index, node) in self.graph.nodes.iter().enumerate().rev().filter(|(_, node)| !node.is_variable()) {
            for other in node.before().filter(|_| leads[index]).collect::<Vec<_>>() {
                leads[other] = true;
            }
        }
        leads
    }

    /// For each node, whether it is one of these, or computed from one.
    pub fn comes_from(&self, roots: impl IntoIterator<Item = usize>) -> Vec<bool> {
        let mut comes = vec![false; self.nodes()];
        for root in roots {
            comes[root] = true;
        }
        for (index, node) in self.graph.nodes.iter().enumerate().filter(|(_, node)| !node.is_variable()) {
            comes[index] = comes[index] || node.before().any(|other| comes[other]);
        }
        comes
    }

    /// Its nodes that are no variables.
    pub fn operators(&self) -> impl Iterator<Item = Operator<'_>> {
        let operators = self.graph.nodes.iter().enumerate().filter(|(_, node)| !node.is_variable());
        operators.map(|(index, node)| {
            let mut within = Vec::new();
            node.kinds_within(&mut within);
            let arguments = node.inputs.iter().map(|entry| entry[0]).collect();
            Operator { node: index, name: &node.name, kind: &node.op, arguments, within }
        })
    }

    /// Nodes that only give a tensor another shape, each with what it gets.
    pub fn reshaped(&self) -> impl Iterator<Item = (usize, (usize, usize))> {
        let nodes = self.graph.nodes.iter().enumerate();
        nodes
            .filter(|(_, node)| RESHAPES.contains(&node.op.as_str()))
            .filter_map(|(index, node)| Some((index, reference(node.inputs.first()?))))
    }

    /// The same symbol, which gives the first outputs of other nodes.
    pub fn with_heads(&self, nodes: &[usize]) -> Symbol {
        let heads: Vec<Entry> = nodes.iter().map(|&node| vec![node, 0, 0]).collect();
        let mut json = self.json.clone();
        json["heads"] = Value::from(heads.clone());
        Symbol { graph: Graph { heads, ..self.graph.clone() }, json, variables: self.variables.clone() }
    }

    /// The same symbol, in which node 12 is called `n12`; with the first output of a node instead of whichever is referred to, if
    /// those are not to be kept.
    pub fn numbered(&self, keeps_outputs: bool) -> String {
        let mut json = self.json.clone();
        if let Some(nodes) = json["nodes"].as_array_mut() {
            for (index, node) in nodes.iter_mut().enumerate() {
                node["name"] = Value::from(format!("n{index}"));
                if !keeps_outputs {
                    node.get_mut("inputs").and_then(Value::as_array_mut).into_iter().flatten().for_each(first_output);
                }
            }
        }
        if let (Some(heads), false) = (json["heads"].as_array_mut(), keeps_outputs) {
            heads.iter_mut().for_each(first_output);
        }
        json.to_string()
    }
}

/// A node that computes something.
pub(crate) struct Operator<'a> {
    /// Its number.
    pub node: usize,
    /// Its name.
    pub name: &'a str,
    /// What MXNet calls the operator.
    pub kind: &'a str,
    /// The nodes that it takes its arguments from, in their order.
    pub arguments: Vec<usize>,
    /// The operators in graphs within it, such as that of a loop.
    pub within: Vec<&'a str>,
}

/// An entry that was found to be one.
fn reference(entry: &Entry) -> (usize, usize) {
    (entry[0], entry[1])
}

fn first_output(entry: &mut Value) {
    if let Some(output) = entry.get_mut(1) {
        *output = Value::from(0);
    }
}

/// Operators that only give a tensor another shape, and do not look whether it fits.
const RESHAPES: [&str; 4] = ["Reshape", "reshape", "_np_reshape", "_npx_reshape"];

/// Layers whose second input is a label.
const LOSSES: [&str; 6] = [
    "SoftmaxOutput",
    "Softmax",
    "LinearRegressionOutput",
    "LogisticRegressionOutput",
    "MAERegressionOutput",
    "SVMOutput",
];

#[derive(Clone, Deserialize)]
struct Graph {
    nodes: Vec<Node>,
    arg_nodes: Vec<usize>,
    heads: Vec<Entry>,
}

#[derive(Clone, Deserialize)]
struct Node {
    op: String,
    name: String,
    // The name that attributes have had has changed with MXNet's versions.
    #[serde(default, alias = "attr", alias = "param")]
    attrs: HashMap<String, String>,
    #[serde(default)]
    inputs: Vec<Entry>,
    #[serde(default)]
    control_deps: Vec<usize>,
    #[serde(default)]
    subgraphs: Vec<Graph>,
}

/// The node, which of its outputs, and in newer versions a third number.
type Entry = Vec<usize>;

impl Node {
    fn is_variable(&self) -> bool {
        self.op == "null"
    }

    /// The operators in the graphs within it, and within those.
    fn kinds_within<'a>(&'a self, kinds: &mut Vec<&'a str>) {
        for node in self.subgraphs.iter().flat_map(|graph| &graph.nodes) {
            kinds.push(&node.op);
            node.kinds_within(kinds);
        }
    }

    /// The nodes that it is computed from; some of them more than once.
    fn before(&self) -> impl Iterator<Item = usize> {
        self.inputs.iter().map(|entry| entry[0]).chain(self.control_deps.iter().copied())
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.attrs.get(name).map(String::as_str)
    }
}

impl Graph {
    /// Whether every number of a node is one of an earlier node, so that there is no circle.
    fn check(&self) -> Result<(), String> {
        for (index, node) in self.nodes.iter().enumerate() {
            let before = |entry: &Entry| matches!(entry[..], [other, output] | [other, output, _] if other < index && output < OUTPUTS_MAX);
            if !node.inputs.iter().all(before) || !node.control_deps.iter().all(|&other| other < index) {
                return Err(format!("node {:?} has inputs that are no earlier nodes", node.name));
            }
            node.subgraphs.iter().try_for_each(Graph::check)?;
        }
        let is_head = |entry: &Entry| matches!(entry[..], [node, output] | [node, output, _] if node < self.nodes.len() && output < OUTPUTS_MAX);
        if self.heads.is_empty() || !self.heads.iter().all(is_head) {
            return Err("its heads are no nodes".to_string());
        }
        let is_variable = |&node: &usize| self.nodes.get(node).is_some_and(Node::is_variable);
        if !self.arg_nodes.iter().all(is_variable) {
            return Err("its arguments are no variables".to_string());
        }
        Ok(())
    }

    fn variables(&self) -> Vec<Variable> {
        let uses = self.uses();
        let variables = self.nodes.iter().enumerate().filter(|(_, node)| node.is_variable());
        let variable = |(index, node): (usize, &Node)| {
            let uses = uses.get(&index).map_or(&[][..], Vec::as_slice);
            Variable {
                node: index,
                name: node.name.clone(),
                shape: node.attribute("__shape__").and_then(numbers).filter(|shape| !shape.is_empty()),
                number: node
                    .attribute("__dtype__")
                    .and_then(|number| number.parse().ok())
                    .filter(|&number| number != -1),
                is_label: node.name.ends_with("_label") || (!uses.is_empty() && uses.iter().all(|is_label| *is_label)),
                is_parameter: node.attribute("__lr_mult__").is_some() && node.attribute("__wd_mult__").is_some(),
            }
        };
        variables.map(variable).collect()
    }

    /// For each node that others use, whether it is a label to each of them.
    fn uses(&self) -> HashMap<usize, Vec<bool>> {
        let mut uses: HashMap<usize, Vec<bool>> = HashMap::new();
        for node in &self.nodes {
            for (position, entry) in node.inputs.iter().enumerate() {
                let is_label = position == 1 && LOSSES.contains(&node.op.as_str());
                uses.entry(entry[0]).or_default().push(is_label);
            }
        }
        uses
    }
}

/// More outputs than any operator has.
const OUTPUTS_MAX: usize = 1 << 16;

/// As in `(0, 4)` and `[3,]`.
fn numbers(text: &str) -> Option<Vec<i64>> {
    let inner = text.trim().trim_start_matches(['(', '[']).trim_end_matches([')', ']']);
    let numbers = inner.split(',').map(str::trim).filter(|number| !number.is_empty());
    numbers.map(|number| number.trim_end_matches('L').parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(nodes: &str, heads: &str) -> Result<Vec<Variable>, String> {
        Symbol::read(format!(r#"{{"nodes": [{nodes}], "arg_nodes": [0], "heads": {heads}, "attrs": {{}}}}"#).as_bytes())
            .map(|symbol| symbol.variables)
    }

    fn shown(variable: &Variable) -> (&str, Option<&[i64]>, Option<i32>, bool) {
        (&variable.name, variable.shape.as_deref(), variable.number, variable.is_label)
    }

    #[test]
    fn variables_come_in_order_with_their_shapes_and_types() {
        let nodes = r#"
            {"op": "null", "name": "a", "attrs": {"__shape__": "(0, 3, -1)", "__dtype__": "6"}, "inputs": []},
            {"op": "null", "name": "b", "attr": {"__shape__": "[4L,]", "__dtype__": "-1"}},
            {"op": "null", "name": "c", "param": {"__shape__": "None"}, "inputs": []},
            {"op": "null", "name": "d", "attrs": {"__shape__": "()"}, "inputs": []},
            {"op": "add_n", "name": "e", "inputs": [[0, 0, 0], [1, 0], [2, 0], [3, 0]]}"#;
        let variables = read(nodes, "[[4, 0, 0]]").expect("a symbol");
        let expected = [
            ("a", Some(&[0, 3, -1][..]), Some(6), false),
            ("b", Some(&[4]), None, false),
            ("c", None, None, false),
            ("d", None, None, false),
        ];
        assert_eq!(variables.iter().map(shown).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_label_is_known_by_its_use_or_by_its_name() {
        let nodes = r#"
            {"op": "null", "name": "x", "inputs": []},
            {"op": "null", "name": "target", "inputs": []},
            {"op": "SoftmaxOutput", "name": "s", "inputs": [[0, 0], [1, 0]]},
            {"op": "null", "name": "both", "inputs": []},
            {"op": "SVMOutput", "name": "v", "inputs": [[3, 0], [3, 0]]},
            {"op": "null", "name": "my_label", "inputs": []},
            {"op": "SoftmaxCrossEntropy", "name": "l", "inputs": [[4, 0], [5, 0]]}"#;
        let variables = read(nodes, "[[6, 0]]").expect("a symbol");
        let labels: Vec<_> = variables.iter().map(|variable| (variable.name.as_str(), variable.is_label)).collect();
        assert_eq!(labels, [("x", false), ("target", true), ("both", false), ("my_label", true)]);
    }

    #[test]
    fn what_leads_to_a_node_is_all_that_it_is_computed_from() {
        let json = r#"{"nodes": [{"op": "null", "name": "a"}, {"op": "null", "name": "b"},
            {"op": "f", "name": "c", "inputs": [[0, 0, 0]]}, {"op": "f", "name": "d", "inputs": [[2, 0, 0], [1, 0, 0]]}],
            "arg_nodes": [0, 1], "heads": [[3, 0, 0]]}"#;
        let symbol = Symbol::read(json.as_bytes()).expect("a symbol");
        assert_eq!(symbol.leads_to([2]), [true, false, true, false]);
        assert_eq!(symbol.leads_to([3]), [true; 4]);
        assert_eq!(symbol.leads_to([1]), [false, true, false, false]);
        assert_eq!(symbol.comes_from([0]), [true, false, true, true]);
        assert_eq!(symbol.comes_from([1]), [false, true, false, true]);
        assert_eq!(symbol.comes_from([]), [false; 4]);
    }

    #[test]
    fn numbers_that_lead_nowhere_or_in_a_circle_are_damage() {
        let node = |inputs: &str| format!(r#"{{"op": "null", "name": "x"}}, {{"op": "f", "name": "y", {inputs}}}"#);
        let wrong = [
            (node(r#""inputs": [[1, 0, 0]]"#), "[[1, 0, 0]]"),
            (node(r#""inputs": [[2, 0, 0]]"#), "[[1, 0, 0]]"),
            (node(r#""inputs": [[0]]"#), "[[1, 0, 0]]"),
            (node(r#""inputs": [[0, 99999999]]"#), "[[1, 0, 0]]"),
            (node(r#""inputs": [], "control_deps": [1]"#), "[[1, 0, 0]]"),
            (node(r#""subgraphs": [{"nodes": [], "arg_nodes": [], "heads": [[0, 0]]}]"#), "[[1, 0, 0]]"),
            (node(r#""inputs": [[0, 0, 0]]"#), "[[2, 0, 0]]"),
            (node(r#""inputs": [[0, 0, 0]]"#), "[]"),
        ];
        for (nodes, heads) in wrong {
            let message = read(&nodes, heads).expect_err("it is damaged");
            assert!(message.starts_with("is damaged (") && message.ends_with("; copy it again"), "{nodes}: {message}");
        }
        assert!(read(&node(r#""inputs": [[0, 0, 0]]"#), "[[1, 0, 0]]").is_ok());
    }

    #[test]
    fn a_numbered_symbol_differs_in_names_and_perhaps_in_outputs() {
        let json = r#"{"nodes": [{"op": "null", "name": "x", "inputs": []},
            {"op": "Reshape", "name": "y", "attrs": {"shape": "(2,)"}, "inputs": [[0, 3, 0]]}],
            "arg_nodes": [0], "heads": [[1, 2, 0]], "attrs": {"v": ["int", 1]}}"#;
        let symbol = Symbol::read(json.as_bytes()).expect("a symbol");
        let expect = |text: &str, numbered: String| {
            let expected: Value = serde_json::from_str(text).expect("JSON");
            assert_eq!(serde_json::from_str::<Value>(&numbered).expect("JSON"), expected);
        };
        let kept = json.replace("\"x\"", "\"n0\"").replace("\"y\"", "\"n1\"");
        expect(&kept, symbol.numbered(true));
        expect(&kept.replace("[0, 3, 0]", "[0, 0, 0]").replace("[1, 2, 0]", "[1, 0, 0]"), symbol.numbered(false));
        assert_eq!(symbol.references().collect::<Vec<_>>(), [(0, 3), (1, 2)]);
        assert_eq!(symbol.reshaped().collect::<Vec<_>>(), [(1, (0, 3))]);
    }

    #[test]
    fn two_variables_of_one_name_are_refused() {
        let nodes = r#"{"op": "null", "name": "x"}, {"op": "null", "name": "x"}"#;
        let message = read(nodes, "[[0, 0, 0]]").expect_err("which is which?");
        assert_eq!(message, "cannot be served: it has several variables \"x\"; give them names of their own");
    }

    #[test]
    fn names_that_are_no_text_for_people_are_refused() {
        let message = read(r#"{"op": "null", "name": "x"}, {"op": "f", "name": "y\n\u001b[2J"}"#, "[[1, 0, 0]]");
        let expected = "cannot be served: the name of node 1 has control characters; give it another one";
        assert_eq!(message, Err(expected.to_string()));
    }

    #[test]
    fn what_is_no_symbol_is_told_so() {
        for content in ["", "hello", "{}", "[]", r#"{"nodes": 3}"#, &"[".repeat(100_000)] {
            let message = Symbol::read(content.as_bytes()).err().expect("it is none");
            assert!(message.starts_with("is not an MXNet symbol ("), "{message}");
        }
    }
}
