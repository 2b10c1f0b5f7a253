//! Windows of convolutions and pools: kernel, stride, dilation and padding, in each of the spellings that Caffe2 takes.
//!
//! Of each there are three: one number for two axes (`kernel`), one for each of two axes (`kernel_h`, `kernel_w`), and a
//! list for any number of axes (`kernels`). Where there are several, Caffe2 takes the list before the one number, and that
//! before one for each.

use super::Call;
use crate::arguments::Arguments;
use crate::attributes::{ints, string};
use crate::shape::{Dim, Shape};
use graphpiped_onnx_proto::AttributeProto;

/// How padding follows from the size of the input (`legacy_pad`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Legacy {
    /// It does not.
    NotSet,
    /// There is none.
    Valid,
    /// So that the output is as large as the input, divided by the stride; the odd one at the end.
    Same,
    /// As Caffe pooled: the last window may begin anywhere within the input and the padding before it.
    CaffePooling,
}

/// A window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub kernel: Vec<i64>,
    pub strides: Vec<i64>,
    pub dilations: Vec<i64>,
    /// At the beginning of each axis, then at the end of each.
    pub pads: Vec<i64>,
    pub legacy: Legacy,
}

/// Axes that a window has at most. Caffe2 has kernels for three.
const AXES_MAX: usize = 3;

/// Greater numbers are no sizes of windows, and their products might overflow.
const SIZE_MAX: i64 = 1 << 20;

impl Window {
    /// The window of an operator.
    pub fn of(call: &Call<'_>) -> Result<Window, String> {
        let arguments = call.arguments;
        arguments.only_nchw()?;
        let legacy = match arguments.int("legacy_pad", 0)? {
            0 => Legacy::NotSet,
            1 => Legacy::Valid,
            2 => Legacy::Same,
            3 => Legacy::CaffePooling,
            other => return Err(format!("its legacy_pad is {other}, and there are 0 to 3")),
        };
        let kernel = sizes(arguments, "kernel", &["_h", "_w"])?;
        let axes = kernel.len();
        if axes == 0 || axes > AXES_MAX {
            return Err(format!("its kernel has {axes} axes, of 1 to {AXES_MAX}; export the net again"));
        }
        let or = |found: Vec<i64>, count, value| if found.is_empty() { vec![value; count] } else { found };
        let strides = or(sizes(arguments, "stride", &["_h", "_w"])?, axes, 1);
        let dilations = or(sizes(arguments, "dilation", &["_h", "_w"])?, axes, 1);
        let pads = or(sizes(arguments, "pad", &["_t", "_l", "_b", "_r"])?, 2 * axes, 0);
        if strides.len() != axes || dilations.len() != axes || pads.len() != 2 * axes {
            let found = format!("{} strides, {} dilations and {} pads", strides.len(), dilations.len(), pads.len());
            return Err(format!("its kernel has {axes} axes, which {found} do not go with; export the net again"));
        }
        let is_sound = |list: &[i64], least| list.iter().all(|size| (least..=SIZE_MAX).contains(size));
        if !(is_sound(&kernel, 1) && is_sound(&strides, 1) && is_sound(&dilations, 1) && is_sound(&pads, 0)) {
            let what = format!("kernel {kernel:?}, strides {strides:?}, dilations {dilations:?}, pads {pads:?}");
            return Err(format!("its window cannot be ({what}); export the net again"));
        }
        if matches!(legacy, Legacy::Valid | Legacy::Same) && pads.iter().any(|&pad| pad != 0) {
            return Err("says both legacy_pad and pads; leave one of them out".into());
        }
        Ok(Window { kernel, strides, dilations, pads, legacy })
    }

    /// Kernel, strides and, if they follow from the arguments alone, pads.
    pub fn attributes(&self) -> Vec<AttributeProto> {
        let padding = match self.legacy {
            Legacy::Same => string("auto_pad", "SAME_UPPER"),
            Legacy::NotSet | Legacy::Valid | Legacy::CaffePooling => ints("pads", &self.pads),
        };
        vec![ints("kernel_shape", &self.kernel), ints("strides", &self.strides), padding]
    }

    /// What the window makes of an input of this shape, with so many channels.
    pub fn shape(&self, input: &Shape, channels: Dim) -> Result<Shape, String> {
        let Some(dims) = input else { return Ok(None) };
        if dims.len() != self.kernel.len() + 2 {
            return Err(format!("its input has {} axes, and its window needs {}", dims.len(), self.kernel.len() + 2));
        }
        let spatial = (0..self.kernel.len()).map(|axis| self.size(axis, dims[axis + 2]));
        let spatial = spatial.collect::<Result<Vec<_>, _>>()?;
        Ok(Some([dims[0], channels].into_iter().chain(spatial).collect()))
    }

