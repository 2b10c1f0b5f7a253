//! Values out of a seed. Which they are stands in the documentation of `inputs`; shapes are not chosen here.

use super::STRING_BYTES;
use crate::tensor::Data;
use fastrand::Rng;
use graphpipe_schema::DType;
use half::{bf16, f16};

/// What an element takes in memory.
pub fn element_bytes(dtype: DType) -> u64 {
    dtype.size().map_or(STRING_BYTES, |size| size as u64)
}

/// Makes elements of a type that tensors have.
pub fn elements(rng: &mut Rng, dtype: DType, count: usize) -> Data {
    // Whole numbers below a power of two that the type can all say, times its reciprocal: rounding never gives 1.
    let step = |rng: &mut Rng, bits: i32| rng.i32(0..1 << bits) as f32 * 2_f32.powi(-bits);
    Data::Bytes(match dtype {
        DType::String | DType::Null => {
            return Data::Strings((0..count).map(|_| format!("text-{:04}", rng.u16(0..10_000)).into_bytes()).collect());
        }
        DType::Uint8 | DType::Int8 => (0..count).map(|_| rng.u8(0..10)).collect(),
        DType::Bool => (0..count).map(|_| rng.u8(0..2)).collect(),
        DType::Uint16 | DType::Int16 => fill(count, || rng.u16(0..10).to_le_bytes()),
        DType::Uint32 | DType::Int32 => fill(count, || rng.u32(0..10).to_le_bytes()),
        DType::Uint64 | DType::Int64 => fill(count, || rng.u64(0..10).to_le_bytes()),
        DType::Float16 => fill(count, || f16::from_f32(step(rng, 11)).to_le_bytes()),
        DType::Bfloat16 => fill(count, || bf16::from_f32(step(rng, 8)).to_le_bytes()),
        DType::Float32 => fill(count, || rng.f32().to_le_bytes()),
        DType::Float64 => fill(count, || rng.f64().to_le_bytes()),
    })
}

fn fill<const N: usize>(count: usize, mut element: impl FnMut() -> [u8; N]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(count * N);
    for _ in 0..count {
        bytes.extend_from_slice(&element());
    }
    bytes
}
