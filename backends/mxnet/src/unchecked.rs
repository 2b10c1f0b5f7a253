//! Operators to which values are places in memory, and that do not look where those are.
//!
//! MXNet 1.9.1 reads, and some of these operators write, as far outside of a tensor as the value says, so that whoever chooses
//! the values reads other memory of the process, or ends it. Where they come from an input, that is a client; a model with such a
//! node is for a process of its own. Where they come from parameters, they are the model's.
//!
//! Not here are those that clip what they get, or refuse it, as was tried with values from far outside: `take`, `Embedding`,
//! `pick`, `batch_take`, `one_hot`, `gather_nd`, `_contrib_boolean_mask`, and others.
#![forbid(unsafe_code)]

use crate::symbol::{Operator, Symbol};

/// Names of operators, and the positions of their arguments that are places, or lengths. A name that is an alias is here as well:
/// old symbols have it.
const UNCHECKED: &[(&str, &[usize])] = &[
    // Lengths, which are read up to, or written behind.
    ("SequenceLast", &[1]),
    ("SequenceMask", &[1]),
    ("_npx_sequence_mask", &[1]),
    ("SequenceReverse", &[1]),
    ("softmax", &[1]),
    ("_npx_softmax", &[1]),
    ("log_softmax", &[1]),
    ("_npx_log_softmax", &[1]),
    ("softmin", &[1]),
    // Labels, and the lengths of sequences and of their labels.
    ("softmax_cross_entropy", &[1]),
    ("CTCLoss", CTC),
    ("ctc_loss", CTC),
    ("_contrib_CTCLoss", CTC),
    ("_contrib_ctc_loss", CTC),
    ("_npx_ctc_loss", CTC),
    ("_contrib_hawkesll", &[5, 6]),
    // Indices of what is written.
    ("scatter_nd", &[1]),
    ("_backward_gather_nd", &[1]),
    ("_scatter_set_nd", &[2]),
    ("_npi_scatter_set_nd", &[2]),
    ("_contrib_index_copy", &[1]),
    ("_npi_insert_tensor", &[1, 2]),
    ("_npi_bincount", &[0]),
    // Images of a batch, by the regions of interest. `ROIPooling` looks.
    ("_contrib_ROIAlign", &[1]),
    ("_contrib_RROIAlign", &[1]),
    ("_contrib_PSROIPooling", &[1]),
    ("_contrib_DeformablePSROIPooling", &[1]),
    // Rows of what is sparse within the graph; of graphs of vertices, which were not tried, all is taken for places.
    ("_sparse_retain", &[1]),
    ("_contrib_edge_id", &[1, 2]),
    ("_contrib_dgl_subgraph", &[0, 1, 2, 3]),
    ("_contrib_dgl_csr_neighbor_uniform_sample", &[0, 1, 2, 3]),
    ("_contrib_dgl_csr_neighbor_non_uniform_sample", &[0, 1, 2, 3]),
    ("_contrib_dgl_graph_compact", &[0, 1, 2, 3]),
];

/// Labels, and two lengths if there are any.
const CTC: &[usize] = &[1, 2, 3];

/// A node that takes places from an input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unchecked<'a> {
    /// Its name.
    pub node: &'a str,
    /// Its operator.
    pub operator: &'a str,
    /// The node of the input.
    pub input: usize,
}

/// Finds such a node among those that lead to the nodes `gives`, for these nodes of inputs.
pub(crate) fn find<'a>(symbol: &'a Symbol, gives: &[usize], inputs: &[usize]) -> Option<Unchecked<'a>> {
    let is_computed = symbol.leads_to(gives.iter().copied());
    // Of many nodes whose places are the model's own, none is followed back.
    let is_given = symbol.comes_from(inputs.iter().copied());
    let computed = symbol.operators().filter(|operator| is_computed[operator.node]);
    let mut unchecked = computed.filter_map(|operator| Some((places(&operator)?, operator)));
    let ((name, places), operator) = unchecked.find(|((_, places), _)| places.iter().any(|&place| is_given[place]))?;
    let leads = symbol.leads_to(places);
    let input = inputs.iter().copied().find(|&input| leads[input])?;
    Some(Unchecked { node: operator.name, operator: name, input })
}

