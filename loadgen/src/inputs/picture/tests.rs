//! Pictures that Pillow wrote, held against what was put in and against what Pillow makes of them.

use super::*;
use crate::inputs::arrays;
use std::path::PathBuf;

fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file)
}

fn slot(dtype: DType, dims: &[i64]) -> Slot {
    let dims = dims.iter().map(|dim| u64::try_from(*dim).ok()).collect();
    Slot {
        name: "image".to_owned(),
        dtype: Some(dtype),
        dtype_default: None,
        dims: Some(dims),
        rows: None,
        open: false,
    }
}

fn convert(files: &[&str], dtype: DType, dims: &[i64]) -> Result<Tensor, String> {
    let pictures = files.iter().map(|file| ((*file).to_owned(), read(&data(file)).unwrap())).collect();
    tensor(pictures, &slot(dtype, dims))
}

fn bytes(tensor: &Tensor) -> &[u8] {
    match &tensor.data {
        Data::Bytes(bytes) => bytes,
        Data::Strings(_) => panic!("a picture is no strings"),
    }
}

/// The pixels of `colours.png`, as `make.py` sets them.
fn colour(x: u8, y: u8) -> [u8; 3] {
    [10 * x, 100 * y, 255 - x]
}

#[test]
fn channels_come_last_where_the_shape_ends_in_three() {
    let pixels: Vec<u8> = (0..2).flat_map(|y| (0..4).flat_map(move |x| colour(x, y))).collect();
    for file in ["colours.png", "transparent.png"] {
        let tensor = convert(&[file], DType::Uint8, &[-1, -1, -1, 3]).unwrap();
        assert_eq!((tensor.shape.as_slice(), bytes(&tensor)), (&[1, 2, 4, 3][..], pixels.as_slice()), "{file}");
    }
    assert_eq!(convert(&["colours.png"], DType::Uint8, &[2, 4, 3]).unwrap().shape, [2, 4, 3]);
}

#[test]
fn channels_come_first_where_the_shape_begins_with_three() {
    let planes: Vec<u8> = (0..3).flat_map(|c| (0..2).flat_map(move |y| (0..4).map(move |x| colour(x, y)[c]))).collect();
    let tensor = convert(&["colours.png"], DType::Uint8, &[-1, 3, 2, 4]).unwrap();
    assert_eq!((tensor.shape.as_slice(), bytes(&tensor)), (&[1, 3, 2, 4][..], planes.as_slice()));
}

#[test]
fn floats_are_parts_of_one() {
    // 0, 51, 102 and 255 of 255 are 0, 0.2, 0.4 and 1; as binary16, the nearest to 0.2 is 0x3266, to 0.4 0x3666.
    let tensor = convert(&["grey.png"], DType::Float32, &[-1, 1, 2, 2]).unwrap();
    assert_eq!(bytes(&tensor), [0.0, 0.2, 0.4, 1.0_f32].map(f32::to_le_bytes).concat());
    let tensor = convert(&["grey.png"], DType::Float64, &[-1, 2, 2, 1]).unwrap();
    assert_eq!(bytes(&tensor), [0.0, 0.2, 0.4, 1.0_f64].map(f64::to_le_bytes).concat());
    let tensor = convert(&["grey.png"], DType::Float16, &[-1, 1, 2, 2]).unwrap();
    assert_eq!(bytes(&tensor), [0_u16, 0x3266, 0x3666, 0x3c00].map(u16::to_le_bytes).concat());
    // As bfloat16, the upper halves of 0x3e4ccccd and 0x3ecccccd, rounded.
    let tensor = convert(&["grey.png"], DType::Bfloat16, &[-1, 1, 2, 2]).unwrap();
    assert_eq!(bytes(&tensor), [0_u16, 0x3e4d, 0x3ecd, 0x3f80].map(u16::to_le_bytes).concat());
}

/// The largest difference from the array in a file.
fn distance(tensor: &Tensor, file: &str) -> u8 {
    let array = arrays(&data(file)).unwrap().remove(0);
    assert_eq!(tensor.shape[1..], array.shape);
    bytes(tensor).iter().zip(bytes(&array)).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn jpegs_are_read_as_pillow_reads_them() {
    let tensor = convert(&["slope.jpg"], DType::Uint8, &[-1, -1, -1, 3]).unwrap();
    // Decoders may round the transform of a block differently.
    assert!(distance(&tensor, "slope-jpg.npy") <= 3, "{}", distance(&tensor, "slope-jpg.npy"));
}

#[test]
fn a_shape_that_fixes_the_size_resizes_as_pillow_does() {
    let tensor = convert(&["slope.png"], DType::Uint8, &[-1, 8, 8, 3]).unwrap();
    assert!(distance(&tensor, "slope-8x8.npy") <= 1, "{}", distance(&tensor, "slope-8x8.npy"));
}

#[test]
fn several_pictures_are_rows() {
    let tensor = convert(&["colours.png", "transparent.png"], DType::Uint8, &[-1, -1, -1, 3]).unwrap();
    assert_eq!(tensor.shape, [2, 2, 4, 3]);
    let (first, second) = bytes(&tensor).split_at(24);
    assert_eq!(first, second);
}

#[test]
fn what_a_picture_cannot_become_is_refused() {
    for (files, dtype, dims, reason) in [
        (&["grey.png"][..], DType::Uint8, &[-1, 3, 8, 3][..], "says neither that channels come first"),
        (&["grey.png"], DType::Uint8, &[-1, 28, 28], "without 1 or 3 channels"),
        (&["grey.png"], DType::Uint8, &[-1, 64], "has 2 dimensions; pictures take 3 or 4"),
        (&["grey.png"], DType::Int64, &[-1, 2, 2, 1], "is int64; pictures are uint8 or floats"),
        (&["grey.png"], DType::Uint8, &[-1, 3, -1, 1], "says neither"),
        (&["grey.png"], DType::Uint8, &[-1, 5, -1, 1], "grey.png has 2 × 2 pixels"),
        (&["grey.png"], DType::Uint8, &[-1, 1 << 20, 1 << 20, 3], "more than 2147483647 bytes"),
        (&["grey.png"], DType::Uint8, &[-1, i64::MAX, i64::MAX, 3], "cannot be made"),
        (&["grey.png"], DType::Uint8, &[-1, 0, 2, 3], "cannot be made"),
        (&["grey.png", "colours.png"], DType::Uint8, &[-1, -1, -1, 3], "colours.png is not of the 2 × 2 pixels"),
        (&["grey.png", "grey.png"], DType::Uint8, &[-1, -1, 3], "takes one picture"),
    ] {
        let error = convert(files, dtype, dims).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn an_unreadable_picture_is_refused_with_its_path() {
    for file in ["absent.png", "README.md"] {
        let error = read(&data(file)).unwrap_err();
        assert!(error.starts_with(&format!("cannot read {}: ", data(file).display())), "{error}");
    }
}
