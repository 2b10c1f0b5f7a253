//! What an operator says of one model, from the command line to the framework: signatures, names of tensors, trust, isolation; and
//! the template that `check` prints of a model which cannot say enough of itself.

use crate::support::daemon::root;
use crate::support::{Connection, Daemon, Tensor, graphpiped, native};
use graphpipe_schema::DType;
use rustix::process::Signal;
use std::path::PathBuf;
use std::process::Output;

fn model_of(backend: &str, name: &str) -> PathBuf {
    root().join("backends").join(backend).join("tests/models").join(name)
}

fn check(model: &PathBuf, flags: &[&str]) -> Output {
    graphpiped().arg("check").arg(model).args(flags).output().expect("it runs")
}

/// What `check` prints of a model that it opens.
fn checked(model: &PathBuf, flags: &[&str]) -> String {
    let output = check(model, flags);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn what_is_said_of_a_model_reaches_its_framework_wherever_it_runs() {
    let signatures = model_of("tensorflow", "signatures");
    let (layers, package) = (model_of("tensorflow", "layers.pb"), model_of("torch", "packaged.pt2"));
    for isolation in ["none", "process"] {
        let with = |model: &PathBuf, flags: &[&str]| checked(model, &[flags, &["--isolation", isolation]].concat());
        let text = with(&signatures, &["--signature", "negate"]);
        assert!(text.contains("\noption       signature=negate\n"), "{text}");
        let text = with(&layers, &["--inputs", "halves:1", "--outputs", "high"]);
        assert!(text.contains("\ninput        halves:1 float32 [?, 1]\noutput       high float32 [?, 1]\n"), "{text}");
        let text = with(&package, &["--trust-native"]);
        assert!(text.contains("\noption       format=AOTInductor\n"), "{text}");
        assert_eq!(text.contains("\noption       isolation=process\n"), isolation == "process", "{text}");
        let refused = check(&package, &["--isolation", isolation]);
        let why = String::from_utf8_lossy(&refused.stderr);
        assert!(refused.status.code() == Some(1) && why.contains("--trust-native"), "{why}");
    }
}

#[test]
fn a_signature_that_is_asked_for_is_the_one_that_is_served() {
    let model = format!("m={}", model_of("tensorflow", "signatures").display());
    let daemon = Daemon::start(&["--model", &model, "--signature", "negate"]);
    let floats = |values: [f32; 2]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let x = Tensor { name: "x", dtype: DType::Float32, shape: vec![1, 2], bytes: floats([1.5, -2.0]) };
    let mut connection = Connection::to(&daemon.unix);
    connection.send(&native::frame(1, &native::message("m", &[x], &[])));
    assert_eq!(connection.reply().outputs()[0].bytes, floats([-1.5, 2.0]));
    daemon.signal(Signal::TERM);
    let (status, log) = daemon.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}

/// SIGFPE, as soon as there is more than one row.
#[test]
fn a_crash_of_an_isolated_model_is_told_in_a_line_of_the_check() {
    let model = root().join("tests/system/models/alone.onnx");
    let text = checked(&model, &["--isolation", "process"]);
    let line = text.lines().find(|line| line.starts_with("batched")).expect("whether it is batched");
    assert!(line.contains("no: ") && line.contains("ended by signal 8, SIGFPE"), "{text}");
}

#[test]
fn the_template_of_a_model_is_the_file_that_it_lacks() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("undescribed.pt");
    std::fs::copy(model_of("torch", "undescribed.pt"), &model).expect("a copy");
    let lacking = check(&model, &[]);
    let why = String::from_utf8_lossy(&lacking.stderr);
    assert_eq!((lacking.status.code(), why.lines().count()), (Some(1), 1), "{why}");
    assert!(why.contains("undescribed.toml, which is not there"), "{why}");
    // As it is: its names and types happen to be right, and its unknown sizes are any.
    std::fs::write(folder.path().join("undescribed.toml"), lacking.stdout).expect("a file");
    let text = checked(&model, &[]);
    assert!(text.contains("\ninput        a float32 [N, ?]\ninput        b float32 [N, ?]\n"), "{text}");
    assert!(text.contains("\noutput       output_0 float32 [N, ?]\noutput       output_1 float32 [N, ?]\n"), "{text}");
}