/// The unchecked operator that this is, or that is in a graph within it, and the nodes that it takes places from; those of graphs
/// within may come from any of its arguments.
fn places<'a>(operator: &Operator<'a>) -> Option<(&'a str, Vec<usize>)> {
    let found = |kind: &str| UNCHECKED.iter().find(|(name, _)| *name == kind);
    if let Some((_, positions)) = found(operator.kind) {
        let places = positions.iter().filter_map(|&position| operator.arguments.get(position).copied()).collect();
        return Some((operator.kind, places));
    }
    let within = operator.within.iter().copied().find(|kind| found(kind).is_some())?;
    Some((within, operator.arguments.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VARIABLES: &str = r#"{"op": "null", "name": "x"}, {"op": "null", "name": "lengths"}"#;

    /// What is found in a graph of `x`, `lengths` and these nodes, of which the node `head` is given, for these inputs.
    fn found(nodes: &str, head: usize, inputs: &[usize]) -> Option<(String, String, usize)> {
        let json = format!(r#"{{"nodes": [{VARIABLES}, {nodes}], "arg_nodes": [0, 1], "heads": [[{head}, 0, 0]]}}"#);
        let symbol = Symbol::read(json.as_bytes()).expect("a symbol");
        let found = find(&symbol, &[head], inputs)?;
        Some((found.node.to_string(), found.operator.to_string(), found.input))
    }

    #[test]
    fn places_are_followed_to_inputs_and_not_to_parameters() {
        let nodes = r#"{"op": "Cast", "name": "whole", "inputs": [[1, 0, 0]]},
            {"op": "SequenceLast", "name": "last", "inputs": [[0, 0, 0], [2, 0, 0]]}"#;
        let expected = Some(("last".to_string(), "SequenceLast".to_string(), 1));
        assert_eq!(found(nodes, 3, &[0, 1]), expected);
        assert_eq!(found(nodes, 3, &[0]), None, "the lengths are the model's own");
        let without = r#"{"op": "SequenceLast", "name": "last", "inputs": [[0, 0, 0]]}"#;
        assert_eq!(found(without, 2, &[0, 1]), None, "it takes no lengths");
    }

    #[test]
    fn what_is_not_computed_is_not_looked_at() {
        let nodes = r#"{"op": "SequenceLast", "name": "last", "inputs": [[0, 0, 0], [1, 0, 0]]},
            {"op": "negative", "name": "y", "inputs": [[0, 0, 0]]}"#;
        assert_eq!(found(nodes, 3, &[0, 1]), None);
    }

    #[test]
    fn many_nodes_are_no_long_look() {
        // Whoever walked the graph for each of them would take sixteen hundred million steps.
        let nodes =
            vec![r#"{"op": "SequenceLast", "name": "last", "inputs": [[0, 0, 0], [1, 0, 0]]}"#; 40_000].join(", ");
        let heads = (2..40_002).map(|node| format!("[{node}, 0, 0]")).collect::<Vec<_>>().join(", ");
        let json = format!(r#"{{"nodes": [{VARIABLES}, {nodes}], "arg_nodes": [0, 1], "heads": [{heads}]}}"#);
        let symbol = Symbol::read(json.as_bytes()).expect("a symbol");
        let gives: Vec<usize> = symbol.heads().map(|(node, _)| node).collect();
        assert_eq!(find(&symbol, &gives, &[0]), None, "the lengths are the model's own");
    }

    #[test]
    fn a_loop_may_take_places_from_all_that_it_gets() {
        let nodes = r#"{"name": "loop", "op": "_foreach", "inputs": [[1, 0, 0]], "subgraphs": [{"nodes": [
            {"name": "a", "op": "null"}, {"name": "b", "op": "SequenceLast", "inputs": [[0, 0], [0, 0]]}],
            "arg_nodes": [0], "heads": [[1, 0]]}]}"#;
        let expected = Some(("loop".to_string(), "SequenceLast".to_string(), 1));
        assert_eq!(found(nodes, 2, &[0, 1]), expected);
    }
}
