//! Four frameworks in one daemon: which of them is loaded first must not matter. Three export Protocol Buffers and oneDNN, each
//! of a version of its own; were their symbols not kept apart, whose are taken would depend on who comes first.

use crate::support::daemon::root;
use crate::support::{Connection, Daemon, Tensor, native};
use graphpipe_schema::DType;
use graphpiped_backend_conformance::digits::{are_expected, images};
use rustix::process::Signal;
use std::path::PathBuf;

// A library cannot be unloaded, so each order has a daemon of its own. In these four each framework is first once, last once,
// and right behind every other one once.

#[test]
fn onnx_tensorflow_mxnet_torch() {
    digits_are_recognised_by(["onnx", "tensorflow", "mxnet", "torch"]);
}

#[test]
fn tensorflow_torch_onnx_mxnet() {
    digits_are_recognised_by(["tensorflow", "torch", "onnx", "mxnet"]);
}

#[test]
fn torch_mxnet_tensorflow_onnx() {
    digits_are_recognised_by(["torch", "mxnet", "tensorflow", "onnx"]);
}

#[test]
fn mxnet_onnx_torch_tensorflow() {
    digits_are_recognised_by(["mxnet", "onnx", "torch", "tensorflow"]);
}

/// Rounds of requests to all of them at once.
const ROUNDS: u64 = 5;

/// Starts a daemon that loads the frameworks in this order, asks all of them at the same time, and ends it.
fn digits_are_recognised_by(order: [&str; 4]) {
    let models = order.map(|framework| format!("{framework}={}", model(framework).display())).join(",");
    let daemon = Daemon::start(&["--model", &models]);
    let image = Tensor { name: "image", dtype: DType::Float32, shape: vec![10, 64], bytes: images() };
    let mut connections = order.map(|framework| (framework, Connection::to(&daemon.unix)));
    for round in 0..ROUNDS {
        for (framework, connection) in &mut connections {
            let message = native::message(framework, std::slice::from_ref(&image), &["probabilities", "digit"]);
            connection.send(&native::frame(round, &message));
        }
        for (framework, connection) in &mut connections {
            assert_recognised(framework, &connection.reply().outputs());
        }
    }
    daemon.signal(Signal::TERM);
    let (status, log) = daemon.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    let opened = log.lines().filter(|line| line.contains("model opened"));
    let opened = opened.map(|line| order.into_iter().find(|name| line.contains(&format!("model={name} "))));
    assert_eq!(opened.collect::<Vec<_>>(), order.map(Some), "{log}");
}

/// The sample model, as each framework has it.
fn model(framework: &str) -> PathBuf {
    let file = match framework {
        "onnx" => "digits.onnx",
        "tensorflow" => "digits.pb",
        "torch" => "digits.pt",
        "mxnet" => "digits-symbol.json",
        other => panic!("{other} is no framework"),
    };
    root().join("models/digits").join(file)
}

fn assert_recognised(framework: &str, outputs: &[Tensor]) {
    let [probabilities, digits] = outputs else { panic!("{framework}: {} outputs", outputs.len()) };
    let probabilities: Vec<f64> = probabilities.numbers().into_iter().map(f64::from).collect();
    // Not all of them have integers for what they have counted.
    let digits: Vec<f64> = match digits.dtype {
        DType::Int64 => digits.bytes.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes) as f64).collect(),
        _ => digits.numbers().into_iter().map(f64::from).collect(),
    };
    are_expected(&probabilities, &digits);
}
