//! What a signature alone says, in words.

use super::super::claims;
use super::*;
use graphpiped_backend_api::Dim;
use proptest::prelude::*;

/// `N` is a symbol, `?` any size, a number itself; no text at all is an unknown rank.
fn spec(name: &str, dims: Option<&str>) -> TensorSpec {
    let dim = |word: &str| match word.parse() {
        Ok(size) => Dim::Fixed(size),
        Err(_) if word == "?" => Dim::Any,
        Err(_) => Dim::Symbol(word.into()),
    };
    let dims = dims.map(|dims| dims.split_whitespace().map(dim).collect());
    TensorSpec { name: name.to_string(), dtype: DType::Float32, dims }
}

fn signature(inputs: &[Option<&str>], outputs: &[Option<&str>]) -> Signature {
    let specs = |letter: char, all: &[Option<&str>]| {
        all.iter().enumerate().map(|(index, dims)| spec(&format!("{letter}{index}"), *dims)).collect()
    };
    Signature { inputs: specs('x', inputs), outputs: specs('y', outputs), variadic: false }
}

#[test]
fn each_reason_has_its_own_words() {
    let cases = [
        (signature(&[Some("4 8")], &[Some("N")]), "input x0 has a fixed first axis (4)"),
        (signature(&[Some("N 8")], &[Some("1 8")]), "output y0 has a fixed first axis (1)"),
        (signature(&[Some("N 8")], &[Some("N 8"), Some("")]), "output y1 has no axes"),
        (signature(&[None], &[Some("N")]), "input x0 does not say how many axes it has"),
        (
            signature(&[Some("N"), Some("M")], &[Some("N")]),
            "the first axis of input x0 is N, and that of input x1 is M",
        ),
        (
            signature(&[Some("?"), Some("N")], &[Some("K")]),
            "the first axis of input x1 is N, and that of output y0 is K",
        ),
        (signature(&[Some("N 8")], &[Some("N N")]), "N, the number of rows, is also an inner axis of output y0"),
        (signature(&[], &[Some("N")]), "it has no inputs"),
        (signature(&[Some("N")], &[]), "it has no outputs"),
    ];
    for (signature, why) in cases {
        assert_eq!(claims::check(&signature), Err(why.to_string()));
    }
    let variadic = Signature { variadic: true, ..signature(&[Some("N")], &[Some("N")]) };
    assert_eq!(claims::check(&variadic), Err("it takes any number of tensors of any shape".into()));
}

#[test]
fn strings_are_refused_on_either_side() {
    let mut strings = signature(&[Some("N")], &[Some("N")]);
    strings.inputs[0].dtype = DType::String;
    assert_eq!(claims::check(&strings), Err("input x0 holds strings, and rows of strings have no fixed size".into()));
    let mut strings = signature(&[Some("N")], &[Some("N")]);
    strings.outputs[0].dtype = DType::String;
    assert_eq!(claims::check(&strings), Err("output y0 holds strings, and rows of strings have no fixed size".into()));
}

fn any_specs(letter: char) -> impl Strategy<Value = Vec<TensorSpec>> {
    let dim = prop_oneof![
        1 => Just(Dim::Fixed(1)),
        4 => Just(Dim::Symbol("N".into())),
        1 => Just(Dim::Symbol("M".into())),
        2 => Just(Dim::Any),
    ];
    let dims = prop::option::weighted(0.9, prop::collection::vec(dim, 0..3));
    let spec = dims.prop_map(move |dims| TensorSpec { name: letter.to_string(), dtype: DType::Float32, dims });
    prop::collection::vec(spec, 0..3)
}

proptest! {
    #[test]
    fn the_words_and_the_batch_axis_agree(
        inputs in any_specs('x'), outputs in any_specs('y'), variadic in prop::bool::weighted(0.1),
    ) {
        let signature = Signature { inputs, outputs, variadic };
        let has_words = claims::check(&signature).is_err();
        prop_assert_eq!(has_words, signature.batch_axis() != Some(0), "{:?}", signature);
    }
}
