//! Products of matrices. Caffe2 sees a matrix in a tensor of any rank: the axes before a certain one are its rows.

use super::Call;
use crate::attributes::int;
use crate::graph::Value;
use crate::shape::{Dim, axis, product as elements};

/// `FC`: input `[rows…, K…]`, weights `[N, K…]` (transposed: `[K…, N]`), bias `[N]` → `[rows…, N]`.
pub(super) fn fully_connected(call: &mut Call<'_>, has_rows_of_weights: bool) -> Result<(), String> {
    let (x, weights, bias) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let rows = axis(call.arguments.int("axis", 1)?, &x.shape)?;
    let split = axis(call.arguments.int("axis_w", 1)?, &weights.shape)?;
    let (made, taken) = match &weights.shape {
        Some(dims) if has_rows_of_weights => (elements(&dims[..split]), elements(&dims[split..])),
        Some(dims) => (elements(&dims[split..]), elements(&dims[..split])),
        None => (Dim::Any, Dim::Any),
    };
    let given = x.shape.as_ref().map_or(Dim::Any, |dims| elements(&dims[rows..]));
    if let (Some(taken), Some(given)) = (taken.size(), given.size())
        && taken != given
    {
        return Err(format!("its weights are for rows of {taken}, and its input has rows of {given}"));
    }
    let (a, b) = (matrix(call, &x, rows), matrix(call, &weights, split));
    let attributes = vec![int("transB", has_rows_of_weights.into())];
    let shape = x.shape.as_ref().map(|dims| dims[..rows].iter().copied().chain([made]).collect());
    if rows == 1 {
        return call.emit("Gemm", &[&a, &b, &bias.name], attributes, shape);
    }
    // A matrix is made of more or fewer axes of rows than one, which come back from the shape of the input.
    let matrix = call.between("Gemm", &[&a, &b, &bias.name], attributes);
    let whole = call.between("Shape", &[&x.name], vec![]);
    let (start, end, rest) =
        (call.graph.integers(&[0]), call.graph.integers(&[rows as i64]), call.graph.integers(&[-1]));
    let kept = call.between("Slice", &[&whole, &start, &end], vec![]);
    let target = call.between("Concat", &[&kept, &rest], vec![int("axis", 0)]);
    call.emit("Reshape", &[&matrix, &target], vec![], shape)
}

/// `MatMul`: a matrix in each of two tensors, either of them transposed.
pub(super) fn product(call: &mut Call<'_>) -> Result<(), String> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let (split_a, split_b) =
        (axis(call.arguments.int("axis_a", 1)?, &a.shape)?, axis(call.arguments.int("axis_b", 1)?, &b.shape)?);
    let (turn_a, turn_b) = (call.arguments.flag("trans_a", false)?, call.arguments.flag("trans_b", false)?);
    let side = |value: &Value, split: usize, is_first: bool| match &value.shape {
        Some(dims) if is_first => elements(&dims[..split]),
        Some(dims) => elements(&dims[split..]),
        None => Dim::Any,
    };
    let shape = Some(vec![side(&a, split_a, !turn_a), side(&b, split_b, turn_b)]);
    let (a, b) = (matrix(call, &a, split_a), matrix(call, &b, split_b));
    let attributes = vec![int("transA", turn_a.into()), int("transB", turn_b.into())];
    call.emit("Gemm", &[&a, &b], attributes, shape)
}

/// The matrix in a tensor.
fn matrix(call: &mut Call<'_>, value: &Value, split: usize) -> String {
    let is_one = split == 1 && value.shape.as_ref().is_some_and(|dims| dims.len() == 2);
    if is_one { value.name.clone() } else { call.between("Flatten", &[&value.name], vec![int("axis", split as i64)]) }
}
