//! Pictures as tensors: rows of red, green and blue, or of grey, laid out and sized as the input's shape says.
//!
//! Channels (1 or 3 of them) come last (`[N,H,W,C]`, `[H,W,C]`) or first (`[N,C,H,W]`, `[C,H,W]`), wherever the shape has a
//! 1 or a 3; where both ends have one it says neither, and is refused. Transparency is dropped, grey is made as Rec. 709
//! says. uint8 are values as they are in the file, floats are these divided by 255.

use super::BYTES_MAX;
use super::generate::element_bytes;
use super::options::Slot;
use crate::tensor::{Data, Tensor};
use graphpipe_schema::DType;
use half::{bf16, f16};
use image::imageops::FilterType;
use image::{DynamicImage, ImageReader};
use std::path::Path;

#[cfg(test)]
mod tests;

/// Reads a file; what it is decides its content, not its name.
pub fn read(path: &Path) -> Result<DynamicImage, String> {
    let unreadable = |error: String| format!("cannot read {}: {error}", path.display());
    let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format);
    let reader = reader.map_err(|error| unreadable(error.to_string()))?;
    reader.decode().map_err(|error| unreadable(error.to_string()))
}

/// Makes one tensor of all pictures for an input.
pub fn tensor(pictures: Vec<(String, DynamicImage)>, slot: &Slot) -> Result<Tensor, String> {
    let file = pictures.first().map_or("", |(file, _)| file).to_owned();
    let refused = |problem: String| format!("{file}: {slot} {problem}");
    let dtype = slot.dtype.or(slot.dtype_default);
    let dtype = dtype.ok_or_else(|| refused("has a type that is not known: say it with --dtype".to_owned()))?;
    let layout = Layout::read(slot.dims.as_deref()).map_err(refused)?;
    if pictures.len() > 1 && !layout.rows {
        return Err(refused("takes one picture".to_owned()));
    }
    let (width, height) = layout.size(&file, &pictures[0].1)?;
    let parts = [u64::from(height), layout.channels, element_bytes(dtype), pictures.len() as u64];
    let bytes = parts.iter().try_fold(u64::from(width), |bytes, part| bytes.checked_mul(*part));
    if bytes.is_none_or(|bytes| bytes > BYTES_MAX) {
        return Err(refused(format!("would take more than {BYTES_MAX} bytes")));
    }
    let mut bytes = Vec::new();
    let count = pictures.len();
    for (file, picture) in pictures {
        if layout.size(&file, &picture)? != (width, height) {
            return Err(format!("{file} is not of the {width} × {height} pixels of the other pictures"));
        }
        let values = layout.values(picture, width, height);
        bytes.extend(
            elements(&values, dtype).ok_or_else(|| refused(format!("is {dtype}; pictures are uint8 or floats")))?,
        );
    }
    let (channels, height, width) = (layout.channels as i64, i64::from(height), i64::from(width));
    let mut shape = if layout.first { vec![channels, height, width] } else { vec![height, width, channels] };
    if layout.rows {
        shape.insert(0, count as i64);
    }
    Ok(Tensor { name: slot.name.clone(), dtype, shape, data: Data::Bytes(bytes) })
}

/// Where a shape has what.
struct Layout {
    /// Whether the first dimension counts pictures.
    rows: bool,
    /// Whether channels come before height and width.
    first: bool,
    channels: u64,
    height: Option<u64>,
    width: Option<u64>,
}

impl Layout {
    fn read(dims: Option<&[Option<u64>]>) -> Result<Layout, String> {
        let dims = dims.ok_or("has a shape that is not known: say it with --shape")?;
        let (rows, [a, b, c]) = match *dims {
            [_, a, b, c] => (true, [a, b, c]),
            [a, b, c] => (false, [a, b, c]),
            _ => return Err(format!("has {} dimensions; pictures take 3 or 4", dims.len())),
        };
        let channels = |dim: Option<u64>| dim.filter(|dim| [1, 3].contains(dim));
        match (channels(a), channels(c)) {
            (Some(channels), None) => Ok(Layout { rows, first: true, channels, height: b, width: c }),
            (None, Some(channels)) => Ok(Layout { rows, first: false, channels, height: a, width: b }),
            (Some(_), Some(_)) => {
                Err("has a shape that says neither that channels come first nor that they come last".to_owned())
            }
            (None, None) => Err("has a shape without 1 or 3 channels, first or last".to_owned()),
        }
    }

    /// Width and height that a picture is to have: the shape's, or its own where the shape leaves both open.
    fn size(&self, file: &str, picture: &DynamicImage) -> Result<(u32, u32), String> {
        let own = (picture.width(), picture.height());
        let fits = |told: Option<u64>, own: u32| told.is_none_or(|told| told == u64::from(own));
        match (self.width, self.height) {
            (Some(width), Some(height)) => match (u32::try_from(width), u32::try_from(height)) {
                (Ok(width), Ok(height)) if width > 0 && height > 0 => Ok((width, height)),
                _ => Err(format!("{file} cannot be made {width} × {height} pixels")),
            },
            (width, height) if fits(width, own.0) && fits(height, own.1) => Ok(own),
            _ => Err(format!(
                "{file} has {} × {} pixels, which is not what the shape says, and it is resized only where that says both",
                own.0, own.1
            )),
        }
    }

    /// The values of a picture, in this layout.
    fn values(&self, picture: DynamicImage, width: u32, height: u32) -> Vec<u8> {
        let picture = if self.channels == 1 {
            DynamicImage::ImageLuma8(picture.into_luma8())
        } else {
            DynamicImage::ImageRgb8(picture.into_rgb8())
        };
        let sized = (picture.width(), picture.height()) == (width, height);
        let picture = if sized { picture } else { picture.resize_exact(width, height, FilterType::Triangle) };
        let values = picture.into_bytes();
        if !self.first || self.channels == 1 {
            return values;
        }
        let channels = self.channels as usize;
        (0..channels).flat_map(|channel| values.iter().skip(channel).step_by(channels)).copied().collect()
    }
}

/// Values as elements of a type; `None` if it is not one for pictures.
fn elements(values: &[u8], dtype: DType) -> Option<Vec<u8>> {
    let part = |value: &u8| f32::from(*value) / 255.0;
    Some(match dtype {
        DType::Uint8 => values.to_vec(),
        DType::Float16 => values.iter().flat_map(|value| f16::from_f32(part(value)).to_le_bytes()).collect(),
        DType::Bfloat16 => values.iter().flat_map(|value| bf16::from_f32(part(value)).to_le_bytes()).collect(),
        DType::Float32 => values.iter().flat_map(|value| part(value).to_le_bytes()).collect(),
        DType::Float64 => values.iter().flat_map(|value| (f64::from(*value) / 255.0).to_le_bytes()).collect(),
        _ => return None,
    })
}
