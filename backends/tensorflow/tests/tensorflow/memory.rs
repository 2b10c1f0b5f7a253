//! Memory: who reads it where, and for how long.

use crate::support::{floats, input, lent, open, run, run_list};
use graphpiped_backend_api::Produced;
use graphpiped_backend_conformance::{Aligned, Watched};
use graphpiped_backend_tensorflow::copied_input_bytes;

#[test]
fn memory_that_a_variable_refers_to_is_kept_until_it_is_replaced() {
    // The model gives the sum of what it got last time, of which its variable is one more reference.
    let model = open("remember");
    let mut instance = model.instance().expect("an instance");
    let memories = [floats(&[1.0, 2.0, 3.0]), floats(&[10.0, 20.0]), floats(&[100.0])];
    let mut before = 0.0;
    for (round, memory) in memories.iter().enumerate() {
        let shape = [memory.piece(0).len() as i64 / 4];
        let produced = run(&mut *instance, memory, &shape, &[0]).expect("it runs");
        assert_eq!(lent(&produced[0]).0, [before], "round {round}");
        drop(produced);
        let references: Vec<_> = memories.iter().map(Watched::references).collect();
        let expected: Vec<_> = (0..3).map(|other| usize::from(other == round)).collect();
        assert_eq!(references, expected, "round {round}");
        before = memory.piece(0).as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).sum();
    }
    assert_eq!(
        memories.map(|memory| memory.piece(0).to_vec()).concat(),
        floats(&[1.0, 2.0, 3.0, 10.0, 20.0, 100.0]).piece(0)
    );
    drop(instance);
    drop(model);
}

#[test]
fn memory_that_a_variable_refers_to_is_released_with_the_model() {
    let memory = floats(&[1.0, 2.0, 3.0]);
    let model = open("remember");
    let mut instance = model.instance().expect("an instance");
    run(&mut *instance, &memory, &[3], &[0]).expect("it runs");
    assert_eq!(memory.references(), 1);
    drop(model);
    assert_eq!(memory.references(), 1, "the instance runs on");
    drop(instance);
    assert_eq!(memory.references(), 0);
}

#[test]
fn what_is_lent_of_a_variable_stays_as_it_was() {
    let model = open("accumulate");
    let mut instance = model.instance().expect("an instance");
    let memory = floats(&[1.0, 2.0]);
    let totals: Vec<_> = (0..4).map(|_| run(&mut *instance, &memory, &[2], &[0]).expect("it runs").remove(0)).collect();
    for (round, total) in (1_u8..).map(f32::from).zip(&totals) {
        assert_eq!(lent(total).0, [round, 2.0 * round]);
    }
}

#[test]
fn inputs_are_never_written() {
    // Each of these could be computed in place, and is, if the memory is TensorFlow's own and nobody else refers to it.
    for model in ["layers.pb", "elsewhere.pb", "weighted", "accumulate", "remember"] {
        let model = open(model);
        let mut instance = model.instance().expect("an instance");
        let rank = model.signature().inputs[0].dims.as_ref().expect("its rank is known").len();
        let shape = &[1, 2][2 - rank..];
        let memory = floats(&[1.5, -2.5]);
        for _ in 0..3 {
            run(&mut *instance, &memory, shape, &[0]).expect("it runs");
            assert_eq!(memory.piece(0), floats(&[1.5, -2.5]).piece(0));
        }
    }
}

#[test]
fn rows_that_begin_anywhere_give_the_same_results() {
    let model = open("double");
    let mut instance = model.instance().expect("an instance");
    let values: Vec<f32> = (0..64_u8).map(f32::from).collect();
    let memory = floats(&values);
    for row in 0..15 {
        let bytes = &memory.piece(0)[row * 16..][..16];
        let copied = copied_input_bytes();
        let produced = run_list(&mut *instance, &memory, &[input(0, &[1, 4], bytes)], &[0]).expect("it runs");
        let expected: Vec<_> = values[row * 4..][..4].iter().map(|value| value + value).collect();
        assert_eq!(lent(&produced[0]).0, expected, "row {row}");
        // Other tests copy at the same time, so no more can be said.
        assert!(row % 4 == 0 || copied_input_bytes() >= copied + 16, "row {row} is copied, and counted");
        assert_eq!(memory.references(), 0, "row {row}");
    }
}

#[test]
fn what_begins_at_a_multiple_of_64_is_read_where_it_lies_and_nothing_else_is() {
    let model = open("identity_float32");
    let mut instance = model.instance().expect("an instance");
    let memory = floats(&[1.5; 64]);
    for offset in [0, 4, 16, 32, 60, 64, 128] {
        let bytes = &memory.piece(0)[offset..][..8];
        let produced = run_list(&mut *instance, &memory, &[input(0, &[2], bytes)], &[0]).expect("it runs");
        match &produced[0] {
            Produced::OfInput { position: 0, start: 0, .. } if offset % 64 == 0 => {}
            Produced::Lent { owner, .. } if offset % 64 != 0 => assert_eq!((**owner).as_ref(), bytes),
            other => panic!("{offset}: {other:?}"),
        }
        drop(produced);
        assert_eq!(memory.references(), 0, "{offset}");
    }
}

#[test]
fn an_input_of_another_shape_is_given_back_as_such() {
    let model = open("pairs");
    let mut instance = model.instance().expect("an instance");
    let memory = floats(&[7.0; 8]);
    let produced = run(&mut *instance, &memory, &[2, 4], &[0]).expect("it runs");
    match &produced[0] {
        Produced::OfInput { position: 0, start: 0, shape, .. } => assert_eq!(shape[..], [1, 8]),
        other => panic!("{other:?}"),
    }
    assert_eq!(memory.references(), 0, "its bytes are the caller's, and nobody else refers to them");
}

#[test]
fn what_is_lent_outlives_later_runs_and_the_model() {
    let model = open("double");
    let mut instance = model.instance().expect("an instance");
    let runs = (0_u8..50).map(|value| {
        let produced = run(&mut *instance, &floats(&[f32::from(value); 4]), &[1, 4], &[0]).expect("it runs");
        (value, produced)
    });
    let all: Vec<_> = runs.collect();
    drop(instance);
    drop(model);
    let reader = std::thread::spawn(move || {
        for (value, produced) in all {
            assert_eq!(lent(&produced[0]).0, [f32::from(value) * 2.0; 4]);
        }
    });
    reader.join().expect("another thread may read and release it");
}

#[test]
fn inputs_of_which_one_is_copied_are_told_apart() {
    let model = open("two_by_two.pb");
    let mut instance = model.instance().expect("an instance");
    let memory = Watched::new(vec![Aligned::floats(&[0.0, 3.0]), Aligned::floats(&[5.0])]);
    let inputs = [input(0, &[1, 1], &memory.piece(0)[4..]), input(1, &[1, 1], memory.piece(1))];
    let produced = run_list(&mut *instance, &memory, &inputs, &[0]).expect("it runs");
    assert_eq!(lent(&produced[0]).0, [8.0]);
}
