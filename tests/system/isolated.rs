//! Models in processes of their own: they answer like any other, and when their process ends, nobody else notices and nothing is
//! lost.

use crate::support::daemon::root;
use crate::support::rows::{ask, doubled, expect_doubled, frame, model, pending, rows};
use crate::support::{Address, Connection, Daemon, Metrics, Reply, Tensor, native, until};
use graphpipe_schema::{Code, DType};
use rustix::process::{Pid, Signal, kill_process};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Eight requests of four rows are a batch, which an executor waits for.
const FULL_OR_A_SECOND: [&str; 4] = ["--max-batch", "32", "--linger-us", "1000000"];
/// Numbers of a row: 32 kB in and 32 kB out for each request.
const LENGTH: usize = 2000;
const ROUNDS: u64 = 10;

/// Serves one model in a process of its own.
fn serve(name: &str, arguments: &[&str]) -> Daemon {
    Daemon::start(&[&["--model", &model(name), "--isolation", "process"], arguments].concat())
}

/// One of the models that the tests of ONNX Runtime have.
fn onnx_model(name: &str) -> String {
    format!("{name}={}", root().join(format!("backends/onnx/tests/models/{name}.onnx")).display())
}

/// Bytes copied for the sake of isolation, and all others.
fn copied(metrics: &Metrics) -> (u64, u64) {
    let isolation = metrics.sum("graphpiped_copied_bytes_total{where=\"isolation\"}");
    (isolation, metrics.sum("graphpiped_copied_bytes_total") - isolation)
}

#[test]
fn inputs_of_a_batch_are_not_copied_and_outputs_are_once() {
    let daemon = serve("double", &[&["--batch", "on"], &FULL_OR_A_SECOND[..]].concat());
    ask(&mut Connection::to(&daemon.unix), 1, &rows(1, LENGTH, 0, None));
    daemon.metrics_until("a lane", |metrics| metrics.sum("graphpiped_batch_lanes") == 1);
    for address in daemon.addresses() {
        let mut connections: Vec<Connection> = (0..8).map(|_| Connection::to(address)).collect();
        let x = |index: usize, round: u64| rows(4, LENGTH, index as u32 * 100 + round as u32, None);
        let mut round = |round: u64| {
            for (index, connection) in connections.iter_mut().enumerate() {
                connection.send(&frame(round, &x(index, round)));
            }
            for (index, connection) in connections.iter_mut().enumerate() {
                expect_doubled(connection, round, &x(index, round));
            }
        };
        round(0);
        let before = copied(&daemon.metrics());
        (1..=ROUNDS).for_each(&mut round);
        let after = copied(&daemon.metrics());
        let outputs = ROUNDS * 8 * 4 * LENGTH as u64 * 4;
        assert_eq!((after.0 - before.0, after.1 - before.1), (outputs, 0), "over {address:?}");
    }
    daemon.stop();
}

#[test]
fn requests_that_run_alone_are_answered_and_their_copies_counted() {
    let daemon = serve("double", &["--batch", "off"]);
    for address in daemon.addresses() {
        let mut connection = Connection::to(address);
        ask(&mut connection, 0, &rows(3, LENGTH, 5, None));
        let before = copied(&daemon.metrics());
        for id in 1..=ROUNDS {
            ask(&mut connection, id, &rows(3, LENGTH, id as u32, None));
        }
        let after = copied(&daemon.metrics());
        let each = 3 * LENGTH as u64 * 4;
        assert_eq!((after.0 - before.0, after.1 - before.1), (ROUNDS * 2 * each, 0), "in and out, over {address:?}");
    }
    daemon.stop();
}

#[test]
fn a_request_with_more_rows_than_a_batch_is_answered_in_slices() {
    let daemon = serve("double", &["--batch", "on", "--max-batch", "16"]);
    let mut connection = Connection::to(&daemon.tcp);
    for (id, count) in [100, 16, 17, 1, 333].into_iter().enumerate() {
        ask(&mut connection, id as u64, &rows(count, 50, id as u32, None));
    }
    daemon.stop();
}

