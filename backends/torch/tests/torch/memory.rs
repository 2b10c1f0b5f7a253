//! Who holds which memory for how long, where PyTorch's counting of references decides it.

use crate::support::{Numbers, floats, instance, memory_of, open, run, run_in};
use graphpipe_schema::DType;
use graphpiped_backend_api::{Instance, Produced, RunError};
use graphpiped_backend_conformance::process::{child, is_child};
use graphpiped_backend_torch::{copied_bytes, kept_bytes};
use std::sync::Arc;

#[test]
fn a_run_that_fails_gives_its_inputs_back() {
    let mut instance = instance("pairs");
    let inputs = [floats(&[3, 4], &[1.0; 12])];
    for _ in 0..100 {
        let memory = memory_of(&inputs);
        run_in(&mut *instance, &memory, &inputs, &[0]).expect_err("three rows are no pairs");
        assert_eq!(memory.references(), 0);
    }
}

#[test]
fn an_input_that_is_refused_or_empty_is_given_back() {
    let mut instance = instance("two_by_two");
    for inputs in [
        [floats(&[1, 4], &[1.0; 4]), floats(&[1, 5], &[1.0; 5])],
        [floats(&[0, 4], &[]), floats(&[0, 4], &[])],
        [floats(&[1, 0], &[]), floats(&[1, 0], &[])],
    ] {
        let memory = memory_of(&inputs);
        let refused = run_in(&mut *instance, &memory, &inputs, &[0]).is_err();
        assert_eq!(refused, !inputs[0].bytes.is_empty());
        assert_eq!(memory.references(), 0);
    }
}

#[test]
fn an_input_that_a_model_keeps_is_kept_for_it_and_no_longer() {
    let mut instance = instance("keeping");
    let (first, second) = ([floats(&[1, 4], &[1.0; 4])], [floats(&[1, 4], &[2.0; 4])]);
    let first_memory = memory_of(&first);
    let found = run_in(&mut *instance, &first_memory, &first, &[0]).expect("it runs");
    assert_eq!(found[0].floats(), [0.0; 4]);
    assert_eq!(first_memory.references(), 1, "the model refers to it");

    let second_memory = memory_of(&second);
    let found = run_in(&mut *instance, &second_memory, &second, &[0]).expect("it runs");
    assert_eq!(found[0].floats(), [1.0; 4]);
    assert!(matches!(found[0].how, Produced::Lent { .. }));
    assert_eq!((first_memory.references(), second_memory.references()), (1, 1), "the answer lies in the first input");
    drop(found);
    assert_eq!((first_memory.references(), second_memory.references()), (0, 1));
    drop(instance);
    assert_eq!(second_memory.references(), 0, "the model is closed");
}

#[test]
fn memory_that_the_model_will_write_again_is_not_lent() {
    let mut instance = instance("counting");
    let mut one = |value: f32| {
        let mut found = run(&mut *instance, &[floats(&[1, 4], &[value; 4])], &[0]).expect("it runs");
        match found.remove(0).how {
            Produced::Lent { owner, .. } => owner,
            other => panic!("{other:?}"),
        }
    };
    let (first, second) = (one(1.0), one(10.0));
    assert_eq!((*first).as_ref(), 4.0_f32.to_le_bytes());
    assert_eq!((*second).as_ref(), 44.0_f32.to_le_bytes());
}

