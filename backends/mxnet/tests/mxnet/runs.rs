//! Runs: numbers of other authors, batches of changing sizes, and which epoch it is.

use crate::support::{open, open_with, option_of, path_of, run, try_open};
use graphpiped_backend_api::{Model, Options, RunError};
use graphpiped_backend_conformance::{Asked, Scene};
use std::sync::Arc;

fn expected(key: &str) -> Vec<Vec<f64>> {
    let file = std::fs::read(path_of("convolution.json")).expect("what NumPy has computed");
    let mut all: serde_json::Value = serde_json::from_slice(&file).expect("JSON");
    serde_json::from_value(all[key].take()).expect("rows of numbers")
}

fn assert_near(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{what}: {found} is not {expected}");
    }
}

#[test]
fn a_network_with_labels_and_states_gives_the_numbers_of_numpy_whatever_the_batch_is() {
    let model = open("convolution");
    let scene = Scene { model: Arc::clone(&model) };
    let mut instance = scene.instance();
    let (data, softmax) = (expected("data"), expected("softmax"));
    // Larger and smaller, and back to sizes that were there before a larger one.
    for rows in [1, 3, 1, 2, 4, 3, 1, 2, 4, 1] {
        for start in 0..=data.len() - rows {
            let values: Vec<f32> = data[start..start + rows].iter().flatten().map(|&value| value as f32).collect();
            let asked = [Asked::floats(0, &[rows as i64, 3, 6, 6], &values)];
            let found = scene.try_run(&mut *instance, &asked, &[0]).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(found[0].shape, [rows as i64, 3]);
            assert_near(
                &found[0].numbers(),
                &softmax[start..start + rows].concat(),
                &format!("{rows} rows at {start}"),
            );
        }
    }
}

#[test]
fn layers_within_give_what_they_pass_on() {
    let options = Options { outputs: vec!["softmax".into(), "pool".into()], ..Options::default() };
    let model = open_with("convolution", &options);
    let values: Vec<f32> = expected("data").concat().iter().map(|&value| value as f32).collect();
    let (shape, pool) = run(&model, &[4, 3, 6, 6], &values, 1);
    assert_eq!(shape, [4, 2, 3, 3]);
    assert_near(&pool, &expected("pool").concat(), "pool");
    assert_near(&run(&model, &[4, 3, 6, 6], &values, 0).1, &expected("softmax").concat(), "softmax");
}

#[test]
fn a_layer_takes_the_inputs_that_it_is_computed_from_alone() {
    let model = open_with("apart", &Options { outputs: vec!["layer".into()], ..Options::default() });
    assert_eq!(model.signature().inputs.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(run(&model, &[1, 2], &[1.0, 2.0], 0).1, [-1.0, -2.0]);
}

#[test]
fn outputs_of_one_layer_keep_their_places() {
    let scene = Scene { model: open("parts") };
    let asked = [Asked::floats(0, &[1, 4], &[1.0, 2.0, 3.0, 4.0]), Asked::floats(1, &[1, 2], &[5.0, 6.0])];
    let found = scene.run(&asked, &[0, 1, 2]);
    let numbers: Vec<_> = found.iter().map(graphpiped_backend_conformance::Found::numbers).collect();
    assert_eq!(numbers, [[3.0, 4.0], [1.0, 2.0], [5.0, 6.0]]);
}

#[test]
fn the_last_epoch_is_served_or_the_one_that_is_named() {
    let number = |model: &Arc<dyn Model>| run(model, &[1, 1], &[1.0], 0).1;
    for name in ["epochs", "epochs-symbol.json"] {
        let model = open(name);
        assert_eq!(number(&model), [10.0]);
        assert_eq!(option_of(&*model, "epochs").as_deref(), Some("1, 3, 10: the last is taken"));
    }
    let model = open("epochs-0003.params");
    assert_eq!((number(&model), option_of(&*model, "epochs")), (vec![3.0], None));
}

#[test]
fn more_shapes_than_are_kept_ready_run_all_the_same() {
    let scene = Scene { model: open("double") };
    let mut instance = scene.instance();
    for round in 0..3 {
        for rows in (1..=50).rev() {
            let values = vec![rows as f32; rows * 4];
            let asked = [Asked::floats(0, &[rows as i64, 4], &values)];
            let found = scene.try_run(&mut *instance, &asked, &[0]).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(found[0].numbers(), vec![2.0 * rows as f64; rows * 4], "round {round}");
        }
    }
}

#[test]
fn a_larger_batch_that_is_refused_spoils_no_smaller_one() {
    let scene = Scene { model: open("pairs") };
    let mut instance = scene.instance();
    let mut try_rows = |rows: usize| {
        let values: Vec<f32> = (0..rows * 4).map(|value| value as f32).collect();
        let found = scene.try_run(&mut *instance, &[Asked::floats(0, &[rows as i64, 4], &values)], &[0]);
        found
            .map(|found| assert_eq!(found[0].numbers(), values.iter().map(|&value| value.into()).collect::<Vec<f64>>()))
    };
    for rows in [2, 65, 2, 64, 129, 64, 2, 128] {
        match try_rows(rows) {
            Ok(()) => assert_eq!(rows % 2, 0),
            Err(RunError::Model(message)) => assert!(rows % 2 == 1 && !message.contains('\n'), "{message}"),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn several_models_and_instances_live_and_end_in_any_order() {
    let (double, convolution) = (open("double"), open("convolution"));
    let mut instances: Vec<_> = (0..3).map(|_| double.instance().expect("another one")).collect();
    let scene = Scene { model: Arc::clone(&double) };
    drop(instances.remove(0));
    drop(convolution.instance().expect("one"));
    for instance in &mut instances {
        let found = scene.try_run(&mut **instance, &[Asked::floats(0, &[1, 4], &[1.0; 4])], &[0]).expect("it runs");
        assert_eq!(found[0].numbers(), [2.0; 4]);
    }
    drop((double, convolution));
    let found = scene.try_run(&mut *instances[1], &[Asked::floats(0, &[2, 4], &[1.0; 8])], &[0]).expect("it runs");
    assert_eq!(found[0].numbers(), [2.0; 8]);
}

#[test]
fn parameters_that_have_changed_are_not_mixed_with_the_first_ones() {
    let folder = crate::support::copy_of("epochs");
    let path = folder.path().join("epochs-0001.params");
    let model = try_open(&path).unwrap_or_else(|error| panic!("{error}"));
    let _first = model.instance().expect("it was made when the model was opened");
    assert!(model.instance().is_ok(), "nothing has changed");
    // Another epoch has the same names and shapes.
    for other in [folder.path().join("epochs-0010.params"), path_of("double-0000.params")] {
        std::fs::copy(other, &path).expect("a copy");
        let message = model.instance().err().expect("it is another file").to_string();
        assert!(
            message.ends_with("epochs-0001.params: has changed since the model was opened; open it again"),
            "{message}"
        );
    }
}
