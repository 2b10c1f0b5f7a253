//! The messages against models that ONNX's own library has written: those of the ONNX backend's tests.

use crate::{
    AttributeProto, AttributeType, DataType, Message, ModelProto, TensorProto, tensor_shape_proto::dimension,
    type_proto,
};
use std::path::Path;

fn files() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/tests/models");
    let paths = std::fs::read_dir(folder).expect("the models").map(|entry| entry.expect("an entry").path());
    let models = paths.filter(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    models.map(|path| (path.display().to_string(), std::fs::read(&path).expect("a model"))).collect()
}

#[test]
fn models_of_other_writers_come_back_field_by_field() {
    let files = files();
    assert!(files.len() > 30, "{} models", files.len());
    for (name, bytes) in files {
        let model = ModelProto::decode(bytes.as_slice()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let written = model.encode_to_vec();
        // The order of fields is the writer's; nothing else may differ.
        assert_eq!(written.len(), bytes.len(), "{name}");
        assert_eq!(ModelProto::decode(written.as_slice()).expect("our own bytes"), model, "{name}");
    }
}

#[test]
fn a_model_reads_as_it_was_made() {
    let (_, bytes) = files().into_iter().find(|(name, _)| name.ends_with("/first.onnx")).expect("it is there");
    let model = ModelProto::decode(bytes.as_slice()).expect("a model");
    assert_eq!((model.ir_version, model.opset_import[0].version), (Some(10), Some(21)));
    let graph = model.graph.expect("a graph");
    assert_eq!(graph.node[0].op_type.as_deref(), Some("Slice"));
    assert_eq!(graph.node[0].input, ["x", "starts", "ends"]);
    assert_eq!(graph.initializer[1].data_type, Some(DataType::Int64 as i32));
    assert_eq!(graph.initializer[1].raw_data.as_deref(), Some(&1_i64.to_le_bytes()[..]));
    let kind = graph.input[0].r#type.as_ref().and_then(|kind| kind.value.as_ref());
    let Some(type_proto::Value::TensorType(tensor)) = kind else { panic!("{kind:?}") };
    let dim = &tensor.shape.as_ref().expect("a shape").dim[0];
    assert_eq!(dim.value, Some(dimension::Value::DimParam("N".into())));
}

#[test]
fn numbers_of_the_schema_are_those_of_onnx_proto() {
    assert_eq!(AttributeType::TypeProtos as i32, 14);
    assert_eq!(DataType::Float6e3m2 as i32, 28);
    assert_eq!(DataType::Bfloat16 as i32, 16);
}

#[test]
fn lists_are_packed_where_the_schema_says_so_and_nowhere_else() {
    let attribute = AttributeProto { ints: vec![1, 2, 3], floats: vec![1.0, 2.0], ..AttributeProto::default() };
    // By hand: field 7 of four bytes, twice; field 8 as a number, three times.
    let expected = [0x3d, 0, 0, 0x80, 0x3f, 0x3d, 0, 0, 0, 0x40, 0x40, 1, 0x40, 2, 0x40, 3];
    assert_eq!(attribute.encode_to_vec(), expected);
    let tensor = TensorProto { dims: vec![3], int64_data: vec![1, 2, 3], ..TensorProto::default() };
    // Field 1 as a number; field 7 as one piece of three bytes.
    assert_eq!(tensor.encode_to_vec(), [0x08, 3, 0x3a, 3, 1, 2, 3]);
}

#[test]
fn a_graph_in_a_graph_without_end_is_an_error() {
    // model.graph.node.attribute.g.node.attribute.g ..., each level in the one around it.
    let mut bytes = Vec::new();
    for level in 0..666 * 3 {
        // Fields 1 (node), 5 (attribute) and 6 (graph), in turn from the inside.
        let key = [0x32, 0x2a, 0x0a][level % 3];
        let mut outer = vec![key];
        prost::encode_length_delimiter(bytes.len(), &mut outer).expect("memory");
        outer.extend(&bytes);
        bytes = outer;
    }
    let mut model = vec![0x3a];
    prost::encode_length_delimiter(bytes.len(), &mut model).expect("memory");
    model.extend(bytes);
    assert!(ModelProto::decode(model.as_slice()).is_err());
}
