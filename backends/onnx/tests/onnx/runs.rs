//! Where inputs are read and outputs go: in place, lent, or the input itself; and what happens to wrong predictions.

use crate::support::{bytes_of, floats, floats_of, instance, integers_of, open, prepared, slot, unkept};
use graphpipe_schema::DType;
use graphpiped_backend_api::{Elements, Input, Produced};
use graphpiped_backend_conformance::Aligned;
use std::sync::Arc;

#[test]
fn two_inputs_give_two_outputs_of_two_types() {
    let (a, b) = (Aligned::floats(&[1.0, 2.0, 3.0, 4.0]), Aligned::floats(&[10.0, 20.0, 30.0, 40.5]));
    let inputs = [floats(0, &[2, 2], &a), floats(1, &[2, 2], &b)];
    let mut memory = Aligned::zeros(16);
    let mut slots = [prepared(0, &[2, 2], &mut memory), slot(1)];
    instance("two_by_two").run(&unkept(&inputs), &mut slots).expect("it runs");
    assert!(matches!(slots[0].produced, Some(Produced::InPlace)));
    assert!(matches!(slots[1].produced, Some(Produced::Lent { dtype: DType::Int64, .. })));
    assert_eq!(floats_of(&slots[0], &inputs), (vec![11.0, 22.0, 33.0, 44.5], vec![2, 2]));
    assert_eq!(integers_of(&slots[1], &inputs), (vec![10, 40, 90, 162], vec![2, 2]));
}

#[test]
fn outputs_are_computed_by_name_in_any_order_and_number() {
    let (a, b) = (Aligned::floats(&[3.0]), Aligned::floats(&[5.0]));
    // The inputs in another order, too.
    let inputs = [floats(1, &[1, 1], &b), floats(0, &[1, 1], &a)];
    let mut instance = instance("two_by_two");

    let mut only = [slot(1)];
    instance.run(&unkept(&inputs), &mut only).expect("it runs");
    assert_eq!(integers_of(&only[0], &inputs).0, [15]);

    let mut reversed = [slot(1), slot(0)];
    instance.run(&unkept(&inputs), &mut reversed).expect("it runs");
    assert_eq!(integers_of(&reversed[0], &inputs).0, [15]);
    assert_eq!(floats_of(&reversed[1], &inputs).0, [8.0]);
}

#[test]
fn an_output_may_be_asked_for_twice() {
    let a = Aligned::floats(&[3.0]);
    let inputs = [floats(0, &[1, 1], &a), floats(1, &[1, 1], &a)];
    let (mut memory, mut other) = (Aligned::zeros(4), Aligned::zeros(4));
    let mut instance = instance("two_by_two");
    for which in 0..3 {
        // Left to itself, ONNX Runtime takes the last of two equal names, and gives the others the same memory, or
        // nothing.
        let mut slots = match which {
            0 => [slot(0), slot(1), prepared(0, &[1, 1], &mut memory)],
            1 => [prepared(0, &[1, 1], &mut memory), slot(1), slot(0)],
            _ => [prepared(0, &[1, 1], &mut memory), slot(1), prepared(0, &[1, 1], &mut other)],
        };
        instance.run(&unkept(&inputs), &mut slots).expect("it runs");
        match (&slots[0].produced, &slots[2].produced) {
            (Some(Produced::Lent { owner: first, .. }), Some(Produced::Lent { owner: last, .. })) => {
                assert!(Arc::ptr_eq(first, last), "order {which}");
            }
            other => panic!("order {which}: {other:?}"),
        }
        assert_eq!(floats_of(&slots[0], &inputs), (vec![6.0], vec![1, 1]), "order {which}");
        assert_eq!(integers_of(&slots[1], &inputs).0, [9]);
    }
}

#[test]
fn strings_may_be_asked_for_twice() {
    let elements: [&[u8]; 2] = [b"a", b"\xff"];
    let strings = Input { index: 0, dtype: DType::String, shape: &[2], elements: Elements::Strings(&elements) };
    let mut slots = [slot(0), slot(0)];
    instance("identity_string").run(&unkept(&[strings]), &mut slots).expect("it runs");
    for slot in slots {
        assert!(matches!(slot.produced, Some(Produced::Strings { elements: ref given, .. }) if *given == elements));
    }
}

