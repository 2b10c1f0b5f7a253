//! What must hold for any bytes at all of a file: entry points for fuzzers, which panic if a promise is broken. None of them is
//! called by the backend.

use crate::scan::scan;
use crate::source::Source;
use graphpiped_onnx_proto::{
    AttributeProto, GraphProto, Message, ModelProto, NodeProto, SparseTensorProto, TensorProto,
};
use std::io::Cursor;
use std::path::Path;

/// Where nothing is, so that names of files are judged by their words alone.
const PLACE: &str = "/nowhere/model.onnx";

/// What decoding these bytes is said to take; nothing if they are no sound protobuf.
pub fn fuzz_weight(bytes: &[u8]) -> usize {
    scan(Cursor::new(bytes), bytes.len() as u64).map_or(0, |scan| scan.decoded_bytes as usize)
}

/// Looks at a model as it is looked at before ONNX Runtime reads it.
pub fn fuzz_source(bytes: &[u8]) {
    let look = |bytes: &[u8]| Source::of_file(Path::new(PLACE), Cursor::new(bytes), bytes.len() as u64);
    match look(bytes) {
        Err(message) => {
            assert!(message.starts_with(PLACE) && message.contains("; "), "{message}");
            assert!(!message.contains(char::is_control), "{message:?}");
        }
        Ok(Source::File) => files_have_been_seen(bytes),
        Ok(Source::Bytes { bytes: lifted, upgraded_from }) => {
            assert!(upgraded_from.is_some_and(|opset| (1..7).contains(&opset)), "{upgraded_from:?}");
            assert!(matches!(look(&lifted), Ok(Source::File)), "what was lifted is not a model of today");
            assert!(ModelProto::decode(&*lifted).is_ok(), "our own bytes");
        }
    }
}

/// Whoever decodes a model that was accepted finds no file in it but in the model's own folder.
fn files_have_been_seen(bytes: &[u8]) {
    let scan = scan(Cursor::new(bytes), bytes.len() as u64).expect("it was accepted");
    let Ok(model) = ModelProto::decode(bytes) else { return };
    let mut tensors = Vec::new();
    model.graph.iter().for_each(|graph| of_graph(graph, &mut tensors));
    for training in &model.training_info {
        training.initialization.iter().chain(&training.algorithm).for_each(|graph| of_graph(graph, &mut tensors));
    }
    for function in &model.functions {
        function.node.iter().for_each(|node| of_node(node, &mut tensors));
        of_attributes(&function.attribute_proto, &mut tensors);
    }
    let entries = tensors.iter().flat_map(|tensor| &tensor.external_data);
    for entry in entries.filter(|entry| entry.key.as_deref() == Some("location")) {
        let location = entry.value.as_deref().unwrap_or_default();
        assert!(scan.locations.contains(Path::new(location)), "{location:?} was not seen");
        let depths = location.split('/').filter(|part| !matches!(*part, "" | ".")).scan(0, |depth, part| {
            *depth += if part == ".." { -1 } else { 1 };
            Some(*depth)
        });
        assert!(!location.starts_with('/') && depths.min().is_none_or(|least| least >= 0), "{location:?} leads away");
    }
}

fn of_graph<'a>(graph: &'a GraphProto, tensors: &mut Vec<&'a TensorProto>) {
    tensors.extend(&graph.initializer);
    of_sparse(&graph.sparse_initializer, tensors);
    graph.node.iter().for_each(|node| of_node(node, tensors));
}

fn of_node<'a>(node: &'a NodeProto, tensors: &mut Vec<&'a TensorProto>) {
    of_attributes(&node.attribute, tensors);
}

fn of_attributes<'a>(attributes: &'a [AttributeProto], tensors: &mut Vec<&'a TensorProto>) {
    for attribute in attributes {
        tensors.extend(attribute.t.iter().chain(&attribute.tensors));
        of_sparse(attribute.sparse_tensor.iter().chain(&attribute.sparse_tensors), tensors);
        attribute.g.iter().chain(&attribute.graphs).for_each(|graph| of_graph(graph, tensors));
    }
}

fn of_sparse<'a>(sparse: impl IntoIterator<Item = &'a SparseTensorProto>, tensors: &mut Vec<&'a TensorProto>) {
    tensors.extend(sparse.into_iter().flat_map(|tensor| tensor.values.iter().chain(&tensor.indices)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use graphpiped_backend_conformance::whole_and_cut;

    #[test]
    fn no_model_of_the_tests_breaks_a_promise_whole_or_cut() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
        whole_and_cut(&models, &mut fuzz_source);
    }
}
