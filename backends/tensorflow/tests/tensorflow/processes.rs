//! What takes a process of its own: this program again, running one of its tests.

use crate::support::{open, open_with, path_of, try_open};
use graphpiped_backend_api::{Backend, Model, OpenError, Options};
use graphpiped_backend_conformance::process::{self, is_child};
use graphpiped_backend_tensorflow::{Locations, TensorflowBackend, WANTED};
use std::process::Command;

/// What such a process writes that runs the test of this name, with TensorFlow as talkative as it is by itself.
fn child(test: &str, change: impl FnOnce(&mut Command)) -> String {
    process::child(test, |command| change(command.env_remove("TF_CPP_MIN_LOG_LEVEL")))
}

fn value(model: &dyn Model, key: &str) -> String {
    let options = model.effective_options();
    options.into_iter().find(|(other, _)| other == key).unwrap_or_else(|| panic!("no {key}")).1
}

#[test]
fn the_systems_library_path_is_searched_and_the_file_is_named() {
    if is_child() {
        let backend = TensorflowBackend::new(Locations::new(&WANTED, None, vec!["/no/such/folder".into()], ""));
        let model = backend.open(&path_of("double"), &Options::default()).unwrap_or_else(|error| panic!("{error}"));
        println!("loaded {}", value(&*model, "library"));
        return;
    }
    let file = std::fs::canonicalize(value(&*open("double"), "library")).expect("the library is a file");
    let folder = file.parent().expect("a file is in a folder");
    let written = child("processes::the_systems_library_path_is_searched_and_the_file_is_named", |command| {
        command.env("LD_LIBRARY_PATH", folder).env_remove("TENSORFLOW_DIR");
    });
    assert!(written.contains(&format!("loaded {}", file.display())), "{written}");
}

#[test]
fn a_library_that_is_absent_is_the_frameworks_fault_and_says_how_to_get_it() {
    if !is_child() {
        child("processes::a_library_that_is_absent_is_the_frameworks_fault_and_says_how_to_get_it", |command| {
            command.env("TENSORFLOW_DIR", "/no/such/folder");
        });
        return;
    }
    let path = path_of("double");
    let error = try_open(&path, &Options::default()).err().expect("there is no library");
    let expected = format!(
        "{}: no TensorFlow (2.12 or newer) to load: /no/such/folder (named by TENSORFLOW_DIR): there is no such file; get \
         it with `graphpiped runtime install tensorflow`",
        path.display()
    );
    assert_eq!(error, OpenError::Framework(expected));
}

#[test]
fn runs_and_loads_write_no_lines_of_their_own() {
    // Whoever may send requests must not be able to fill the log. What TensorFlow writes goes past the test harness.
    for test in [
        "errors::a_value_that_the_model_refuses_fails_the_run_and_no_later_one",
        "errors::a_saved_model_whose_weights_are_cut_is_refused",
        "conformance::a_model_that_refuses_a_request_says_why",
    ] {
        let written = child(test, |_| {});
        let severities = ["W0000", "E0000", "rendezvous", "loader.cc", "executor"];
        assert!(!severities.iter().any(|severity| written.contains(severity)), "{written}");
    }
}

#[test]
fn models_share_the_threads_of_the_first_one() {
    if !is_child() {
        child("processes::models_share_the_threads_of_the_first_one", |_| {});
        return;
    }
    // A thread that runs a model computes it: TensorFlow has none for one model that may not have two.
    let threads = || std::fs::read_dir("/proc/self/task").expect("Linux tells").count();
    let of = |count| Options { intra_threads: count, ..Options::default() };
    assert_eq!(value(&*open_with("double", &of(2)), "intra_threads"), "2");
    let before = threads();
    let expected = "2 (as for the first model of TensorFlow in this process; 7 wanted)";
    assert_eq!(value(&*open_with("two_by_two.pb", &of(7)), "intra_threads"), expected);
    assert_eq!(threads(), before, "no thread has been added");
    assert_eq!(
        value(&*open_with("double", &of(0)), "intra_threads"),
        "2 (as for the first model of TensorFlow in this process; 1 wanted)"
    );
}
