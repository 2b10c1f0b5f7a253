//! Every element type of the protocol, in and out, bit for bit.

use crate::support::{bytes_of, input, instance, open, prepared, run_one, slot, unkept};
use graphpipe_schema::{DType, Shape};
use graphpiped_backend_api::{Elements, Input, Produced};
use graphpiped_backend_conformance::Aligned;

/// Rank 0, empty in each way, and as many dimensions as the protocol has.
const SHAPES: [&[i64]; 7] =
    [&[], &[1], &[5], &[0], &[0, 3], &[2, 0], &[2, 1, 1, 1, 1, 1, 1, 1, 3, 1, 1, 1, 1, 1, 1, 2]];

/// Bytes of every value, the signalling NaNs and negative zeros of each float type among them.
fn pattern(dtype: DType, shape: &[i64]) -> Aligned {
    let bytes = Shape::new(shape).and_then(|shape| shape.bytes(dtype)).expect("a shape of a test") as usize;
    let byte = |at: usize| if dtype == DType::Bool { (at % 2) as u8 } else { 0xff_u8.wrapping_sub((at * 37) as u8) };
    Aligned::of(&(0..bytes).map(byte).collect::<Vec<_>>())
}

#[test]
fn the_elements_of_every_type_and_rank_come_back_as_they_were() {
    for dtype in DType::ALL.into_iter().filter(|dtype| dtype.size().is_some()) {
        let mut instance = instance(&format!("identity_{dtype}"));
        for shape in SHAPES {
            let bytes = pattern(dtype, shape);
            let inputs = [input(0, dtype, shape, &bytes)];
            let mut slots = [slot(0)];
            instance.run(&unkept(&inputs), &mut slots).unwrap_or_else(|error| panic!("{dtype} {shape:?}: {error}"));
            assert_eq!(bytes_of(&slots[0], &inputs), (bytes.as_ref(), shape.to_vec()), "{dtype}");
            match &slots[0].produced {
                Some(Produced::Lent { dtype: lent, .. }) => assert_eq!(*lent, dtype),
                other => panic!("{dtype} {shape:?}: {other:?}"),
            }
        }
    }
}

#[test]
fn the_elements_of_every_type_and_rank_are_written_in_place() {
    for dtype in DType::ALL.into_iter().filter(|dtype| dtype.size().is_some()) {
        let mut instance = instance(&format!("identity_{dtype}"));
        for shape in SHAPES {
            let bytes = pattern(dtype, shape);
            let mut memory = Aligned::of(&vec![0xee; bytes.as_ref().len()]);
            let mut slots = [prepared(0, shape, &mut memory)];
            let run = instance.run(&unkept(&[input(0, dtype, shape, &bytes)]), &mut slots);
            run.unwrap_or_else(|error| panic!("{dtype} {shape:?}: {error}"));
            assert!(matches!(slots[0].produced, Some(Produced::InPlace)), "{dtype} {shape:?}: {slots:?}");
            assert_eq!(memory.as_ref(), bytes.as_ref(), "{dtype} {shape:?}");
        }
    }
}

#[test]
fn the_signature_tells_every_type() {
    for dtype in DType::ALL {
        let model = open(&format!("identity_{dtype}"));
        assert_eq!(model.signature().inputs[0].to_string(), format!("x {dtype} […]"));
        assert_eq!(model.signature().outputs[0].to_string(), format!("y {dtype} […]"));
    }
}

fn strings<'a>(shape: &'a [i64], elements: &'a [&'a [u8]]) -> Input<'a> {
    Input { index: 0, dtype: DType::String, shape, elements: Elements::Strings(elements) }
}

fn run_strings(model: &str, shape: &[i64], elements: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<i64>) {
    match run_one(&mut *instance(model), &[strings(shape, elements)]) {
        Ok(Produced::Strings { shape, elements }) => (elements, shape.to_vec()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn strings_of_any_bytes_come_back_as_they_were() {
    let long = vec![b'x'; 100_000];
    let elements: [&[u8]; 6] = [b"", b"one", b"a\0b\0", b"\xff\xfe\0\x80", "Gr\u{fc}\u{df}e".as_bytes(), &long];
    let expected: Vec<_> = elements.iter().map(|element| element.to_vec()).collect();
    assert_eq!(run_strings("identity_string", &[6], &elements), (expected.clone(), vec![6]));
    assert_eq!(run_strings("identity_string", &[3, 2], &elements), (expected, vec![3, 2]));
}

#[test]
fn strings_of_rank_0_and_none_at_all_come_back() {
    assert_eq!(run_strings("identity_string", &[], &[b"alone"]), (vec![b"alone".to_vec()], vec![]));
    assert_eq!(run_strings("identity_string", &[], &[b""]), (vec![Vec::new()], vec![]));
    assert_eq!(run_strings("identity_string", &[0], &[]), (Vec::new(), vec![0]));
    assert_eq!(run_strings("identity_string", &[2, 0], &[]), (Vec::new(), vec![2, 0]));
}

#[test]
fn an_operator_sees_the_bytes_of_strings_and_their_ends() {
    let (elements, shape) = run_strings("string_twice", &[3], &[b"ab", b"", b"\0c"]);
    assert_eq!(elements, [b"abab".to_vec(), Vec::new(), b"\0c\0c".to_vec()]);
    assert_eq!(shape, [3]);
}
