//! Operators that make a tensor out of nothing: the weights of an init_net.
//!
//! A fill says a shape, and values, which need not be as many: their number is compared with the shape's product before
//! anything is allocated for either. What is drawn by chance is in [`crate::chance`].

use crate::arguments::Arguments;
use crate::chance::drawn;
use crate::kinds::{self, size};
use crate::proto::OperatorDef;
use crate::shape::AXES_MAX;
use graphpiped_onnx_proto::{DataType, TensorProto};
use half::f16;

/// Bytes of all constants of a model: ONNX Runtime takes 2 GiB, of which the graph itself needs little.
const BYTES_MAX: u64 = (1 << 31) - (16 << 20);

/// Room for constants.
#[derive(Debug)]
pub(crate) struct Room {
    bytes_left: u64,
}

impl Room {
    /// All that a model may have.
    pub fn of_a_model() -> Room {
        Room::of(BYTES_MAX)
    }

    /// So many bytes.
    pub fn of(bytes: u64) -> Room {
        Room { bytes_left: bytes }
    }

    /// Takes so much of it.
    fn take(&mut self, bytes: usize) -> Result<(), String> {
        let left = self.bytes_left.checked_sub(bytes as u64);
        let too_many = || format!("all constants are more than {BYTES_MAX} bytes; export the net to ONNX");
        self.bytes_left = left.ok_or_else(too_many)?;
        Ok(())
    }
}

/// Bytes that a value which is given once may be repeated to. The largest constant of a known net takes some megabytes.
const REPEATED_BYTES_MAX: i64 = 1 << 28;

/// Whether an operator makes its output out of nothing.
pub(crate) fn is_fill(operator: &OperatorDef) -> bool {
    operator.input.is_empty() && operator.kind().ends_with("Fill")
}

/// The blob that a fill makes, and what is in it.
pub(crate) fn tensor<'a>(operator: &'a OperatorDef, room: &mut Room) -> Result<(&'a str, TensorProto), String> {
    let [blob] = operator.output.as_slice() else {
        return Err(format!("makes {} blobs, and a fill makes one; export the net again", operator.output.len()));
    };
    let arguments = Arguments(&operator.arg);
    let dims = arguments.ints("shape").to_vec();
    if dims.len() > AXES_MAX {
        let axes = dims.len();
        return Err(format!("its shape has {axes} axes, and a tensor has {AXES_MAX} at most; export the net again"));
    }
    if operator.kind() == "GivenTensorStringFill" {
        let string_data = strings(arguments, elements(&dims)?, room)?;
        let tensor =
            TensorProto { dims, data_type: Some(DataType::String as i32), string_data, ..TensorProto::default() };
        return Ok((blob, tensor));
    }
    let (kind, bytes) = match drawn(operator.kind(), blob, arguments, &dims, room)? {
        Some(drawn) => drawn,
        None => said(operator.kind(), arguments, &dims, room)?,
    };
    Ok((blob, TensorProto { dims, data_type: Some(kind as i32), raw_data: Some(bytes), ..TensorProto::default() }))
}

/// The elements of a fill whose arguments say them, and what they are.
fn said(fill: &str, arguments: Arguments<'_>, dims: &[i64], room: &mut Room) -> Result<(DataType, Vec<u8>), String> {
    let (elements, kind) = (elements(dims)?, kind(fill, arguments)?);
    let bytes = match fill {
        "ConstantFill" | "Float16ConstantFill" => repeated(kind, arguments, elements, room)?,
        "DiagonalFill" => diagonal(kind, arguments, dims, room)?,
        "RangeFill" => range(elements, room)?,
        "GivenTensorByteStringToUInt8Fill" => byte_string(arguments, elements, room)?,
        _ => given(kind, arguments, elements, room)?,
    };
    Ok((kind, bytes))
}

/// So many elements, if that is a number.
pub(crate) fn elements(dims: &[i64]) -> Result<i64, String> {
    let product = dims.iter().try_fold(1_i64, |product, &size| product.checked_mul(size).filter(|_| size >= 0));
    product.ok_or_else(|| format!("its shape {dims:?} is none; export the net again"))
}

