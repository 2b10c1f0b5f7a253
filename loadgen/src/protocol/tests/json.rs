//! Elements as JSON, in both directions.

use super::*;
use crate::protocol::json::{Text, elements, flat, nested};
use serde_json::value::RawValue;

fn written(tensor: &Tensor) -> Result<String, String> {
    let mut out = Vec::new();
    flat(&mut out, tensor, Text::OrBase64)?;
    Ok(String::from_utf8(out).expect("JSON is text"))
}

/// Type, shape and elements of a tensor without a name.
fn read(json: &str, dtype: Option<DType>) -> Result<Tensor, String> {
    let elements = elements(&RawValue::from_string(json.to_owned()).expect("JSON"), dtype)?;
    Ok(Tensor { name: String::new(), dtype: elements.dtype, shape: elements.shape, data: elements.data })
}

/// The bytes, or what was refused.
fn bytes(json: &str, dtype: DType) -> Result<Vec<u8>, String> {
    let elements = read(json, Some(dtype))?;
    assert_eq!(elements.dtype, dtype);
    match elements.data {
        Data::Bytes(bytes) => Ok(bytes),
        Data::Strings(strings) => Ok(strings.concat()),
    }
}

/// Each type with its least, its greatest and one other value; the bytes are from the definition of the type.
const EXTREMES: [(DType, &str, &[u8]); 13] = [
    (DType::Uint8, "[0,255]", &[0, 255]),
    (DType::Int8, "[-128,127,-1]", &[0x80, 0x7f, 0xff]),
    (DType::Uint16, "[65535,258]", &[0xff, 0xff, 2, 1]),
    (DType::Int16, "[-32768,32767]", &[0, 0x80, 0xff, 0x7f]),
    (DType::Uint32, "[4294967295]", &[0xff; 4]),
    (DType::Int32, "[-2147483648,2147483647]", &[0, 0, 0, 0x80, 0xff, 0xff, 0xff, 0x7f]),
    (DType::Uint64, "[18446744073709551615]", &[0xff; 8]),
    (DType::Int64, "[-9223372036854775808,-2]", &[0, 0, 0, 0, 0, 0, 0, 0x80, 0xfe, 255, 255, 255, 255, 255, 255, 255]),
    (DType::Float16, "[1.0,-65504.0,0.5]", &[0, 0x3c, 0xff, 0xfb, 0, 0x38]),
    (DType::Bfloat16, "[1.0,-2.0]", &[0x80, 0x3f, 0, 0xc0]),
    (DType::Float32, "[0.1,-1.5]", &[0xcd, 0xcc, 0xcc, 0x3d, 0, 0, 0xc0, 0xbf]),
    (DType::Float64, "[0.1,-0.0]", &[0x9a, 0x99, 0x99, 0x99, 0x99, 0x99, 0xb9, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0x80]),
    (DType::Bool, "[true,false]", &[1, 0]),
];

#[test]
fn every_type_is_written_and_read_to_its_extremes() {
    for (dtype, json, elements) in EXTREMES {
        let count = (elements.len() / dtype.size().unwrap()) as i64;
        let tensor = tensor("x", dtype, &[count], elements);
        assert_eq!(written(&tensor).as_deref(), Ok(json), "{dtype}");
        assert_eq!(bytes(json, dtype).as_deref(), Ok(elements), "{dtype}");
    }
}

#[test]
fn a_double_is_read_to_its_last_bit() {
    // A number for which fast readers of decimal numbers are known to be off by one in the last place.
    for number in
        [9_007_199_254_740_993.0, 5e-324, 1.797_693_134_862_315_7e308, 0.3, 8.533e68, 2.225_073_858_507_201e-308]
    {
        let json = format!("[{number:e}]");
        assert_eq!(bytes(&json, DType::Float64), Ok(f64::to_le_bytes(number).to_vec()), "{json}");
    }
}

#[test]
fn a_number_that_its_type_does_not_have_is_refused() {
    let said = |json: &str, dtype: DType| {
        let refusal = bytes(json, dtype).unwrap_err();
        refusal.split(" at line").next().unwrap().to_owned()
    };
    assert_eq!(said("[256]", DType::Uint8), "256 in a tensor of uint8");
    assert_eq!(said("[-1]", DType::Uint64), "-1 in a tensor of uint64");
    assert_eq!(said("[128]", DType::Int8), "128 in a tensor of int8");
    assert_eq!(said("[9223372036854775808]", DType::Int64), "9223372036854775808 in a tensor of int64");
    assert_eq!(said("[1.5]", DType::Int32), "1.5 in a tensor of int32");
    assert_eq!(said("[2]", DType::Bool), "2 in a tensor of bool");
    assert_eq!(said("[1e39]", DType::Float32), format!("1{} in a tensor of float32", "0".repeat(39)));
    assert_eq!(said("[65520]", DType::Float16), "65520 in a tensor of float16");
    assert_eq!(said("[true]", DType::Float32), "true in a tensor of float32");
    assert_eq!(said("[\"1\"]", DType::Float32), "a string in a tensor of float32");
    assert_eq!(said("[1]", DType::String), "1 in a tensor of string");
    assert_eq!(said("[null]", DType::Int32), "null in a tensor of int32");
    assert_eq!(said("[null]", DType::String), "null in a tensor of string");
    assert_eq!(said("[{\"x\":\"y\"}]", DType::String), "an object without \"b64\" in a tensor");
    assert_eq!(said("[{\"b64\":\"\",\"x\":1}]", DType::String), "an object with more than \"b64\" in a tensor");
}

