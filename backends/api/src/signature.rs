//! What a model takes and gives, and what follows from that alone: the batch axis, and the shapes of outputs.
//!
//! Pure arithmetic over names and sizes. Nothing here allocates but where a signature is built, so all of it may be
//! asked on the data path.

use graphpipe_schema::{DType, Shape};
use std::fmt::{Display, Formatter};
use std::sync::Arc;

/// What a model takes and gives.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Signature {
    /// The inputs, in their default order.
    pub inputs: Vec<TensorSpec>,
    /// The outputs, in their default order.
    pub outputs: Vec<TensorSpec>,
    /// Whether any number of inputs of any dtype and shape is taken, and given back as outputs (the echo backend).
    /// `inputs` and `outputs` then hold one example each.
    pub variadic: bool,
}

impl Signature {
    /// The position of the input of this name.
    pub fn input_index(&self, name: &[u8]) -> Option<usize> {
        self.inputs.iter().position(|spec| spec.name.as_bytes() == name)
    }

    /// The position of the output of this name.
    pub fn output_index(&self, name: &[u8]) -> Option<usize> {
        self.outputs.iter().position(|spec| spec.name.as_bytes() == name)
    }

    /// The axis along which requests could be put together: `Some(0)` if the first axis of every input and output is
    /// dynamic, all that have a symbol there have the same one, and that symbol is on no other axis.
    ///
    /// Unnamed axes are taken to agree, so this is what a model *claims*; whether rows really do not see each other is
    /// for a probe to find out.
    pub fn batch_axis(&self) -> Option<usize> {
        if self.variadic || self.inputs.is_empty() || self.outputs.is_empty() {
            return None;
        }
        let mut common: Option<&Arc<str>> = None;
        for spec in self.specs() {
            match spec.dims.as_deref()?.first()? {
                Dim::Any => {}
                Dim::Symbol(name) if common.is_none_or(|other| other == name) => common = Some(name),
                Dim::Fixed(_) | Dim::Symbol(_) => return None,
            }
        }
        let is_elsewhere = |name: &Arc<str>| {
            let inner = self.specs().filter_map(|spec| spec.dims.as_deref()).flat_map(|dims| &dims[1..]);
            inner.into_iter().any(|dim| matches!(dim, Dim::Symbol(other) if other == name))
        };
        (!common.is_some_and(is_elsewhere)).then_some(0)
    }

    /// The shape that output `output` will have for inputs of these shapes, each with its index in the signature;
    /// `None` if the signature does not tell.
    ///
    /// A symbol stands for the size that the inputs have where they use it; inputs that disagree about one tell
    /// nothing.
    pub fn predict(&self, inputs: &[(usize, &[i64])], output: usize) -> Option<Shape> {
        if self.variadic {
            return Shape::new(inputs.get(output)?.1);
        }
        let mut shape = Shape::SCALAR;
        for dim in self.outputs.get(output)?.dims.as_deref()? {
            shape.push(match dim {
                Dim::Fixed(size) => i64::try_from(*size).ok()?,
                Dim::Symbol(name) => self.bound(inputs, name)?,
                Dim::Any => return None,
            })?;
        }
        Some(shape)
    }

    /// The one size that inputs of these shapes give to a symbol.
    fn bound(&self, inputs: &[(usize, &[i64])], name: &Arc<str>) -> Option<i64> {
        let mut bound = None;
        for &(index, shape) in inputs {
            let Some(dims) = self.inputs.get(index)?.dims.as_deref() else { continue };
            for (dim, &size) in dims.iter().zip(shape) {
                if !matches!(dim, Dim::Symbol(other) if other == name) {
                    continue;
                }
                if *bound.get_or_insert(size) != size {
                    return None;
                }
            }
        }
        bound
    }

    fn specs(&self) -> impl Iterator<Item = &TensorSpec> {
        self.inputs.iter().chain(&self.outputs)
    }
}

/// One input or output of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub dtype: DType,
    /// Its dimensions; `None` if the model does not even tell the rank.
    pub dims: Option<Vec<Dim>>,
}

