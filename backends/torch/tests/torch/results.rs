//! What `forward` may give, and what becomes of it.

use crate::support::{Numbers, floats, instance, open, run};
use graphpipe_schema::DType;
use graphpiped_backend_api::{Produced, RunError};
use graphpiped_backend_conformance::shown;

fn four(rows: i64) -> Numbers {
    let values: Vec<f32> = (0..rows * 4).map(|value| value as f32 - 2.0).collect();
    floats(&[rows, 4], &values)
}

#[test]
fn of_a_dictionary_the_entries_are_given_that_are_described() {
    let found = run(&mut *instance("dictionary"), &[four(1)], &[0, 1]).expect("it runs");
    assert_eq!((found[0].floats(), found[1].floats()), (vec![-4.0, -2.0, 0.0, 2.0], vec![2.0, 1.0, 0.0, -1.0]));
}

#[test]
fn the_elements_of_a_list_are_given_in_their_order() {
    let found = run(&mut *instance("list"), &[four(1)], &[1, 0]).expect("it runs");
    assert_eq!((found[0].floats(), found[1].floats()), (vec![-4.0, -2.0, 0.0, 2.0], vec![2.0, 1.0, 0.0, -1.0]));
}

#[test]
fn a_part_of_an_input_is_given_back_as_such() {
    let found = run(&mut *instance("second"), &[four(3)], &[0]).expect("it runs");
    assert!(matches!(found[0].how, Produced::OfInput { position: 0, start: 16, .. }), "{found:?}");
    assert_eq!((found[0].shape.as_slice(), found[0].floats()[0]), (&[2, 4][..], 2.0));
}

#[test]
fn a_part_of_an_input_that_is_empty_is_lent() {
    let found = run(&mut *instance("second"), &[four(1)], &[0]).expect("it runs");
    assert!(matches!(found[0].how, Produced::Lent { .. }), "{found:?}");
    assert_eq!((found[0].shape.as_slice(), found[0].bytes.len()), (&[0, 4][..], 0));
}

#[test]
fn a_view_with_gaps_is_put_together() {
    let found = run(&mut *instance("transposed"), &[four(2)], &[0]).expect("it runs");
    assert!(matches!(found[0].how, Produced::Lent { .. }), "{found:?}");
    assert_eq!(
        (found[0].shape.as_slice(), found[0].floats()),
        (&[4, 2][..], vec![-2.0, 2.0, -1.0, 3.0, 0.0, 4.0, 1.0, 5.0])
    );
}

#[test]
fn a_sign_that_pytorch_has_yet_to_change_is_changed() {
    // Of one element, the view has no gaps, and would not have to be put together.
    for (given, expected) in [(vec![5.0], vec![-5.0]), (vec![1.0, -2.0], vec![-1.0, 2.0])] {
        let found = run(&mut *instance("negated"), &[floats(&[given.len() as i64], &given)], &[0]).expect("it runs");
        assert_eq!(found[0].floats(), expected);
    }
}

#[test]
fn an_argument_that_may_be_left_out_is() {
    let found = run(&mut *instance("optional"), &[four(1)], &[0]).expect("it runs");
    assert_eq!(found[0].floats(), [-4.0, -2.0, 0.0, 2.0]);
}

#[test]
fn what_is_no_tensor_of_plain_numbers_is_refused() {
    let cases = [
        ("number", "forward gives a value of the type Int, and not a tensor, or a tuple, list or dictionary of them"),
        ("sparse", "one of its outputs is a sparse or a quantised tensor; convert it within the model"),
        ("nested", "one of its outputs is a nested tensor; convert it within the model"),
        ("complex", "output y: it has a type that GraphPipe does not have"),
        (
            "described_as_another_type",
            "output y: the model gives float32 [1, 4], and its description says y int64 [N, 4]",
        ),
        (
            "described_as_another_shape",
            "output y: the model gives float32 [1, 4], and its description says y float32 [N, 5]",
        ),
        ("described_with_one_output_more", "it gives 1 tensors, and its description names 2"),
    ];
    for (name, expected) in cases {
        let error = run(&mut *instance(name), &[four(1)], &[0]).expect_err(name);
        assert_eq!(error, RunError::Model(expected.to_string()), "{name}");
    }
}

#[test]
fn what_the_description_does_not_allow_never_reaches_the_model() {
    let mut instance = instance("double");
    let mut refused = |input| run(&mut *instance, &[input], &[0]).expect_err("it is not described").to_string();
    let taken = "and the model takes x float32 [N, 4]";
    for shape in [&[4][..], &[1, 2, 2], &[1, 5], &[-1, 4], &[]] {
        let input = Numbers { dtype: DType::Float32, shape: shape.to_vec(), bytes: vec![0; 16] };
        assert_eq!(refused(input), format!("input x: its shape is {shape:?}, {taken}"));
    }
    let integers = Numbers { dtype: DType::Int32, shape: vec![1, 4], bytes: vec![0; 16] };
    assert_eq!(refused(integers), "input x: it is int32, and the model takes float32");
    for shape in [[2, 4], [i64::MAX, 4], [0, 4]] {
        let input = Numbers { dtype: DType::Float32, shape: shape.to_vec(), bytes: vec![0; 16] };
        assert_eq!(refused(input), format!("input x: 16 bytes are not a float32 tensor of shape {shape:?}"));
    }
    let error = run(&mut *instance, &[], &[0]).expect_err("nothing is given");
    assert_eq!(error, RunError::Model("input x is missing".into()));
}

#[test]
fn a_name_of_the_description_is_one_size_in_all_inputs() {
    let inputs = [four(1), four(2)];
    let error = run(&mut *instance("two_by_two"), &inputs, &[0]).expect_err("PyTorch itself would repeat the row");
    assert_eq!(error, RunError::Model("input b: N is 2 here, and 1 elsewhere".into()));
}

#[test]
fn signatures_are_those_of_the_descriptions() {
    let model = open("two_by_two");
    let (inputs, outputs) = shown(model.signature());
    assert_eq!(inputs, ["a float32 [N, K]", "b float32 [N, K]"]);
    assert_eq!(outputs, ["sum float32 [N, K]", "whole int64 [N, K]"]);
    assert_eq!(model.signature().batch_axis(), Some(0));
    assert_eq!(open("identity_bfloat16").signature().inputs[0].dtype, DType::Bfloat16);
    assert!(!model.copies() && !model.is_cheap());
}
