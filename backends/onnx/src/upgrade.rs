//! Models of ONNX's first years: operator sets below 7, which ONNX Runtime does not run, are lifted to 7 in memory.
//!
//! That is done where the change is one of words ([`rules`]); anything else is refused by the name of the node. What an operator
//! computed by the old specification, it computes by the new one. Only files below opset 7 are rewritten, all others are not
//! even decoded.
//!
//! What has changed most is how a second tensor is spread over a first one: formerly from an axis that an attribute named
//! (`broadcast`), now from the last axis. The difference is a number of axes of size 1 behind it, for which the ranks of both have to be
//! known ([`ranks`]).
#![forbid(unsafe_code)]

mod ranks;
mod rules;

use graphpiped_onnx_proto::{
    AttributeProto, AttributeType, GraphProto, IR_VERSION, Message, ModelProto, NodeProto, OperatorSetIdProto,
};
use ranks::Ranks;

/// The oldest version that ONNX Runtime takes.
pub(crate) const OPSET: i64 = 7;
/// The version of the representation that has operator sets; models before it are of opset 1.
const IR_OF_OPSETS: i64 = 3;
/// The most bytes that are decoded; protobuf's own limit.
pub(crate) const BYTES_MAX: u64 = i32::MAX as u64;
/// The most bytes that the messages, strings and lists of a model may take, as they are weighed before it is decoded: an
/// attribute takes more than a thousand, and two in the file. Lists that grow and nodes that are put in take a few times as much
/// for a moment. The models of those years have some thousand nodes, which take ten megabytes.
pub(crate) const DECODED_BYTES_MAX: u64 = 256 << 20;

/// A model of opset 7 with the same meaning, and the opset that it was of. Otherwise: what is the matter.
pub(crate) fn upgraded(bytes: &[u8]) -> Result<(Vec<u8>, i64), String> {
    let mut model = ModelProto::decode(bytes).map_err(|error| format!("it is damaged ({error}); copy it again"))?;
    if model.ir_version.is_some_and(|version| version > IR_VERSION) {
        return Err("it is of a newer version than its operators; export it again".to_string());
    }
    let opset = set_opset(&mut model)?;
    if !model.functions.is_empty() {
        return Err("it defines operators of its own, which opsets below 7 did not have; export it again".to_string());
    }
    let graph = model.graph.as_mut().ok_or("it has no graph; export it again")?;
    nodes(graph, opset)?;
    Ok((model.encode_to_vec(), opset))
}

/// Says opset 7; gives what was said before.
fn set_opset(model: &mut ModelProto) -> Result<i64, String> {
    let is_own = |opset: &&mut OperatorSetIdProto| is_own_domain(opset.domain.as_deref());
    let mut own = model.opset_import.iter_mut().filter(is_own).peekable();
    let Some(first) = own.peek() else {
        model.opset_import.push(OperatorSetIdProto { domain: None, version: Some(OPSET) });
        model.ir_version = model.ir_version.map(|version| version.max(IR_OF_OPSETS));
        return Ok(1);
    };
    let opset = first.version.unwrap_or_default();
    if !(1..OPSET).contains(&opset) {
        return Err(format!("there is no opset {opset} to upgrade; export it again, for opset {OPSET} or newer"));
    }
    // It may be said more than once; that it is the same each time was seen before.
    own.for_each(|own| own.version = Some(OPSET));
    Ok(opset)
}

fn is_own_domain(domain: Option<&str>) -> bool {
    matches!(domain, None | Some("" | "ai.onnx"))
}

/// Rewrites the nodes of a graph.
fn nodes(graph: &mut GraphProto, opset: i64) -> Result<(), String> {
    let mut ranks = Ranks::of(graph);
    let mut names = Names::of(graph);
    let old = std::mem::take(&mut graph.node);
    for mut node in old {
        if is_own_domain(node.domain.as_deref()) {
            if node.attribute.iter().any(|attribute| attribute.g.is_some() || !attribute.graphs.is_empty()) {
                return Err(refused(&node, opset, "has a graph within"));
            }
            let before = rules::apply(&mut node, opset, &ranks, &mut names);
            for earlier in before.map_err(|cause| refused(&node, opset, &cause))? {
                ranks.follow(&earlier);
                graph.node.push(earlier);
            }
            ranks.follow(&node);
        }
        graph.node.push(node);
    }
    Ok(())
}