#[test]
fn outputs_that_the_framework_lends_and_inputs_that_are_given_back_arrive() {
    let models = ["pairs", "passthrough"].map(onnx_model).join(",");
    let daemon = Daemon::start(&["--model", &models, "--isolation", "process"]);
    let mut connection = Connection::to(&daemon.unix);
    for count in [2_usize, 2000] {
        let mut x = rows(count, 4, 3, None);
        connection.send(&native::frame(1, &native::message("pairs", std::slice::from_ref(&x), &[])));
        x.shape = vec![count as i64 / 2, 8];
        let outputs = connection.reply().outputs();
        assert_eq!((&outputs[0].shape, &outputs[0].bytes), (&x.shape, &x.bytes));
    }
    connection.send(&native::frame(2, &native::message("pairs", &[rows(3, 4, 3, None)], &[])));
    assert_eq!(connection.reply().error().0, Code::ModelFailed as i64, "three rows are no pairs");
    daemon.stop();
}

/// What the framework says of a row is the row's own; see `spoilt.rs`.
#[test]
fn a_row_that_makes_the_model_fail_fails_alone() {
    let daemon = serve("lookup", &["--batch", "on"]);
    let ids = |number: i64| {
        let bytes = [number; 4].iter().flat_map(|number| number.to_le_bytes()).collect();
        Tensor { name: "ids", dtype: DType::Int64, shape: vec![1, 4], bytes }
    };
    let mut connection = Connection::to(&daemon.unix);
    let numbers = [1_i64, 2, 99, 3, 4, 5, 99, 6];
    let requests = numbers.iter().zip(0..).map(|(number, id)| frame(id, &ids(*number)));
    connection.send(&requests.collect::<Vec<_>>().concat());
    let mut replies: Vec<Reply> = numbers.iter().map(|_| connection.reply()).collect();
    replies.sort_by_key(|reply| reply.header.id);
    for (reply, number) in replies.iter().zip(numbers) {
        if number == 99 {
            assert_eq!(reply.error().0, Code::ModelFailed as i64);
        } else {
            assert_eq!(reply.outputs(), [Tensor::floats("", &[1, 4], &[(number * number) as f32; 4])]);
        }
    }
    assert_eq!(daemon.metrics().sum("graphpiped_isolated_restarts_total"), 0);
    daemon.stop();
}

#[test]
fn a_model_that_cannot_be_opened_is_refused_as_without_isolation() {
    let path = root().join("tests/system/models/make.py");
    let path = format!("m={}", path.display());
    let lines = ["none", "process"].map(|isolation| {
        let arguments = ["serve", "--listen", "tcp://127.0.0.1:0", "--model", &path, "--isolation", isolation];
        let output = crate::support::graphpiped().args(arguments).output().expect("it runs");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).expect("text")
    });
    assert!(lines[0].contains("make.py") && lines[0].lines().count() == 1, "{}", lines[0]);
    assert_eq!(lines[0], lines[1]);
}

#[test]
fn nobody_can_be_the_host_of_a_model_by_himself() {
    let output = crate::support::graphpiped().args(["backend-host", "m"]).output().expect("it runs");
    let line = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1));
    assert!(line.starts_with("graphpiped: backend-host is started by the daemon alone"), "{line}");
}

/// Also a name that looks like a flag.
#[test]
fn every_name_that_a_model_may_have_is_one_of_a_process() {
    let path = root().join("tests/system/models/double.onnx");
    let daemon = Daemon::start(&[&format!("--model=-x={}", path.display()), "--isolation", "process"]);
    assert!(process_of(&daemon, "-x").is_some());
    ask(&mut Connection::to(&daemon.unix), 1, &rows(1, LENGTH, 0, None));
    daemon.stop();
}

/// One that loses its process when its batching is tried is served as far as it can be, and all others are.
#[test]
fn a_model_that_crashes_when_its_batching_is_tried_keeps_nobody_from_starting() {
    // The last, so that its next process is not there when instances are made.
    let models = ["double", "alone"].map(model).join(",");
    let daemon = Daemon::start(&["--model", &models, "--isolation", "process"]);
    let mut connection = Connection::to(&daemon.unix);
    let x = rows(2, 4, 1, None);
    connection.send(&native::frame(1, &native::message("double", std::slice::from_ref(&x), &[])));
    assert_eq!(connection.reply().outputs(), [doubled(&x)]);
    daemon.metrics_until("up again", |metrics| metrics.sum("graphpiped_isolated_up") == 2);
    let x = rows(1, 4, 1, None);
    connection.send(&native::frame(2, &native::message("alone", std::slice::from_ref(&x), &[])));
    assert_eq!(connection.reply().outputs(), [doubled(&x)]);
    daemon.signal(Signal::TERM);
    let (status, log) = daemon.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("the process of the model ended by signal 8, SIGFPE"), "{log}");
}

