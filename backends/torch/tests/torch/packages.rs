//! A package of AOTInductor, which is opened only for who trusts its machine code.

use crate::support::{Numbers, backend, floats, memory_of, path_of, run, run_in};
use graphpipe_schema::DType;
use graphpiped_backend_api::{Backend, Model, OpenError, Options, RunError};
use graphpiped_backend_conformance::process::{child, is_child};
use graphpiped_backend_torch::{Locations, TorchBackend};
use std::sync::Arc;

fn trusting() -> Options {
    Options { trust_native: true, ..Options::default() }
}

fn open() -> Arc<dyn Model> {
    open_package("packaged.pt2")
}

fn open_package(file: &str) -> Arc<dyn Model> {
    backend().open(&path_of(file), &trusting()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_package_that_is_trusted_runs() {
    let model = open();
    assert_eq!(model.signature().batch_axis(), Some(0));
    let options = model.effective_options();
    assert!(options.contains(&("format".to_string(), "AOTInductor".to_string())), "{options:?}");
    let mut instance = model.instance().expect("an instance");
    for (rows, columns) in [(2, 3), (1, 7), (64, 2), (5, 1)] {
        let count = (rows * columns) as usize;
        let a: Vec<f32> = (0..count).map(|value| value as f32).collect();
        let shape = [rows, columns];
        let found = run(&mut *instance, &[floats(&shape, &a), floats(&shape, &vec![3.0; count])], &[1, 0]);
        let found = found.unwrap_or_else(|error| panic!("{shape:?}: {error}"));
        assert_eq!(found[0].shape, shape);
        assert_eq!(found[0].integers(), (0..count as i64).map(|value| value * 3).collect::<Vec<_>>());
        assert_eq!(found[1].floats(), a.iter().map(|value| value + 3.0).collect::<Vec<_>>());
    }
}

#[test]
fn inputs_are_copied_for_machine_code_because_it_may_write_into_them() {
    let model = open_package("packaged_in_place.pt2");
    let options = model.effective_options();
    assert!(options.contains(&("inputs_copied".to_string(), "x, y".to_string())), "{options:?}");
    let inputs = [floats(&[1, 4], &[1.0; 4]), floats(&[1, 4], &[2.0; 4])];
    let memory = memory_of(&inputs);
    let mut instance = model.instance().expect("an instance");
    let found = run_in(&mut *instance, &memory, &inputs, &[0]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(found[0].floats(), [3.0; 4]);
    assert_eq!(memory.piece(0), inputs[0].bytes, "nobody has written it");
    assert_eq!(memory.references(), 0);
}

#[test]
fn what_is_not_trusted_is_not_even_looked_for_a_library_for() {
    let nowhere = Locations { explicit: Some("/no/such".into()), ..Default::default() };
    let error = TorchBackend::new(nowhere).open(&path_of("packaged.pt2"), &Options::default());
    let error = error.err().expect("it is machine code");
    assert!(matches!(&error, OpenError::Model(message) if message.ends_with("say --trust-native")), "{error}");
}

#[test]
fn runs_of_a_package_on_many_threads_do_not_see_each_other() {
    let model = open();
    std::thread::scope(|scope| {
        for thread in 0..8_u8 {
            let model = &model;
            scope.spawn(move || {
                let mut instance = model.instance().expect("an instance");
                for run_number in 0..50_u8 {
                    let rows = i64::from(1 + (thread + run_number) % 5);
                    let values = vec![f32::from(thread); rows as usize * 2];
                    let inputs = [floats(&[rows, 2], &values), floats(&[rows, 2], &values)];
                    let found = run(&mut *instance, &inputs, &[0]).unwrap_or_else(|error| panic!("{error}"));
                    assert_eq!(found[0].floats(), vec![f32::from(thread) * 2.0; rows as usize * 2]);
                }
            });
        }
    });
}

#[test]
fn a_package_that_is_damaged_is_refused_in_one_line() {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let path = temporary.path().join("m.pt2");
    std::fs::copy(path_of("packaged.toml"), temporary.path().join("m.toml")).expect("a description");
    let whole = std::fs::read(path_of("packaged.pt2")).expect("a package");
    for end in [whole.len() - 1, whole.len() / 2, 100] {
        std::fs::write(&path, &whole[..end]).expect("a file");
        let error = backend().open(&path, &trusting()).err().expect("it is cut");
        assert!(matches!(&error, OpenError::Model(message) if !message.contains('\n')), "{error}");
    }
}

#[test]
fn compiled_code_compares_what_it_gets_if_its_variable_says_so() {
    // In a process of its own, because a package asks for the variable once.
    if !is_child() {
        let written = child("packages::compiled_code_compares_what_it_gets_if_its_variable_says_so", |command| {
            command.env("AOTI_RUNTIME_CHECK_INPUTS", "1");
        });
        assert!(written.contains("unmatched dtype, expected: 6"), "{written}");
        return;
    }
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let path = temporary.path().join("m.pt2");
    std::fs::copy(path_of("packaged.pt2"), &path).expect("a package");
    let description = std::fs::read_to_string(path_of("packaged.toml")).expect("a description");
    std::fs::write(path.with_extension("toml"), description.replace("float32", "float64")).expect("a wrong one");
    let model = backend().open(&path, &trusting()).unwrap_or_else(|error| panic!("{error}"));
    let options = model.effective_options();
    assert!(options.contains(&("input_checks".to_string(), "on".to_string())), "{options:?}");
    let inputs = || Numbers { dtype: DType::Float64, shape: vec![2, 3], bytes: vec![0; 48] };
    let error = run(&mut *model.instance().expect("an instance"), &[inputs(), inputs()], &[0]);
    let refused = "its machine code has failed, and written why to the standard error";
    assert_eq!(error.expect_err("it was compiled for float32"), RunError::Model(refused.into()));
}
