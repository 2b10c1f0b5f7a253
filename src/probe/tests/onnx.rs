//! Real models, made by `backends/onnx/tests/models/make.py`: those that may be batched, and those that only look so.
//!
//! The library is the one that `ORT_DYLIB_PATH` names, or the one in the project's runtime folder. Without it these
//! tests fail and say how to get it.

use super::*;
use graphpiped_backend_api::{Backend, Options};
use graphpiped_backend_onnx::{Locations, OnnxBackend, WANTED};
use std::path::Path;

fn open(name: &str) -> Arc<dyn Model> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let locations = Locations::new(&WANTED, None, vec![root.join("runtime/onnxruntime")], "get it with `make runtime`");
    let path = root.join(format!("backends/onnx/tests/models/{name}.onnx"));
    let model = OnnxBackend::new(locations).open(&path, &Options::default());
    model.unwrap_or_else(|error| panic!("{error}"))
}

fn probed(name: &str) -> Probed {
    probe(&*open(name), BatchMode::Auto, Wanted { rows_max: 16, is_said: false }, Instant::now).expect("nobody insists")
}

fn why(name: &str) -> String {
    match probed(name).verdict {
        Verdict::Not { why } => why,
        Verdict::Batched => panic!("{name} is batched"),
    }
}

/// Checks that a model may be batched, and what a row of each output looks like.
fn is_batched(name: &str, row_outputs: &[Option<&[i64]>]) {
    let probed = probed(name);
    assert_eq!(probed.verdict, Verdict::Batched, "{name}");
    let expected: Vec<_> = row_outputs.iter().map(|shape| shape.map(|dims| Shape::new(dims).unwrap())).collect();
    assert_eq!(probed.row_outputs, expected, "{name}");
    assert_eq!(probed.costs.iter().map(|(rows, _)| *rows).collect::<Vec<_>>(), [1, 16], "{name}");
}

const NEIGHBOURS: &str = "output y of a row is another one when other rows are run beside it";

#[test]
fn layers_that_work_row_by_row_are_batched() {
    is_batched("rows_mlp", &[Some(&[10])]);
    is_batched("rows_float16", &[Some(&[10])]);
    is_batched("rows_float64", &[Some(&[10])]);
}

#[test]
fn token_numbers_and_masks_of_any_length_are_batched() {
    is_batched("rows_embedding", &[None, Some(&[8])]);
}

#[test]
fn several_inputs_and_outputs_of_several_types_are_batched() {
    is_batched("rows_labels", &[Some(&[]), Some(&[4])]);
    is_batched("two_by_two", &[None, None]);
}

#[test]
fn an_inner_axis_that_must_be_a_multiple_of_something_is_found() {
    is_batched("rows_32", &[Some(&[32])]);
}

#[test]
fn what_is_computed_over_all_rows_is_found_out() {
    let names =
        ["rows_centred", "rows_normalised", "rows_cumulated", "rows_reversed", "rows_competing", "rows_quantised"];
    for name in names {
        assert_eq!(why(name), NEIGHBOURS, "{name}");
    }
}

#[test]
fn an_output_without_a_row_for_each_row_is_found_out() {
    assert_eq!(why("rows_reduced"), "output y has a fixed first axis (4)", "ONNX Runtime knows better");
    assert_eq!(why("rows_summed"), "output y has the shape [1, 4] for 5 rows");
    assert_eq!(why("wrong_symbol"), "output twice has the shape [2, 2] for 1 row");
}

#[test]
fn chance_and_memory_are_found_out() {
    // ONNX Runtime keeps the running means of BatchNormalization from run to run.
    for name in ["rows_noisy", "rows_batchnorm"] {
        assert_eq!(why(name), "output y of the same row differs from run to run", "{name}");
    }
}

#[test]
fn outputs_that_prove_nothing_are_no_proof() {
    assert_eq!(why("rows_nan"), "output y has no finite number for any row that was tried");
    assert_eq!(why("rows_same"), "output y is the same for all rows that were tried");
}

#[test]
fn signatures_that_claim_nothing_are_believed() {
    assert_eq!(why("fixed"), "input x has a fixed first axis (2)");
    assert_eq!(why("scalar"), "input x has no axes");
    assert_eq!(why("identity_float32"), "input x does not say how many axes it has");
    assert_eq!(why("string_twice"), "input x holds strings, and rows of strings have no fixed size");
}

#[test]
fn a_shape_that_nobody_would_guess_is_not_found() {
    let why = why("rows_7");
    assert!(why.starts_with("no trial run succeeded (3 rows of [8]: "), "{why}");
    assert!(why.contains("MatMul"), "the framework's own words: {why}");
}

#[test]
fn insisting_on_a_model_that_mixes_rows_up_is_refused() {
    let message =
        probe(&*open("rows_normalised"), BatchMode::On, Wanted { rows_max: 16, is_said: false }, Instant::now)
            .expect_err("it mixes rows up");
    assert!(message.contains(NEIGHBOURS), "{message}");
    let message = probe(&*open("fixed"), BatchMode::On, Wanted { rows_max: 16, is_said: false }, Instant::now)
        .expect_err("it has no rows");
    assert!(message.contains("input x has a fixed first axis (2)"), "{message}");
}

#[test]
fn the_same_file_gets_the_same_verdict_every_time() {
    for name in ["rows_mlp", "rows_noisy", "rows_float16"] {
        let verdict = probed(name).verdict;
        for _ in 0..5 {
            assert_eq!(probed(name).verdict, verdict, "{name}");
        }
    }
}
