//! MXNet as the daemon takes it: variables are set before there is a second thread, and operators run on the calling thread.
//!
//! This program has no test harness, because that has threads. It starts itself again, and looks at what came of it.
#![forbid(unsafe_code)]

use graphpiped_backend_api::{Backend, Options};
use graphpiped_backend_conformance::{Asked, Scene};
use graphpiped_backend_library::environment::set_before_threads;
use graphpiped_backend_mxnet::{ENVIRONMENT, Locations, MxnetBackend, WANTED};
use std::path::Path;
use std::process::Command;

/// Set in the process that this one starts.
const CHILD: &str = "GRAPHPIPED_TEST_CHILD";

fn main() {
    if std::env::var_os(CHILD).is_some() {
        return many_instances_run_at_once();
    }
    let output = Command::new(std::env::current_exe().expect("this program"))
        .env(CHILD, "1")
        .env_remove("MXNET_ENGINE_TYPE")
        .env_remove("MXNET_SUBGRAPH_VERBOSE")
        // MXNet's own convolution uses temporary memory, that of oneDNN does not.
        .env("MXNET_MKLDNN_ENABLED", "0")
        .output()
        .expect("this program runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert!(!err.contains("Subgraph"), "a line for each shape, with which clients can fill a log: {err}");
    println!("{out}alone ... ok");
}

/// Threads, each with an instance, and runs of each.
const THREADS: usize = 6;
const RUNS: usize = 300;
/// Rows of each run: enough that runs take a while, and meet.
const ROWS: usize = 64;

/// Instances are made by this thread and run by others: the temporary memory of one's operators must be no other's.
fn many_instances_run_at_once() {
    assert!(set_before_threads(&ENVIRONMENT), "this is the only thread");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let remedy = "get it with `graphpiped runtime install mxnet`";
    let backend = MxnetBackend::new(Locations::new(&WANTED, None, vec![here.join("../../runtime/mxnet")], remedy));
    let options = Options { intra_threads: 2, ..Options::default() };
    let opened = backend.open(&here.join("tests/models/convolution"), &options);
    let model = opened.unwrap_or_else(|error| panic!("{error}"));
    let options = model.effective_options();
    for (key, expected) in [("engine", "NaiveEngine, on the calling thread"), ("intra_threads", "2")] {
        assert!(options.contains(&(key.to_string(), expected.to_string())), "{options:?}");
    }
    let scene = Scene { model };
    let instances: Vec<_> = (0..THREADS).map(|_| scene.instance()).collect();
    let scene = &scene;
    std::thread::scope(|scope| {
        for (thread, mut instance) in instances.into_iter().enumerate() {
            scope.spawn(move || {
                let mut first = None;
                for run in 0..RUNS {
                    let values: Vec<f32> = (0..ROWS * 108).map(|at| ((at * (thread + 3)) % 17) as f32 / 17.0).collect();
                    let asked = [Asked::floats(0, &[ROWS as i64, 3, 6, 6], &values)];
                    let found = scene.try_run(&mut *instance, &asked, &[0]).unwrap_or_else(|error| panic!("{error}"));
                    let numbers = found[0].numbers();
                    assert_eq!(*first.get_or_insert_with(|| numbers.clone()), numbers, "thread {thread}, run {run}");
                }
            });
        }
    });
}
