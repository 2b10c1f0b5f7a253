//! Tests that take a process of their own, because of what a process has once: a library, its threads, its environment. Such
//! a test starts this program again, to run itself alone.

use std::process::Command;

/// Set in such a process.
const CHILD: &str = "GRAPHPIPED_TEST_CHILD";

/// Whether this is the process that a test has started.
pub fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// What a process of its own writes that runs the test of this name, which has to pass there.
pub fn child(test: &str, change: impl FnOnce(&mut Command)) -> String {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", test, "--nocapture"]).env(CHILD, "1");
    change(&mut command);
    let child = command.output().expect("this program runs");
    let written = String::from_utf8_lossy(&[child.stdout, child.stderr].concat()).into_owned();
    assert!(child.status.success() && written.contains("1 passed"), "{:?}: {written}", child.status);
    written
}
