//! Runs: variables, strings, loops, and outputs in every combination.

use crate::support::{floats, input, lent, open, run, run_list};
use graphpipe_schema::DType;
use graphpiped_backend_api::{Elements, Input, Instance, Produced};
use graphpiped_backend_conformance::{Aligned, Watched};

fn instance(name: &str) -> Box<dyn Instance> {
    open(name).instance().expect("an open model has instances")
}

#[test]
fn variables_are_restored() {
    for name in ["weighted", "weighted_v1"] {
        let produced = run(&mut *instance(name), &floats(&[1.0, 1.0, 10.0, 10.0]), &[2, 2], &[0]).expect("it runs");
        assert_eq!(lent(&produced[0]), (vec![2.0, 3.0, 20.0, 30.0], vec![2, 2]), "{name}");
    }
}

fn strings<'a>(index: usize, shape: &'a [i64], elements: &'a [&'a [u8]]) -> Input<'a> {
    Input { index, dtype: DType::String, shape, elements: Elements::Strings(elements) }
}

#[test]
fn an_operator_sees_the_bytes_of_strings_and_their_ends() {
    // TensorFlow keeps up to 22 bytes in the element itself, and more elsewhere.
    let long = vec![b'x'; 100_000];
    let (a, b): ([&[u8]; 5], [&[u8]; 5]) =
        ([b"ab", b"", b"\0c", b"0123456789012345678901", &long], [b"", b"", b"\0", b"2", b"y"]);
    let inputs = [strings(0, &[5], &a), strings(1, &[5], &b)];
    let produced = run_list(&mut *instance("strings"), &Watched::new(vec![]), &inputs, &[0, 1, 0]).expect("it runs");
    let expected: Vec<Vec<u8>> = a.iter().zip(&b).map(|(a, b)| [*a, *b].concat()).collect();
    for produced in [&produced[0], &produced[2]] {
        let Produced::Strings { shape, elements } = produced else { panic!("{produced:?}") };
        assert_eq!((&shape[..], elements), (&[5][..], &expected));
    }
    let Produced::Lent { dtype: DType::Int32, owner, .. } = &produced[1] else { panic!("{:?}", produced[1]) };
    let lengths: Vec<_> = [2_i32, 0, 2, 22, 100_000].iter().flat_map(|length| length.to_le_bytes()).collect();
    assert_eq!((**owner).as_ref(), lengths);
}

#[test]
fn strings_of_any_rank_come_back() {
    let cases: [(&[i64], &[&[u8]]); 4] =
        [(&[], &[b"alone"]), (&[0], &[]), (&[2, 0], &[]), (&[2, 2], &[b"a", b"b", b"\xff", b""])];
    for (shape, elements) in cases {
        let inputs = [strings(0, shape, elements)];
        let produced = run_list(&mut *instance("identity_string.pb"), &Watched::new(vec![]), &inputs, &[0]);
        match &produced.expect("it runs")[0] {
            Produced::Strings { shape: found, elements: given } => {
                assert_eq!(
                    (&found[..], given.as_slice()),
                    (shape, &*elements.iter().map(|e| e.to_vec()).collect::<Vec<_>>())
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn outputs_are_right_in_every_combination_and_order() {
    // More combinations than are fetched as they come.
    let mut instance = instance("fan.pb");
    let memory = floats(&[0.5]);
    for combination in 1..1024_usize {
        let mut outputs: Vec<usize> = (0..10).filter(|output| combination >> output & 1 == 1).collect();
        if combination % 2 == 1 {
            outputs.reverse();
        }
        let produced = run(&mut *instance, &memory, &[1], &outputs).expect("it runs");
        for (output, produced) in outputs.iter().zip(&produced) {
            let found = match produced {
                // 0.5 and 0 is the input itself, if TensorFlow notices.
                Produced::OfInput { position: 0, start: 0, .. } => vec![0.5],
                other => lent(other).0,
            };
            assert_eq!(found, [0.5 + *output as f32], "output {output} of {combination:b}");
        }
    }
}

#[test]
fn a_long_loop_needs_no_deep_stack() {
    // The thread of a test has 2 MiB, as executors have.
    let memory = Watched::new(vec![Aligned::of(&100_000_i64.to_le_bytes())]);
    let inputs = [Input { dtype: DType::Int64, ..input(0, &[], memory.piece(0)) }];
    let produced = run_list(&mut *instance("loop"), &memory, &inputs, &[0]).expect("it runs");
    let Produced::Lent { dtype: DType::Int64, owner, .. } = &produced[0] else { panic!("{:?}", produced[0]) };
    assert_eq!((**owner).as_ref(), 5_000_050_000_i64.to_le_bytes());
}

#[test]
fn tensors_of_every_shape_come_back() {
    for name in ["identity_float32", "identity_float64.pb"] {
        let model = open(name);
        let dtype = model.signature().inputs[0].dtype;
        let size = dtype.size().expect("it has a size");
        for shape in [&[][..], &[1], &[0], &[0, 3], &[2, 0], &[2, 1, 1, 1, 1, 1, 1, 1, 3, 1, 1, 1, 1, 1, 1, 2]] {
            let count = shape.iter().product::<i64>() as usize;
            let bytes: Vec<u8> = (0..count * size).map(|at| 0xff_u8.wrapping_sub((at * 37) as u8)).collect();
            let memory = Watched::new(vec![Aligned::of(&bytes)]);
            let inputs = [Input { dtype, ..input(0, shape, memory.piece(0)) }];
            let produced = run_list(&mut *model.instance().expect("an instance"), &memory, &inputs, &[0]);
            match &produced.expect("it runs")[0] {
                Produced::OfInput { position: 0, start: 0, shape: found, dtype: same } if count > 0 => {
                    assert_eq!((&found[..], *same), (shape, dtype));
                }
                Produced::Lent { shape: found, owner, .. } if count == 0 => {
                    assert_eq!((&found[..], (**owner).as_ref()), (shape, &[][..]));
                }
                other => panic!("{name} {shape:?}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_model_that_takes_nothing_gives_something() {
    let model = open("dice.pb");
    assert!(model.signature().inputs.is_empty());
    let produced = run_list(&mut *model.instance().expect("an instance"), &Watched::new(vec![]), &[], &[0]);
    let (numbers, shape) = lent(&produced.expect("it runs")[0]);
    assert!(shape == [2] && numbers.iter().all(|number| (0.0..1.0).contains(number)), "{numbers:?}");
}

#[test]
fn a_graph_that_was_made_on_a_graphics_card_runs_on_the_cpu() {
    let produced = run(&mut *instance("elsewhere.pb"), &floats(&[3.0]), &[1], &[0]).expect("it runs");
    assert_eq!(lent(&produced[0]).0, [-3.0]);
}