/// As in `node "fc1" (Tile of opset 5) …`.
fn refused(node: &NodeProto, opset: i64, cause: &str) -> String {
    let named = node.name.as_deref().filter(|name| !name.is_empty());
    let name = named.or(node.output.first().map(String::as_str)).unwrap_or_default();
    let operator = graphpiped_backend_api::one_line(node.op_type.as_deref().unwrap_or_default());
    format!(
        "node {name:?} ({operator} of opset {opset}) {cause}, so that it cannot be upgraded to opset {OPSET}; export the model \
         again, for opset {OPSET} or newer"
    )
}

/// Names of values that nobody else has.
struct Names {
    taken: std::collections::HashSet<String>,
    /// What is put behind a name that is taken; it never comes back, so that names stay short and are found soon.
    count: u64,
}

impl Names {
    fn of(graph: &GraphProto) -> Names {
        let of_nodes = graph.node.iter().flat_map(|node| node.input.iter().chain(&node.output));
        let of_values = graph.input.iter().filter_map(|value| value.name.as_ref());
        let of_constants = graph.initializer.iter().filter_map(|tensor| tensor.name.as_ref());
        Names { taken: of_nodes.chain(of_values).chain(of_constants).cloned().collect(), count: 0 }
    }

    /// A name that begins like this.
    fn fresh(&mut self, begin: &str) -> String {
        let mut name = format!("{begin}_upgraded");
        while !self.taken.insert(name.clone()) {
            self.count += 1;
            name = format!("{begin}_upgraded_{}", self.count);
        }
        name
    }
}

