//! What MXNet does to a process: handlers of signals, the end. The engine that the daemon takes is in `alone.rs`.

use crate::support::open;
use graphpiped_backend_conformance::process::{child, is_child};

#[test]
fn handlers_of_faults_are_those_of_before_when_the_library_is_loaded() {
    if !is_child() {
        child("engine::handlers_of_faults_are_those_of_before_when_the_library_is_loaded", |_| {});
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
        child("engine::a_process_that_has_models_ends_as_any_other", |_| {});
        return;
    }
    let model = open("convolution");
    // Neither is ever dropped.
    std::mem::forget(model.instance().expect("an instance"));
    std::mem::forget(model);
}
