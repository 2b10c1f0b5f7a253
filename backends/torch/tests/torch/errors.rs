//! What a bad file or a bad run gets: one line, with PyTorch's own words.

use crate::support::{backend, floats, instance, path_of, run};
use graphpiped_backend_api::{Backend, OpenError, Options, RunError};
use graphpiped_backend_conformance::{change_every_byte, refused};
use graphpiped_backend_torch::{Locations, TorchBackend};
use std::path::Path;

fn refused_model(file: &str) -> String {
    let path = path_of(file);
    let message = refused(&backend(), &path, &Options::default());
    message.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&message).to_string()
}

#[test]
fn files_of_pytorch_that_hold_no_code_are_told_apart() {
    let cases = [
        ("exported.pt2", "is a package of torch.export, for which libtorch has no interpreter; export the model to"),
        (
            "weights.pt",
            "holds weights only and no program, as torch.save writes it; make a program of the model with torch.jit.script",
        ),
        (
            "packaged.pt2",
            "is a package of AOTInductor, which is machine code that may do whatever the daemon may; if you",
        ),
    ];
    for (file, expected) in cases {
        let message = refused_model(file);
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn a_file_of_a_newer_version_is_named_so() {
    let message = refused_model("newer.pt");
    assert!(message.starts_with("it cannot be loaded; PyTorch 2.11.0 says: Attempted"), "{message}");
    assert!(message.contains("version 99") && message.contains("maximum supported version"), "{message}");
    assert!(message.ends_with("; save it with this version of PyTorch or an older one"), "{message}");
}

#[test]
fn a_model_without_a_description_says_how_to_get_one() {
    let message = refused_model("undescribed.pt");
    assert!(message.starts_with("what it takes and gives has to be described in "), "{message}");
    assert!(message.contains("undescribed.toml, which is not there; `graphpiped check "), "{message}");
}

#[test]
fn a_description_that_does_not_belong_to_the_model_is_refused() {
    let message = refused_model("described_with_one_input_less.pt");
    assert!(
        message.ends_with("input_less.toml: describes 1 input, and forward takes 2 (a, b); describe each of them"),
        "{message}"
    );
    let message = refused_model("identity_string.pt");
    assert!(message.contains("identity_string.toml: line 3: PyTorch has no type \"string\"; it has "), "{message}");
}

#[test]
fn no_flipped_or_missing_byte_of_a_model_does_worse_than_an_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("m.pt");
    std::fs::copy(path_of("two_by_two.toml"), folder.path().join("m.toml")).expect("a description");
    std::fs::copy(path_of("two_by_two.pt"), &path).expect("a model");
    change_every_byte(&backend(), &path, &path, 0x55, 1);
}

#[test]
fn an_absent_file_is_reported_even_without_the_library() {
    let nowhere = Locations { explicit: Some("/no/such".into()), ..Default::default() };
    let error = TorchBackend::new(nowhere).open(Path::new("/no/such.pt"), &Options::default());
    let error = error.err().expect("there is no such file");
    assert!(matches!(&error, OpenError::Model(message) if message.starts_with("/no/such.pt: ")), "{error}");
}

#[test]
fn what_a_model_raises_is_told_in_its_words() {
    let mut instance = instance("raising");
    for _ in 0..3 {
        let error = run(&mut *instance, &[floats(&[3, 4], &[0.0; 12])], &[0]).expect_err("it raises");
        assert!(matches!(&error, RunError::Model(words) if words.contains("more than two rows")), "{error:?}");
        assert!(!error.to_string().contains('\n') && !error.to_string().contains("Traceback"), "{error}");
        assert_eq!(run(&mut *instance, &[floats(&[1, 4], &[0.0; 4])], &[0]).expect("one row")[0].floats(), [1.0; 4]);
    }
}

#[test]
fn an_operators_refusal_is_told_without_the_way_to_it() {
    let error = run(&mut *instance("pairs"), &[floats(&[3, 4], &[0.0; 12])], &[0]).expect_err("no pairs");
    assert_eq!(error, RunError::Model("shape '[-1, 8]' is invalid for input of size 12".into()));
}

#[test]
fn the_backend_is_named_torch() {
    assert_eq!(backend().name(), "torch");
}
