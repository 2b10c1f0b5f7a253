//! The element types of the protocol, and MXNet's numbers for them.

use graphpipe_schema::DType;

/// MXNet's numbers. Its interface knows no strings, and nobody here a need for its bools and 16-bit brain floats.
const NUMBERS: [(i32, DType); 7] = [
    (0, DType::Float32),
    (1, DType::Float64),
    (2, DType::Float16),
    (3, DType::Uint8),
    (4, DType::Int32),
    (5, DType::Int8),
    (6, DType::Int64),
];

/// The protocol's type for a number of MXNet's.
pub(crate) fn from_number(number: i32) -> Option<DType> {
    NUMBERS.into_iter().find(|(other, _)| *other == number).map(|(_, dtype)| dtype)
}

/// MXNet's number for a type.
pub(crate) fn to_number(dtype: DType) -> Option<i32> {
    NUMBERS.into_iter().find(|(_, other)| *other == dtype).map(|(number, _)| number)
}

/// Bytes of an element of the type of this number, as far as parameter files may hold them.
pub(crate) fn bytes_of_number(number: i32) -> Option<u64> {
    match number {
        // Bool, then the brain float of 16 bits.
        7 => Some(1),
        12 => Some(2),
        _ => from_number(number).and_then(DType::size).map(|size| size as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_mshadow() {
        // From `enum TypeFlag` in mshadow/base.h.
        let expected = [
            (DType::Float32, 0, 4),
            (DType::Float64, 1, 8),
            (DType::Float16, 2, 2),
            (DType::Uint8, 3, 1),
            (DType::Int32, 4, 4),
            (DType::Int8, 5, 1),
            (DType::Int64, 6, 8),
        ];
        for (dtype, number, bytes) in expected {
            assert_eq!(
                (to_number(dtype), from_number(number), bytes_of_number(number)),
                (Some(number), Some(dtype), Some(bytes))
            );
        }
        assert_eq!((bytes_of_number(7), bytes_of_number(12), bytes_of_number(8)), (Some(1), Some(2), None));
        assert_eq!((from_number(7), from_number(-1), to_number(DType::String)), (None, None, None));
    }
}
