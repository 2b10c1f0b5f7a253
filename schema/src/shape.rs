//! Shapes: a short list of dimensions, held inline, with checked arithmetic.

use crate::DType;

/// The most dimensions of a tensor. NumPy allows 64, the models that we know stay below 8.
pub const RANK_MAX: usize = 16;

/// The dimensions of a tensor, row-major. In metadata -1 stands for "any size".
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    rank: u8,
    dims: [i64; RANK_MAX],
}

impl Shape {
    /// The shape of a single element.
    pub const SCALAR: Shape = Shape { rank: 0, dims: [0; RANK_MAX] };

    /// A shape of these dimensions; `None` if there are more than [`RANK_MAX`].
    pub fn new(dims: &[i64]) -> Option<Shape> {
        let mut shape = Shape::SCALAR;
        for &dim in dims {
            shape.push(dim)?;
        }
        Some(shape)
    }

    /// Appends a dimension; `None` (and no change) if there are [`RANK_MAX`] already.
    pub fn push(&mut self, dim: i64) -> Option<()> {
        *self.dims.get_mut(usize::from(self.rank))? = dim;
        self.rank += 1;
        Some(())
    }

    /// The dimensions.
    pub fn dims(&self) -> &[i64] {
        &self.dims[..usize::from(self.rank)]
    }

    /// The number of dimensions.
    pub fn rank(&self) -> usize {
        usize::from(self.rank)
    }

    /// The product of the dimensions (1 for rank 0); `None` if one is negative or the product does not fit.
    pub fn elements(&self) -> Option<u64> {
        let mut product: u64 = 1;
        let mut empty = false;
        for &dim in self.dims() {
            let dim = u64::try_from(dim).ok()?;
            if dim == 0 {
                empty = true;
            } else {
                product = product.checked_mul(dim)?;
            }
        }
        Some(if empty { 0 } else { product })
    }

    /// Bytes of a tensor of this shape; `None` as for [`Shape::elements`], and for [`DType::String`].
    pub fn bytes(&self, dtype: DType) -> Option<u64> {
        self.elements()?.checked_mul(dtype.size()? as u64)
    }
}

impl std::ops::Deref for Shape {
    type Target = [i64];
    fn deref(&self) -> &[i64] {
        self.dims()
    }
}

impl std::fmt::Debug for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self.dims(), f)
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self.dims(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(dims: &[i64]) -> Shape {
        Shape::new(dims).expect("few dimensions")
    }

    #[test]
    fn a_shape_of_rank_0_has_one_element() {
        assert_eq!(Shape::SCALAR.elements(), Some(1));
        assert_eq!(Shape::SCALAR.bytes(DType::Float64), Some(8));
        assert_eq!(Shape::new(&[]), Some(Shape::SCALAR));
    }

    #[test]
    fn a_zero_makes_a_shape_empty() {
        assert_eq!(shape(&[0, 3]).elements(), Some(0));
        assert_eq!(shape(&[3, 0]).bytes(DType::Int16), Some(0));
    }

    #[test]
    fn the_most_elements_and_bytes_are_those_of_64_bits() {
        assert_eq!(shape(&[1 << 32, 1 << 31]).elements(), Some(1 << 63));
        assert_eq!(shape(&[1 << 32, 1 << 31]).bytes(DType::Uint8), Some(1 << 63));
        assert_eq!(shape(&[1 << 32, 1 << 31]).bytes(DType::Uint16), None);
    }

    #[test]
    fn a_shape_whose_product_overflows_has_no_size() {
        assert_eq!(shape(&[1 << 32, 1 << 32]).elements(), None);
        assert_eq!(shape(&[i64::MAX; RANK_MAX]).elements(), None);
        // Not even an empty one: which of its dimensions comes first must not matter.
        assert_eq!(shape(&[0, 1 << 32, 1 << 32]).elements(), None);
        assert_eq!(shape(&[1 << 32, 1 << 32, 0]).elements(), None);
    }

    #[test]
    fn a_negative_dimension_has_no_size() {
        assert_eq!(shape(&[-1, 3]).elements(), None);
        assert_eq!(shape(&[0, -1]).elements(), None);
        assert_eq!(shape(&[i64::MIN]).bytes(DType::Uint8), None);
    }

    #[test]
    fn strings_have_elements_and_no_bytes() {
        assert_eq!(shape(&[2, 3]).elements(), Some(6));
        assert_eq!(shape(&[2, 3]).bytes(DType::String), None);
    }

    #[test]
    fn there_is_room_for_16_dimensions_and_no_more() {
        let mut shape = shape(&[1; RANK_MAX]);
        assert_eq!(shape.rank(), 16);
        assert_eq!(shape.push(1), None);
        assert_eq!(shape.dims(), [1; RANK_MAX]);
        assert_eq!(Shape::new(&[1; RANK_MAX + 1]), None);
    }

    #[test]
    fn a_shape_is_printed_as_a_list() {
        assert_eq!(shape(&[-1, 28, 28]).to_string(), "[-1, 28, 28]");
        assert_eq!(Shape::SCALAR.to_string(), "[]");
    }
}