/// What the elements of a fill are.
fn kind(fill: &str, arguments: Arguments<'_>) -> Result<DataType, String> {
    let said = || arguments.try_int("dtype")?.map(kinds::of_caffe2).transpose();
    match fill {
        "GivenTensorFill" => Ok(said()?.unwrap_or(DataType::Float)),
        "GivenTensorIntFill" => Ok(DataType::Int32),
        "GivenTensorInt64Fill" => Ok(DataType::Int64),
        "GivenTensorInt16Fill" => Ok(DataType::Int16),
        "GivenTensorBoolFill" => Ok(DataType::Bool),
        "GivenTensorDoubleFill" => Ok(DataType::Double),
        "GivenTensorByteStringToUInt8Fill" => Ok(DataType::Uint8),
        "RangeFill" => Ok(DataType::Float),
        "Float16ConstantFill" => Ok(DataType::Float16),
        "ConstantFill" | "DiagonalFill" => Ok(match (said()?, arguments.get("value")) {
            (Some(said), _) => said,
            (None, Some(value)) if value.f.is_none() => DataType::Int64,
            (None, _) => DataType::Float,
        }),
        _ => Err("is a fill that is not translated; export the net to ONNX".into()),
    }
}

/// Values that are all given.
fn given(kind: DataType, arguments: Arguments<'_>, elements: i64, room: &mut Room) -> Result<Vec<u8>, String> {
    let (floats, ints) = arguments.get("values").map_or((&[][..], &[][..]), |values| (&values.floats, &values.ints));
    let of_floats = matches!(kind, DataType::Float | DataType::Double);
    let count = if of_floats { floats.len() } else { ints.len() };
    if count as i64 != elements {
        return Err(format!("gives {count} values for a shape of {elements}; copy init_net.pb again"));
    }
    let length = count * size(kind).unwrap_or_default();
    room.take(length)?;
    let mut bytes = Vec::with_capacity(length);
    if of_floats {
        for &value in floats {
            put_float(&mut bytes, kind, value)?;
        }
    } else {
        for &value in ints {
            put_int(&mut bytes, kind, value)?;
        }
    }
    Ok(bytes)
}

/// Strings that are all given.
fn strings(arguments: Arguments<'_>, elements: i64, room: &mut Room) -> Result<Vec<Vec<u8>>, String> {
    let strings = arguments.get("values").map_or(&[][..], |values| &values.strings);
    if strings.len() as i64 != elements {
        return Err(format!("gives {} values for a shape of {elements}; copy init_net.pb again", strings.len()));
    }
    room.take(strings.iter().map(|string| string.len() + size_of::<Vec<u8>>()).sum())?;
    Ok(strings.to_vec())
}

/// Bytes in one string.
fn byte_string(arguments: Arguments<'_>, elements: i64, room: &mut Room) -> Result<Vec<u8>, String> {
    let strings = arguments.get("values").map_or(&[][..], |values| &values.strings);
    let [bytes] = strings else {
        return Err(format!("gives {} strings, and takes the bytes of one; export the net again", strings.len()));
    };
    if bytes.len() as i64 != elements {
        return Err(format!("gives {} values for a shape of {elements}; copy init_net.pb again", bytes.len()));
    }
    room.take(bytes.len())?;
    Ok(bytes.clone())
}

/// One value, again and again.
fn repeated(kind: DataType, arguments: Arguments<'_>, elements: i64, room: &mut Room) -> Result<Vec<u8>, String> {
    let one = one_value(kind, arguments)?;
    repeated_bytes(elements, one.len(), room)?;
    Ok(one.repeat(elements as usize))
}

/// A matrix of zeros but for one value on its diagonal, which begins again below a square, as Caffe2's does.
fn diagonal(kind: DataType, arguments: Arguments<'_>, dims: &[i64], room: &mut Room) -> Result<Vec<u8>, String> {
    let &[_, columns] = dims else {
        return Err(format!("has {} axes, and only a matrix is translated; export the net to ONNX", dims.len()));
    };
    let one = one_value(kind, arguments)?;
    let mut bytes = vec![0; repeated_bytes(elements(dims)?, one.len(), room)?];
    for place in bytes.chunks_exact_mut(one.len()).step_by(columns as usize + 1) {
        place.copy_from_slice(&one);
    }
    Ok(bytes)
}