/// The process of a model.
fn process_of(daemon: &Daemon, name: &str) -> Option<Pid> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.id())).expect("it runs");
    let children = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
    let children: Vec<i32> = children
        .flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect();
    let is_its = |id: &i32| {
        let command = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        // Behind it there is the end of the last argument alone.
        command.split(|byte| *byte == 0).rev().nth(1) == Some(name.as_bytes())
    };
    children.into_iter().find(is_its).and_then(Pid::from_raw)
}

/// Whether a process has ended, also if nobody has asked yet how.
fn is_gone(process: Pid) -> bool {
    std::fs::read(format!("/proc/{}/cmdline", process.as_raw_pid())).is_ok_and(|command| command.is_empty())
        || !std::fs::exists(format!("/proc/{}", process.as_raw_pid())).unwrap_or(true)
}

/// Terminals and service managers tell all processes at once.
#[test]
fn a_run_that_has_begun_is_finished_though_its_process_is_told_to_end() {
    let daemon = serve("patient", &["--instances", "1"]);
    let mut connection = Connection::to(&daemon.unix);
    let x = rows(1, 4, 0, Some(2000.0));
    connection.send(&frame(1, &x));
    daemon.metrics_until("taken", |metrics| metrics.sum("graphpiped_model_requests_total") == 1);
    let process = process_of(&daemon, "patient").expect("it is up");
    for signal in [Signal::TERM, Signal::INT] {
        kill_process(process, signal).expect("it runs");
    }
    daemon.signal(Signal::TERM);
    expect_doubled(&mut connection, 1, &x);
    drop(connection);
    let (status, log) = daemon.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("ERROR"), "{log}");
    until("gone", || is_gone(process));
}

#[test]
fn the_process_of_a_model_ends_with_the_daemon_whatever_ends_that() {
    let daemon = serve("double", &[]);
    let process = process_of(&daemon, "double").expect("it is up");
    daemon.signal(Signal::KILL);
    until("gone", || is_gone(process));
}

#[test]
fn the_system_ends_the_process_of_a_model_before_the_daemon_when_memory_is_short() {
    let daemon = serve("double", &[]);
    let process = process_of(&daemon, "double").expect("it is up");
    let score = |process: i32| {
        let text = std::fs::read_to_string(format!("/proc/{process}/oom_score_adj")).expect("it runs");
        text.trim().parse::<i32>().expect("a number")
    };
    assert_eq!(score(process.as_raw_pid()), (score(daemon.id() as i32) + 500).min(1000));
    daemon.stop();
}

fn descriptors(daemon: &Daemon) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", daemon.id())).expect("it runs").count()
}

/// What asks one model again and again, some requests at a time, and counts what it gets.
struct Load<'a> {
    model: &'static str,
    is_over: &'a AtomicBool,
    right: AtomicU64,
    refused: AtomicU64,
}

/// For how long a process lives at least: it has earned the shortest pause then, so the test does not take long.
const LIFE: Duration = Duration::from_millis(1100);
/// Requests that are under way at a time on one connection.
const PIPELINED: u64 = 4;

impl<'a> Load<'a> {
    fn on(model: &'static str, is_over: &'a AtomicBool) -> Load<'a> {
        Load { model, is_over, right: AtomicU64::new(0), refused: AtomicU64::new(0) }
    }

    fn run(&self, address: &Address) {
        let mut connection = Connection::to(address);
        let x = |id: u64| rows(1 + id as usize % 3, 700, id as u32, None);
        let request = |id: u64| native::frame(id, &native::message(self.model, &[x(id)], &[]));
        let mut next = 0;
        while !self.is_over.load(Ordering::Relaxed) {
            let begin = next;
            next += PIPELINED;
            (begin..next).for_each(|id| connection.send(&request(id)));
            let mut answered: Vec<u64> = (begin..next).map(|_| self.check(&connection.reply(), x)).collect();
            answered.sort_unstable();
            assert!(answered.into_iter().eq(begin..next), "every request has one answer");
        }
    }

    fn check(&self, reply: &Reply, x: impl Fn(u64) -> Tensor) -> u64 {
        let id = reply.header.id;
        if reply.header.flags == 0 {
            assert_eq!(reply.outputs(), [doubled(&x(id))]);
            self.right.fetch_add(1, Ordering::Relaxed);
        } else {
            let (code, words) = reply.error();
            assert!(code == Code::Internal as i64 || code == Code::Busy as i64, "{code}: {words}");
            assert!(words.contains("the process of model \"hit\""), "{words}");
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        id
    }

    fn wait_for(&self, count: u64) {
        let wanted = self.right.load(Ordering::Relaxed) + count;
        until("answered", || self.right.load(Ordering::Relaxed) >= wanted);
    }
}

