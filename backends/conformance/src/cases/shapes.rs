//! Shapes: no axes, no elements, axes of any size.

use super::{assert_one_line, inner};
use crate::scene::{Asked, Scene};
use crate::{Kind, Subject};
use graphpiped_backend_api::Options;

/// Rank 0; or a model of it is refused.
pub fn a_tensor_without_axes_is_one_number(subject: &impl Subject) {
    if !subject.capabilities().scalars {
        if let Some(path) = subject.model(Kind::Scalar) {
            let opened = subject.backend().open(&path, &Options::default());
            assert_one_line(&opened.err().expect("scalars are not declared").to_string());
        }
        return;
    }
    let found = Scene::open(subject, Kind::Scalar).run(&[Asked::floats(0, &[], &[7.5])], &[0]);
    assert_eq!((found[0].shape.as_slice(), found[0].numbers()), (&[][..], vec![-7.5]));
}

/// A batch of no rows; or it is refused, and the next one is not.
pub fn a_tensor_without_elements_gives_one_without_elements(subject: &impl Subject) {
    let scene = Scene::open(subject, Kind::Double);
    let mut instance = scene.instance();
    let found = scene.try_run(&mut *instance, &[Asked::floats(0, &[0, 4], &[])], &[0]);
    if subject.capabilities().empty {
        let found = found.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((found[0].shape.as_slice(), found[0].numbers()), (&[0, 4][..], vec![]));
    } else {
        assert_one_line(&found.expect_err("it is not declared").to_string());
    }
    let found = scene.try_run(&mut *instance, &[Asked::floats(0, &[1, 4], &[1.0, 2.0, 3.0, 4.0])], &[0]);
    assert_eq!(found.expect("a plain row")[0].numbers(), [2.0, 4.0, 6.0, 8.0]);
}

/// Batches of many sizes with one instance, and inner axes where they may.
pub fn every_axis_that_may_have_any_size_may(subject: &impl Subject) {
    let scene = Scene::open(subject, Kind::Double);
    let mut instance = scene.instance();
    for rows in [1, 3, 2, 64, 1, 7] {
        let values: Vec<f32> = (0..rows * 4).map(|value| value as f32).collect();
        let found = scene.try_run(&mut *instance, &[Asked::floats(0, &[rows, 4], &values)], &[0]);
        let found = found.unwrap_or_else(|error| panic!("{rows} rows: {error}"));
        let doubled: Vec<f64> = values.iter().map(|value| f64::from(value + value)).collect();
        assert_eq!((found[0].shape.as_slice(), found[0].numbers()), (&[rows, 4][..], doubled));
    }
    let sizes: &[i64] = if subject.capabilities().dynamic_inner_axes { &[1, 5, 2] } else { &[inner(subject)] };
    let scene = Scene::open(subject, Kind::TwoByTwo);
    let mut instance = scene.instance();
    for &size in sizes {
        let count = size as usize;
        let (a, b) = (vec![3.0; count], vec![2.0; count]);
        let inputs = [Asked::floats(0, &[1, size], &a), Asked::floats(1, &[1, size], &b)];
        let found = scene.try_run(&mut *instance, &inputs, &[0]).unwrap_or_else(|error| panic!("{size}: {error}"));
        assert_eq!((found[0].shape.as_slice(), found[0].numbers()), (&[1, size][..], vec![5.0; count]));
    }
}
