//! Operators that make a tensor out of nothing: the weights of an init_net.
//!
//! A fill says a shape, and values, which need not be as many: their number is compared with the shape's product before
//! anything is allocated for either. Fills by chance are refused by their name: what they make is no trained net.

use crate::arguments::Arguments;
use crate::kinds::{self, size};
use crate::proto::OperatorDef;
use crate::shape::AXES_MAX;
use graphpiped_onnx_proto::{DataType, TensorProto};

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

/// Fills whose values nobody has learned.
const BY_CHANCE: [&str; 7] = [
    "XavierFill",
    "MSRAFill",
    "GaussianFill",
    "UniformFill",
    "UniformIntFill",
    "UniqueUniformFill",
    "Float16UniformFill",
];

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
    let elements = elements(&dims)?;
    let kind = kind(operator.kind(), arguments)?;
    let bytes = match operator.kind() {
        "ConstantFill" => repeated(kind, arguments, elements, room)?,
        "GivenTensorByteStringToUInt8Fill" => byte_string(arguments, elements, room)?,
        _ => given(kind, arguments, elements, room)?,
    };
    Ok((blob, TensorProto { dims, data_type: Some(kind as i32), raw_data: Some(bytes), ..TensorProto::default() }))
}

/// So many elements, if that is a number.
fn elements(dims: &[i64]) -> Result<i64, String> {
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
        "ConstantFill" => Ok(match (said()?, arguments.get("value")) {
            (Some(said), _) => said,
            (None, Some(value)) if value.f.is_none() => DataType::Int64,
            (None, _) => DataType::Float,
        }),
        _ if BY_CHANCE.contains(&fill) => {
            Err("fills it by chance, as before a training; export the net with the values that it has learned".into())
        }
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
    let mut one = Vec::with_capacity(8);
    match kind {
        DataType::Float | DataType::Double => put_float(&mut one, kind, arguments.float("value", 0.0)?)?,
        _ => put_int(&mut one, kind, arguments.int("value", 0)?)?,
    }
    let bytes = elements.checked_mul(one.len() as i64).filter(|&bytes| bytes <= REPEATED_BYTES_MAX);
    let Some(bytes) = bytes else {
        return Err(format!("repeats a value {elements} times, which is more than a net needs; export it again"));
    };
    room.take(bytes as usize)?;
    Ok(one.repeat(elements as usize))
}

fn put_float(bytes: &mut Vec<u8>, kind: DataType, value: f32) -> Result<(), String> {
    match kind {
        DataType::Float => bytes.extend(value.to_le_bytes()),
        DataType::Double => bytes.extend(f64::from(value).to_le_bytes()),
        _ => return Err(format!("gives numbers for elements of {kind:?}; export the net again")),
    }
    Ok(())
}

fn put_int(bytes: &mut Vec<u8>, kind: DataType, value: i64) -> Result<(), String> {
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
        let string = Argument { strings: vec![vec![7, 255]], ..argument("values") };
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
        assert!(error.starts_with("repeats a value 1099511627776 times"), "{error}");
        assert_eq!(
            message(fill("GivenTensorIntFill", &[1], ints(&[1 << 31]))),
            "gives 2147483648 for an element of Int32; export the net again"
        );
        assert_eq!(
            message(fill("ConstantFill", &[1; 17], vec![])),
            "its shape has 17 axes, and a tensor has 16 at most; export the net again"
        );
        assert!(message(fill("XavierFill", &[1], vec![])).starts_with("fills it by chance"));
        assert!(message(fill("DiagonalFill", &[1], vec![])).starts_with("is a fill that is not translated"));
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
