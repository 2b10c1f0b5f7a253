//! Types of elements: Caffe2's numbers for them, and ONNX's.

use graphpiped_onnx_proto::DataType;

/// The type of this number in Caffe2's `TensorProto.DataType`.
pub(crate) fn of_caffe2(number: i64) -> Result<DataType, String> {
    Ok(match number {
        1 => DataType::Float,
        2 => DataType::Int32,
        // 3 is bytes, which are read as elements of 6.
        3 | 6 => DataType::Uint8,
        4 => DataType::String,
        5 => DataType::Bool,
        7 => DataType::Int8,
        8 => DataType::Uint16,
        9 => DataType::Int16,
        10 => DataType::Int64,
        12 => DataType::Float16,
        13 => DataType::Double,
        _ => return Err(format!("{number} is no number of a type; Caffe2 knows 1 (float) to 13 (double)")),
    })
}

/// Bytes of an element, if all have as many.
pub(crate) fn size(kind: DataType) -> Option<usize> {
    match kind {
        DataType::Uint8 | DataType::Int8 | DataType::Bool => Some(1),
        DataType::Uint16 | DataType::Int16 | DataType::Float16 => Some(2),
        DataType::Float | DataType::Int32 => Some(4),
        DataType::Double | DataType::Int64 => Some(8),
        _ => None,
    }
}