#[test]
fn any_number_of_rows_is_taken_and_none_at_all() {
    let mut instance = instance("double");
    for rows in [1_usize, 2, 33, 0, 7] {
        let values: Vec<f32> = (0..rows * 4).map(|index| index as f32).collect();
        let bytes = Aligned::floats(&values);
        let shape = [rows as i64, 4];
        let inputs = [floats(0, &shape, &bytes)];
        let mut memory = Aligned::of(&vec![0xee; rows * 16]);
        for mut slots in [[slot(0)], [prepared(0, &shape, &mut memory)]] {
            instance.run(&unkept(&inputs), &mut slots).expect("it runs");
            let expected: Vec<f32> = values.iter().map(|value| value + value).collect();
            assert_eq!(floats_of(&slots[0], &inputs), (expected, shape.to_vec()));
        }
    }
}

#[test]
fn weights_in_a_file_beside_the_model_are_found() {
    let bytes = Aligned::floats(&[0.5; 64]);
    let inputs = [floats(0, &[1, 64], &bytes)];
    let mut slots = [slot(0)];
    instance("external").run(&unkept(&inputs), &mut slots).expect("it runs");
    let expected: Vec<f32> = (0_u8..64).map(|index| f32::from(index) + 0.5).collect();
    assert_eq!(floats_of(&slots[0], &inputs).0, expected);
}

#[test]
fn an_input_that_the_model_names_as_an_output_is_the_input_itself() {
    // That ONNX Runtime gives back this very memory is also the proof that it read it where it lies.
    let bytes = Aligned::floats(&[1.0, -2.0]);
    let inputs = [floats(0, &[2], &bytes)];
    let mut slots = [slot(0), slot(1), slot(2)];
    instance("passthrough").run(&unkept(&inputs), &mut slots).expect("it runs");
    assert!(matches!(slots[0].produced, Some(Produced::OfInput { position: 0, start: 0, .. })), "{slots:?}");
    assert_eq!(floats_of(&slots[1], &inputs), (vec![1.0, 2.0, 3.0], vec![3]));
    assert_eq!(floats_of(&slots[2], &inputs), (vec![-1.0, 2.0], vec![2]));
}

#[test]
fn outputs_that_no_operator_computes_are_right_if_memory_is_prepared_for_them() {
    // For an input ONNX Runtime leaves prepared memory alone, and says that all went well.
    let bytes = Aligned::floats(&[1.0, -2.0]);
    let inputs = [floats(0, &[2], &bytes)];
    let (mut x, mut weight, mut negative) = (Aligned::zeros(8), Aligned::zeros(12), Aligned::zeros(8));
    let mut slots = [prepared(0, &[2], &mut x), prepared(1, &[3], &mut weight), prepared(2, &[2], &mut negative)];
    instance("passthrough").run(&unkept(&inputs), &mut slots).expect("it runs");
    assert!(matches!(slots[0].produced, Some(Produced::OfInput { position: 0, start: 0, .. })), "{slots:?}");
    assert_eq!(floats_of(&slots[1], &inputs).0, [1.0, 2.0, 3.0]);
    assert_eq!(floats_of(&slots[2], &inputs).0, [-1.0, 2.0]);
    assert!(matches!(slots[2].produced, Some(Produced::InPlace)));
}

#[test]
fn constant_outputs_are_right_wherever_they_go() {
    let bytes = Aligned::floats(&[1.0]);
    let inputs = [floats(0, &[1], &bytes)];
    let mut instance = instance("constant");
    let (mut folded, mut constant) = (Aligned::zeros(12), Aligned::zeros(8));
    for mut slots in [[slot(1), slot(2)], [prepared(1, &[3], &mut folded), prepared(2, &[2], &mut constant)]] {
        instance.run(&unkept(&inputs), &mut slots).expect("it runs");
        assert_eq!(floats_of(&slots[0], &inputs), (vec![2.0, 4.0, 6.0], vec![3]));
        assert_eq!(floats_of(&slots[1], &inputs), (vec![7.0, 8.0], vec![2]));
    }
}

