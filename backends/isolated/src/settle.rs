//! What a process says that it produced, compared with what was asked for, and made into outputs of the daemon.
//!
//! The description was copied out of the process by the socket, and is whole; here it is compared with the shapes, positions
//! and areas that it speaks of. Only what fits is used: elements are then copied out of the areas, whatever they are.

use crate::budget::Budget;
use crate::memory::{Area, Copied, counted};
use crate::wire::run::{Given, OutputPlace};
use crate::wire::{Garbage, Reader, strings_in};
use graphpipe_schema::{DType, Shape};
use graphpiped_backend_api::{Elements, Inputs, OutputSlot, Produced};
use std::collections::TryReserveError;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// What a run was asked for.
pub(crate) struct Asked<'a> {
    pub inputs: &'a Inputs<'a>,
    /// Where each output was to go.
    pub places: &'a [OutputPlace],
    /// What copies are counted in.
    pub budget: &'a dyn Budget,
}

/// Why a run has no outputs though the process says that there are some.
#[derive(Debug)]
pub(crate) enum Unsettled {
    /// They cannot be.
    Garbage(Garbage),
    /// There is no memory for them, and why.
    Memory(String),
}

impl From<Garbage> for Unsettled {
    fn from(garbage: Garbage) -> Unsettled {
        Unsettled::Garbage(garbage)
    }
}

impl From<TryReserveError> for Unsettled {
    fn from(error: TryReserveError) -> Unsettled {
        Unsettled::Memory(error.to_string())
    }
}

impl From<io::Error> for Unsettled {
    fn from(error: io::Error) -> Unsettled {
        Unsettled::Memory(error.to_string())
    }
}

/// Sets what a run produced in each slot. Returns how many bytes were copied for that, by the process as well.
pub(crate) fn settle(
    asked: &Asked<'_>,
    given: &[Given],
    slots: &mut [OutputSlot<'_>],
    prepared: Option<&Area>,
    lent: Option<&Area>,
) -> Result<u64, Unsettled> {
    if given.len() != slots.len() || asked.places.len() != slots.len() {
        return Err(Garbage("another number of outputs than was asked for").into());
    }
    let (mut copied, mut lent) = (0, Lent { area: lent, left: lent.map_or(0, Area::bytes), budget: asked.budget });
    for ((given, place), slot) in given.iter().zip(asked.places).zip(slots) {
        let produced = match given {
            Given::InPlace | Given::Copied => {
                let (Some(to), Some((_, range))) = (&mut slot.prepared, &place.prepared) else {
                    return Err(Garbage("an output is in a place that it has not").into());
                };
                if let (Some(area), false) = (prepared, to.bytes.is_empty()) {
                    area.read(range.start, to.bytes);
                    // What the process has copied is counted, too.
                    copied += range.len() as u64 * if matches!(given, Given::Copied) { 2 } else { 1 };
                }
                Produced::InPlace
            }
            Given::Lent { dtype, shape, place } => {
                let bytes = lent.copy(place, size(*dtype, shape)?)?;
                // Twice: by the process, whose framework owns it, and here.
                copied += 2 * place.len() as u64;
                Produced::Lent { shape: *shape, dtype: *dtype, owner: Arc::new(bytes) }
            }
            Given::Strings { shape, place } => {
                let bytes = lent.copy(place, place.len())?;
                copied += 2 * place.len() as u64;
                let count = shape.elements().ok_or(Garbage("strings have no such shape"))?;
                let count = strings_in(bytes.as_ref(), count)?;
                // While they are made; how long an owner of them lives is not known here.
                let _counted = counted(asked.budget, bytes.as_ref().len() + count * size_of::<Vec<u8>>())?;
                Produced::Strings { shape: *shape, elements: strings(bytes.as_ref(), count)? }
            }
            Given::OfInput { position, start, dtype, shape } => {
                let input = asked.inputs.get(*position).ok_or(Garbage("it names an input that there is not"))?;
                let Elements::Bytes(elements) = input.elements else {
                    return Err(Garbage("a part of strings is no output").into());
                };
                let end = start.checked_add(size(*dtype, shape)?);
                if end.is_none_or(|end| end > elements.len()) {
                    return Err(Garbage("an output reaches beyond the input that it is in").into());
                }
                Produced::OfInput { position: *position, start: *start, shape: *shape, dtype: *dtype }
            }
            Given::SameAsInput(position) if *position < asked.inputs.len() => Produced::SameAsInput(*position),
            Given::SameAsInput(_) => return Err(Garbage("it names an input that there is not").into()),
        };
        slot.produced = Some(produced);
    }
    Ok(copied)
}

/// Bytes of such a tensor.
fn size(dtype: DType, shape: &Shape) -> Result<usize, Garbage> {
    let bytes = shape.bytes(dtype).and_then(|bytes| usize::try_from(bytes).ok());
    bytes.ok_or(Garbage("an output has no such shape"))
}

/// The area that outputs are lent in. No two of them lie in the same place, so all of them together are no more than it is.
struct Lent<'a> {
    area: Option<&'a Area>,
    left: usize,
    budget: &'a dyn Budget,
}