impl TensorSpec {
    /// Whether a tensor may have this shape, as far as its own sizes tell: a symbol is any size here.
    pub fn admits(&self, shape: &[i64]) -> bool {
        let fits = |(dim, &size): (&Dim, &i64)| match dim {
            Dim::Fixed(fixed) => u64::try_from(size) == Ok(*fixed),
            Dim::Symbol(_) | Dim::Any => size >= 0,
        };
        self.dims.as_ref().is_none_or(|dims| dims.len() == shape.len() && dims.iter().zip(shape).all(fits))
    }

    /// Its shape as metadata shows it: -1 for any size. GraphPipe has no word for an unknown rank (or for one over
    /// [`graphpipe_schema::shape::RANK_MAX`]): it shows as no dimensions.
    pub fn metadata_shape(&self) -> Shape {
        let mut shape = Shape::SCALAR;
        for dim in self.dims.as_deref().unwrap_or_default() {
            let size = match dim {
                Dim::Fixed(size) => i64::try_from(*size).unwrap_or(-1),
                Dim::Symbol(_) | Dim::Any => -1,
            };
            if shape.push(size).is_none() {
                return Shape::SCALAR;
            }
        }
        shape
    }
}

/// As in `image float32 [N, 64]`; `…` stands for an unknown rank.
impl Display for TensorSpec {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} [", self.name, self.dtype)?;
        match &self.dims {
            None => f.write_str("…")?,
            Some(dims) => {
                for (axis, dim) in dims.iter().enumerate() {
                    let comma = if axis == 0 { "" } else { ", " };
                    write!(f, "{comma}{dim}")?;
                }
            }
        }
        f.write_str("]")
    }
}

/// One dimension of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// Always this size.
    Fixed(u64),
    /// Any size, but the same wherever the model uses this name.
    Symbol(Arc<str>),
    /// Any size.
    Any,
}