/// 0, 1, 2 and so on.
fn range(elements: i64, room: &mut Room) -> Result<Vec<u8>, String> {
    repeated_bytes(elements, size_of::<f32>(), room)?;
    Ok((0..elements).flat_map(|number| (number as f32).to_le_bytes()).collect())
}

fn one_value(kind: DataType, arguments: Arguments<'_>) -> Result<Vec<u8>, String> {
    let mut one = Vec::with_capacity(8);
    match kind {
        DataType::Float | DataType::Double | DataType::Float16 => {
            put_float(&mut one, kind, arguments.float("value", 0.0)?)?;
        }
        _ => put_int(&mut one, kind, arguments.int("value", 0)?)?,
    }
    Ok(one)
}

/// Bytes of so many elements that a few bytes of a net make; they are taken from the room.
pub(crate) fn repeated_bytes(elements: i64, size: usize, room: &mut Room) -> Result<usize, String> {
    let bytes = elements.checked_mul(size as i64).filter(|&bytes| bytes <= REPEATED_BYTES_MAX);
    let Some(bytes) = bytes else {
        return Err(format!("makes {elements} elements of one value, which is more than a net needs; export it again"));
    };
    room.take(bytes as usize)?;
    Ok(bytes as usize)
}

pub(crate) fn put_float(bytes: &mut Vec<u8>, kind: DataType, value: f32) -> Result<(), String> {
    match kind {
        DataType::Float => bytes.extend(value.to_le_bytes()),
        DataType::Double => bytes.extend(f64::from(value).to_le_bytes()),
        DataType::Float16 => bytes.extend(f16::from_f32(value).to_le_bytes()),
        _ => return Err(format!("gives numbers for elements of {kind:?}; export the net again")),
    }
    Ok(())
}

