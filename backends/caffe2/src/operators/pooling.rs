//! Pools, with Caffe's old way of padding among them.
//!
//! Caffe rounded the number of windows up, and dropped the last one if it began behind the input and the padding before
//! it. That is what `ceil_mode` does in ONNX Runtime. Only without padding did Caffe keep such a window; it has nothing
//! in it, and takes a stride longer than the kernel, so it is refused rather than counted.

use super::Call;
use super::window::{Legacy, Window};
use crate::attributes::int;
use crate::shape::{Dim, Shape};

/// `MaxPool`.
pub(super) fn maximum(call: &mut Call<'_>) -> Result<(), String> {
    pool(call, "MaxPool", "GlobalMaxPool")
}

/// `AveragePool`: of what is in the window, without the padding, unless `count_include_pad` says otherwise.
pub(super) fn average(call: &mut Call<'_>) -> Result<(), String> {
    pool(call, "AveragePool", "GlobalAveragePool")
}

fn pool(call: &mut Call<'_>, kind: &str, global: &str) -> Result<(), String> {
    let x = call.input(0)?;
    call.arguments.only_nchw()?;
    let channels = x.shape.as_ref().and_then(|dims| dims.get(1)).copied().unwrap_or(Dim::Any);
    if call.arguments.flag("global_pooling", false)? {
        let one = |(axis, dim): (usize, &Dim)| if axis < 2 { *dim } else { Dim::Fixed(1) };
        let shape: Shape = x.shape.as_ref().map(|dims| dims.iter().enumerate().map(one).collect());
        return call.emit(global, &[&x.name], vec![], shape);
    }
    let mut window = Window::of(call)?;
    if window.dilations.iter().any(|&dilation| dilation != 1) {
        return Err("is dilated, which Caffe2 itself does not do; export the net again".into());
    }
    let counts_pads = kind == "AveragePool" && call.arguments.flag("count_include_pad", false)?;
    let mut attributes = Vec::new();
    if window.legacy == Legacy::CaffePooling {
        if counts_pads {
            return Err("counts the padding of legacy_pad 3, which is not translated; export the net to ONNX".into());
        }
        if window.strides.iter().zip(&window.kernel).any(|(stride, kernel)| stride > kernel) {
            return Err("has a stride longer than its kernel with legacy_pad 3, which makes windows of nothing".into());
        }
        // Caffe had one number for both ends.
        let (head, tail) = window.pads.split_at_mut(window.kernel.len());
        tail.copy_from_slice(head);
        attributes.push(int("ceil_mode", 1));
    }
    if counts_pads {
        attributes.push(int("count_include_pad", 1));
    }
    attributes.extend(window.attributes());
    let shape = window.shape(&x.shape, channels)?;
    call.emit(kind, &[&x.name], attributes, shape)
}
