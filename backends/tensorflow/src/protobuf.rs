//! TensorFlow's messages, as far as they are read or written here: a handful of fields of each, by their numbers.
//!
//! The numbers are those of the files in tensorflow/core/protobuf and tensorflow/core/framework, and are for ever. What is
//! not declared is skipped, weights above all, so what is read takes the memory of names. Strings that are not UTF-8 and
//! messages that end too early are errors.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

/// `SavedModel`: the file saved_model.pb.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SavedModel {
    /// One for each set of tags.
    #[prost(message, repeated, tag = "2")]
    pub meta_graphs: Vec<MetaGraph>,
}

/// `MetaGraphDef`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MetaGraph {
    /// What it is for.
    #[prost(message, optional, tag = "1")]
    pub purpose: Option<Purpose>,
    /// The graph.
    #[prost(message, optional, tag = "2")]
    pub graph: Option<Graph>,
    /// How variables are restored.
    #[prost(message, optional, tag = "3")]
    pub saver: Option<Saver>,
    /// What it takes and gives, under each name. In files they have no order; here it is that of the alphabet.
    #[prost(btree_map = "string, message", tag = "5")]
    pub signatures: BTreeMap<String, Signature>,
}

/// `MetaInfoDef`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Purpose {
    /// Such as `serve`.
    #[prost(string, repeated, tag = "4")]
    pub tags: Vec<String>,
}

/// `SaverDef`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Saver {
    /// The operation that restores; empty if nothing is to be restored.
    #[prost(string, tag = "3")]
    pub restore: String,
}

/// `GraphDef`: a frozen graph is a file of one.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Graph {
    /// The operations.
    #[prost(message, repeated, tag = "1")]
    pub nodes: Vec<Node>,
}

/// `NodeDef`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Node {
    /// Its name in the graph.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The name of what it does.
    #[prost(string, tag = "2")]
    pub kind: String,
}

/// `SignatureDef`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Signature {
    /// What goes in, by the names that clients use.
    #[prost(btree_map = "string, message", tag = "1")]
    pub inputs: BTreeMap<String, Tensor>,
    /// What comes out.
    #[prost(btree_map = "string, message", tag = "2")]
    pub outputs: BTreeMap<String, Tensor>,
}

/// `TensorInfo`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Tensor {
    /// The tensor in the graph, as in `serving_default_x:0`; empty if it is none.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its element type.
    #[prost(int32, tag = "2")]
    pub dtype: i32,
    /// Its shape; nothing is said if there is none.
    #[prost(message, optional, tag = "3")]
    pub shape: Option<Shape>,
    /// Three tensors that are a sparse one.
    #[prost(message, optional, tag = "4")]
    pub sparse: Option<Nothing>,
    /// Several tensors that are a ragged one, or the like.
    #[prost(message, optional, tag = "5")]
    pub composite: Option<Nothing>,
}

/// `TensorShapeProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Shape {
    /// The axes.
    #[prost(message, repeated, tag = "2")]
    pub axes: Vec<Axis>,
    /// Whether not even their number is known.
    #[prost(bool, tag = "3")]
    pub is_unknown: bool,
}

/// `TensorShapeProto.Dim`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Axis {
    /// Its size; -1 for any.
    #[prost(int64, tag = "1")]
    pub size: i64,
}

/// A message of which nothing matters but whether it is there.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Nothing {}

/// `ConfigProto`: how a session is to run.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Config {
    /// How many devices of a kind there are, at most.
    #[prost(btree_map = "string, int32", tag = "1")]
    pub devices_max: BTreeMap<String, i32>,
    /// Threads inside an operation.
    #[prost(int32, tag = "2")]
    pub intra_threads: i32,
    /// Threads that run operations; less than none: the one that runs the session.
    #[prost(int32, tag = "5")]
    pub inter_threads: i32,
    /// Whether operations for devices that are not there run on the CPU.
    #[prost(bool, tag = "7")]
    pub is_placement_soft: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    #[test]
    fn a_configuration_is_written_as_tensorflow_reads_it() {
        let config = Config {
            devices_max: [("GPU".to_string(), 0)].into(),
            intra_threads: 1,
            inter_threads: -1,
            is_placement_soft: true,
        };
        // By hand: the map's entry with its key alone, as 0 is not written; -1 as a varint of 64 bits.
        let mut expected = b"\x0a\x05\x0a\x03GPU\x10\x01\x28".to_vec();
        expected.extend([0xff; 9]);
        expected.extend(b"\x01\x38\x01");
        assert_eq!(config.encode_to_vec(), expected);
    }

    #[test]
    fn what_is_not_declared_is_skipped() {
        // A node `y` that does `Neg`, with an input and an attribute, then versions.
        let bytes = b"\x0a\x11\x0a\x01y\x12\x03Neg\x1a\x01x\x2a\x04\x0a\x02Tx\x22\x02\x08\x1b";
        let graph = Graph::decode(bytes.as_slice()).expect("a graph");
        assert_eq!(graph.nodes, [Node { name: "y".into(), kind: "Neg".into() }]);
    }
}