pub(crate) fn put_int(bytes: &mut Vec<u8>, kind: DataType, value: i64) -> Result<(), String> {
    let does_not_fit = |_| format!("gives {value} for an element of {kind:?}; export the net again");
    match kind {
        DataType::Int64 => bytes.extend(value.to_le_bytes()),
        DataType::Int32 => bytes.extend(i32::try_from(value).map_err(does_not_fit)?.to_le_bytes()),
        DataType::Int16 => bytes.extend(i16::try_from(value).map_err(does_not_fit)?.to_le_bytes()),
        DataType::Uint16 => bytes.extend(u16::try_from(value).map_err(does_not_fit)?.to_le_bytes()),
        DataType::Int8 => bytes.extend(i8::try_from(value).map_err(does_not_fit)?.to_le_bytes()),
        DataType::Uint8 => bytes.push(u8::try_from(value).map_err(does_not_fit)?),
        DataType::Bool => bytes.push(u8::from(value != 0)),
        _ => return Err(format!("gives integers for elements of {kind:?}; export the net again")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Argument;

    fn argument(name: &str) -> Argument {
        Argument { name: Some(name.to_string()), ..Argument::default() }
    }

    fn fill(kind: &str, shape: &[i64], arg: Vec<Argument>) -> Result<TensorProto, String> {
        let shape = Argument { ints: shape.to_vec(), ..argument("shape") };
        let arg = [vec![shape], arg].concat();
        let operator =
            OperatorDef { output: vec!["w".into()], r#type: Some(kind.into()), arg, ..OperatorDef::default() };
        tensor(&operator, &mut Room::of_a_model()).map(|(_, tensor)| tensor)
    }

    fn floats(values: &[f32]) -> Vec<Argument> {
        vec![Argument { floats: values.to_vec(), ..argument("values") }]
    }

    fn ints(values: &[i64]) -> Vec<Argument> {
        vec![Argument { ints: values.to_vec(), ..argument("values") }]
    }

    #[test]
    fn values_are_laid_out_as_their_type_says() {
        let bytes = |made: Result<TensorProto, String>| made.expect("a fill").raw_data.expect("its bytes");
        assert_eq!(bytes(fill("GivenTensorFill", &[2], floats(&[1.0, -2.0]))), [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
        assert_eq!(bytes(fill("GivenTensorDoubleFill", &[1], floats(&[1.0]))), [0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
        assert_eq!(bytes(fill("GivenTensorIntFill", &[1], ints(&[-2]))), [0xfe, 0xff, 0xff, 0xff]);
        assert_eq!(bytes(fill("GivenTensorBoolFill", &[3], ints(&[0, 1, 1]))), [0, 1, 1]);
        let value = Argument { f: Some(1.0), ..argument("value") };
        assert_eq!(bytes(fill("ConstantFill", &[2], vec![value])), [0, 0, 0x80, 0x3f, 0, 0, 0x80, 0x3f]);
        let value = Argument { i: Some(3), ..argument("value") };
        assert_eq!(bytes(fill("ConstantFill", &[], vec![value])), [3, 0, 0, 0, 0, 0, 0, 0]);
        // 1.5 in half precision: an exponent of 15, and half of the fraction.
        let value = Argument { f: Some(1.5), ..argument("value") };
        assert_eq!(bytes(fill("Float16ConstantFill", &[2], vec![value.clone()])), [0, 0x3e, 0, 0x3e]);
        let found = bytes(fill("DiagonalFill", &[2, 3], vec![value]));
        assert_eq!(found, [1.5_f32, 0.0, 0.0, 0.0, 1.5, 0.0].map(f32::to_le_bytes).concat());
        assert_eq!(bytes(fill("RangeFill", &[3], vec![])), [0.0_f32, 1.0, 2.0].map(f32::to_le_bytes).concat());
        let string = Argument { strings: vec![vec![7, 255]], ..argument("values") };
        let two = Argument { strings: vec![b"a".to_vec(), b"".to_vec()], ..argument("values") };
        let made = fill("GivenTensorStringFill", &[2], vec![two]).expect("a fill");
        assert_eq!((made.string_data, made.data_type), (vec![b"a".to_vec(), vec![]], Some(8)));
        assert_eq!(bytes(fill("GivenTensorByteStringToUInt8Fill", &[2], vec![string])), [7, 255]);
    }

    #[test]
    fn shapes_that_their_values_do_not_fill_are_refused_before_memory_is_asked_for() {
        let message = |made: Result<TensorProto, String>| made.expect_err("it is refused");
        let error = message(fill("GivenTensorFill", &[2, 3], floats(&[1.0])));
        assert_eq!(error, "gives 1 values for a shape of 6; copy init_net.pb again");
        let error = message(fill("GivenTensorFill", &[i64::MAX, 2], floats(&[])));
        assert_eq!(error, format!("its shape [{}, 2] is none; export the net again", i64::MAX));
        assert!(
            message(fill("GivenTensorFill", &[-1], floats(&[1.0])))
                .starts_with("its shape [-1] is none; export the net again")
        );
        let error = message(fill("ConstantFill", &[1 << 40], vec![]));
        assert!(error.starts_with("makes 1099511627776 elements of one value, "), "{error}");
        assert_eq!(
            message(fill("GivenTensorIntFill", &[1], ints(&[1 << 31]))),
            "gives 2147483648 for an element of Int32; export the net again"
        );
        assert_eq!(
            message(fill("ConstantFill", &[1; 17], vec![])),
            "its shape has 17 axes, and a tensor has 16 at most; export the net again"
        );
        assert!(message(fill("DiagonalFill", &[1; 3], vec![])).starts_with("has 3 axes, and only a matrix"));
        assert!(message(fill("LengthsRangeFill", &[1], vec![])).starts_with("is a fill that is not translated"));
    }
    #[test]
    fn constants_that_are_too_many_together_are_refused() {
        let operator = |shape: i64| OperatorDef {
            output: vec!["w".into()],
            r#type: Some("ConstantFill".into()),
            arg: vec![Argument { ints: vec![shape], ..argument("shape") }],
            ..OperatorDef::default()
        };
        let mut room = Room { bytes_left: 20 };
        assert!(tensor(&operator(3), &mut room).is_ok());
        let error = tensor(&operator(3), &mut room).expect_err("12 bytes of 8");
        assert!(error.starts_with("all constants are more than "), "{error}");
        assert!(tensor(&operator(2), &mut room).is_ok());
    }
}
