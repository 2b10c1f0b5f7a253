//! The program, run as its users run it.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One run at a time: several at once on few cores would measure each other.
static ALONE: Mutex<()> = Mutex::new(());

/// What a run has come to.
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs it with these arguments.
pub fn loadgen(arguments: &[&str]) -> Outcome {
    start(arguments).outcome()
}

/// It, running, and nobody else is.
pub struct Running {
    child: Child,
    _alone: MutexGuard<'static, ()>,
}

/// Starts it with these arguments.
pub fn start(arguments: &[&str]) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_graphpipe-loadgen"));
    // A test that failed while it ran one has left nothing behind.
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    Running { child, _alone: alone }
}

/// Sends it a signal.
pub fn signal(running: &Running, signal: Signal) {
    kill_process(Pid::from_child(&running.child), signal).expect("it runs");
}

impl Running {
    /// Waits until it ends.
    pub fn outcome(self) -> Outcome {
        outcome(&self.child.wait_with_output().expect("it ends"))
    }
}

/// Runs it against `target` with a short plan and `--json -`; `more` comes last.
pub fn measured(target: &str, more: &[&str]) -> (Outcome, Value) {
    let mut arguments = vec![target, "--rounds", "1", "--warmup", "100ms", "--duration", "500ms", "--json", "-"];
    arguments.extend(more);
    report(&arguments)
}

/// Runs it with these arguments, among them `--json -`.
pub fn report(arguments: &[&str]) -> (Outcome, Value) {
    let outcome = loadgen(arguments);
    let report = serde_json::from_str(&outcome.stdout)
        .unwrap_or_else(|error| panic!("{error}: {} {}", outcome.stdout, outcome.stderr));
    (outcome, report)
}

/// Whether every request was answered. Whose numbers they are is another question: where tests run, others compute as well.
pub fn is_answered(outcome: &Outcome, report: &Value) -> bool {
    let rounds =
        report["points"].as_array().into_iter().flatten().filter_map(|point| point["rounds"].as_array()).flatten();
    let mut rounds = rounds.peekable();
    let is_bound = |round: &Value| round["generator"]["bottleneck"].is_string();
    let code = if rounds.clone().any(is_bound) { 2 } else { 0 };
    outcome.code == code && rounds.peek().is_some() && rounds.all(|round| round["errors"] == serde_json::json!({}))
}

/// The options that send one tensor of 16 numbers as the body of a POST.
pub const RAW: [&str; 4] = ["--protocol", "raw", "--shape", "x=1,16"];

/// A number of the first round.
pub fn number(report: &Value, path: &str) -> f64 {
    let found = report.pointer(&format!("/points/0/rounds/0{path}"));
    found.and_then(Value::as_f64).unwrap_or_else(|| panic!("no number {path} in {report:#}"))
}

/// Replies with outputs in the first round.
pub fn answered(report: &Value) -> u64 {
    report["points"][0]["rounds"][0]["answered"].as_u64().expect("a number of replies")
}

/// How often a kind of error was counted in the first round.
pub fn errors(report: &Value, kind: &str) -> u64 {
    report["points"][0]["rounds"][0]["errors"][kind].as_u64().unwrap_or(0)
}

fn outcome(output: &Output) -> Outcome {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Outcome {
        code: output.status.code().expect("it ends by itself"),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}
