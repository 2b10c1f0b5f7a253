//! The element types of the protocol, and the numbers that TensorFlow has for them.

use graphpipe_schema::DType;

/// TensorFlow's number for a type (`DataType` in types.proto, `TF_DataType` in C). 0 is none.
pub(crate) fn to_tensorflow(dtype: DType) -> i32 {
    match dtype {
        DType::Null => 0,
        DType::Float32 => 1,
        DType::Float64 => 2,
        DType::Int32 => 3,
        DType::Uint8 => 4,
        DType::Int16 => 5,
        DType::Int8 => 6,
        DType::String => 7,
        DType::Int64 => 9,
        DType::Bool => 10,
        DType::Bfloat16 => 14,
        DType::Uint16 => 17,
        DType::Float16 => 19,
        DType::Uint32 => 22,
        DType::Uint64 => 23,
    }
}

/// The protocol's type for TensorFlow's number; `None` for those that only TensorFlow has. A reference to a variable
/// of TensorFlow 1 has the number of its type and 100; what is fetched from it is of the type itself.
pub(crate) fn from_tensorflow(number: i32) -> Option<DType> {
    let number = if number > REFERENCE { number - REFERENCE } else { number };
    DType::ALL.into_iter().find(|dtype| to_tensorflow(*dtype) == number)
}

const REFERENCE: i32 = 100;

/// What a type is that only TensorFlow has, as in `a tensor of complex numbers`.
pub(crate) fn stranger(number: i32) -> String {
    let what = match number {
        8 | 18 => "complex numbers",
        11..=13 | 15 | 16 => "quantised numbers",
        20 => "handles of resources",
        21 => "variants",
        _ => return format!("a tensor of TensorFlow's type {number}"),
    };
    format!("a tensor of {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_the_protocol_has_the_number_of_types_proto() {
        // From `enum DataType` in tensorflow/core/framework/types.proto, in the order of `DType::ALL`.
        let expected = [4, 6, 17, 5, 22, 3, 23, 9, 19, 1, 2, 7, 10, 14];
        assert_eq!(DType::ALL.map(to_tensorflow), expected);
        assert_eq!(expected.map(from_tensorflow), DType::ALL.map(Some));
    }

    #[test]
    fn a_reference_to_a_variable_is_of_the_variables_type() {
        assert_eq!(from_tensorflow(101), Some(DType::Float32));
        assert_eq!(from_tensorflow(123), Some(DType::Uint64));
    }

    #[test]
    fn types_that_only_tensorflow_has_are_unknown_and_named() {
        for number in [-1, 0, 8, 11, 12, 13, 15, 16, 18, 20, 21, 24, 25, 29, 100, 108, 120, 1000, i32::MAX] {
            assert_eq!(from_tensorflow(number), None, "{number}");
        }
        assert_eq!(stranger(20), "a tensor of handles of resources");
        assert_eq!(stranger(25), "a tensor of TensorFlow's type 25");
    }
}
