//! Two tensors, element by element, and the sentence that says where they differ. Which tensors these are is not known
//! here.

use crate::tensor::{Data, Tensor};
use graphpipe_schema::DType;
use half::{bf16, f16};

/// Holds a tensor against what is expected. `title` says in the error which tensor it is.
pub fn compare(title: impl Fn() -> String, output: &Tensor, expected: &Tensor, tolerance: f64) -> Result<(), String> {
    if output.dtype != expected.dtype || output.shape != expected.shape {
        return Err(format!("{} is {}, expected {}", title(), output.form(), expected.form()));
    }
    let differences = match (&output.data, &expected.data) {
        (Data::Bytes(bytes), Data::Bytes(right)) if bytes == right => return Ok(()),
        (Data::Bytes(bytes), Data::Bytes(right)) if bytes.len() == right.len() => {
            let size = expected.dtype.size().unwrap_or(1);
            let elements = bytes.chunks_exact(size).zip(right.chunks_exact(size));
            Differences::find(
                elements,
                |is, right| same(expected.dtype, is, right, tolerance),
                |element| number(expected.dtype, element),
            )
        }
        (Data::Strings(strings), Data::Strings(right)) if strings.len() == right.len() => {
            let elements = strings.iter().map(Vec::as_slice).zip(right.iter().map(Vec::as_slice));
            Differences::find(elements, |is, right| is == right, text)
        }
        _ => return Err(format!("{} has {} bytes, expected {}", title(), output.bytes(), expected.bytes())),
    };
    let Some(Differences { first, is, right, more }) = differences else { return Ok(()) };
    let more = if more == 0 { String::new() } else { format!(" (and {more} more differ)") };
    let index: Vec<String> = index(first, &expected.shape).iter().map(usize::to_string).collect();
    Err(format!("{}: element [{}] is {is}, expected {right}{more}", title(), index.join(",")))
}

/// Where two lists of elements differ, and what the first difference is.
struct Differences {
    first: usize,
    is: String,
    right: String,
    more: usize,
}

impl Differences {
    fn find<'a>(
        elements: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        same: impl Fn(&[u8], &[u8]) -> bool,
        write: impl Fn(&[u8]) -> String,
    ) -> Option<Differences> {
        let mut different = elements.enumerate().filter(|(_, (is, right))| !same(is, right));
        let (first, (is, right)) = different.next()?;
        Some(Differences { first, is: write(is), right: write(right), more: different.count() })
    }
}

/// Whether an element is as expected.
fn same(dtype: DType, is: &[u8], right: &[u8], tolerance: f64) -> bool {
    if is == right {
        return true;
    }
    let (Some(is), Some(right)) = (float(dtype, is), float(dtype, right)) else { return false };
    if is.is_nan() || right.is_nan() {
        return is.is_nan() && right.is_nan();
    }
    // An infinity is near to nothing, though `t * |b|` is as far away as it. At 0 the bits have decided: -0.0 is not 0.0.
    tolerance > 0.0 && is.is_finite() && right.is_finite() && (is - right).abs() <= tolerance + tolerance * right.abs()
}

/// The value of a float; `None` if it is none. Each type's values are doubles too.
fn float(dtype: DType, element: &[u8]) -> Option<f64> {
    match dtype {
        DType::Float16 => Some(f16::from_le_bytes(element.try_into().ok()?).to_f64()),
        DType::Bfloat16 => Some(bf16::from_le_bytes(element.try_into().ok()?).to_f64()),
        DType::Float32 => Some(f32::from_le_bytes(element.try_into().ok()?).into()),
        DType::Float64 => Some(f64::from_le_bytes(element.try_into().ok()?)),
        _ => None,
    }
}

/// A number as it is shortest in its own type, so that two that differ never read alike.
fn number(dtype: DType, element: &[u8]) -> String {
    if dtype == DType::Float32 {
        return element.try_into().map_or_else(|_| String::new(), |bytes| format!("{:?}", f32::from_le_bytes(bytes)));
    }
    if let Some(value) = float(dtype, element) {
        return format!("{value:?}");
    }
    // Whatever its size, an integer is one of 16 bytes when its sign is written on.
    let signed = matches!(dtype, DType::Int8 | DType::Int16 | DType::Int32 | DType::Int64);
    let negative = signed && element.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut bytes = [if negative { 0xff } else { 0 }; 16];
    bytes[..element.len()].copy_from_slice(element);
    i128::from_le_bytes(bytes).to_string()
}

/// A string in quotes, the beginning of a long one.
fn text(element: &[u8]) -> String {
    const BYTES_MAX: usize = 80;
    let dots = if element.len() > BYTES_MAX { "…" } else { "" };
    format!("\"{}{dots}\"", element[..element.len().min(BYTES_MAX)].escape_ascii())
}

/// The indices of the `at`-th element.
fn index(mut at: usize, shape: &[i64]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (index, dim) in index.iter_mut().zip(shape).rev() {
        let dim = usize::try_from(*dim).unwrap_or(1).max(1);
        *index = at % dim;
        at /= dim;
    }
    index
}
