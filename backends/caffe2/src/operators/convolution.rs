//! Convolutions, and transposed ones.

use super::Call;
use super::window::{Legacy, Window, sizes};
use crate::attributes::{int, ints};
use crate::shape::{Dim, Shape};
use graphpiped_onnx_proto::AttributeProto;

/// `Conv`: input, filters `[M, C/group, kernel…]`, bias `[M]`.
pub(super) fn convolution(call: &mut Call<'_>) -> Result<(), String> {
    let window = Window::of(call)?;
    if window.legacy == Legacy::CaffePooling {
        return Err("its legacy_pad is that of Caffe's pools, and it is none; export the net again".into());
    }
    let group = group(call)?;
    let (x, filters) = (call.input(0)?, call.input(1)?);
    check_filters(&filters.shape, &window)?;
    let (channels, made) = match filters.shape.as_deref() {
        Some([made, each, ..]) => (each.size().and_then(|each| each.checked_mul(group)), *made),
        _ => (None, Dim::Any),
    };
    let given = x.shape.as_ref().and_then(|dims| dims.get(1)).copied().and_then(Dim::size);
    if let (Some(channels), Some(given)) = (channels, given)
        && channels != given
    {
        return Err(format!("its filters are for {channels} channels, and its input has {given}"));
    }
    let shape = window.shape(&x.shape, made)?;
    let mut attributes = window.attributes();
    attributes.extend([ints("dilations", &window.dilations), int("group", group)]);
    emit(call, "Conv", attributes, shape)
}

/// `ConvTranspose`: input, filters `[C, M/group, kernel…]`, bias `[M]`.
pub(super) fn transposed(call: &mut Call<'_>) -> Result<(), String> {
    let window = Window::of(call)?;
    if window.legacy == Legacy::CaffePooling {
        return Err("its legacy_pad is that of Caffe's pools, and it is none; export the net again".into());
    }
    if window.dilations.iter().any(|&dilation| dilation != 1) {
        return Err("is dilated, which Caffe2 itself does not do; export the net again".into());
    }
    let mut adjusted = sizes(call.arguments, "adj", &["_h", "_w"])?;
    adjusted.resize(window.kernel.len(), 0);
    if adjusted.iter().zip(&window.strides).any(|(size, stride)| !(0..=*stride).contains(size)) {
        return Err(format!("its adj {adjusted:?} is not within its strides; export the net again"));
    }
    let group = group(call)?;
    let (x, filters) = (call.input(0)?, call.input(1)?);
    check_filters(&filters.shape, &window)?;
    let made = match filters.shape.as_deref() {
        Some([_, each, ..]) => each.size().and_then(|each| each.checked_mul(group)).map_or(Dim::Any, Dim::Fixed),
        _ => Dim::Any,
    };
    let size = |(axis, dim): (usize, &Dim)| {
        let pads = window.pads[axis] + window.pads[axis + window.kernel.len()];
        let stretched = dim.size().and_then(|size| (size - 1).checked_mul(window.strides[axis]));
        let size = stretched.and_then(|size| size.checked_add(window.kernel[axis] + adjusted[axis] - pads));
        match size {
            Some(size @ ..0) => Err(format!("its pads leave an output of {size}")),
            Some(size) => Ok(Dim::Fixed(size)),
            None => Ok(Dim::Any),
        }
    };
    let shape = match x.shape.as_deref() {
        Some([rows, _, spatial @ ..]) if spatial.len() == window.kernel.len() => {
            let sizes = spatial.iter().enumerate().map(size).collect::<Result<Vec<_>, _>>()?;
            Some([*rows, made].into_iter().chain(sizes).collect())
        }
        Some(dims) => return Err(format!("its input has {} axes", dims.len())),
        None => None,
    };
    let attributes = vec![
        ints("kernel_shape", &window.kernel),
        ints("strides", &window.strides),
        ints("pads", &window.pads),
        ints("output_padding", &adjusted),
        int("group", group),
    ];
    emit(call, "ConvTranspose", attributes, shape)
}

fn emit(call: &mut Call<'_>, kind: &str, attributes: Vec<AttributeProto>, shape: Shape) -> Result<(), String> {
    let names: Vec<String> = call.inputs().iter().take(3).map(|value| value.name.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    call.emit(kind, &names, attributes, shape)
}

fn group(call: &Call<'_>) -> Result<i64, String> {
    match call.arguments.int("group", 1)? {
        group @ 1.. => Ok(group),
        group => Err(format!("its group is {group}")),
    }
}

/// Refuses filters of other sizes than the window that they are applied in.
fn check_filters(filters: &Shape, window: &Window) -> Result<(), String> {
    let Some(dims) = filters else { return Ok(()) };
    let sizes: Vec<_> = dims.iter().skip(2).map(|dim| dim.size()).collect();
    let is_one = |(size, &wanted): (&Option<i64>, &i64)| size.is_none_or(|size| size == wanted);
    if sizes.len() == window.kernel.len() && sizes.iter().zip(&window.kernel).all(is_one) {
        return Ok(());
    }
    let shown: Vec<_> = dims.iter().map(|dim| dim.size().unwrap_or(-1)).collect();
    Err(format!("its kernel is {:?}, and its filters are of shape {shown:?}; copy init_net.pb again", window.kernel))
}