#[test]
fn integers_that_are_written_as_floats_are_integers_and_the_other_way_round() {
    assert_eq!(bytes("[3.0,-1e2]", DType::Int8), Ok(vec![3, 0x9c]));
    assert_eq!(bytes("[1]", DType::Float32), Ok(vec![0, 0, 0x80, 0x3f]));
    assert_eq!(bytes("[1,0]", DType::Bool), Ok(vec![1, 0]));
}

#[test]
fn numbers_that_json_does_not_have_are_refused() {
    for (number, name) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let refusal = format!("JSON cannot say element 1 of x float32[2]: it is {name}");
        assert_eq!(written(&floats("x", &[2], &[1.0, number])), Err(refusal));
    }
    let infinite = tensor("x", DType::Float16, &[1], &[0, 0x7c]);
    assert_eq!(written(&infinite), Err("JSON cannot say element 0 of x float16[1]: it is inf".to_owned()));
}

#[test]
fn lists_are_nested_as_deep_as_a_tensor_has_dimensions() {
    for (shape, json) in [
        (vec![], "7"),
        (vec![0], "[]"),
        (vec![1, 1, 1], "[[[7]]]"),
        (vec![2, 0], "[[],[]]"),
        (vec![2, 0, 3], "[[],[]]"),
        (vec![2, 3], "[[7,7,7],[7,7,7]]"),
        (vec![3, 2, 1], "[[[7],[7]],[[7],[7]],[[7],[7]]]"),
    ] {
        let count = shape.iter().product::<i64>() as usize;
        let mut out = Vec::new();
        nested(&mut out, &tensor("x", DType::Uint8, &shape, &vec![7; count]), Text::Only).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), json, "{shape:?}");
        let read = read(json, Some(DType::Uint8)).unwrap();
        // Of dimensions behind a zero, nested lists say nothing.
        let visible = shape.iter().position(|&dim| dim == 0).map_or(shape.len(), |zero| zero + 1);
        assert_eq!((read.shape, read.data), (shape[..visible].to_vec(), Data::Bytes(vec![7; count])));
    }
}

#[test]
fn lists_that_are_ragged_are_refused() {
    for json in
        ["[1,[2]]", "[[1],2]", "[[1],[2,3]]", "[[],[1]]", "[[],[[]]]", "[[[]],[]]", "[1,[]]", "[[],1]", "[[[1]],[[]]]"]
    {
        let refusal = read(json, None).unwrap_err();
        assert!(refusal.starts_with("lists that are not all of the same length and depth"), "{json}: {refusal}");
    }
    let deep = format!("{}{}", "[".repeat(17), "]".repeat(17));
    assert!(read(&deep, None).unwrap_err().starts_with("lists that are nested more than 16 deep"));
}

#[test]
fn strings_are_text_or_base64() {
    let words = strings("w", &[3], &["é\n".as_bytes(), b"\xff\xfe", b""]);
    let json = r#"["é\n",{"b64":"//4="},""]"#;
    assert_eq!(written(&words).as_deref(), Ok(json));
    let read = read(json, Some(DType::String)).unwrap();
    assert_eq!((read.shape, read.data), (vec![3], words.data));
}

#[test]
fn elements_whose_type_nobody_has_said_are_what_the_first_one_is() {
    let read = |json: &str| {
        let elements = read(json, None).unwrap();
        (elements.dtype, elements.data)
    };
    assert_eq!(read("[1]"), (DType::Float64, Data::Bytes(vec![0, 0, 0, 0, 0, 0, 0xf0, 0x3f])));
    assert_eq!(read("[[true]]"), (DType::Bool, Data::Bytes(vec![1])));
    assert_eq!(read("\"a\""), (DType::String, Data::Strings(vec![b"a".to_vec()])));
    assert_eq!(read("[]"), (DType::Float64, Data::Bytes(Vec::new())));
}

#[test]
fn null_is_nan_where_there_is_one() {
    assert_eq!(bytes("[null,1]", DType::Float32), Ok(vec![0, 0, 0xc0, 0x7f, 0, 0, 0x80, 0x3f]));
    assert_eq!(bytes("[null]", DType::Float16), Ok(vec![0, 0x7e]));
    assert_eq!(bytes("[null]", DType::Bfloat16), Ok(vec![0xc0, 0x7f]));
    assert_eq!(read("[null]", None).unwrap().dtype, DType::Float64);
}

#[test]
fn empty_lists_without_end_are_refused() {
    let mut out = Vec::new();
    for shape in [vec![2_147_483_647, 0], vec![1 << 40, 1 << 40, 0]] {
        let refusal = nested(&mut out, &tensor("x", DType::Uint8, &shape, &[]), Text::Only).unwrap_err();
        assert!(refusal.ends_with("would be more than 1048576 empty lists in JSON"), "{refusal}");
    }
    assert!(out.is_empty());
}
