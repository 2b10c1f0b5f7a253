//! Elements at the edges of each type, as bytes.

use graphpipe_schema::DType;

/// Five elements of a type: what is most likely to be changed on the way by who does not mean to.
pub(crate) fn edges(dtype: DType) -> Vec<u8> {
    fn all<const N: usize>(elements: [[u8; N]; 5]) -> Vec<u8> {
        elements.concat()
    }
    match dtype {
        DType::Uint8 => vec![0, 1, 127, 128, 255],
        DType::Int8 => all([0, 1, i8::MAX, i8::MIN, -1].map(i8::to_le_bytes)),
        DType::Bool => vec![0, 1, 1, 0, 1],
        DType::Uint16 => all([0, 1, 255, 256, u16::MAX].map(u16::to_le_bytes)),
        DType::Int16 => all([0, 1, i16::MAX, i16::MIN, -1].map(i16::to_le_bytes)),
        DType::Uint32 => all([0, 1, 1 << 24, (1 << 24) + 1, u32::MAX].map(u32::to_le_bytes)),
        DType::Int32 => all([0, (1 << 24) + 1, i32::MAX, i32::MIN, -1].map(i32::to_le_bytes)),
        DType::Uint64 => all([0, 1, (1 << 53) + 1, 1 << 63, u64::MAX].map(u64::to_le_bytes)),
        DType::Int64 => all([0, (1 << 53) + 1, i64::MAX, i64::MIN, -1].map(i64::to_le_bytes)),
        // 1, minus zero, the least subnormal, infinity, a NaN with a payload.
        DType::Float16 => all([0x3c00, 0x8000, 0x0001, 0x7c00, 0x7e01].map(u16::to_le_bytes)),
        DType::Bfloat16 => all([0x3f80, 0x8000, 0x0001, 0x7f80, 0x7fc1].map(u16::to_le_bytes)),
        DType::Float32 => all([0x3f80_0000, 0x8000_0000, 1, 0x7f80_0000, 0x7fc0_0001].map(u32::to_le_bytes)),
        DType::Float64 => {
            all([0x3ff0 << 48, 1 << 63, 1, 0x7ff0 << 48, 0x7ff8 << 48 | 1].map(|bits: u64| bits.to_le_bytes()))
        }
        DType::String | DType::Null => panic!("{dtype} has no bytes"),
    }
}
