//! Outputs: which is which, where they are, and how long.

use super::inner;
use crate::memory::Watched;
use crate::scene::{Asked, Scene, UNWRITTEN, watched};
use crate::{Kind, Subject};
use graphpiped_backend_api::{OutputSlot, Produced};

/// By their index in the signature, whatever the order of the request is.
pub fn several_inputs_and_outputs_keep_their_places(subject: &impl Subject) {
    let scene = Scene::open(subject, Kind::TwoByTwo);
    let names =
        |specs: &[graphpiped_backend_api::TensorSpec]| specs.iter().map(|spec| spec.name.clone()).collect::<Vec<_>>();
    let signature = scene.model.signature();
    assert_eq!(names(&signature.inputs), ["a", "b"]);
    assert_eq!(names(&signature.outputs), ["sum", "whole"]);
    let size = inner(subject) as usize;
    let a: Vec<f32> = (1..=2 * size).map(|value| value as f32).collect();
    let b = vec![3.0; 2 * size];
    let shape = [2, size as i64];
    let sums: Vec<f64> = a.iter().map(|value| f64::from(value + 3.0)).collect();
    let products: Vec<f64> = a.iter().map(|value| f64::from(value * 3.0)).collect();
    let in_order = [Asked::floats(0, &shape, &a), Asked::floats(1, &shape, &b)];
    let reversed = [Asked::floats(1, &shape, &b), Asked::floats(0, &shape, &a)];
    for inputs in [&in_order, &reversed] {
        let found = scene.run(inputs, &[0, 1]);
        assert_eq!((found[0].numbers(), found[1].numbers()), (sums.clone(), products.clone()));
        let found = scene.run(inputs, &[1, 0]);
        assert_eq!((found[0].numbers(), found[1].numbers()), (products.clone(), sums.clone()));
        assert_eq!(scene.run(inputs, &[1])[0].numbers(), products);
    }
}

/// A client may do so.
pub fn an_output_that_is_asked_for_twice_is_given_twice(subject: &impl Subject) {
    let scene = Scene::open(subject, Kind::Double);
    let found = scene.run(&[Asked::floats(0, &[1, 4], &[1.0, 2.0, 3.0, 4.0])], &[0, 0]);
    for found in &found {
        assert_eq!((found.shape.as_slice(), found.numbers()), (&[1, 4][..], vec![2.0, 4.0, 6.0, 8.0]));
    }
    assert_eq!(found.len(), 2);
}

/// In place where that is declared; where the result is elsewhere, nobody has written what was prepared.
pub fn memory_that_is_prepared_is_written_or_left_alone(subject: &impl Subject) {
    let scene = Scene::open(subject, Kind::Double);
    let found = scene.run_prepared(&[Asked::floats(0, &[2, 4], &[1.5; 8])], 0, &[2, 4]);
    assert_eq!((found.shape.as_slice(), found.numbers()), (&[2, 4][..], vec![3.0; 8]));
    let is_in_place = matches!(found.how, Produced::InPlace);
    assert_eq!(is_in_place, subject.capabilities().writes_in_place, "{:?}", found.how);
}

/// The daemon predicts shapes from a signature that a model may contradict.
pub fn a_prediction_that_is_wrong_does_no_harm(subject: &impl Subject) {
    let scene = Scene::open(subject, Kind::Double);
    for shape in [&[3, 4][..], &[1, 4], &[8], &[2, 2, 2], &[0, 4]] {
        let found = scene.run_prepared(&[Asked::floats(0, &[2, 4], &[1.5; 8])], 0, shape);
        assert_eq!((found.shape.as_slice(), found.numbers()), (&[2, 4][..], vec![3.0; 8]), "prepared for {shape:?}");
        assert!(!matches!(found.how, Produced::InPlace), "prepared for {shape:?}");
    }
}

/// What a client reads slowly is still there when its model has been given up.
pub fn what_is_lent_outlives_the_instance_and_the_model(subject: &impl Subject) {
    let owner = {
        let scene = Scene::open(subject, Kind::Double);
        let inputs = [Asked::floats(0, &[2, 4], &[1.5; 8])];
        let memory: Watched = watched(&inputs);
        let mut slots = [OutputSlot { index: 0, prepared: None, produced: None }];
        let mut found = scene.run_in(&mut *scene.instance(), &memory, &inputs, &mut slots).expect("it runs");
        match found.pop().expect("one output").how {
            Produced::Lent { owner, .. } => owner,
            other => panic!("nothing was prepared, and it is no input: {other:?}"),
        }
    };
    assert_eq!((*owner).as_ref(), 3.0_f32.to_le_bytes().repeat(8));
    let elsewhere = std::thread::spawn(move || {
        assert_ne!((*owner).as_ref()[0], UNWRITTEN);
        drop(owner);
    });
    elsewhere.join().expect("any thread may give it back");
}
