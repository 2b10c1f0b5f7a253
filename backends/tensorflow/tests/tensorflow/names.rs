//! Tensors within a graph, fed and fetched by their names.

use crate::support::{floats, input, lent, names, open_with, path_of, run, run_list, try_open};
use graphpiped_backend_conformance::{Aligned, Watched};

#[test]
fn any_tensor_of_a_graph_can_be_fetched() {
    // x = 1, 2: one more is 2, 3; twice that is 4, 6; of which the second half is 6.
    let model = open_with("layers.pb", &names(&[], &["hidden/add", "halves:1", "hidden/twice:0", "high"]));
    let shown: Vec<_> = model.signature().outputs.iter().map(ToString::to_string).collect();
    let expected =
        ["hidden/add float32 [?, 2]", "halves:1 float32 [?, 1]", "hidden/twice float32 [?, 2]", "high float32 [?, 1]"];
    assert_eq!(shown, expected, "`:0` is left out");
    let produced = run(&mut *model.instance().expect("an instance"), &floats(&[1.0, 2.0]), &[1, 2], &[0, 1, 2, 3]);
    let produced: Vec<_> = produced.expect("it runs").iter().map(|produced| lent(produced).0).collect();
    assert_eq!(produced, [vec![2.0, 3.0], vec![6.0], vec![4.0, 6.0], vec![-6.0]]);
}

#[test]
fn any_tensor_of_a_graph_can_be_fed() {
    let model = open_with("layers.pb", &names(&["hidden/add:0"], &[]));
    assert_eq!(model.signature().inputs[0].to_string(), "hidden/add float32 [?, 2]");
    let produced = run(&mut *model.instance().expect("an instance"), &floats(&[10.0, 20.0]), &[1, 2], &[0, 1]);
    let produced: Vec<_> = produced.expect("it runs").iter().map(|produced| lent(produced).0).collect();
    assert_eq!(produced, [[-20.0], [-40.0]]);

    // One of the tensors that an operation gives, and what comes of it alone.
    let model = open_with("layers.pb", &names(&["halves:1"], &["high"]));
    let produced = run(&mut *model.instance().expect("an instance"), &floats(&[7.0]), &[1, 1], &[0]).expect("it runs");
    assert_eq!(lent(&produced[0]).0, [-7.0]);
}

#[test]
fn a_default_of_a_placeholder_holds_until_it_is_named_as_an_input() {
    let model = open_with("layers.pb", &names(&["x", "factor"], &["hidden/twice"]));
    assert_eq!(model.signature().inputs[1].to_string(), "factor float32 []");
    let pieces = [[1.0_f32, 2.0].map(f32::to_le_bytes).concat(), 10.0_f32.to_le_bytes().to_vec()];
    let memory = Watched::new(pieces.iter().map(|bytes| Aligned::of(bytes)).collect());
    // In another order than that of the signature.
    let inputs = [input(1, &[], memory.piece(1)), input(0, &[1, 2], memory.piece(0))];
    let produced = run_list(&mut *model.instance().expect("an instance"), &memory, &inputs, &[0]).expect("it runs");
    assert_eq!(lent(&produced[0]).0, [20.0, 30.0]);
}

#[test]
fn names_that_are_not_in_the_graph_or_come_twice_are_refused() {
    let cases: [(&str, &[&str], &[&str], &str); 9] = [
        ("layers.pb", &["absent"], &[], "there is no tensor absent in its graph; check the name"),
        ("layers.pb", &[], &["hidden"], "there is no tensor hidden in its graph; check the name"),
        ("layers.pb", &[], &["halves:2"], "there is no tensor halves:2 in its graph; check the name"),
        ("layers.pb", &[], &["halves:-1"], "there is no tensor halves:-1 in its graph; check the name"),
        ("layers.pb", &["x\0"], &[], "there is no tensor x? in its graph; check the name"),
        ("layers.pb", &["x", "x:0"], &[], "input x is named twice; name it once"),
        ("layers.pb", &[], &["high", "high:0"], "output high is named twice; name it once"),
        ("weighted", &["x", "serving_default_x"], &[], "two inputs are the tensor serving_default_x; name one of them"),
        (
            "complex_output.pb",
            &[],
            &["y", "c"],
            "output c is a tensor of complex numbers, which GraphPipe cannot carry; leave it out",
        ),
    ];
    for (model, inputs, outputs, expected) in cases {
        let path = path_of(model);
        let error = try_open(&path, &names(inputs, outputs)).err().expect("it is refused");
        assert_eq!(error.to_string(), format!("{}: {expected}", path.display()));
    }
}
