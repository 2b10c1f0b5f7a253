//! Processes that end: who hears of it, what, and what comes behind it.

use crate::support::{
    CRASH, DOUBLE, FORK, Memory, Unbounded, VERSION, command, floats, open, program, run, told, until,
};
use graphpiped_backend_api::{Model, OpenError, Options, RunError};
use graphpiped_backend_isolated::{Isolated, Program};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn refused(path: &str) -> OpenError {
    match open("told", Path::new(path), &Options::default()) {
        Ok(_) => panic!("{path} is opened"),
        Err(error) => error,
    }
}

#[test]
fn a_model_that_cannot_be_opened_is_the_error_that_its_backend_gave() {
    assert_eq!(refused("refuse"), OpenError::Model("refuse: it is no model".into()));
    let panicked = "panic: told panicked when it opened the model: no such luck";
    assert_eq!(refused("panic"), OpenError::Framework(panicked.into()));
    let crashed = "crash: its process ended by signal 6, SIGABRT while it opened the model";
    assert_eq!(refused("crash"), OpenError::Framework(crashed.into()));
}

#[test]
fn a_process_that_cannot_be_started_is_named() {
    let nothing = Box::new(Program(|| Command::new("/no/such/program")));
    let opened = Isolated::open("m", "told", Path::new("/m"), &Options::default(), nothing, Arc::new(Unbounded));
    let error = opened.expect_err("there is no process");
    assert!(matches!(&error, OpenError::Machine(words) if words.starts_with("/m: its process cannot be started: ")));
    let shell = Box::new(Program(|| Command::new("true")));
    let error = Isolated::open("m", "told", Path::new("/m"), &Options::default(), shell, Arc::new(Unbounded))
        .expect_err("it ends");
    assert_eq!(error.to_string(), "/m: its process ended with exit code 0 while it opened the model");
}

#[test]
fn a_process_that_dies_fails_its_run_and_the_next_one_serves() {
    let (model, memory) = (told(), Memory::default());
    assert_eq!(model.signature().inputs[0].to_string(), "x float32 [N]");
    let options = [("told", "yes"), ("isolation", "process")].map(|(key, value)| (key.into(), value.into()));
    assert_eq!(model.effective_options(), options);
    let mut instance = model.instance().expect("it has instances");
    for death in 1..=3 {
        let before = model.epoch();
        let error = run(&mut *instance, &memory, &floats(&[CRASH]), true).expect_err("it dies");
        let words = "the process of model \"m\" ended by signal 11, SIGSEGV in the middle of the run; it is being started again";
        assert_eq!(error, RunError::Framework(words.into()));
        assert_ne!(model.epoch(), before);
        // Until the next one is there, which takes a pause at least, nobody waits for it.
        if let Err(error) = run(&mut *instance, &memory, &floats(&[DOUBLE]), true) {
            let RunError::Machine(words) = error else { panic!("{error:?}") };
            let begin = "the process of model \"m\" has ended by signal 11, SIGSEGV; it is being started again, so ask again in ";
            assert!(words.starts_with(begin), "{words}");
        }
        until("up", || model.is_up());
        assert_eq!(model.restarts(), death);
        let found = run(&mut *instance, &memory, &floats(&[DOUBLE]), true).expect("a run");
        assert_eq!((found, memory.references()), (floats(&[20.0]), 0));
    }
}

/// A model whose process ended while its batching was tried is made instances of when the daemon starts.
#[test]
fn an_instance_that_is_made_between_two_processes_serves_with_the_next_one() {
    let (model, memory) = (told(), Memory::default());
    let mut first = model.instance().expect("it has instances");
    run(&mut *first, &memory, &floats(&[CRASH]), true).expect_err("it dies");
    // The next one is not there before a pause has gone by.
    let mut second = model.instance().expect("it needs no process");
    until("up", || model.is_up());
    assert_eq!(run(&mut *second, &memory, &floats(&[DOUBLE]), true), Ok(floats(&[20.0])));
}

/// What a framework has forked has all sockets, too, and may outlive its process by far.
#[test]
fn the_end_of_a_process_is_not_the_end_of_those_that_it_has_forked() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = open("told", &folder.path().join("model"), &Options::default()).expect("it opens");
    let (mut instance, memory) = (model.instance().expect("it has instances"), Memory::default());
    let error = run(&mut *instance, &memory, &floats(&[FORK]), true).expect_err("its process ends");
    let words =
        "the process of model \"m\" ended by signal 9, SIGKILL in the middle of the run; it is being started again";
    assert_eq!(error, RunError::Framework(words.into()));
    let forked = std::fs::read_to_string(folder.path().join("model.process")).expect("its number");
    let command = std::fs::read(format!("/proc/{forked}/cmdline"));
    assert!(command.is_ok_and(|command| !command.is_empty()), "the run has waited for it");
    until("up", || model.is_up());
    assert_eq!(run(&mut *instance, &memory, &floats(&[DOUBLE]), true), Ok(floats(&[20.0])));
    let forked = forked.parse().ok().and_then(rustix::process::Pid::from_raw).expect("a number");
    rustix::process::kill_process(forked, rustix::process::Signal::KILL).expect("it is there");
}

/// Whoever brings a framework up to date need not restart the daemon.
#[test]
fn a_model_is_served_on_by_another_version_of_its_framework() {
    let version = AtomicU64::new(1);
    let newer = Program(move || {
        let mut command = command();
        command.env(VERSION, version.fetch_add(1, Ordering::Relaxed).to_string());
        command
    });
    let options = Options::default();
    let model = Isolated::open("m", "told", Path::new("a model"), &options, Box::new(newer), Arc::new(Unbounded))
        .expect("it opens");
    let (mut instance, memory) = (model.instance().expect("it has instances"), Memory::default());
    for _ in 0..2 {
        run(&mut *instance, &memory, &floats(&[CRASH]), true).expect_err("it dies");
        until("up", || model.is_up());
        assert_eq!(run(&mut *instance, &memory, &floats(&[DOUBLE]), true), Ok(floats(&[20.0])));
    }
}