impl Lent<'_> {
    /// A copy of what lies at a place, which has to be of this size.
    fn copy(&mut self, place: &Range<usize>, size: usize) -> Result<Copied, Unsettled> {
        if place.len() != size {
            return Err(Garbage("an output is not of the size that its shape has").into());
        }
        if size == 0 {
            return Ok(Copied::new(0, self.budget)?);
        }
        let area = self.area.filter(|area| place.end <= area.bytes());
        let area = area.ok_or(Garbage("an output lies beyond its area"))?;
        self.left = self.left.checked_sub(size).ok_or(Garbage("outputs lie in the same place"))?;
        let mut copied = Copied::new(size, self.budget)?;
        area.read(place.start, copied.as_mut());
        Ok(copied)
    }
}

/// So many strings, each in memory of its own.
fn strings(bytes: &[u8], count: usize) -> Result<Vec<Vec<u8>>, Unsettled> {
    let mut reader = Reader::new(bytes);
    let mut elements = Vec::new();
    elements.try_reserve_exact(count)?;
    for _ in 0..count {
        let string = reader.bytes()?;
        let mut element = Vec::new();
        element.try_reserve_exact(string.len())?;
        element.extend_from_slice(string);
        elements.push(element);
    }
    reader.end()?;
    Ok(elements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::tests::Bytes;
    use graphpiped_backend_api::{Input, Keep, Kept, Prepared};
    use proptest::prelude::*;

    struct Nobody;

    impl Keep for Nobody {
        fn keep(&self) -> Kept {
            panic!("nothing is kept here")
        }
    }

    const NUMBERS: [u8; 32] = [7; 32];

    /// A run with one input of 32 bytes and one of strings, and an output with a place of 16 bytes and one without. Returns what
    /// became of both.
    fn settled(given: &[Given]) -> Result<(Vec<Produced>, [u8; 16], u64), Unsettled> {
        let strings: [&[u8]; 2] = [b"a", b"b"];
        let list = [
            Input { index: 0, dtype: DType::Float32, shape: &[8], elements: Elements::Bytes(&NUMBERS) },
            Input { index: 1, dtype: DType::String, shape: &[2], elements: Elements::Strings(&strings) },
        ];
        let inputs = Inputs::new(&list, &Nobody);
        let mut prepared = Area::to_be_read(1, &Bytes::new(0)).expect("memory");
        prepared.write(256, &[1; 16]);
        let mut lent = Area::to_be_read(1, &Bytes::new(0)).expect("memory");
        lent.write(0, &vec![2; 65_536]);
        let mut with_two = Vec::new();
        crate::wire::write_strings([&b"xy"[..], b""], &mut with_two);
        lent.write(1024, &with_two);
        let shape = Shape::new(&[4]).expect("a shape");
        let mut memory = [0; 16];
        let places =
            [OutputPlace { index: 0, prepared: Some((shape, 256..272)) }, OutputPlace { index: 1, prepared: None }];
        let mut slots = [
            OutputSlot { index: 0, prepared: Some(Prepared { shape, bytes: &mut memory }), produced: None },
            OutputSlot { index: 1, prepared: None, produced: None },
        ];
        let asked = Asked { inputs: &inputs, places: &places, budget: &Bytes::new(0) };
        let copied = settle(&asked, given, &mut slots, Some(&prepared), Some(&lent))?;
        let produced = slots.map(|slot| slot.produced.expect("a run that succeeds sets every slot"));
        Ok((produced.into(), memory, copied))
    }

    fn shape(dims: &[i64]) -> Shape {
        Shape::new(dims).expect("few axes")
    }

    #[test]
    fn sound_answers_are_outputs_and_copies_are_counted() {
        let lent = Given::Lent { dtype: DType::Int64, shape: shape(&[2, 1]), place: 8..24 };
        let (produced, memory, copied) = settled(&[Given::InPlace, lent]).expect("it is sound");
        let Produced::Lent { shape: dims, dtype: DType::Int64, owner } = &produced[1] else { panic!("{produced:?}") };
        assert_eq!((dims.dims(), (**owner).as_ref(), memory, copied), (&[2, 1][..], &[2; 16][..], [1; 16], 16 + 32));
        let (_, memory, copied) = settled(&[Given::Copied, Given::SameAsInput(0)]).expect("it is sound");
        assert_eq!((memory, copied), ([1; 16], 32));
        let strings = Given::Strings { shape: shape(&[2]), place: 1024..1042 };
        let (produced, _, copied) = settled(&[Given::SameAsInput(1), strings]).expect("it is sound");
        let Produced::Strings { elements, .. } = &produced[1] else { panic!("{produced:?}") };
        assert_eq!((elements.as_slice(), copied), (&[b"xy".to_vec(), vec![]][..], 36));
        let part = Given::OfInput { position: 0, start: 28, dtype: DType::Float32, shape: shape(&[1]) };
        let (produced, _, copied) = settled(&[part.clone(), part]).expect("it is sound");
        assert!(matches!(produced[0], Produced::OfInput { position: 0, start: 28, .. }) && copied == 0);
    }

    #[test]
    fn what_does_not_fit_what_was_asked_for_is_garbage() {
        let lent = |dtype, dims: &[i64], place| Given::Lent { dtype, shape: shape(dims), place };
        let part = |position, start, dims: &[i64]| Given::OfInput {
            position,
            start,
            dtype: DType::Float32,
            shape: shape(dims),
        };
        let strings = |dims: &[i64], place| Given::Strings { shape: shape(dims), place };
        let wrong = [
            Given::InPlace,
            Given::Copied,
            Given::SameAsInput(2),
            lent(DType::Int64, &[2], 0..8),
            lent(DType::Uint8, &[16], 65_521..65_537),
            lent(DType::Uint8, &[-1], 0..1),
            lent(DType::Int64, &[i64::MAX], 0..1),
            lent(DType::String, &[1], 0..8),
            part(2, 0, &[1]),
            part(1, 0, &[1]),
            part(0, 29, &[1]),
            part(0, 0, &[9]),
            part(0, usize::MAX, &[1]),
            strings(&[3], 1024..1042),
            strings(&[2], 1024..1043),
            strings(&[i64::MAX], 1024..1042),
            strings(&[2], 0..18),
        ];
        for given in wrong {
            assert!(settled(&[Given::InPlace, given.clone()]).is_err(), "{given:?}");
        }
        assert!(settled(&[Given::InPlace]).is_err());
        assert!(settled(&[Given::InPlace, Given::SameAsInput(0), Given::SameAsInput(0)]).is_err());
    }

    #[test]
    fn a_process_cannot_have_an_area_copied_many_times() {
        let lent = |bytes: i64| Given::Lent { dtype: DType::Uint8, shape: shape(&[bytes]), place: 0..bytes as usize };
        assert!(settled(&[lent(32_768), lent(32_768)]).is_ok(), "so much is there");
        assert!(settled(&[lent(65_536), lent(1)]).is_err());
    }

    fn any_shape() -> impl Strategy<Value = Shape> {
        let dim = prop_oneof![0..9_i64, Just(-1), any::<i64>()];
        proptest::collection::vec(dim, 0..4).prop_map(|dims| Shape::new(&dims).expect("few axes"))
    }

    fn any_given() -> impl Strategy<Value = Given> {
        let dtype = || (0..DType::ALL.len()).prop_map(|at| DType::ALL[at]);
        let number = || prop_oneof![0..70_000_usize, any::<usize>()];
        let place = || (number(), 0..100_usize).prop_map(|(start, bytes)| start..start.saturating_add(bytes));
        prop_oneof![
            Just(Given::InPlace),
            Just(Given::Copied),
            (dtype(), any_shape(), place()).prop_map(|(dtype, shape, place)| Given::Lent { dtype, shape, place }),
            (any_shape(), place()).prop_map(|(shape, place)| Given::Strings { shape, place }),
            (0..4_usize, number(), dtype(), any_shape()).prop_map(|(position, start, dtype, shape)| Given::OfInput {
                position,
                start,
                dtype,
                shape
            }),
            number().prop_map(Given::SameAsInput),
        ]
    }

    proptest! {
        /// Against what it says itself: each output has the bytes of its shape, and lies in what there is.
        #[test]
        fn whatever_a_process_says_nothing_beyond_what_there_is_becomes_an_output(given in proptest::collection::vec(any_given(), 0..4)) {
            let Ok((produced, ..)) = settled(&given) else { return Ok(()) };
            prop_assert_eq!(produced.len(), 2);
            for produced in produced {
                match produced {
                    Produced::InPlace => {}
                    Produced::SameAsInput(position) => prop_assert!(position < 2),
                    Produced::Lent { shape, dtype, owner } => {
                        prop_assert_eq!(shape.bytes(dtype), Some((*owner).as_ref().len() as u64));
                    }
                    Produced::OfInput { position, start, shape, dtype } => {
                        let end = start as u64 + shape.bytes(dtype).expect("it has a size");
                        prop_assert!(position == 0 && end <= 32);
                    }
                    Produced::Strings { shape, elements } => {
                        prop_assert_eq!(shape.elements(), Some(elements.len() as u64));
                    }
                }
            }
        }
    }
}
