//! Where elements are: joining, splitting, cutting and turning tensors, and giving them other shapes.

use super::Call;
use crate::attributes::{int, ints};
use crate::shape::{Dim, Shape, axis, product};
use graphpiped_onnx_proto::DataType;

/// `Concat` along `axis`, or along the channels; with `add_axis`, along a new one.
pub(super) fn concat(call: &mut Call<'_>) -> Result<(), String> {
    call.arguments.only_nchw()?;
    let first = call.input(0)?;
    let which = call.arguments.int("axis", 1)?;
    let mut names: Vec<String> = call.inputs().iter().map(|value| value.name.clone()).collect();
    let count = names.len() as i64;
    let shape = if call.arguments.flag("add_axis", false)? {
        if which < 0 {
            return Err(format!("adds its axis {which}, which is counted from the end; export the net again"));
        }
        names = names.iter().map(|name| call.between("Unsqueeze", &[name], vec![ints("axes", &[which])])).collect();
        first.shape.map(|mut dims| {
            dims.insert((which as usize).min(dims.len()), Dim::Fixed(count));
            dims
        })
    } else {
        let at = axis(which, &first.shape)?;
        let mut sizes = call.inputs().iter().map(|value| value.shape.as_ref()?.get(at)?.size());
        let whole = sizes.try_fold(0_i64, |whole, size| whole.checked_add(size?)).map_or(Dim::Any, Dim::Fixed);
        replaced(first.shape, at, whole)
    };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    call.emit("Concat", &names, vec![int("axis", which)], shape)
}