/// Where it has leave to come back from that: the capability 23, or a limit of 20 (capabilities(7), getrlimit(2)).
#[test]
fn a_model_is_opened_again_with_what_others_leave_and_served_as_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, policies) = (folder.path().join("m"), folder.path().join("m.policies"));
    for file in [&path, &policies] {
        std::fs::write(file, "").expect("it can be written");
    }
    let model = open("told", &path, &Options::default()).expect("it opens");
    let (mut instance, memory) = (model.instance().expect("it has instances"), Memory::default());
    run(&mut *instance, &memory, &floats(&[CRASH]), true).expect_err("it dies");
    until("up", || model.is_up());
    assert_eq!(run(&mut *instance, &memory, &floats(&[DOUBLE]), true), Ok(floats(&[20.0])));
    let status = std::fs::read_to_string("/proc/self/status").expect("it is there");
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:")).expect("it has them").trim();
    let may = u64::from_str_radix(capabilities, 16).expect("a number") & 1 << 23 != 0;
    let nice = rustix::process::getrlimit(rustix::process::Resource::Nice).current;
    let background = if may || nice.is_none_or(|limit| limit >= 20) { libc::SCHED_IDLE } else { libc::SCHED_OTHER };
    // Opened, an instance, a run; and again.
    let usual = libc::SCHED_OTHER;
    let expected = [usual, usual, usual, background, usual, usual].map(|policy| format!("{policy}\n"));
    assert_eq!(std::fs::read_to_string(&policies).expect("it is there"), expected.concat());
}

/// Where limits allow it, a core would have the tensors of clients in it, and be written before anybody has an answer.
#[test]
fn a_process_that_crashes_leaves_no_core() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().to_path_buf();
    let with_cores = Program(move || {
        let (this, mut shell) = (command(), Command::new("sh"));
        shell.args(["-c", "ulimit -c $(ulimit -H -c) && exec \"$0\" \"$@\""]).arg(this.get_program());
        let variables = this.get_envs().filter_map(|(name, value)| Some((name, value?)));
        shell.args(this.get_args()).envs(variables).current_dir(&place).stdout(Stdio::null());
        shell
    });
    let options = Options::default();
    let model = Isolated::open("m", "told", Path::new("a model"), &options, Box::new(with_cores), Arc::new(Unbounded))
        .expect("it opens");
    let mut instance = model.instance().expect("it has instances");
    run(&mut *instance, &Memory::default(), &floats(&[CRASH]), true).expect_err("it dies");
    let left = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 0, "beside it there is nothing that would write a file");
}

#[test]
fn a_file_that_has_changed_is_not_served_before_the_daemon_has_looked_at_it() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let model = open("told", file.path(), &Options::default()).expect("it opens");
    let (mut instance, memory) = (model.instance().expect("it has instances"), Memory::default());
    std::fs::write(file.path(), "another model").expect("it can be written");
    run(&mut *instance, &memory, &floats(&[CRASH]), true).expect_err("it dies");
    let mut words = String::new();
    until("refused for that", || {
        let refused = run(&mut *instance, &memory, &floats(&[DOUBLE]), true);
        words = refused.expect_err("there is no process").to_string();
        words.contains("the model has changed")
    });
    let place = file.path().display();
    let expected = format!(
        "the process of model \"m\" has ended: {place}: the model has changed since the daemon started; restart the daemon; it is \
         being started again, so ask again in "
    );
    assert!(words.starts_with(&expected), "{words}");
    assert!(!model.is_up());
}

#[test]
fn all_runs_of_a_process_end_with_it() {
    let model = told();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4)
            .map(|_| {
                let mut instance = model.instance().expect("it has instances");
                // Before the thread begins, which may be when the process has ended.
                let (model, epoch) = (&model, model.epoch());
                scope.spawn(move || {
                    let memory = Memory::default();
                    loop {
                        match run(&mut *instance, &memory, &floats(&[DOUBLE]), true) {
                            Ok(found) => assert_eq!(found, floats(&[20.0])),
                            Err(RunError::Framework(_) | RunError::Machine(_)) => {
                                return assert_ne!(epoch, model.epoch());
                            }
                            Err(other) => panic!("{other:?}"),
                        }
                    }
                })
            })
            .collect();
        let mut instance = model.instance().expect("it has instances");
        run(&mut *instance, &Memory::default(), &floats(&[CRASH]), true).expect_err("it dies");
        for run in runs {
            run.join().expect("every run has ended");
        }
    });
}

#[test]
fn a_process_ends_with_its_model() {
    // Other tests have models beside it, of another name.
    let model = Isolated::open("ending", "told", Path::new(""), &Options::default(), program(), Arc::new(Unbounded))
        .expect("it opens");
    let children = std::fs::read_to_string(format!("/proc/self/task/{}/children", watcher_of("ending")));
    let alive = children.expect("the thread that watches it is there");
    let process = alive.trim();
    assert!(!process.is_empty());
    drop(model);
    until("gone", || !Path::new(&format!("/proc/{process}")).exists());
}

/// The thread that watches over the process of the one model called so.
fn watcher_of(model: &str) -> String {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let is_watcher = |task: &String| {
        let name = std::fs::read_to_string(format!("/proc/self/task/{task}/comm"));
        name.is_ok_and(|name| name.trim() == format!("host-{model}"))
    };
    let mut tasks = tasks.filter_map(|task| task.ok()?.file_name().into_string().ok());
    tasks.find(is_watcher).expect("a thread")
}
