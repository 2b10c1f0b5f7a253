//! How the shapes of outputs follow from those of inputs, found out by asking for a few.
//!
//! MXNet computes the shapes of outputs from sizes, and knows no names. So each axis that is free is given one size and then
//! another, and the outputs' axes that have moved with it, from its first size to its second, are the same axis. An axis that takes no
//! second size is not free.

use graphpiped_backend_api::Dim;
use std::sync::Arc;

/// The sizes of the axes of several tensors.
pub(crate) type Sizes = Vec<Vec<u32>>;

/// What was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Shapes of the inputs that MXNet takes.
    pub base: Sizes,
    /// The inputs' dimensions, in which what is not free is fixed.
    pub inputs: Vec<Vec<Dim>>,
    /// The outputs' dimensions.
    pub outputs: Vec<Vec<Dim>>,
}

/// Tells the shapes of outputs for shapes of inputs.
pub(crate) type Infer<'a> = &'a dyn Fn(&[Vec<u32>]) -> Result<Sizes, String>;

/// Finds out how outputs follow from inputs of these dimensions. Otherwise: why MXNet takes none of the sizes that were tried.
pub(crate) fn find(inputs: &[Vec<Dim>], infer: Infer<'_>) -> Result<Found, String> {
    let frees = frees(inputs);
    let (values, outputs) = base(inputs, &frees, infer)?;
    let base = sizes(inputs, &frees, &values);
    let moved: Vec<_> = (0..frees.len()).map(|free| moved(inputs, &frees, &values, free, &outputs, infer)).collect();
    let dim_of = |free: &Free, value: u32, moved: &Option<Moved>| match moved {
        None => Dim::Fixed(value.into()),
        Some(_) => free.name.clone().map_or(Dim::Any, Dim::Symbol),
    };
    let mut inputs = inputs.to_vec();
    for ((free, &value), moved) in frees.iter().zip(&values).zip(&moved) {
        for &(input, axis) in &free.places {
            inputs[input][axis] = dim_of(free, value, moved);
        }
    }
    let size_behind =
        |free: usize, output: usize, axis: usize| moved[free].as_ref().map(|to| (to.value, to.outputs[output][axis]));
    let output_dim = |output: usize, axis: usize, size: u32| {
        let has_moved = |&free: &usize| size_behind(free, output, axis).is_some_and(|(_, behind)| behind != size);
        let movers: Vec<usize> = (0..frees.len()).filter(has_moved).collect();
        match movers[..] {
            [] => Dim::Fixed(size.into()),
            [free]
                if size == values[free]
                    && size_behind(free, output, axis).is_some_and(|(value, behind)| value == behind) =>
            {
                dim_of(&frees[free], size, &moved[free])
            }
            _ => Dim::Any,
        }
    };
    let output_dims = |(output, sizes): (usize, &Vec<u32>)| {
        sizes.iter().enumerate().map(|(axis, &size)| output_dim(output, axis, size)).collect()
    };
    let outputs = outputs.iter().enumerate().map(output_dims).collect();
    Ok(Found { base, inputs, outputs })
}

/// An axis of any size, with all the places where it is.
struct Free {
    name: Option<Arc<str>>,
    places: Vec<(usize, usize)>,
}

impl Free {
    fn is_first_axis(&self) -> bool {
        self.places.iter().any(|&(_, axis)| axis == 0)
    }
}

/// Another size of a free axis, and what the outputs are then.
struct Moved {
    value: u32,
    outputs: Sizes,
}

fn frees(inputs: &[Vec<Dim>]) -> Vec<Free> {
    let mut frees: Vec<Free> = Vec::new();
    for (input, dims) in inputs.iter().enumerate() {
        for (axis, dim) in dims.iter().enumerate() {
            let name = match dim {
                Dim::Fixed(_) => continue,
                Dim::Symbol(name) => Some(name.clone()),
                Dim::Any => None,
            };
            match frees.iter_mut().find(|free| name.is_some() && free.name == name) {
                Some(free) => free.places.push((input, axis)),
                None => frees.push(Free { name, places: vec![(input, axis)] }),
            }
        }
    }
    frees
}

