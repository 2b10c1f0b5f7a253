//! What MXNet does to a process: handlers of signals, the end. The engine that the daemon takes is in `alone.rs`.

use crate::support::open;
use std::process::{Command, Output};

/// Set in the process that a test starts, which is this program again.
const CHILD: &str = "GRAPHPIPED_TEST_CHILD";

/// Runs a test of this program in a process of its own.
fn alone(test: &str) -> Output {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .expect("this program runs")
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

fn words(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn handlers_of_faults_are_those_of_before_when_the_library_is_loaded() {
    if !is_child() {
        let output = alone("engine::handlers_of_faults_are_those_of_before_when_the_library_is_loaded");
        assert!(output.status.success(), "{:?}", words(&output));
        return;
    }
    let caught = || {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
        let mask =
            status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("it is there").trim().to_string();
        // SIGILL, SIGBUS, SIGFPE and SIGSEGV. Whether there is a handler, not which: MXNet sets one where there was none.
        u64::from_str_radix(&mask, 16).expect("a number") & (1 << 3 | 1 << 6 | 1 << 7 | 1 << 10)
    };
    let before = caught();
    drop(open("double"));
    assert_eq!(caught(), before);
}

#[test]
fn a_process_that_has_models_ends_as_any_other() {
    if !is_child() {
        let output = alone("engine::a_process_that_has_models_ends_as_any_other");
        let (out, err) = words(&output);
        assert_eq!(output.status.code(), Some(0), "{out}{err}");
        return;
    }
    let model = open("convolution");
    // Neither is ever dropped.
    std::mem::forget(model.instance().expect("an instance"));
    std::mem::forget(model);
}