    /// The size of one axis of the output.
    fn size(&self, axis: usize, input: Dim) -> Result<Dim, String> {
        let Some(size) = input.size() else { return Ok(Dim::Any) };
        let (stride, head, tail) = (self.strides[axis], self.pads[axis], self.pads[axis + self.kernel.len()]);
        let reach = self.dilations[axis] * (self.kernel[axis] - 1) + 1;
        let room = size.saturating_add(head + tail) - reach;
        match self.legacy {
            Legacy::Same => Ok(Dim::Fixed(size / stride + i64::from(size % stride != 0))),
            _ if room < 0 => {
                Err(format!("its window reaches over {reach}, and its input has {size} and {} pads", head + tail))
            }
            Legacy::NotSet | Legacy::Valid => Ok(Dim::Fixed(room / stride + 1)),
            // Whether the last window is one follows from more than is worth repeating here.
            Legacy::CaffePooling => Ok(Dim::Any),
        }
    }
}

/// Sizes, by the name of one of them and the suffixes of its parts.
pub(crate) fn sizes(arguments: Arguments<'_>, name: &str, suffixes: &[&str]) -> Result<Vec<i64>, String> {
    let list = arguments.ints(&format!("{name}s"));
    let one = arguments.try_int(name)?;
    let parts = suffixes.iter().map(|suffix| arguments.try_int(&format!("{name}{suffix}")));
    let parts: Option<Vec<i64>> = parts.collect::<Result<_, _>>()?;
    match (list, one, parts) {
        ([], Some(size), _) => Ok(vec![size; suffixes.len()]),
        ([], None, parts) => Ok(parts.unwrap_or_default()),
        (list, None, None) => Ok(list.to_vec()),
        (list, Some(_), _) if list.len() == suffixes.len() => Ok(list.to_vec()),
        // Caffe2 puts them together, which gives too many.
        _ => Err(format!("says its {name} in two ways at once; export the net again")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;
    use crate::proto::{Argument, OperatorDef};

    fn window(arguments: &[(&str, &[i64])]) -> Result<Window, String> {
        let argument = |(name, values): &(&str, &[i64])| match values {
            [value] => Argument { name: Some((*name).into()), i: Some(*value), ..Argument::default() },
            _ => Argument { name: Some((*name).into()), ints: values.to_vec(), ..Argument::default() },
        };
        let arg = arguments.iter().map(argument).collect();
        let operator = OperatorDef { arg, ..OperatorDef::default() };
        let mut graph = Graph::default();
        Window::of(&Call::begin(&operator, &mut graph).expect("it reads nothing"))
    }

    #[test]
    fn each_spelling_says_the_same() {
        let expected = Ok(Window {
            kernel: vec![3, 3],
            strides: vec![2, 2],
            dilations: vec![1, 1],
            pads: vec![1, 1, 1, 1],
            legacy: Legacy::NotSet,
        });
        assert_eq!(window(&[("kernel", &[3]), ("stride", &[2]), ("pad", &[1])]), expected);
        assert_eq!(window(&[("kernels", &[3, 3]), ("strides", &[2, 2]), ("pads", &[1, 1, 1, 1])]), expected);
        let parts: [(&str, &[i64]); 8] = [
            ("kernel_h", &[3]),
            ("kernel_w", &[3]),
            ("stride_h", &[2]),
            ("stride_w", &[2]),
            ("pad_t", &[1]),
            ("pad_l", &[1]),
            ("pad_b", &[1]),
            ("pad_r", &[1]),
        ];
        assert_eq!(window(&parts), expected);
    }

    #[test]
    fn windows_that_cannot_be_are_refused() {
        let cases: [&[(&str, &[i64])]; 7] = [
            &[],
            &[("kernel", &[0])],
            &[("kernel", &[3]), ("stride", &[0])],
            &[("kernel", &[3]), ("pad", &[-1])],
            &[("kernel", &[3]), ("strides", &[1, 1, 1])],
            &[("kernels", &[3, 3, 3, 3])],
            &[("kernel", &[3]), ("legacy_pad", &[2]), ("pad", &[1])],
        ];
        for case in cases {
            assert!(window(case).is_err(), "{case:?}");
        }
        assert!(window(&[("kernels", &[3, 3]), ("kernel_h", &[3]), ("kernel_w", &[3])]).is_err());
        assert!(window(&[("kernel", &[i64::MAX]), ("dilation", &[i64::MAX])]).is_err());
    }
}
