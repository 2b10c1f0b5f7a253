//! Element types: what is declared comes back as it went in, to the last bit; what is not is refused.

use super::assert_one_line;
use crate::scene::{Asked, Content, Scene};
use crate::values::edges;
use crate::{Kind, Subject};
use graphpipe_schema::DType;
use graphpiped_backend_api::{Options, RunError};

/// Numbers, by a model that gives back what it gets.
pub fn every_declared_type_comes_back_bit_for_bit(subject: &impl Subject) {
    for &dtype in subject.capabilities().dtypes.iter().filter(|dtype| dtype.size().is_some()) {
        let scene = Scene::open(subject, Kind::Identity(dtype));
        let signature = scene.model.signature();
        assert_eq!((signature.inputs[0].dtype, signature.outputs[0].dtype), (dtype, dtype));
        let bytes = edges(dtype);
        let found = scene.run(&[Asked::bytes(0, dtype, &[5], bytes.clone())], &[0]);
        assert_eq!((found[0].shape.as_slice(), &found[0].content), (&[5][..], &Content::Bytes(bytes)), "{dtype}");
        assert_eq!(found[0].dtype, Some(dtype));
    }
}

/// Where the format can say it at all, when the model is opened.
pub fn a_type_that_is_not_declared_is_refused(subject: &impl Subject) {
    let declared = subject.capabilities().dtypes;
    for dtype in DType::ALL.into_iter().filter(|dtype| !declared.contains(dtype)) {
        let Some(path) = subject.model(Kind::Identity(dtype)) else { continue };
        let Err(error) = subject.backend().open(&path, &Options::default()) else {
            panic!("{dtype} is not declared, and {} is opened", path.display());
        };
        assert_one_line(&error.to_string());
    }
}

/// Empty ones, with NUL, and ones that are no text; or none at all.
pub fn strings_of_any_bytes_come_back(subject: &impl Subject) {
    let strings: [&[u8]; 5] = [b"", b"plain", b"with\0NUL", "Grüße 🦀".as_bytes(), b"\xff\xfe\0"];
    if !subject.capabilities().dtypes.contains(&DType::String) {
        // Nobody should be able to send any to a model of numbers, but a backend trusts nobody.
        let scene = Scene::open(subject, Kind::Double);
        let error = scene.try_run(&mut *scene.instance(), &[Asked::strings(0, &strings)], &[0]);
        return assert_one_line(&error.expect_err("these are no numbers").to_string());
    }
    let scene = Scene::open(subject, Kind::Identity(DType::String));
    let found = scene.run(&[Asked::strings(0, &strings)], &[0]);
    assert_eq!(found[0].shape, [5]);
    assert_eq!(found[0].content, Content::Strings(strings.map(<[u8]>::to_vec).to_vec()));
    let found = scene.run(&[Asked::strings(0, &[])], &[0]);
    assert_eq!((found[0].shape.as_slice(), &found[0].content), (&[0][..], &Content::Strings(Vec::new())));
}

/// To C++, any other byte in a bool is undefined behaviour.
pub fn a_bool_that_is_neither_0_nor_1_is_the_requests_fault(subject: &impl Subject) {
    if !subject.capabilities().dtypes.contains(&DType::Bool) {
        return a_type_that_is_not_declared_is_refused(subject);
    }
    let scene = Scene::open(subject, Kind::Identity(DType::Bool));
    let mut instance = scene.instance();
    let bad = Asked::bytes(0, DType::Bool, &[3], vec![0, 1, 2]);
    match scene.try_run(&mut *instance, &[bad], &[0]) {
        Err(RunError::Request(message)) => assert_one_line(&message),
        other => panic!("{other:?}"),
    }
    let good = Asked::bytes(0, DType::Bool, &[3], vec![0, 1, 1]);
    let found = scene.try_run(&mut *instance, &[good], &[0]).expect("these are bools");
    assert_eq!(found[0].content, Content::Bytes(vec![0, 1, 1]));
}
