//! A framework is loaded when the first model needs it, and not before: some take hundreds of megabytes of memory.

use crate::support::Daemon;
use crate::support::daemon::root;
use rustix::process::Signal;

/// Each framework's library, and the sample model that needs it.
const FRAMEWORKS: [(&str, &str); 4] = [
    ("libonnxruntime.so", "digits.onnx"),
    ("libtensorflow_cc.so", "digits.pb"),
    ("libtorch_cpu.so", "digits.pt"),
    ("libmxnet.so", "digits-symbol.json"),
];

/// Whether each of the libraries is in the memory of a daemon that serves this model.
fn loaded(model: &str) -> [bool; 4] {
    let daemon = Daemon::start(&["--model", model]);
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", daemon.id())).expect("it runs");
    daemon.signal(Signal::TERM);
    let (status, log) = daemon.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    FRAMEWORKS.map(|(library, _)| maps.contains(library))
}

#[test]
fn only_the_framework_that_a_model_needs_is_loaded() {
    for (position, (library, model)) in FRAMEWORKS.iter().enumerate() {
        let model = format!("m={}", root().join("models/digits").join(model).display());
        let mut expected = [false; 4];
        expected[position] = true;
        assert_eq!(loaded(&model), expected, "{library}");
    }
    assert_eq!(loaded("echo:"), [false; 4]);
}