/// Sizes to try for axes that come first, which count rows, and for the others.
const ROWS: [u32; 5] = [1, 2, 3, 4, 8];
const INNER: [u32; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/// The first sizes of the free axes that MXNet takes, and the outputs for them.
fn base(inputs: &[Vec<Dim>], frees: &[Free], infer: Infer<'_>) -> Result<(Vec<u32>, Sizes), String> {
    let rows = if frees.iter().any(Free::is_first_axis) { &ROWS[..] } else { &ROWS[..1] };
    let inner = if frees.iter().all(Free::is_first_axis) { &INNER[..1] } else { &INNER[..] };
    let mut refusal = None;
    for &inner in inner {
        for &rows in rows {
            let values: Vec<u32> = frees.iter().map(|free| if free.is_first_axis() { rows } else { inner }).collect();
            match infer(&sizes(inputs, frees, &values)) {
                Ok(outputs) => return Ok((values, outputs)),
                Err(cause) => refusal = refusal.or(Some(cause)),
            }
        }
    }
    Err(refusal.unwrap_or_default())
}

/// What becomes of the outputs when one free axis has another size; `None` if there is no other that MXNet takes.
fn moved(
    inputs: &[Vec<Dim>],
    frees: &[Free],
    values: &[u32],
    free: usize,
    before: &Sizes,
    infer: Infer<'_>,
) -> Option<Moved> {
    let value = values[free];
    [value * 2, value * 3, value * 4, value + 1].into_iter().find_map(|value| {
        let mut values = values.to_vec();
        values[free] = value;
        let outputs = infer(&sizes(inputs, frees, &values)).ok()?;
        let is_alike = outputs.iter().map(Vec::len).eq(before.iter().map(Vec::len));
        is_alike.then_some(Moved { value, outputs })
    })
}

fn sizes(inputs: &[Vec<Dim>], frees: &[Free], values: &[u32]) -> Sizes {
    // Fixed sizes were read as numbers of 32 bits.
    let fixed = |dim: &Dim| if let Dim::Fixed(size) = dim { *size as u32 } else { 0 };
    let mut sizes: Sizes = inputs.iter().map(|dims| dims.iter().map(fixed).collect()).collect();
    for (free, &value) in frees.iter().zip(values) {
        for &(input, axis) in &free.places {
            sizes[input][axis] = value;
        }
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `N` is a symbol, `?` any size, a number itself.
    fn dims(text: &str) -> Vec<Dim> {
        let dim = |word: &str| match word.parse() {
            Ok(size) => Dim::Fixed(size),
            Err(_) if word == "?" => Dim::Any,
            Err(_) => Dim::Symbol(word.into()),
        };
        text.split_whitespace().map(dim).collect()
    }

    fn found(inputs: &[&str], infer: Infer<'_>) -> (Vec<Vec<Dim>>, Vec<Vec<Dim>>) {
        let inputs: Vec<_> = inputs.iter().map(|text| dims(text)).collect();
        let found = find(&inputs, infer).expect("it is taken");
        (found.inputs, found.outputs)
    }

    #[test]
    fn an_axis_that_moves_with_an_input_is_the_same_axis() {
        let infer = |sizes: &[Vec<u32>]| Ok(vec![vec![sizes[0][0], 10], vec![sizes[0][0], sizes[1][1]]]);
        let expected = (vec![dims("N 4"), dims("N K")], vec![dims("N 10"), dims("N K")]);
        assert_eq!(found(&["N 4", "N K"], &infer), expected);
    }

    #[test]
    fn an_axis_that_moves_otherwise_is_of_any_size() {
        // Half of the rows, twice the columns, and both in one.
        let infer = |sizes: &[Vec<u32>]| match sizes[0][..] {
            [rows, columns] if rows % 2 == 0 => Ok(vec![vec![rows / 2, columns * 2, rows * columns]]),
            _ => Err("odd".to_string()),
        };
        assert_eq!(found(&["N K"], &infer), (vec![dims("N K")], vec![dims("? ? ?")]));
        assert_eq!(find(&[dims("N 4")], &infer).expect("it is taken").base, [[2, 4]]);
    }

    #[test]
    fn an_axis_that_takes_one_size_only_is_fixed() {
        let infer = |sizes: &[Vec<u32>]| match sizes[0][..] {
            [1, columns] => Ok(vec![vec![1, columns]]),
            _ => Err("one row".to_string()),
        };
        assert_eq!(found(&["N ?"], &infer), (vec![dims("1 ?")], vec![dims("1 ?")]));
    }

    #[test]
    fn inner_axes_are_given_sizes_until_they_are_large_enough() {
        let infer = |sizes: &[Vec<u32>]| match sizes[0][1].checked_sub(7) {
            Some(left) => Ok(vec![vec![sizes[0][0], left]]),
            None => Err("smaller than the kernel".to_string()),
        };
        let found = find(&[dims("N ?")], &infer).expect("it is taken");
        assert_eq!((found.base, found.outputs), (vec![vec![1, 8]], vec![dims("N ?")]));
    }

    #[test]
    fn nothing_is_free_in_a_model_of_fixed_sizes_and_the_first_refusal_is_told() {
        let infer = |sizes: &[Vec<u32>]| Ok(sizes.to_vec());
        assert_eq!(found(&["2 3"], &infer), (vec![dims("2 3")], vec![dims("2 3")]));
        let refuse = |sizes: &[Vec<u32>]| Err(format!("not {}", sizes[0][0]));
        assert_eq!(find(&[dims("N 3")], &refuse), Err("not 1".to_string()));
    }
}