/// `hit` and `apart`, each in a process of its own, and `within` the daemon's.
fn three_models() -> Daemon {
    let path = root().join("tests/system/models/double.onnx");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("g.toml");
    let table = |name: &str, isolation| {
        format!("[model.{name}]\npath = \"{}\"\nbatch = \"on\"\nisolation = \"{isolation}\"\n", path.display())
    };
    let tables = [table("hit", "process"), table("apart", "process"), table("within", "none")].concat();
    std::fs::write(&file, tables).expect("a file");
    Daemon::start(&["--config", file.to_str().expect("text"), "--memory", "256M"])
}

/// `GRAPHPIPED_KILLS` says how often; few by default, because each is a model's start.
#[test]
fn a_process_that_is_killed_under_load_takes_nothing_with_it() {
    let kills: u64 = std::env::var("GRAPHPIPED_KILLS").map_or(10, |text| text.parse().expect("a number"));
    let daemon = three_models();
    let is_over = AtomicBool::new(false);
    let loads = ["hit", "apart", "within"].map(|model| Load::on(model, &is_over));
    let [hit, apart, within] = &loads;
    let mut held = Vec::new();
    std::thread::scope(|scope| {
        // Whatever fails, the loads end, and the scope with them.
        let over = Over(&is_over);
        for (index, load) in [hit, hit, apart, within].into_iter().enumerate() {
            let address = daemon.addresses()[index % 2].clone();
            scope.spawn(move || load.run(&address));
        }
        let (mut last, mut up) = (None, Instant::now());
        hit.wait_for(100);
        let before = descriptors(&daemon);
        for kill in 1..=kills {
            hit.wait_for(100);
            until("old enough", || up.elapsed() >= LIFE);
            let process = process_of(&daemon, "hit").expect("it is up");
            assert_ne!(Some(process), last);
            kill_process(process, Signal::SEGV).expect("it runs");
            daemon.metrics_until("up again", |metrics| {
                metrics.sum("graphpiped_isolated_restarts_total{model=\"hit\"}") == kill
                    && metrics.sum("graphpiped_isolated_up{model=\"hit\"}") == 1
            });
            up = Instant::now();
            // The others go on meanwhile.
            apart.wait_for(1);
            within.wait_for(1);
            held.push(daemon.resident_bytes());
            last = Some(process);
        }
        hit.wait_for(100);
        // One that each end left behind would be more than that; connections of this test and areas of instances come and go.
        until("given back", || descriptors(&daemon) <= before + kills as usize / 2);
        drop(over);
    });
    assert!(hit.refused.load(Ordering::Relaxed) > 0, "nobody has seen the ends");
    assert_eq!(apart.refused.load(Ordering::Relaxed) + within.refused.load(Ordering::Relaxed), 0);
    let metrics = daemon.metrics_until("given back", |metrics| {
        pending(metrics) == 0 && metrics.sum("graphpiped_memory_in_use_bytes") == 0
    });
    assert_eq!(metrics.sum("graphpiped_isolated_restarts_total"), kills, "of hit alone");
    assert_eq!(metrics.sum("graphpiped_isolated_up"), 2);
    assert_eq!(metrics.sum("graphpiped_batch_splits_total"), 0, "what its process did not survive is not run again");
    assert!(held[held.len() - 1] < held[0] + (32 << 20), "memory: {held:?}");
    println!(
        "hit: {} right, {} refused; apart: {}, within: {}",
        hit.right.load(Ordering::Relaxed),
        hit.refused.load(Ordering::Relaxed),
        apart.right.load(Ordering::Relaxed),
        within.right.load(Ordering::Relaxed)
    );
    let processes = ["hit", "apart"].map(|name| process_of(&daemon, name).expect("it is up"));
    daemon.signal(Signal::TERM);
    let (status, log) = daemon.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(log.matches("the process of the model ended by signal 11, SIGSEGV").count() as u64, kills, "{log}");
    for process in processes {
        until("gone", || is_gone(process));
    }
}

/// Ends loads when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
