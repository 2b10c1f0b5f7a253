//! A model that needs more memory than there is: the machine's lack, and not the model's fault.

use crate::support::{input, run_one, try_open};
use graphpipe_schema::DType;
use graphpiped_backend_api::{OpenError, RunError};
use graphpiped_backend_conformance::Aligned;
use graphpiped_onnx_proto::{
    DataType, GraphProto, Message, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
    TypeProto, ValueInfoProto, type_proto,
};
use std::fs::{self, File};
use std::process::Command;

/// A model with weights of 16 GiB in a file of holes beside it.
fn model() -> ModelProto {
    let entry = |key: &str, value: &str| StringStringEntryProto { key: Some(key.into()), value: Some(value.into()) };
    let weights = TensorProto {
        name: Some("weights".into()),
        dims: vec![1 << 16, 1 << 16],
        data_type: Some(DataType::Float as i32),
        external_data: vec![entry("location", "weights")],
        data_location: Some(1),
        ..TensorProto::default()
    };
    let node = NodeProto {
        op_type: Some("Transpose".into()),
        input: vec!["weights".into()],
        output: vec!["y".into()],
        ..NodeProto::default()
    };
    let graph = GraphProto {
        name: Some("large".into()),
        node: vec![node],
        initializer: vec![weights],
        output: vec![value("y", DataType::Float)],
        ..GraphProto::default()
    };
    of_graph(graph)
}

/// A model that makes as many zeros as its input says.
fn hungry() -> ModelProto {
    let node = NodeProto {
        op_type: Some("ConstantOfShape".into()),
        input: vec!["count".into()],
        output: vec!["y".into()],
        ..NodeProto::default()
    };
    let graph = GraphProto {
        name: Some("hungry".into()),
        node: vec![node],
        input: vec![value("count", DataType::Int64)],
        output: vec![value("y", DataType::Float)],
        ..GraphProto::default()
    };
    of_graph(graph)
}

/// A tensor of any shape.
fn value(name: &str, of: DataType) -> ValueInfoProto {
    let tensor = type_proto::Tensor { elem_type: Some(of as i32), shape: None };
    let of = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), denotation: None };
    ValueInfoProto { name: Some(name.into()), r#type: Some(of), ..ValueInfoProto::default() }
}

fn of_graph(graph: GraphProto) -> ModelProto {
    ModelProto {
        ir_version: Some(8),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(13) }],
        ..ModelProto::default()
    }
}

/// Says to a copy of this program that its memory is limited.
const LIMITED: &str = "GRAPHPIPED_TEST_LIMITED";

#[test]
fn a_lack_of_memory_is_the_machines() {
    if std::env::var_os(LIMITED).is_none() {
        let this = std::env::current_exe().expect("this program");
        let child = Command::new("sh")
            .args([
                "-c",
                "ulimit -v 8000000 && exec \"$0\" --exact memory::a_lack_of_memory_is_the_machines --nocapture",
            ])
            .arg(this)
            .env(LIMITED, "1")
            .output()
            .expect("this program runs");
        let written = String::from_utf8_lossy(&[child.stdout, child.stderr].concat()).into_owned();
        assert!(written.contains("1 passed"), "{written}");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("m.onnx");
    fs::write(&path, model().encode_to_vec()).expect("a file");
    File::create(folder.path().join("weights")).and_then(|file| file.set_len(1 << 34)).expect("a file of holes");
    let error = try_open(&path).err().expect("there are 8 GB");
    let OpenError::Machine(message) = error else { panic!("it is not the model's fault: {error}") };
    assert!(message.starts_with(&format!("{}: there is not enough memory for it; ", path.display())), "{message}");
    assert!(message.contains("bad_alloc") && !message.contains('\n'), "{message}");
}

#[test]
fn a_run_without_memory_is_the_machines_and_the_next_one_is_answered() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("hungry.onnx");
    fs::write(&path, hungry().encode_to_vec()).expect("a file");
    let mut instance = try_open(&path).expect("it is sound").instance().expect("it has instances");
    // 4 PiB: more than a process can address.
    for _ in 0..2 {
        let count = Aligned::of(&(1_i64 << 50).to_le_bytes());
        let error = run_one(&mut *instance, &[input(0, DType::Int64, &[1], &count)]).expect_err("nobody has that");
        let RunError::Machine(message) = error else { panic!("it is not the model's fault: {error}") };
        assert!(message.contains("Failed to allocate memory") && !message.contains('\n'), "{message}");
    }
    let count = Aligned::of(&3_i64.to_le_bytes());
    run_one(&mut *instance, &[input(0, DType::Int64, &[1], &count)]).expect("twelve bytes");
}
