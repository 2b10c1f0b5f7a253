//! What a framework must not be given: inputs that are not what the signature says, elements that are not what their shape
//! says, and values that their type does not have.
//!
//! Admission has refused such requests before anything was received. This is the last door in front of code that believes
//! what it is told and reads outside of what it was given if that is wrong; so it is asked again here, by every backend whose
//! framework does not ask itself. What never will be here: what one framework alone cannot do.

use crate::{Elements, Input, OutputSlot, RunError, Signature, TensorSpec};
use graphpipe_schema::{DType, Shape};

/// Finds where in the list each input of the signature is, of which none may be missing, and none given twice.
pub fn places(signature: &Signature, inputs: &[Input<'_>], places: &mut Vec<usize>) -> Result<(), RunError> {
    places.clear();
    places.resize(signature.inputs.len(), NOWHERE);
    for (position, input) in inputs.iter().enumerate() {
        let Some(place) = places.get_mut(input.index) else {
            return Err(RunError::Model(format!("the model has no input {}", input.index)));
        };
        if std::mem::replace(place, position) != NOWHERE {
            return Err(of(&signature.inputs[input.index], "it is given twice"));
        }
    }
    match places.iter().position(|place| *place == NOWHERE) {
        Some(index) => Err(RunError::Model(format!("input {} is missing", signature.inputs[index].name))),
        None => Ok(()),
    }
}

/// No list is as long.
const NOWHERE: usize = usize::MAX;

/// Whether the signature has each output that is asked for.
pub fn outputs(signature: &Signature, slots: &[OutputSlot<'_>]) -> Result<(), RunError> {
    match slots.iter().find(|slot| slot.index >= signature.outputs.len()) {
        Some(slot) => Err(RunError::Model(format!("the model has no output {}", slot.index))),
        None => Ok(()),
    }
}

/// Whether an input is of the type and shape that the signature says, with values that the type has. How many bytes it has is
/// not looked at: see [`sized`].
pub fn input(spec: &TensorSpec, input: &Input<'_>) -> Result<(), RunError> {
    // What its elements are counts, whatever it says of itself.
    let came = match input.elements {
        Elements::Strings(_) => DType::String,
        Elements::Bytes(_) => input.dtype,
    };
    if came != spec.dtype {
        return Err(of(spec, &format!("it is {came}, and the model takes {}", spec.dtype)));
    }
    if !spec.admits(input.shape) {
        return Err(of(spec, &format!("its shape is {:?}, and the model takes {spec}", input.shape)));
    }
    bools(spec, input)
}

/// Whether an input that is of bools has no others than 0 and 1. To C++ any other byte in a bool is undefined behaviour, and
/// the client wrote these bytes: so it is the request's fault.
pub fn bools(spec: &TensorSpec, input: &Input<'_>) -> Result<(), RunError> {
    let (DType::Bool, Elements::Bytes(bytes)) = (input.dtype, input.elements) else { return Ok(()) };
    match bytes.iter().position(|&byte| byte > 1) {
        Some(at) => {
            let byte = bytes[at];
            Err(RunError::Request(format!("input {}: element {at} is {byte}, and a bool is 0 or 1", spec.name)))
        }
        None => Ok(()),
    }
}

fn of(spec: &TensorSpec, cause: &str) -> RunError {
    RunError::Model(format!("input {}: {cause}", spec.name))
}

/// The shape, if a tensor of it has exactly so many bytes.
pub fn sized(dtype: DType, shape: &[i64], bytes: usize) -> Result<Shape, String> {
    let sized = Shape::new(shape).filter(|shape| shape.bytes(dtype) == Some(bytes as u64));
    sized.ok_or_else(|| format!("{bytes} bytes are not a {dtype} tensor of shape {shape:?}"))
}

/// The shape, if a tensor of it has exactly so many strings.
pub fn counted(shape: &[i64], strings: usize) -> Result<Shape, String> {
    let counted = Shape::new(shape).filter(|shape| shape.elements() == Some(strings as u64));
    counted.ok_or_else(|| format!("{strings} strings are not a tensor of shape {shape:?}"))
}

/// Whether elements that begin here are aligned to their size.
pub fn aligned(dtype: DType, start: *const u8) -> Result<(), String> {
    if start.addr().is_multiple_of(dtype.size().unwrap_or(1)) {
        Ok(())
    } else {
        Err(format!("its elements are not aligned to the size of a {dtype}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dim;

    /// `a` float32 `[N, 4]`, `b` bool of any shape → `y`.
    fn signature() -> Signature {
        let spec = |name: &str, dtype, dims| TensorSpec { name: name.into(), dtype, dims };
        let dims = vec![Dim::Symbol("N".into()), Dim::Fixed(4)];
        Signature {
            inputs: vec![spec("a", DType::Float32, Some(dims)), spec("b", DType::Bool, None)],
            outputs: vec![spec("y", DType::Float32, None)],
            variadic: false,
        }
    }

    fn given<'a>(index: usize, dtype: DType, shape: &'a [i64], bytes: &'a [u8]) -> Input<'a> {
        Input { index, dtype, shape, elements: Elements::Bytes(bytes) }
    }

    fn model(words: &str) -> RunError {
        RunError::Model(words.into())
    }

    #[test]
    fn every_input_is_found_once_wherever_it_stands() {
        let [a, b] = [0, 1].map(|index| given(index, DType::Bool, &[], &[]));
        let mut found = vec![7; 7];
        let mut place = |list: &[Input<'_>]| places(&signature(), list, &mut found).map(|()| found.clone());
        assert_eq!(place(&[a, b]), Ok(vec![0, 1]));
        assert_eq!(place(&[b, a]), Ok(vec![1, 0]));
        assert_eq!(place(&[b]), Err(model("input a is missing")));
        assert_eq!(place(&[a, b, a]), Err(model("input a: it is given twice")));
        assert_eq!(place(&[a, Input { index: 2, ..b }]), Err(model("the model has no input 2")));
        assert_eq!(
            place(&[a, Input { index: usize::MAX, ..b }]),
            Err(model("the model has no input 18446744073709551615"))
        );
    }

    #[test]
    fn an_output_that_there_is_not_is_named() {
        let slot = |index| OutputSlot { index, prepared: None, produced: None };
        assert_eq!(outputs(&signature(), &[slot(0), slot(0)]), Ok(()));
        assert_eq!(outputs(&signature(), &[slot(0), slot(1)]), Err(model("the model has no output 1")));
    }

    #[test]
    fn an_input_is_of_the_type_and_the_shape_of_the_signature() {
        let a = &signature().inputs[0];
        let of = |shape: &[i64]| input(a, &given(0, DType::Float32, shape, &[]));
        assert_eq!((of(&[3, 4]), of(&[0, 4])), (Ok(()), Ok(())));
        for shape in [[3, 5].as_slice(), &[4], &[3, 4, 1], &[], &[-1, 4], &[3, -4]] {
            let words = format!("input a: its shape is {shape:?}, and the model takes a float32 [N, 4]");
            assert_eq!(of(shape), Err(model(&words)));
        }
        let integers = given(0, DType::Int32, &[3, 4], &[]);
        assert_eq!(input(a, &integers), Err(model("input a: it is int32, and the model takes float32")));
        let strings = Input { elements: Elements::Strings(&[]), ..given(0, DType::Float32, &[0, 4], &[]) };
        assert!(input(a, &strings).is_err());
    }

    #[test]
    fn a_bool_is_0_or_1_and_any_other_is_the_requests_fault() {
        let b = &signature().inputs[1];
        assert_eq!(input(b, &given(1, DType::Bool, &[3], &[0, 1, 0])), Ok(()));
        let words = "input b: element 2 is 255, and a bool is 0 or 1";
        assert_eq!(input(b, &given(1, DType::Bool, &[4], &[0, 1, 255, 2])), Err(RunError::Request(words.into())));
        assert_eq!(bools(b, &given(1, DType::Uint8, &[1], &[2])), Ok(()), "another type has other values");
    }

    #[test]
    fn elements_are_as_many_as_the_shape_says_and_aligned() {
        assert_eq!(sized(DType::Float32, &[2, 3], 24).map(|shape| shape.to_vec()), Ok(vec![2, 3]));
        for shape in [[2, 4].as_slice(), &[-2, -3], &[i64::MAX, 3], &[6; 17]] {
            let words = format!("24 bytes are not a float32 tensor of shape {shape:?}");
            assert_eq!(sized(DType::Float32, shape, 24).expect_err("another size"), words);
        }
        assert!(counted(&[2], 2).is_ok());
        for shape in [[3].as_slice(), &[1], &[-2], &[i64::MAX, 2]] {
            let words = format!("2 strings are not a tensor of shape {shape:?}");
            assert_eq!(counted(shape, 2).expect_err("another number"), words);
        }
        let start = std::ptr::without_provenance(68);
        assert_eq!(aligned(DType::Float32, start), Ok(()));
        let words = "its elements are not aligned to the size of a int64";
        assert_eq!(aligned(DType::Int64, start), Err(words.into()));
    }
}
