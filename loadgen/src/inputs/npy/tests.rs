//! Files that numpy wrote, held against the values that were put in (`tests/data/make.py`).

use super::super::archive::arrays;
use super::*;
use std::path::{Path, PathBuf};

fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file)
}

fn one(file: &str) -> Tensor {
    arrays(&data(file)).unwrap().remove(0)
}

fn tensor(dtype: DType, shape: &[i64], bytes: &[u8]) -> Tensor {
    Tensor { name: String::new(), dtype, shape: shape.to_vec(), data: Data::Bytes(bytes.to_vec()) }
}

/// 0, 0.25, … 2.75.
fn quarters() -> Vec<u8> {
    (0..12).flat_map(|at| (at as f32 / 4.0).to_le_bytes()).collect()
}

#[test]
fn floats_are_read_in_either_byte_order() {
    assert_eq!(one("float32.npy"), tensor(DType::Float32, &[6, 2], &quarters()));
    assert_eq!(one("float32-big-endian.npy"), tensor(DType::Float32, &[6, 2], &quarters()));
}

#[test]
fn fortran_order_becomes_c_order() {
    let counting: Vec<u8> = (0..12_i64).flat_map(i64::to_le_bytes).collect();
    assert_eq!(one("int64-fortran.npy"), tensor(DType::Int64, &[2, 3, 2], &counting));
}

#[test]
fn small_floats_keep_their_bits() {
    // IEEE 754: 0, 1, -2, the nearest to a third, the largest, infinity.
    let halves: Vec<u8> =
        [0x0000_u16, 0x3c00, 0xc000, 0x3555, 0x7bff, 0x7c00].iter().flat_map(|half| half.to_le_bytes()).collect();
    assert_eq!(one("float16.npy"), tensor(DType::Float16, &[6], &halves));
    // The upper halves of the binary32 numbers 1 and -2.5.
    assert_eq!(one("bfloat16.npy"), tensor(DType::Bfloat16, &[2], &[0x80, 0x3f, 0x20, 0xc0]));
}

#[test]
fn bools_scalars_and_newer_headers_are_read() {
    assert_eq!(one("bool.npy"), tensor(DType::Bool, &[3], &[1, 0, 1]));
    assert_eq!(one("scalar.npy"), tensor(DType::Float32, &[], &3_f32.to_le_bytes()));
    assert_eq!(one("version-3.npy"), tensor(DType::Uint8, &[2], &[7, 8]));
}

#[test]
fn strings_lose_the_zeros_that_fill_them_up_and_become_utf8() {
    let strings = |texts: &[&str]| Data::Strings(texts.iter().map(|text| text.as_bytes().to_vec()).collect());
    assert_eq!(one("bytes.npy").data, strings(&["a", "", "bcd"]));
    for file in ["unicode.npy", "unicode-big-endian.npy"] {
        let tensor = one(file);
        assert_eq!((tensor.dtype, tensor.shape.as_slice()), (DType::String, &[1, 2][..]));
        assert_eq!(tensor.data, strings(&["grün", "😀"]), "{file}");
    }
}

#[test]
fn archives_are_read_by_name_packed_or_not() {
    let two = arrays(&data("two.npz")).unwrap();
    assert_eq!(two.iter().map(|tensor| tensor.name.as_str()).collect::<Vec<_>>(), ["ids", "image"]);
    assert_eq!(two[1].data, Data::Bytes(quarters()));
    let zeros = arrays(&data("compressed.npz")).unwrap().remove(0);
    assert_eq!((zeros.name.as_str(), zeros.shape.as_slice()), ("zeros", &[100, 10][..]));
    assert_eq!(zeros.data, Data::Bytes(vec![0; 4000]));
}

#[test]
fn what_cannot_be_sent_is_refused_with_the_path_and_the_reason() {
    for (file, reason) in [
        ("complex.npy", "its elements are \"<c8\", not sent here"),
        ("structured.npy", "its header is not understood: \"{'descr': [('f0', '<i4')"),
        ("surrogate.npy", "0xd800 is no character"),
        ("README.md", "it is not in numpy's format"),
        ("absent.npy", "No such file"),
    ] {
        let path = data(file);
        let error = arrays(&path).unwrap_err();
        assert!(error.starts_with(&format!("cannot read {}: {reason}", path.display())), "{error}");
    }
}

/// A file of version 1 with this header and these elements.
fn file(header: &str, elements: &[u8]) -> Vec<u8> {
    let length = u16::try_from(header.len()).unwrap();
    [b"\x93NUMPY\x01\x00", &length.to_le_bytes()[..], header.as_bytes(), elements].concat()
}

#[test]
fn headers_may_be_ordered_and_spaced_otherwise() {
    let odd = file("{\"shape\":( 2 ,1L),\n'fortran_order' : True ,'descr':\"|u1\"}", &[4, 5]);
    assert_eq!(read(&odd).unwrap(), tensor(DType::Uint8, &[2, 1], &[4, 5]));
}

#[test]
fn a_file_that_ends_early_is_refused_wherever_it_ends() {
    let whole = std::fs::read(data("float32.npy")).unwrap();
    for end in 0..whole.len() {
        assert!(read(&whole[..end]).is_err(), "{end}");
    }
    let longer = [whole, vec![0]].concat();
    assert!(read(&longer).unwrap_err().contains("49 bytes"));
}

#[test]
fn shapes_larger_than_any_memory_are_refused_before_they_are_made() {
    for shape in [
        "(4294967296, 4294967296)",
        "(9223372036854775808, 0)",
        "(0, 18446744073709551615)",
        "(4611686018427387904, 0)",
    ] {
        for order in ["True", "False"] {
            let huge = file(&format!("{{'descr': '<f4', 'fortran_order': {order}, 'shape': {shape}}}"), &[]);
            assert!(read(&huge).unwrap_err().contains("not what its shape takes"), "{shape}");
        }
    }
    let long = file("{'descr': '<U4611686018427387904', 'fortran_order': False, 'shape': (1,)}", &[]);
    assert!(read(&long).is_err());
}

#[test]
fn headers_that_are_not_understood_are_refused() {
    for header in [
        "",
        "{",
        "{}",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'shape': (0,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0,), 'shape': (0,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0,), 'more': 1}",
        "{'descr': '<f4' 'fortran_order': False, 'shape': (0,)}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (0,)}",
        "{'descr': 'é', 'fortran_order': False, 'shape': (0,)} x",
        "{'descr': '<f4",
    ] {
        assert!(read(&file(header, &[])).unwrap_err().contains("not understood"), "{header}");
    }
    for descr in ["", "<", "<f3", "<f16", "|S0", "|O", "<é4", "<f-4"] {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (0,)}}");
        assert!(read(&file(&header, &[])).unwrap_err().contains("not sent here"), "{descr}");
    }
}