/// The size, the name, or `?`.
impl Display for Dim {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Dim::Fixed(size) => Display::fmt(size, f),
            Dim::Symbol(name) => f.write_str(name),
            Dim::Any => f.write_str("?"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn signature(inputs: &[&str], outputs: &[&str]) -> Signature {
        let specs = |all: &[&str]| all.iter().map(|dims| spec("t", Some(dims))).collect();
        Signature { inputs: specs(inputs), outputs: specs(outputs), variadic: false }
    }

    fn shape(dims: &[i64]) -> Option<Shape> {
        Shape::new(dims)
    }

    #[test]
    fn the_first_axis_is_the_batch_axis_if_it_is_one_symbol_everywhere() {
        assert_eq!(signature(&["N 64"], &["N 10"]).batch_axis(), Some(0));
        assert_eq!(signature(&["N 64", "N"], &["N 10", "N 3 3"]).batch_axis(), Some(0));
    }

    #[test]
    fn unnamed_first_axes_count_as_a_batch_axis() {
        assert_eq!(signature(&["? 64"], &["? 10"]).batch_axis(), Some(0));
        assert_eq!(signature(&["N 64"], &["? 10"]).batch_axis(), Some(0));
        assert_eq!(signature(&["? 64"], &["N 10"]).batch_axis(), Some(0));
    }

    #[test]
    fn a_fixed_missing_or_unknown_first_axis_is_no_batch_axis() {
        assert_eq!(signature(&["1 64"], &["N 10"]).batch_axis(), None);
        assert_eq!(signature(&["N 64"], &["1 10"]).batch_axis(), None);
        assert_eq!(signature(&["N 64"], &[""]).batch_axis(), None);
        let unknown = Signature { inputs: vec![spec("a", None)], outputs: vec![spec("b", Some("N"))], variadic: false };
        assert_eq!(unknown.batch_axis(), None);
    }

    #[test]
    fn two_symbols_in_first_axes_are_no_batch_axis() {
        assert_eq!(signature(&["N 64", "M 64"], &["N 10"]).batch_axis(), None);
        assert_eq!(signature(&["N 64", "? 64"], &["M 10"]).batch_axis(), None);
    }

    #[test]
    fn a_symbol_that_is_on_an_inner_axis_too_is_no_batch_axis() {
        assert_eq!(signature(&["N 64"], &["N N"]).batch_axis(), None);
        assert_eq!(signature(&["N S"], &["N S"]).batch_axis(), Some(0));
    }

    #[test]
    fn no_inputs_no_outputs_and_variadic_models_have_no_batch_axis() {
        assert_eq!(signature(&[], &["N"]).batch_axis(), None);
        assert_eq!(signature(&["N"], &[]).batch_axis(), None);
        assert_eq!(Signature { variadic: true, ..signature(&["N"], &["N"]) }.batch_axis(), None);
    }

    #[test]
    fn an_outputs_shape_follows_from_the_symbols_that_the_inputs_bind() {
        let model = signature(&["N 3 S", "S K"], &["N K", "7", ""]);
        let inputs: [(usize, &[i64]); 2] = [(0, &[5, 3, 8]), (1, &[8, 2])];
        assert_eq!(model.predict(&inputs, 0), shape(&[5, 2]));
        assert_eq!(model.predict(&inputs, 1), shape(&[7]));
        assert_eq!(model.predict(&inputs, 2), shape(&[]));
        assert_eq!(model.predict(&inputs, 3), None, "there is no such output");
    }

    #[test]
    fn inputs_are_matched_by_their_index_and_not_by_their_order() {
        let model = signature(&["N 3", "M 4"], &["N M"]);
        assert_eq!(model.predict(&[(1, &[9, 4]), (0, &[2, 3])], 0), shape(&[2, 9]));
    }

    #[test]
    fn an_empty_axis_is_a_size_like_any_other() {
        assert_eq!(signature(&["N 64"], &["N 10"]).predict(&[(0, &[0, 64])], 0), shape(&[0, 10]));
    }

    #[test]
    fn nothing_is_predicted_from_an_axis_that_no_input_binds() {
        assert_eq!(signature(&["N 64"], &["M 10"]).predict(&[(0, &[5, 64])], 0), None);
        assert_eq!(signature(&["? 64"], &["? 10"]).predict(&[(0, &[5, 64])], 0), None);
        assert_eq!(signature(&["N 64"], &["N 10"]).predict(&[], 0), None);
    }

    #[test]
    fn nothing_is_predicted_from_a_symbol_that_the_inputs_disagree_about() {
        let model = signature(&["N 64", "N 64"], &["N 10", "3"]);
        let inputs: [(usize, &[i64]); 2] = [(0, &[5, 64]), (1, &[1, 64])];
        assert_eq!(model.predict(&inputs, 0), None);
        assert_eq!(model.predict(&inputs, 1), shape(&[3]));
    }

    #[test]
    fn a_variadic_model_gives_back_the_shapes_that_it_takes() {
        let model = Signature { variadic: true, ..signature(&[""], &[""]) };
        let inputs: [(usize, &[i64]); 2] = [(0, &[5, 64]), (1, &[])];
        assert_eq!(model.predict(&inputs, 0), shape(&[5, 64]));
        assert_eq!(model.predict(&inputs, 1), shape(&[]));
        assert_eq!(model.predict(&inputs, 2), None);
    }

    #[test]
    fn metadata_shows_dynamic_axes_as_minus_one_and_an_unknown_rank_as_nothing() {
        assert_eq!(spec("a", Some("N 64 ?")).metadata_shape().dims(), [-1, 64, -1]);
        assert_eq!(spec("a", Some("")).metadata_shape().dims(), [0_i64; 0]);
        assert_eq!(spec("a", None).metadata_shape().dims(), [0_i64; 0]);
    }

    #[test]
    fn a_spec_reads_as_name_type_and_dimensions() {
        assert_eq!(spec("image", Some("N 64 ?")).to_string(), "image float32 [N, 64, ?]");
        assert_eq!(spec("x", Some("")).to_string(), "x float32 []");
        assert_eq!(spec("x", None).to_string(), "x float32 […]");
    }

    #[test]
    fn inputs_and_outputs_are_found_by_name() {
        let model = Signature {
            inputs: vec![spec("a", None), spec("b", None)],
            outputs: vec![spec("c", None)],
            variadic: false,
        };
        assert_eq!(model.input_index(b"b"), Some(1));
        assert_eq!(model.input_index(b"c"), None);
        assert_eq!(model.output_index(b"c"), Some(0));
    }
}
