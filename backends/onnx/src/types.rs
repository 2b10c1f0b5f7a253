//! The element types of the protocol, and the numbers that ONNX has for them.

use graphpipe_schema::DType;
use ort::sys::ONNXTensorElementDataType as Onnx;

/// ONNX's name for a type.
pub(crate) fn to_ort(dtype: DType) -> Onnx {
    match dtype {
        DType::Null => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED,
        DType::Uint8 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
        DType::Int8 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8,
        DType::Uint16 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16,
        DType::Int16 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16,
        DType::Uint32 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32,
        DType::Int32 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32,
        DType::Uint64 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64,
        DType::Int64 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
        DType::Float16 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,
        DType::Float32 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
        DType::Float64 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE,
        DType::String => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING,
        DType::Bool => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL,
        DType::Bfloat16 => Onnx::ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16,
    }
}

/// The protocol's type for ONNX's number; `None` for those that only ONNX has (complex, 8-bit floats, 4-bit integers).
pub(crate) fn from_ort(number: i32) -> Option<DType> {
    DType::ALL.into_iter().find(|dtype| to_ort(*dtype) as i32 == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_the_protocol_has_the_number_of_onnx_tensor_proto() {
        // From `TensorProto.DataType` in onnx.proto.
        let expected = [2, 3, 4, 5, 12, 6, 13, 7, 10, 1, 11, 8, 9, 16];
        assert_eq!(DType::ALL.map(|dtype| to_ort(dtype) as i32), expected);
        assert_eq!(expected.map(from_ort), DType::ALL.map(Some));
    }

    #[test]
    fn types_that_only_onnx_has_are_unknown() {
        for number in [-1, 0, 14, 15, 17, 22, 26, 27, 1000] {
            assert_eq!(from_ort(number), None, "{number}");
        }
    }
}