/// An attribute of integers.
fn ints(name: &str, ints: Vec<i64>) -> AttributeProto {
    let kind = Some(AttributeType::Ints as i32);
    AttributeProto { name: Some(name.into()), r#type: kind, ints, ..AttributeProto::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graphpiped_onnx_proto::{StringStringEntryProto, TensorProto};

    fn node(operator: &str, input: &str, output: &str) -> NodeProto {
        let op_type = Some(operator.to_string());
        NodeProto { op_type, input: vec![input.into()], output: vec![output.into()], ..NodeProto::default() }
    }

    fn model(version: Option<i64>, nodes: Vec<NodeProto>) -> ModelProto {
        let opset = |version| OperatorSetIdProto { domain: Some("ai.onnx".into()), version: Some(version) };
        let graph = GraphProto { node: nodes, doc_string: Some("kept".into()), ..GraphProto::default() };
        let property = StringStringEntryProto { key: Some("k".into()), value: Some("v".into()) };
        ModelProto {
            ir_version: Some(2),
            graph: Some(graph),
            opset_import: version.map(opset).into_iter().collect(),
            metadata_props: vec![property],
            ..ModelProto::default()
        }
    }

    #[test]
    fn what_is_not_changed_stays_and_the_opset_is_7() {
        let mut old = model(Some(6), vec![node("Softmax", "x", "y"), node("Exp", "y", "z")]);
        let (bytes, from) = upgraded(&old.encode_to_vec()).expect("it is upgraded");
        assert_eq!(from, 6);
        old.opset_import[0].version = Some(7);
        assert_eq!(ModelProto::decode(bytes.as_slice()), Ok(old));
    }

    #[test]
    fn an_opset_that_is_said_twice_is_lifted_twice() {
        let mut old = model(Some(6), Vec::new());
        old.opset_import.push(OperatorSetIdProto { domain: Some(String::new()), version: Some(6) });
        old.opset_import.push(OperatorSetIdProto { domain: Some("other".into()), version: Some(6) });
        let (bytes, _) = upgraded(&old.encode_to_vec()).expect("it is upgraded");
        let upgraded = ModelProto::decode(bytes.as_slice()).expect("our own bytes");
        assert_eq!(upgraded.opset_import.iter().map(|opset| opset.version).collect::<Vec<_>>(), [7, 7, 6].map(Some));
    }

    #[test]
    fn a_model_without_opsets_is_of_opset_1() {
        let (bytes, from) = upgraded(&model(None, Vec::new()).encode_to_vec()).expect("it is upgraded");
        let upgraded = ModelProto::decode(bytes.as_slice()).expect("our own bytes");
        assert_eq!((from, upgraded.ir_version, upgraded.opset_import[0].version), (1, Some(3), Some(7)));
    }

    #[test]
    fn nodes_of_other_domains_are_left_alone() {
        let other = NodeProto { domain: Some("com.example".into()), ..node("Tile", "x", "y") };
        let (bytes, _) = upgraded(&model(Some(1), vec![other.clone()]).encode_to_vec()).expect("it is upgraded");
        let graph = ModelProto::decode(bytes.as_slice()).expect("our own bytes").graph;
        assert_eq!(graph.expect("it had one").node, [other]);
    }

    #[test]
    fn names_that_are_added_are_nobody_elses() {
        let shape = AttributeProto { name: Some("shape".into()), ints: vec![-1], ..AttributeProto::default() };
        let reshape = NodeProto { attribute: vec![shape], ..node("Reshape", "x", "x_shape_upgraded") };
        let (bytes, _) = upgraded(&model(Some(1), vec![reshape]).encode_to_vec()).expect("it is upgraded");
        let graph = ModelProto::decode(bytes.as_slice()).expect("our own bytes").graph.expect("it had one");
        assert_eq!(graph.node[0].output, ["x_shape_upgraded_1"]);
        assert_eq!(graph.node[1].input, ["x", "x_shape_upgraded_1"]);
    }

    #[test]
    fn no_chain_of_operators_makes_more_axes_than_a_tensor_has() {
        // Each has one axis less than twice as many as the one before.
        let gather = |level: usize| {
            let before = format!("g{level}");
            let output = vec![format!("g{}", level + 1)];
            NodeProto { input: vec![before.clone(), before], output, ..node("Gather", "", "") }
        };
        let integer =
            |name: &str, value| AttributeProto { name: Some(name.into()), i: Some(value), ..AttributeProto::default() };
        let add = NodeProto {
            input: vec!["g70".into(), "g0".into()],
            attribute: vec![integer("broadcast", 1), integer("axis", 0)],
            ..node("Add", "", "y")
        };
        let mut old = model(Some(6), (0..70).map(gather).chain([add]).collect());
        let g0 = TensorProto { name: Some("g0".into()), dims: vec![2, 2], ..TensorProto::default() };
        old.graph.as_mut().expect("it has one").initializer.push(g0);
        let message = upgraded(&old.encode_to_vec()).expect_err("it would need 2 to the 70th axes");
        assert!(message.contains("nothing says how many axes \"g70\" has"), "{message}");
    }

    #[test]
    fn many_names_for_one_tensor_do_not_grow_with_each() {
        let shape = AttributeProto { name: Some("shape".into()), ints: vec![-1], ..AttributeProto::default() };
        let reshape = NodeProto { attribute: vec![shape], ..node("Reshape", "x", "y") };
        let (bytes, _) = upgraded(&model(Some(1), vec![reshape; 1_000]).encode_to_vec()).expect("it is upgraded");
        let graph = ModelProto::decode(bytes.as_slice()).expect("our own bytes").graph.expect("it had one");
        let constants = graph.node.iter().step_by(2).map(|constant| constant.output[0].as_str());
        let names: std::collections::HashSet<&str> = constants.collect();
        assert_eq!(names.len(), 1_000);
        assert!(names.iter().all(|name| name.len() <= "x_shape_upgraded_1000".len()));
    }

    #[test]
    fn what_nobody_can_upgrade_is_refused() {
        let mut newer = model(Some(6), Vec::new());
        newer.ir_version = Some(IR_VERSION + 1);
        let without = ModelProto { graph: None, ..model(Some(6), Vec::new()) };
        for (bytes, expected) in [
            (b"hello".to_vec(), "it is damaged ("),
            (newer.encode_to_vec(), "it is of a newer version than its operators"),
            (without.encode_to_vec(), "it has no graph"),
            (model(Some(7), Vec::new()).encode_to_vec(), "there is no opset 7 to upgrade; export it again"),
            (
                model(Some(6), vec![node("Fancy\n\x1b[31m", "x", "y\n")]).encode_to_vec(),
                "node \"y\\n\" (Fancy ?[31m of opset 6) is not one of",
            ),
        ] {
            let message = upgraded(&bytes).expect_err(expected);
            assert!(message.starts_with(expected) && message.contains("; "), "{message}");
            assert!(!message.contains(char::is_control), "{message:?}");
        }
    }
}