#[test]
fn what_is_lent_never_lies_in_prepared_memory() {
    // Each output holds the same numbers, so the runtime might be tempted to let one stand for another.
    let bytes = Aligned::floats(&[1.0, 2.0, 3.0, 4.0]);
    let inputs = [floats(0, &[2, 2], &bytes)];
    let mut instance = instance("same_numbers");
    for which in 0..3 {
        let mut memory = Aligned::zeros(16);
        let range = memory.as_ref().as_ptr_range();
        let shape: &[i64] = if which == 2 { &[4] } else { &[2, 2] };
        let mut slots = [slot(0), slot(1), slot(2)];
        slots[which] = prepared(which, shape, &mut memory);
        instance.run(&unkept(&inputs), &mut slots).expect("it runs");
        for (index, slot) in slots.iter().enumerate() {
            assert_eq!(floats_of(slot, &inputs).0, [-1.0, -2.0, -3.0, -4.0]);
            assert_eq!(range.contains(&bytes_of(slot, &inputs).0.as_ptr()), index == which, "{which}, {index}");
        }
    }
}

#[test]
fn a_large_input_is_not_copied() {
    // Of 512 MiB of zeros that nobody has touched only the first page is ever read. A copy would make all of them
    // resident.
    const BYTES: usize = 512 << 20;
    let bytes = Aligned::zeros(BYTES);
    let inputs = [floats(0, &[BYTES as i64 / 4], &bytes)];
    let mut slots = [slot(0)];
    let before = resident_peak_bytes();
    instance("first").run(&unkept(&inputs), &mut slots).expect("it runs");
    let grown = resident_peak_bytes() - before;
    assert_eq!(floats_of(&slots[0], &inputs), (vec![0.0], vec![1]));
    assert!(grown < BYTES / 2, "resident memory grew by {grown} bytes");
}

fn resident_peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells the peak");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number of kB") << 10
}

#[test]
fn a_shape_that_nobody_could_predict_is_lent() {
    let bytes = Aligned::floats(&[0.0, 7.0, 0.0, 9.0]);
    let model = open("nonzero");
    assert_eq!(model.signature().predict(&[(0, &[4])], 0), None);
    let inputs = [floats(0, &[4], &bytes)];
    let mut slots = [slot(0)];
    model.instance().expect("an instance").run(&unkept(&inputs), &mut slots).expect("it runs");
    assert_eq!(integers_of(&slots[0], &inputs), (vec![1, 3], vec![1, 2]));
}

#[test]
fn a_wrong_prediction_is_made_good_and_not_tried_again() {
    let bytes = Aligned::floats(&[1.0, 2.0]);
    let inputs = [floats(0, &[1, 2], &bytes)];
    let model = open("wrong_symbol");
    let predicted = model.signature().predict(&[(0, &[1, 2])], 0).expect("the model says so, and is wrong");
    assert_eq!(predicted.dims(), [1, 2]);
    // What is remembered is the model's, and not an instance's.
    for run in 0..3 {
        let (mut twice, mut once) = (Aligned::zeros(8), Aligned::zeros(8));
        let mut slots = [prepared(0, &predicted, &mut twice), prepared(1, &[1, 2], &mut once)];
        model.instance().expect("an instance").run(&unkept(&inputs), &mut slots).expect("it runs");
        assert_eq!(floats_of(&slots[0], &inputs), (vec![1.0, 2.0, 1.0, 2.0], vec![2, 2]));
        assert_eq!(floats_of(&slots[1], &inputs), (vec![-1.0, -2.0], vec![1, 2]));
        assert!(matches!(slots[0].produced, Some(Produced::Lent { .. })));
        // The first run failed as a whole and was repeated; from then on the other output is in place again.
        assert_eq!(matches!(slots[1].produced, Some(Produced::InPlace)), run > 0, "run {run}");
    }
}

#[test]
fn what_is_lent_outlives_later_runs_the_instance_and_the_model() {
    let model = open("double");
    let mut instance = model.instance().expect("an instance");
    let mut lent = Vec::new();
    for value in 0_u8..50 {
        let bytes = Aligned::floats(&[f32::from(value); 4]);
        let mut slots = [slot(0)];
        instance.run(&unkept(&[floats(0, &[1, 4], &bytes)]), &mut slots).expect("it runs");
        let [slot] = slots;
        match slot.produced {
            Some(Produced::Lent { owner, .. }) => lent.push((value, owner)),
            other => panic!("{other:?}"),
        }
    }
    drop(instance);
    drop(model);
    let reader = std::thread::spawn(move || {
        for (value, owner) in lent {
            let expected = Aligned::floats(&[f32::from(value) * 2.0; 4]);
            assert_eq!((*owner).as_ref(), expected.as_ref());
            assert_eq!(Arc::strong_count(&owner), 1);
        }
    });
    reader.join().expect("another thread may read and release it");
}