#[test]
fn an_input_that_a_model_writes_into_is_copied_for_it() {
    for (name, expected) in
        [("in_place", 3.0), ("in_place_beneath", 3.0), ("in_place_by_set", 3.0), ("in_place_behind_dropout", 3.0)]
    {
        let model = open(name);
        let options = model.effective_options();
        assert!(options.contains(&("inputs_copied".to_string(), "x, y".to_string())), "{name}: {options:?}");
        let mut instance = model.instance().expect("an instance");
        let inputs = [floats(&[1, 4], &[1.0; 4]), floats(&[1, 4], &[2.0; 4])];
        let memory = memory_of(&inputs);
        let found = run_in(&mut *instance, &memory, &inputs, &[0]).expect("it runs");
        assert_eq!(found[0].floats(), [expected; 4], "{name}");
        assert_eq!(memory.piece(0), inputs[0].bytes, "{name}: nobody has written it");
        assert_eq!(memory.references(), 0, "{name}");
    }
    for name in ["double", "second", "two_by_two", "dictionary", "keeping", "normalised", "dropout_only"] {
        let options = open(name).effective_options();
        assert!(!options.iter().any(|(key, _)| key == "inputs_copied"), "{name}: {options:?}");
    }
}

#[test]
fn a_run_that_needs_more_memory_than_there_is_says_so_and_the_next_one_is_sound() {
    let mut instance = instance("hungry");
    let wanted = |bytes: i64| Numbers { dtype: DType::Int64, shape: vec![1], bytes: bytes.to_le_bytes().to_vec() };
    for _ in 0..3 {
        match run(&mut *instance, &[wanted(100_000_000_000_000_000)], &[0]) {
            Err(RunError::Machine(words)) => assert!(words.contains("can't allocate memory"), "{words}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(run(&mut *instance, &[wanted(1_000)], &[0]).expect("there is so much")[0].bytes, [1]);
    }
}

#[test]
fn runs_of_a_model_with_state_wait_for_each_other() {
    // In a process of its own, because runs that do not wait free what others read.
    const THREADS: usize = 8;
    const RUNS: usize = 50;
    if !is_child() {
        child("memory::runs_of_a_model_with_state_wait_for_each_other", |_| {});
        return;
    }
    let model = open("summing");
    let start = std::sync::Barrier::new(THREADS);
    let worker = || {
        let mut instance = model.instance().expect("an instance");
        start.wait();
        let mut sum = || run(&mut *instance, &[floats(&[1, 4], &[0.25; 4])], &[0]).expect("it runs")[0].floats()[0];
        (0..RUNS).map(|_| sum()).collect::<Vec<_>>()
    };
    let mut sums: Vec<f32> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(worker)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("it ends")).collect()
    });
    sums.sort_by(f32::total_cmp);
    let expected: Vec<f32> = (1..=THREADS * RUNS).map(|count| count as f32).collect();
    assert_eq!(sums, expected, "each run adds one to what some other run has left");
}

#[test]
fn a_model_that_changes_itself_says_that_its_runs_wait() {
    let waits = |name: &str| {
        let waits = ("runs".to_string(), "one at a time (the model has state)".to_string());
        open(name).effective_options().contains(&waits)
    };
    for name in ["keeping", "counting", "summing"] {
        assert!(waits(name), "{name}");
    }
    for name in ["double", "second", "two_by_two", "dictionary", "normalised", "in_place_beneath"] {
        assert!(!waits(name), "{name}");
    }
}

#[test]
fn copies_of_inputs_and_outputs_are_counted() {
    // In a process of its own, because other tests copy as well.
    if !is_child() {
        child("memory::copies_of_inputs_and_outputs_are_counted", |_| {});
        return;
    }
    assert_eq!(copied_bytes(), 0, "nothing is loaded");
    let rows = || floats(&[2, 4], &[1.0; 8]);
    let copied_by = |name: &str, inputs: &[Numbers]| {
        let before = copied_bytes();
        run(&mut *instance(name), inputs, &[0]).unwrap_or_else(|error| panic!("{name}: {error}"));
        copied_bytes() - before
    };
    assert_eq!(copied_by("double", &[rows()]), 0);
    assert_eq!(copied_by("second", &[rows()]), 0);
    assert_eq!(copied_by("in_place", &[rows(), rows()]), 2 * 32, "both inputs");
    assert_eq!(copied_by("transposed", &[rows()]), 32, "a view with gaps");
    assert_eq!(copied_by("negated", &[floats(&[3], &[1.0; 3])]), 12, "numbers whose sign is yet to change");
    assert_eq!(copied_by("summing", &[rows()]), 4, "what the model refers to still");
}