/// `Split` along `axis`, or along the channels, into parts of given sizes or of the same size.
pub(super) fn split(call: &mut Call<'_>) -> Result<(), String> {
    call.arguments.only_nchw()?;
    let x = call.input(0)?;
    if call.inputs().len() > 1 {
        return Err("takes the sizes of its parts from a blob, which is not translated; export the net to ONNX".into());
    }
    let which = call.arguments.int("axis", 1)?;
    let at = axis(which, &x.shape)?;
    let sizes = call.arguments.ints("split");
    let count = call.operator.output.len();
    if !sizes.is_empty() && sizes.len() != count {
        return Err(format!("has {count} outputs and {} sizes for them", sizes.len()));
    }
    let each = x.shape.as_ref().and_then(|dims| dims.get(at)?.size()).map(|size| size / (count.max(1) as i64));
    let mut names = Vec::with_capacity(count);
    for index in 0..count {
        let size = sizes.get(index).copied().or(each).map_or(Dim::Any, Dim::Fixed);
        names.push(call.output(index, replaced(x.shape.clone(), at, size))?);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut attributes = vec![int("axis", which)];
    if !sizes.is_empty() {
        attributes.push(ints("split", sizes));
    }
    call.graph.node("Split", &[&x.name], attributes, &names);
    Ok(())
}

fn replaced(shape: Shape, at: usize, dim: Dim) -> Shape {
    let mut dims = shape?;
    *dims.get_mut(at)? = dim;
    Some(dims)
}

/// `Reshape`: 0 keeps the size of an axis, -1 is what remains. Its second output is the shape that the input had.
pub(super) fn reshape(call: &mut Call<'_>) -> Result<(), String> {
    let x = call.input(0)?;
    let (target, shape) = match call.inputs().get(1) {
        Some(target) if target.kind == DataType::Int64 => (target.name.clone(), None),
        Some(target) => {
            let target = target.name.clone();
            (call.between("Cast", &[&target], vec![int("to", DataType::Int64 as i64)]), None)
        }
        None => {
            if call.arguments.get("shape").is_none() {
                return Err("has no shape, neither as an argument nor as an input".into());
            }
            let target = call.arguments.ints("shape");
            let shape = Some(reshaped(&x.shape, target));
            call.fixes_the_batch = fixes_the_batch(&x.shape, target);
            (call.graph.integers(target), shape)
        }
    };
    if call.operator.output.len() > 1 {
        let rank = x.shape.as_ref().map_or(Dim::Any, |dims| Dim::Fixed(dims.len() as i64));
        let before = call.output_of(1, DataType::Int64, Some(vec![rank]))?;
        call.graph.node("Shape", &[&x.name], vec![], &[&before]);
    }
    call.emit("Reshape", &[&x.name, &target], vec![], shape)
}

/// Whether a batch of one size alone can have this shape.
fn fixes_the_batch(shape: &Shape, target: &[i64]) -> bool {
    let has_batch = |dims: &[Dim]| dims.first() == Some(&Dim::Batch);
    let keeps_it = target.first() == Some(&0);
    !keeps_it && !target.contains(&-1) && shape.as_deref().is_some_and(has_batch)
}

fn reshaped(shape: &Shape, target: &[i64]) -> Vec<Dim> {
    let kept = |index: usize| shape.as_ref().and_then(|dims| dims.get(index)).copied().unwrap_or(Dim::Any);
    let dim = |(index, &size): (usize, &i64)| match size {
        0 => kept(index),
        1.. => Dim::Fixed(size),
        _ => Dim::Any,
    };
    let mut dims: Vec<Dim> = target.iter().enumerate().map(dim).collect();
    // What remains for the one axis that is not said, if the batch is where it was.
    let rest = target.iter().position(|&size| size == -1);
    if let (Some(rest), Some(whole)) = (rest, shape)
        && rest > 0
        && target.first() == Some(&0)
    {
        let others: Vec<Dim> =
            dims[1..].iter().enumerate().filter(|(at, _)| at + 1 != rest).map(|(_, dim)| *dim).collect();
        let whole = whole.get(1..).and_then(|dims| product(dims).size());
        if let (Some(whole), Some(others @ 1..)) = (whole, product(&others).size()) {
            dims[rest] = Dim::Fixed(whole / others);
        }
    }
    dims
}

/// `Flatten` into a matrix: the axes before a certain one are its rows.
pub(super) fn flatten(call: &mut Call<'_>) -> Result<(), String> {
    let x = call.input(0)?;
    let which = call.arguments.int("axis", 1)?;
    let shape = match &x.shape {
        // An axis behind the last one is allowed: it leaves one column.
        Some(dims) if which == dims.len() as i64 => Some(vec![product(dims), Dim::Fixed(1)]),
        Some(dims) => {
            let at = axis(which, &x.shape)?;
            Some(vec![product(&dims[..at]), product(&dims[at..])])
        }
        None => Some(vec![Dim::Any, Dim::Any]),
    };
    call.emit("Flatten", &[&x.name], vec![int("axis", which)], shape)
}

/// `FlattenToVec`.
pub(super) fn flatten_to_vector(call: &mut Call<'_>) -> Result<(), String> {
    let x = call.input(0)?;
    let all = call.graph.integers(&[-1]);
    let shape = Some(vec![x.shape.as_ref().map_or(Dim::Any, |dims| product(dims))]);
    call.emit("Reshape", &[&x.name, &all], vec![], shape)
}

/// `Transpose` as `axes` say, or the other way round.
pub(super) fn transpose(call: &mut Call<'_>) -> Result<(), String> {
    let x = call.input(0)?;
    let axes = call.arguments.ints("axes");
    let shape = match &x.shape {
        Some(dims) if axes.is_empty() => Some(dims.iter().rev().copied().collect()),
        Some(_) => {
            let at = |&which: &i64| axis(which, &x.shape).map(|at| x.shape.as_ref().map_or(Dim::Any, |dims| dims[at]));
            Some(axes.iter().map(at).collect::<Result<_, _>>()?)
        }
        None => None,
    };
    let attributes = if axes.is_empty() { vec![] } else { vec![ints("perm", axes)] };
    call.emit("Transpose", &[&x.name], attributes, shape)
}

/// `Slice` from `starts` up to `ends`. Counted from the end, -1 is the end itself, and not the last element as in ONNX.
pub(super) fn slice(call: &mut Call<'_>) -> Result<(), String> {
    let x = call.input(0)?;
    if call.inputs().len() > 1 {
        return Err("takes its ends from blobs, which is not translated; export the net to ONNX".into());
    }
    let (starts, ends) = (call.arguments.ints("starts"), call.arguments.ints("ends"));
    if starts.len() != ends.len() {
        return Err(format!("has {} starts and {} ends", starts.len(), ends.len()));
    }
    let place = |&place: &i64| match place {
        0.. => place,
        -1 => i64::MAX,
        _ => place + 1,
    };
    let is_whole = |index: usize| {
        starts.get(index).is_none_or(|start| *start == 0) && ends.get(index).is_none_or(|end| *end == -1)
    };
    let dim = |(index, dim): (usize, &Dim)| match (starts.get(index), ends.get(index), dim) {
        _ if is_whole(index) => *dim,
        (Some(&start @ 0..), Some(&end), Dim::Fixed(size)) if start <= end => {
            Dim::Fixed(end.min(*size).saturating_sub(start).max(0))
        }
        _ => Dim::Any,
    };
    let shape: Shape = x.shape.as_ref().map(|dims| dims.iter().enumerate().map(dim).collect());
    let axes: Vec<i64> = (0..starts.len() as i64).collect();
    let [starts, ends] = [starts, ends].map(|places| places.iter().map(place).collect::<Vec<_>>());
    let names = [&starts, &ends, &axes].map(|values| call.graph.integers(values));
    call.emit("Slice", &[&x.name, &names[0], &names[1], &names[2]], vec![], shape)
}

/// `Squeeze`: drops axes of one element.
pub(super) fn squeeze(call: &mut Call<'_>) -> Result<(), String> {
    let x = call.input(0)?;
    let axes = call.arguments.ints("dims");
    let kept = |(index, dim): (usize, &Dim)| (!axes.contains(&(index as i64))).then_some(*dim);
    let shape = x.shape.as_ref().map(|dims| dims.iter().enumerate().filter_map(kept).collect());
    call.emit("Squeeze", &[&x.name], vec![ints("axes", axes)], shape)
}

/// `ExpandDims`: adds axes of one element, counted in the output.
pub(super) fn expand_dims(call: &mut Call<'_>) -> Result<(), String> {
    let x = call.input(0)?;
    let mut axes = call.arguments.ints("dims").to_vec();
    axes.sort_unstable();
    axes.dedup();
    let shape = match x.shape {
        Some(mut dims) => {
            for &at in &axes {
                let at = usize::try_from(at).ok().filter(|at| *at <= dims.len());
                dims.insert(at.ok_or_else(|| format!("adds axes {axes:?}, which are too far off"))?, Dim::Fixed(1));
            }
            Some(dims)
        }
        None => None,
    };
    call.emit("Unsqueeze", &[&x.name], vec![ints("axes", &axes)], shape)
}

/// `ChannelShuffle`: channels in groups become channels in turn.
pub(super) fn channel_shuffle(call: &mut Call<'_>) -> Result<(), String> {
    call.arguments.only_nchw()?;
    let x = call.input(0)?;
    let group = call.arguments.int("group", 1)?;
    let channels = x.shape.as_ref().and_then(|dims| dims.get(1)?.size());
    let Some(channels) = channels else {
        return Err("shuffles the channels of an input whose number of channels is not known".into());
    };
    if group < 1 || channels % group != 0 {
        return Err(format!("shuffles {channels} channels in {group} groups"));
    }
    let grouped = call.graph.integers(&[0, group, channels / group, -1]);
    let apart = call.between("Reshape", &[&x.name, &grouped], vec![]);
    let turned = call.between("Transpose", &[&apart], vec![ints("perm", &[0, 2, 1, 3])]);
    let sizes: Option<Vec<i64>> = x.shape.as_ref().and_then(|dims| dims[2..].iter().map(|dim| dim.size()).collect());
    let before = match sizes {
        // ONNX Runtime can tell from these that the rows stay rows.
        Some(sizes) => call.graph.integers(&[vec![0, channels], sizes].concat()),
        None => call.between("Shape", &[&x.name], vec![]),
    };
    call.emit("Reshape", &[&turned, &before], vec![], x.shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_has_no_axis_that_a_reshape_could_keep() {
        // Whether it has is for ONNX Runtime to say.
        assert_eq!(reshaped(&Some(Vec::new()), &[0, -1]), [Dim::Any, Dim::Any]);
    }
}
