//! Graphs in Protocol Buffers: ONNX, TensorFlow and Caffe2 say nowhere which of them a file is, but each has fields that the
//! others have not.
//!
//! A file is taken for a message of a type if all of its first fields are of that type, and if one that only this type has
//! looks within as it should. The numbers are those of `onnx.proto`, `graph.proto`, `saved_model.proto` and `caffe2.proto`.

use crate::protobuf::{Field, Value, fields, text};
use std::fs::File;
use std::ops::Range;

/// What a graph is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ONNX's `ModelProto`.
    Onnx,
    /// TensorFlow's `GraphDef`.
    GraphDef,
    /// TensorFlow's `SavedModel`.
    SavedModel,
    /// Caffe2's `NetDef`.
    NetDef,
}

/// The type of the message that a file of this length is, if it is one of these.
pub fn kind(file: &File, length: u64) -> Option<Kind> {
    let top = fields(file, 0..length, FIELDS_MAX).filter(|fields| !fields.is_empty())?;
    // In this order: what has a SavedModel's two fields might be ONNX's first two as well.
    if is_saved_model(file, &top) {
        Some(Kind::SavedModel)
    } else if is_onnx(file, &top) {
        Some(Kind::Onnx)
    } else if is_graph_def(file, &top) {
        Some(Kind::GraphDef)
    } else if is_net_def(file, &top) {
        Some(Kind::NetDef)
    } else {
        None
    }
}

/// Graphs have thousands of nodes, and the first ones tell as much as all.
const FIELDS_MAX: usize = 64;

/// Wire types: a number, and everything that has a length.
const NUMBER: bool = false;
const BLOCK: bool = true;

/// Whether all fields are among those of a type, each with its wire type.
fn are_of(fields: &[Field], known: &[(u64, bool)]) -> bool {
    !fields.is_empty()
        && fields.iter().all(|field| match field.value {
            Value::Varint(_) => known.contains(&(field.number, NUMBER)),
            Value::Block(_) => known.contains(&(field.number, BLOCK)),
            Value::Fixed => false,
        })
}

/// The blocks of this number.
fn blocks(fields: &[Field], number: u64) -> impl Iterator<Item = &Range<u64>> {
    fields.iter().filter(move |field| field.number == number).filter_map(|field| match &field.value {
        Value::Block(place) => Some(place),
        _ => None,
    })
}

/// The first fields of a message within another.
fn within(file: &File, place: &Range<u64>, known: &[(u64, bool)]) -> Option<Vec<Field>> {
    fields(file, place.clone(), FIELDS_MAX).filter(|fields| are_of(fields, known))
}

fn is_onnx(file: &File, top: &[Field]) -> bool {
    // ir_version, producer_name and _version, domain, model_version, doc_string, graph, opset_import, metadata_props,
    // training_info, functions, configuration.
    const MODEL: [(u64, bool); 12] = [
        (1, NUMBER),
        (2, BLOCK),
        (3, BLOCK),
        (4, BLOCK),
        (5, NUMBER),
        (6, BLOCK),
        (7, BLOCK),
        (8, BLOCK),
        (14, BLOCK),
        (20, BLOCK),
        (25, BLOCK),
        (26, BLOCK),
    ];
    // node, name, initializer, doc_string, input, output, value_info, quantization_annotation, sparse_initializer,
    // metadata_props.
    const GRAPH: [(u64, bool); 10] = [
        (1, BLOCK),
        (2, BLOCK),
        (5, BLOCK),
        (10, BLOCK),
        (11, BLOCK),
        (12, BLOCK),
        (13, BLOCK),
        (14, BLOCK),
        (15, BLOCK),
        (16, BLOCK),
    ];
    let has_version = || top.iter().any(|field| matches!(field, Field { number: 1, value: Value::Varint(1..=999) }));
    let has_graph = || blocks(top, 7).any(|graph| within(file, graph, &GRAPH).is_some());
    are_of(top, &MODEL) && (has_version() || has_graph())
}

fn is_saved_model(file: &File, top: &[Field]) -> bool {
    // meta_info_def, graph_def, saver_def, collection_def, signature_def, asset_file_def, object_graph_def.
    const META_GRAPH: [(u64, bool); 7] =
        [(1, BLOCK), (2, BLOCK), (3, BLOCK), (4, BLOCK), (5, BLOCK), (6, BLOCK), (7, BLOCK)];
    let has_graph =
        |meta: &Range<u64>| within(file, meta, &META_GRAPH).is_some_and(|fields| blocks(&fields, 2).next().is_some());
    let has_version = top.iter().any(|field| field.number == 1);
    are_of(top, &[(1, NUMBER), (2, BLOCK)]) && has_version && blocks(top, 2).any(has_graph)
}

fn is_graph_def(file: &File, top: &[Field]) -> bool {
    // name, op, input, device, attr, experimental_debug_info, experimental_type.
    const NODE: [(u64, bool); 7] = [(1, BLOCK), (2, BLOCK), (3, BLOCK), (4, BLOCK), (5, BLOCK), (6, BLOCK), (7, BLOCK)];
    let is_node = |node: &Range<u64>| within(file, node, &NODE).is_some_and(|fields| has_operator(file, &fields, 2));
    // node, library, version, versions, debug_info.
    are_of(top, &[(1, BLOCK), (2, BLOCK), (3, NUMBER), (4, BLOCK), (5, BLOCK)])
        && blocks(top, 1).next().is_some_and(is_node)
}

fn is_net_def(file: &File, top: &[Field]) -> bool {
    // name, op, type, num_workers, device_option, arg, external_input, external_output, partition_info.
    const NET: [(u64, bool); 9] =
        [(1, BLOCK), (2, BLOCK), (3, BLOCK), (4, NUMBER), (5, BLOCK), (6, BLOCK), (7, BLOCK), (8, BLOCK), (9, BLOCK)];
    // input, output, name, type, arg, device_option, engine, control_input, is_gradient_op, debug_info, domain, op_version.
    const OPERATOR: [(u64, bool); 12] = [
        (1, BLOCK),
        (2, BLOCK),
        (3, BLOCK),
        (4, BLOCK),
        (5, BLOCK),
        (6, BLOCK),
        (7, BLOCK),
        (8, BLOCK),
        (9, NUMBER),
        (10, BLOCK),
        (11, BLOCK),
        (12, BLOCK),
    ];
    let is_operator =
        |op: &Range<u64>| within(file, op, &OPERATOR).is_some_and(|fields| has_operator(file, &fields, 4));
    are_of(top, &NET) && blocks(top, 2).next().is_some_and(is_operator)
}

/// Whether the field of this number is the name of an operator: `Conv2D`, `Namespace>Operator`.
fn has_operator(file: &File, fields: &[Field], number: u64) -> bool {
    let name = blocks(fields, number).next().and_then(|place| text(file, place));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '>' | '.' | '-' | '/');
    name.is_some_and(|name| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(is_plain)
    })
}