/// Bytes of a huge page: what is smaller is the C library's.
const HUGE_PAGE: usize = 2 << 20;

/// Rows of "double" whose output has so many bytes.
fn rows_of(bytes: usize) -> [Numbers; 1] {
    let numbers = bytes / 4;
    [floats(&[(numbers / 4) as i64, 4], &vec![1.5; numbers])]
}

/// What a run lends.
fn lent(instance: &mut dyn Instance, inputs: &[Numbers; 1]) -> Lent {
    let mut found = run(instance, inputs, &[0]).expect("it runs");
    assert_eq!(found[0].floats(), vec![3.0; inputs[0].bytes.len() / 4], "twice 1.5");
    match found.remove(0).how {
        Produced::Lent { owner, .. } => owner,
        other => panic!("{other:?}"),
    }
}

type Lent = Arc<dyn AsRef<[u8]> + Send + Sync>;

fn start(lent: &Lent) -> usize {
    (**lent).as_ref().as_ptr().addr()
}

#[test]
fn memory_of_large_tensors_is_used_again_when_nobody_has_it_and_not_before() {
    // In a process of its own, because other tests use it, too.
    if !is_child() {
        child("memory::memory_of_large_tensors_is_used_again_when_nobody_has_it_and_not_before", |_| {});
        return;
    }
    let mut instance = instance("double");
    let inputs = rows_of(8 * HUGE_PAGE);
    let first = lent(&mut *instance, &inputs);
    assert_eq!((start(&first) % HUGE_PAGE, kept_bytes()), (0, 0));
    let at = start(&first);
    let second = lent(&mut *instance, &inputs);
    assert_ne!(start(&second), at, "somebody reads the first");
    drop(first);
    assert_eq!(kept_bytes(), 8 * HUGE_PAGE as u64);
    let third = lent(&mut *instance, &inputs);
    assert_eq!((start(&third), kept_bytes()), (at, 0));
    let smaller = lent(&mut *instance, &rows_of(HUGE_PAGE / 2));
    drop((second, third, smaller));
    assert_eq!(kept_bytes(), 16 * HUGE_PAGE as u64, "what is small is none of it");
    // Much too large for it.
    let other = lent(&mut *instance, &rows_of(5 * HUGE_PAGE));
    assert_eq!(kept_bytes(), 16 * HUGE_PAGE as u64);
    // Not much too large.
    let fitting = lent(&mut *instance, &rows_of(7 * HUGE_PAGE));
    assert_eq!(kept_bytes(), 8 * HUGE_PAGE as u64);
    drop((other, fitting));
    // With that, 5 + 8 + 8 would be kept, and 16 were lent at once; so the one that was here first went.
    assert_eq!(kept_bytes(), 13 * HUGE_PAGE as u64);
    drop(instance);
    assert_eq!(kept_bytes(), 0, "the model is closed");
}

#[test]
fn no_more_memory_is_kept_than_was_lent_at_once() {
    // In a process of its own, as above.
    if !is_child() {
        child("memory::no_more_memory_is_kept_than_was_lent_at_once", |_| {});
        return;
    }
    let mut instance = instance("double");
    // Each is much too large for the next one, and none is used again.
    let sizes = [32, 20, 12, 6, 3, 1];
    for size in sizes {
        drop(lent(&mut *instance, &rows_of(size * HUGE_PAGE)));
        assert!(kept_bytes() <= 32 * HUGE_PAGE as u64, "{}", kept_bytes());
    }
    // After 20 the 32 had to go, and after 12 nothing; 20 + 12 are as many, so after 6 the 20 went.
    assert_eq!(kept_bytes(), (12 + 6 + 3 + 1) * HUGE_PAGE as u64);
}
