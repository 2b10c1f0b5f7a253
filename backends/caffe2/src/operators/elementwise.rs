//! Element by element: sums, products, and functions with a parameter.

use super::Call;
use crate::attributes::ints;
use crate::graph::Value;
use crate::shape::{Dim, broadcast};

/// `Add`, `Sub`, `Mul` and `Div`. With `broadcast`, the second tensor lies along some axes of the first, from `axis` on
/// or at the end; without, tensors go together as NumPy has it.
pub(super) fn binary(call: &mut Call<'_>) -> Result<(), String> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let kind = call.operator.kind();
    if !call.arguments.flag("broadcast", false)? {
        let shape = broadcast(&a.shape, &b.shape);
        return call.emit(kind, &[&a.name, &b.name], vec![], shape);
    }
    let b = match first_axis(call)? {
        Some(first) => along(call, &a, &b, first)?,
        None => b.name,
    };
    call.emit(kind, &[&a.name, &b], vec![], a.shape)
}

/// The axis of the first tensor at which the second one begins, if that is said.
fn first_axis(call: &Call<'_>) -> Result<Option<i64>, String> {
    match (call.arguments.int("axis", -1)?, call.arguments.string("axis_str")?) {
        (-1, "") => Ok(None),
        (-1, letter) => {
            let order = call.arguments.string("order")?;
            let order = if order.is_empty() { "NCHW" } else { order };
            let axis = order.find(letter).ok_or_else(|| format!("its axis_str {letter} is not in {order}"))?;
            Ok(Some(axis as i64))
        }
        (axis, _) => Ok(Some(axis)),
    }
}

/// The second tensor with as many axes behind it as the first one has.
fn along(call: &mut Call<'_>, a: &Value, b: &Value, first: i64) -> Result<String, String> {
    let (Some(whole), Some(part)) = (&a.shape, &b.shape) else {
        return Err(format!("broadcasts along axis {first} of a tensor whose number of axes is not known"));
    };
    if !part.is_empty() && part.iter().all(|&dim| dim == Dim::Fixed(1)) {
        return Ok(b.name.clone());
    }
    let (whole, part) = (whole.len() as i64, part.len() as i64);
    let behind = whole.checked_sub(first).and_then(|behind| behind.checked_sub(part));
    match behind.filter(|&behind| first >= 0 && behind >= 0) {
        Some(0) => Ok(b.name.clone()),
        Some(behind) => {
            let axes: Vec<i64> = (part..part + behind).collect();
            Ok(call.between("Unsqueeze", &[&b.name], vec![ints("axes", &axes)]))
        }
        None => Err(format!("broadcasts a tensor of {part} axes along axis {first} of one of {whole}")),
    }
}

/// `Sum` of any number of tensors.
pub(super) fn sum(call: &mut Call<'_>) -> Result<(), String> {
    let shape = call.input(0)?.shape;
    let names: Vec<String> = call.inputs().iter().map(|value| value.name.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    call.emit("Sum", &names, vec![], shape)
}

/// `Scale` by a number.
pub(super) fn scale(call: &mut Call<'_>) -> Result<(), String> {
    let x = call.input(0)?;
    let scale = call.arguments.float("scale", 1.0)?;
    let scale = call.graph.number(scale);
    call.emit("Mul", &[&x.name, &scale], vec![], x.shape)
}

/// `Clip` between numbers, either of which may be left out.
pub(super) fn clip(call: &mut Call<'_>) -> Result<(), String> {
    let x = call.input(0)?;
    let (least, most) = (call.arguments.try_float("min")?, call.arguments.try_float("max")?);
    let mut name = |bound: Option<f32>| bound.map(|bound| call.graph.number(bound)).unwrap_or_default();
    let (least, most) = (name(least), name(most));
    call.emit("Clip", &[&x.name, &least, &most], vec![], x.shape)
}

/// `PRelu`: a slope for each channel, or one for all.
pub(super) fn parametric_relu(call: &mut Call<'_>) -> Result<(), String> {
    call.arguments.only_nchw()?;
    let (x, slope) = (call.input(0)?, call.input(1)?);
    let is_one = matches!(slope.shape.as_deref(), Some([Dim::Fixed(1)]));
    let rank = match &x.shape {
        Some(dims) => dims.len() as i64,
        None if is_one => 2,
        None => return Err("has a slope for each channel of an input whose number of axes is not known".into()),
    };
    let slope = if is_one || rank <= 2 {
        slope.name
    } else {
        // ONNX lines shapes up at their ends, so that the channels need the axes behind them.
        let axes: Vec<i64> = (1..rank - 1).collect();
        call.between("Unsqueeze", &[&slope.name], vec![ints("axes", &axes)])
    };
    call.emit("PRelu", &[&x.name, &slope], vec![], x.shape)
}
