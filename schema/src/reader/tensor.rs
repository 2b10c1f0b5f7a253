//! Tensors: their type, shape, payload and strings.

use super::Seen;
use super::survey::Survey;
use super::table::{Table, Vector, string};
use super::window::{Stop, Window, malformed};
use crate::shape::RANK_MAX;
use crate::{DType, Shape, TENSORS_MAX};
use std::ops::Range;

/// The fields of a `Tensor`, by id.
mod id {
    pub const TYPE: u16 = 0;
    pub const SHAPE: u16 = 1;
    pub const DATA: u16 = 2;
    pub const STRING_VAL: u16 = 3;
}

/// A verified view of a tensor.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    window: Window<'a>,
    dtype: DType,
    shape: Seen<Vector>,
    payload: Seen<(u32, u32)>,
    strings: Seen<Vector>,
}

impl<'a> Tensor<'a> {
    /// The element type.
    #[inline]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The shape. Its dimensions are not negative, and neither their product nor the bytes of so many elements overflow.
    pub fn shape(&self) -> Seen<Shape> {
        let Seen::Is(dims) = self.shape else { return Seen::NotYet };
        let mut shape = Shape::SCALAR;
        for index in 0..dims.count {
            if let Ok(dim) = self.window.i64(dims.at + index * 8) {
                // The rank was checked when the tensor was read, so there is room for each.
                shape.push(dim);
            }
        }
        Seen::Is(shape)
    }

    /// Where the payload lies in the message; an empty range for a string tensor or an absent field.
    ///
    /// Where the vector's position is known but its length field (the four bytes before the payload) has not arrived, the
    /// length follows from dtype and shape, if these are known: that is how the second payload of a stream-ready message is
    /// placed before it arrives. Whoever receives such a payload compares the four bytes before it with its length.
    #[inline]
    pub fn payload(&self) -> Seen<Range<u32>> {
        self.payload.map(|(start, end)| start..end)
    }

    /// Number of elements of a string tensor; 0 for one of another type.
    #[inline]
    pub fn strings_count(&self) -> Seen<usize> {
        self.strings.map(|strings| strings.count as usize)
    }

    /// The elements of a string tensor, in order; none unless they have all been seen.
    pub fn strings(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let window = self.window;
        let strings = self.strings.get().unwrap_or_default();
        (0..strings.count).map_while(move |index| string(window, strings.target(window, index).ok()?).ok())
    }

    /// The same tensor, whose strings have not all been seen.
    pub(super) fn without_strings(mut self) -> Tensor<'a> {
        self.strings = Seen::NotYet;
        self
    }

    pub(super) fn strings_vector(&self) -> Seen<Vector> {
        self.strings
    }

    /// Reads the tensor at `at`; its strings are looked at by [`Survey::strings`].
    pub(super) fn read(window: Window<'a>, at: u32, survey: &mut Survey) -> Result<Tensor<'a>, Stop> {
        let table = Table::read(window, at)?;
        let dtype = read_dtype(window, table)?;
        // A table that is only partly there is not there: its fields are all needed, and lie side by side.
        let shape = table.target(window, id::SHAPE)?;
        let data = table.target(window, id::DATA)?;
        let string_val = table.target(window, id::STRING_VAL)?;

        let shape = survey.settle(read_shape(window, dtype, shape))?;
        let bytes = shape.map(|(_, bytes)| bytes).get().flatten();
        let payload = read_payload(window, data, bytes, survey)?;
        let strings = match string_val {
            Some(at) => survey.settle(Vector::read(window, at, 4))?,
            None => Seen::Is(Vector::default()),
        };
        if let Seen::Is(strings) = strings {
            survey.claim_strings(strings)?;
        }
        match (dtype, payload, strings) {
            (DType::String, Seen::Is((start, end)), _) if start != end => {
                malformed("a string tensor with data", start - 4)
            }
            (dtype, _, Seen::Is(strings)) if dtype != DType::String && strings.count != 0 => {
                malformed("strings in a tensor of another type", strings.at - 4)
            }
            _ => Ok(Tensor { window, dtype, shape: shape.map(|(dims, _)| dims), payload, strings }),
        }
    }
}

/// The list of tensors at `at`.
#[inline]
pub(super) fn list(window: Window<'_>, at: u32) -> Result<Vector, Stop> {
    Vector::read_short(window, at, TENSORS_MAX, "a list of more than 64 tensors")
}

/// The `index`-th tensor of the list at `at`, read once more.
pub(super) fn element(window: Window<'_>, at: u32, index: u32) -> Result<Tensor<'_>, Stop> {
    let at = list(window, at)?.target(window, index)?;
    Tensor::read(window, at, &mut Survey::new(window))
}

fn read_dtype(window: Window<'_>, table: Table) -> Result<DType, Stop> {
    let Some(at) = table.field(window, id::TYPE, 1)? else {
        return malformed("a tensor without an element type", table.at());
    };
    match DType::from_wire(window.u8(at)?) {
        Some(dtype) => Ok(dtype),
        None => malformed("an unknown element type", at),
    }
}

/// The dimensions, and the bytes that they ask for if elements have a size.
fn read_shape(window: Window<'_>, dtype: DType, at: Option<u32>) -> Result<(Vector, Option<u64>), Stop> {
    let dims = match at {
        Some(at) => Vector::read(window, at, 8)?,
        None => Vector::default(),
    };
    if dims.count as usize > RANK_MAX {
        return malformed("a shape of more than 16 dimensions", dims.at - 4);
    }
    window.bytes(dims.at, dims.count * 8)?;
    let mut product = dtype.size().unwrap_or(1) as u64;
    let mut empty = false;
    for index in 0..dims.count {
        let at = dims.at + index * 8;
        let Ok(dim) = u64::try_from(window.i64(at)?) else {
            return malformed("a negative dimension", at);
        };
        // As in `Shape::elements`: a zero makes the tensor empty, and excuses no overflow of the others.
        empty |= dim == 0;
        match product.checked_mul(dim.max(1)) {
            Some(more) => product = more,
            None => return malformed("a shape whose size overflows", at),
        }
    }
    let bytes = if empty { 0 } else { product };
    Ok((dims, dtype.size().map(|_| bytes)))
}

/// The range of the payload whose vector is at `at`; `bytes` is what the shape asks for, if that is known.
fn read_payload(
    window: Window<'_>,
    at: Option<u32>,
    bytes: Option<u64>,
    survey: &mut Survey,
) -> Result<Seen<(u32, u32)>, Stop> {
    let Some(at) = at else { return Ok(Seen::Is((0, 0))) };
    let hole = match Vector::read(window, at, 1) {
        Ok(payload) => {
            if payload.count != 0 {
                survey.payload(payload.at);
            }
            return Ok(Seen::Is((payload.at, payload.at + payload.count)));
        }
        Err(Stop::Missing(hole)) => hole,
        Err(stop) => return Err(stop),
    };
    // `target` has seen to it that the four bytes of the length are inside of the message.
    let start = at + 4;
    if let Some(bytes) = bytes
        && bytes <= u64::from(window.length() - start)
    {
        if bytes != 0 {
            survey.payload(start);
        }
        survey.missing(hole);
        return Ok(Seen::Is((start, start + bytes as u32)));
    }
    survey.payload(start);
    Ok(survey.settle(Err(Stop::Missing(hole)))?)
}
