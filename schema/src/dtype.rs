//! Element types: GraphPipe's twelve, and the two that newer models need.

/// The type of a tensor's elements; the numbers are GraphPipe's and are for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DType {
    /// Unknown or unsupported; never valid in a message that carries a tensor.
    Null = 0,
    /// Unsigned, 1 byte.
    Uint8 = 1,
    /// Signed, 1 byte.
    Int8 = 2,
    /// Unsigned, 2 bytes.
    Uint16 = 3,
    /// Signed, 2 bytes.
    Int16 = 4,
    /// Unsigned, 4 bytes.
    Uint32 = 5,
    /// Signed, 4 bytes.
    Int32 = 6,
    /// Unsigned, 8 bytes.
    Uint64 = 7,
    /// Signed, 8 bytes.
    Int64 = 8,
    /// IEEE 754 binary16.
    Float16 = 9,
    /// IEEE 754 binary32.
    Float32 = 10,
    /// IEEE 754 binary64.
    Float64 = 11,
    /// One byte string per element, of any bytes.
    String = 12,
    /// One byte, 0 or 1. An extension: sent only by models that have it.
    Bool = 13,
    /// The upper half of a binary32. An extension: sent only by models that have it.
    Bfloat16 = 14,
}

impl DType {
    /// All types that a tensor can have, in the order of their numbers.
    pub const ALL: [DType; 14] = [
        DType::Uint8,
        DType::Int8,
        DType::Uint16,
        DType::Int16,
        DType::Uint32,
        DType::Int32,
        DType::Uint64,
        DType::Int64,
        DType::Float16,
        DType::Float32,
        DType::Float64,
        DType::String,
        DType::Bool,
        DType::Bfloat16,
    ];

    /// The type with this number on the wire; `None` for 0 (Null) and for numbers nobody has defined.
    pub fn from_wire(number: u8) -> Option<DType> {
        DType::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// Bytes of one element; `None` where elements have no fixed size ([`DType::String`], [`DType::Null`]).
    pub const fn size(self) -> Option<usize> {
        match self {
            DType::Uint8 | DType::Int8 | DType::Bool => Some(1),
            DType::Uint16 | DType::Int16 | DType::Float16 | DType::Bfloat16 => Some(2),
            DType::Uint32 | DType::Int32 | DType::Float32 => Some(4),
            DType::Uint64 | DType::Int64 | DType::Float64 => Some(8),
            DType::String | DType::Null => None,
        }
    }

    /// The name that messages, logs and documentation use.
    pub const fn name(self) -> &'static str {
        match self {
            DType::Null => "null",
            DType::Uint8 => "uint8",
            DType::Int8 => "int8",
            DType::Uint16 => "uint16",
            DType::Int16 => "int16",
            DType::Uint32 => "uint32",
            DType::Int32 => "int32",
            DType::Uint64 => "uint64",
            DType::Int64 => "int64",
            DType::Float16 => "float16",
            DType::Float32 => "float32",
            DType::Float64 => "float64",
            DType::String => "string",
            DType::Bool => "bool",
            DType::Bfloat16 => "bfloat16",
        }
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_sizes_are_those_of_the_specification() {
        let sizes = DType::ALL.map(|dtype| (dtype as u8, dtype.size().unwrap_or(0)));
        let expected = [1, 1, 2, 2, 4, 4, 8, 8, 2, 4, 8, 0, 1, 2];
        assert_eq!(sizes.map(|(number, _)| number), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
        assert_eq!(sizes.map(|(_, size)| size), expected);
        assert_eq!(DType::Null.size(), None);
    }

    #[test]
    fn only_the_numbers_of_types_are_types() {
        for number in 0..=u8::MAX {
            let dtype = DType::from_wire(number);
            assert_eq!(dtype.is_some(), (1..=14).contains(&number), "{number}");
            assert!(dtype.is_none_or(|dtype| dtype as u8 == number));
        }
    }
}
