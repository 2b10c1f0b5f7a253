//! Errors: each in one line, by whose fault it is, and nothing is the worse for it.

use super::assert_one_line;
use crate::scene::{Asked, Scene};
use crate::{Kind, Subject};
use graphpipe_schema::DType;
use graphpiped_backend_api::{OpenError, Options, RunError};
use std::fs;

/// Files that are not there, are empty, or hold something else; and folders.
pub fn what_is_no_model_is_refused_in_one_line(subject: &impl Subject) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("a file");
        path
    };
    let paths = [
        folder.path().join("absent"),
        file("empty", b""),
        file("text", b"not a model, but a text that somebody has written\n"),
        file("noise", &(0..4096_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect::<Vec<_>>()),
        file("zeros", &[0; 4096]),
        folder.path().to_path_buf(),
    ];
    for path in paths {
        let Err(error) = subject.backend().open(&path, &Options::default()) else {
            panic!("{} is opened", path.display());
        };
        let message = error.to_string();
        assert_one_line(&message);
        assert!(matches!(error, OpenError::Model(_)), "{error:?}");
        assert!(message.contains(&path.display().to_string()), "it names the path: {message}");
    }
}

/// Rather than served as if nothing had been said.
pub fn an_option_that_the_format_has_no_use_for_is_refused(subject: &impl Subject) {
    let path = subject.model(Kind::Double).expect("every backend has it");
    let options = Options { signature: Some("no such signature".into()), ..Options::default() };
    let Err(error) = subject.backend().open(&path, &options) else { panic!("it is opened") };
    assert_one_line(&error.to_string());
    assert!(error.to_string().contains("signature"), "{error}");
}

/// Indices, types, shapes and sizes that no admission would let pass.
pub fn a_run_that_cannot_be_is_refused_and_the_next_one_is_sound(subject: &impl Subject) {
    let scene = Scene::open(subject, Kind::Double);
    let mut instance = scene.instance();
    let good = || Asked::floats(0, &[1, 4], &[1.0, 2.0, 3.0, 4.0]);
    let wrong = [
        ("no input", vec![], vec![0]),
        ("an input that there is not", vec![Asked::floats(7, &[1, 4], &[1.0; 4])], vec![0]),
        ("an output that there is not", vec![good()], vec![7]),
        ("another rank", vec![Asked::floats(0, &[4], &[1.0; 4])], vec![0]),
        ("another inner size", vec![Asked::floats(0, &[1, 5], &[1.0; 5])], vec![0]),
        ("fewer bytes than the shape has", vec![Asked::floats(0, &[2, 4], &[1.0; 4])], vec![0]),
        ("another type", vec![Asked::bytes(0, DType::Int64, &[1, 4], vec![0; 32])], vec![0]),
        ("an axis of less than nothing", vec![Asked::floats(0, &[-1, 4], &[])], vec![0]),
    ];
    for (what, inputs, outputs) in wrong {
        let error = match scene.try_run(&mut *instance, &inputs, &outputs) {
            Err(error) => error,
            Ok(found) => panic!("{what}: {found:?}"),
        };
        assert_one_line(&error.to_string());
        let found = scene.try_run(&mut *instance, &[good()], &[0]);
        let found = found.unwrap_or_else(|error| panic!("behind {what}: {error}"));
        assert_eq!(found[0].numbers(), [2.0, 4.0, 6.0, 8.0], "behind {what}");
    }
}

/// In the framework's own words.
pub fn a_model_that_refuses_a_request_says_why(subject: &impl Subject) {
    let scene = Scene::open(subject, Kind::Pairs);
    let mut instance = scene.instance();
    match scene.try_run(&mut *instance, &[Asked::floats(0, &[3, 4], &[1.0; 12])], &[0]) {
        Err(RunError::Model(message)) => assert_one_line(&message),
        other => panic!("{other:?}"),
    }
    let values: Vec<f32> = (0..8_u8).map(f32::from).collect();
    let found =
        scene.try_run(&mut *instance, &[Asked::floats(0, &[2, 4], &values)], &[0]).expect("two rows are a pair");
    assert_eq!((found[0].shape.as_slice(), found[0].numbers()), (&[1, 8][..], (0..8).map(f64::from).collect()));
}
