//! Shapes, as far as they are known while a net is translated: some operators of Caffe2 say what ONNX says by a rank.

/// A dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dim {
    /// As many as the request has rows.
    Batch,
    /// A size.
    Fixed(i64),
    /// Any size.
    Any,
}

impl Dim {
    /// The size, if it is one.
    pub fn size(self) -> Option<i64> {
        match self {
            Dim::Fixed(size) => Some(size),
            Dim::Batch | Dim::Any => None,
        }
    }
}

/// Axes of a tensor. Caffe2 itself has some operators for eight.
pub(crate) const AXES_MAX: usize = 16;

/// A shape; `None` if not even the rank is known.
pub(crate) type Shape = Option<Vec<Dim>>;

/// The shape of a constant.
pub(crate) fn fixed(dims: &[i64]) -> Vec<Dim> {
    dims.iter().map(|&size| Dim::Fixed(size)).collect()
}

/// So many elements, if all sizes are known.
pub(crate) fn product(dims: &[Dim]) -> Dim {
    if let &[dim] = dims {
        return dim;
    }
    let product = dims.iter().try_fold(1_i64, |product, dim| product.checked_mul(dim.size()?));
    product.map_or(Dim::Any, Dim::Fixed)
}

/// An axis that may be counted from the end, which the rank has to be known for.
pub(crate) fn axis(axis: i64, shape: &Shape) -> Result<usize, String> {
    let rank = shape.as_ref().map(|dims| dims.len() as i64);
    let counted = match (axis, rank) {
        (0.., _) => Some(axis),
        (_, Some(rank)) => Some(axis + rank),
        (_, None) => None,
    };
    let axis_is_there = |&counted: &i64| counted >= 0 && rank.is_none_or(|rank| counted < rank);
    let found = counted.filter(axis_is_there).and_then(|counted| usize::try_from(counted).ok());
    found.ok_or_else(|| match rank {
        Some(rank) => format!("its axis {axis} is none of an input of {rank} axes"),
        None => format!("its axis {axis} is counted from the end of an input whose number of axes is not known"),
    })
}

/// What two shapes give together, as NumPy has it.
pub(crate) fn broadcast(a: &Shape, b: &Shape) -> Shape {
    let (a, b) = (a.as_ref()?, b.as_ref()?);
    let rank = a.len().max(b.len());
    let at = |dims: &[Dim], axis: usize| {
        (axis + dims.len()).checked_sub(rank).and_then(|axis| dims.get(axis)).copied().unwrap_or(Dim::Fixed(1))
    };
    let dim = |axis| match (at(a, axis), at(b, axis)) {
        (Dim::Fixed(1), other) | (other, Dim::Fixed(1)) => other,
        (one, other) if one == other => one,
        (Dim::Fixed(size), _) | (_, Dim::Fixed(size)) => Dim::Fixed(size),
        _ => Dim::Any,
    };
    Some((0..rank).map(dim).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_is_counted_from_either_end() {
        let four = Some(fixed(&[1, 2, 3, 4]));
        assert_eq!((axis(1, &four), axis(-1, &four), axis(7, &None)), (Ok(1), Ok(3), Ok(7)));
        for (wrong, shape) in [(4, &four), (-5, &four), (-1, &None), (i64::MIN, &four)] {
            assert!(axis(wrong, shape).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shapes_go_together_as_numpy_has_it() {
        let image = Some(vec![Dim::Batch, Dim::Fixed(3), Dim::Any]);
        assert_eq!(broadcast(&image, &Some(fixed(&[3, 1]))), image);
        assert_eq!(broadcast(&Some(fixed(&[5])), &image), Some(vec![Dim::Batch, Dim::Fixed(3), Dim::Fixed(5)]));
        assert_eq!(broadcast(&image, &None), None);
    }

    #[test]
    fn a_product_is_known_if_all_of_it_is() {
        assert_eq!(product(&[Dim::Batch]), Dim::Batch);
        assert_eq!(product(&[Dim::Fixed(6), Dim::Fixed(7)]), Dim::Fixed(42));
        assert_eq!(product(&[]), Dim::Fixed(1));
        assert_eq!(product(&[Dim::Batch, Dim::Fixed(7)]), Dim::Any);
        assert_eq!(product(&[Dim::Fixed(i64::MAX), Dim::Fixed(2)]), Dim::Any);
    }
}
