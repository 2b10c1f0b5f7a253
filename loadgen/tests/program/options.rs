//! What cannot be asked is refused before the first request, with what could be.

use crate::program::loadgen;
use crate::server::{Server, ok};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A model's metadata as the Open Inference Protocol's specification has it.
const METADATA: &str = r#"{"name": "digits", "platform": "test",
    "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, 64]}],
    "outputs": [{"name": "digit", "datatype": "INT64", "shape": [-1]}]}"#;

#[test]
fn impossible_options_are_refused_and_nothing_is_sent() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let server = Server::answering(move |request| {
        counter.fetch_add(usize::from(request.line.starts_with("POST")), Ordering::Relaxed);
        ok(METADATA.as_bytes())
    });
    let target = server.url();
    let oip = ["--protocol", "oip-binary", "--model", "digits"];
    let signature = "digits: image float32[?,64] -> digit int64[?]";
    for (options, expected) in [
        (&["--rate", "0"][..], "--rate 0"),
        (&["--rate", "-5"], "--rate"),
        (&["--clients", "0"], "--clients"),
        (&["--pipeline", "100000"], "--pipeline"),
        (&["--threads", "2"], "2 threads"),
        (&["--rounds", "0"], "--rounds 0"),
        (&["--duration", "5"], "5"),
        (&["--sweep", "rows=1"], "rows"),
        (&["--find-knee", "p99"], "objective"),
        (&["--server-pid", "2147483647"], "--server-pid 2147483647"),
        (&["--replay", "/nowhere"], "--replay /nowhere"),
        (&["--replay", "/nowhere", "--sweep", "rate=1,2"], "--sweep"),
        (&["--arrivals", "poisson"], "--arrivals"),
        (&["--tolerance", "1"], "--verify"),
        (&["--congestion", "nothing"], "--congestion nothing"),
        (&["--plot", "/tmp/x.gif"], ".svg or .png"),
        (&["--csv", "/nowhere/x.csv"], "/nowhere/x.csv"),
        (&["--shape", "picture=1,64"], signature),
        (&["--shape", "image=1,65"], signature),
        (&["--dtype", "int8"], signature),
        (&["--rows", "0"], "rows"),
        (&["--output", "colour"], signature),
        (&["--verify", "/nowhere.npy"], "/nowhere.npy"),
        (&["--frobnicate"], "--frobnicate"),
    ] {
        let outcome = loadgen(&[&[target.as_str()][..], &oip, options].concat());
        assert_eq!(outcome.code, 1, "{options:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(expected), "{options:?}: {}", outcome.stderr);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[test]
fn the_help_is_no_error() {
    let outcome = loadgen(&["--help"]);
    assert_eq!(outcome.code, 0);
    for option in ["--rate", "--find-knee", "--verify", "compare", "plot"] {
        assert!(outcome.stdout.contains(option), "{option}");
    }
}
