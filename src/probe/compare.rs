//! Whether two rows of an output are the same number by number, within the rounding of their type.
//!
//! A framework may add up the same products in another order when rows are run together, so floating-point numbers may
//! differ, and those alone. How much they may is a share of the largest number in the row: what cancelled out on the
//! way to a small number was of that size. The shares are hundreds of roundings for 32 and 64 bits, and some tens for
//! 16 bits, where frameworks compute in 32 bits and round once for each layer; what another row would do to the result
//! is larger by far.

use graphpipe_schema::DType;
use half::{bf16, f16};

/// Whether these elements agree. NaN agrees with NaN, and an infinity with the same one. `slack` is how many times as
/// much as usual they may differ.
pub(super) fn are_alike(dtype: DType, one: &[u8], other: &[u8], slack: f64) -> bool {
    let Some(tolerance) = tolerance(dtype) else { return one == other };
    if one.len() != other.len() {
        return false;
    }
    let largest = numbers(dtype, one).chain(numbers(dtype, other)).filter(|number| number.is_finite());
    let largest = largest.fold(0.0, |largest: f64, number| largest.max(number.abs()));
    let bound = slack * tolerance.share * largest.max(tolerance.tiny);
    // The equality is for infinities; a difference with one is NaN or infinite, and within no bound.
    let is_same = |(a, b): (f64, f64)| a.total_cmp(&b).is_eq() || (a.is_nan() && b.is_nan()) || (a - b).abs() <= bound;
    numbers(dtype, one).zip(numbers(dtype, other)).all(is_same)
}

/// Whether any of these elements is a finite number.
pub(super) fn is_any_finite(dtype: DType, elements: &[u8]) -> bool {
    match tolerance(dtype) {
        None => !elements.is_empty(),
        Some(_) => numbers(dtype, elements).any(f64::is_finite),
    }
}

struct Tolerance {
    /// Of the largest number in the row.
    share: f64,
    /// The smallest number with all its digits: below it the largest one has lost its own.
    tiny: f64,
}

/// What rounding may do; `None` for types that are exact.
fn tolerance(dtype: DType) -> Option<Tolerance> {
    // 1680, 9 million, 41 and 20 times what one operation may be off by: 2^-24, 2^-53, 2^-11 and 2^-9.
    let (share, tiny) = match dtype {
        DType::Float32 => (1e-4, f64::from(f32::MIN_POSITIVE)),
        DType::Float64 => (1e-9, f64::MIN_POSITIVE),
        DType::Float16 => (2e-2, f64::from(f16::MIN_POSITIVE)),
        DType::Bfloat16 => (8e-2, f64::from(bf16::MIN_POSITIVE)),
        _ => return None,
    };
    Some(Tolerance { share, tiny })
}

/// The numbers of a floating-point type.
fn numbers(dtype: DType, elements: &[u8]) -> impl Iterator<Item = f64> {
    // Whoever asks has a tolerance for the type, which thereby has a size.
    elements.chunks_exact(dtype.size().unwrap_or(1)).map(move |element| match (dtype, element) {
        (DType::Float16, &[a, b]) => f16::from_le_bytes([a, b]).into(),
        (DType::Bfloat16, &[a, b]) => bf16::from_le_bytes([a, b]).into(),
        (DType::Float32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]).into(),
        (_, element) => element.try_into().map_or(f64::NAN, f64::from_le_bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn floats(one: &[f32], other: &[f32]) -> bool {
        are_alike(DType::Float32, &bytes(one), &bytes(other), 1.0)
    }

    #[test]
    fn rounding_is_a_share_of_the_largest_number_in_the_row() {
        assert!(floats(&[100.0, 1.0], &[100.009, 1.009]));
        assert!(!floats(&[100.0, 1.0], &[100.011, 1.0]));
        assert!(!floats(&[1.0, 1.0], &[1.0, 1.009]));
        assert!(!floats(&[0.0], &[1e-30]), "zero is not nearly zero");
        assert!(floats(&[0.0, 1.0], &[-0.0, 1.0]));
        assert!(!floats(&[1.0], &[1.0, 1.0]));
        let slack = |other| are_alike(DType::Float32, &bytes(&[100.0]), &bytes(&[other]), 3.0);
        assert!(slack(100.029) && !slack(100.031), "three times as much");
    }

    #[test]
    fn what_is_not_finite_is_the_same_only_at_the_same_place() {
        let (nan, infinity) = (f32::NAN, f32::INFINITY);
        assert!(floats(&[nan, 1.0, infinity], &[nan, 1.0, infinity]));
        assert!(floats(&[nan, 1.0], &[-nan, 1.0]), "whatever its bits");
        assert!(!floats(&[nan, 1.0], &[1.0, nan]));
        assert!(!floats(&[infinity], &[-infinity]));
        assert!(!floats(&[infinity], &[f32::MAX]));
        assert!(!floats(&[nan], &[0.0]));
        let is_any_finite = |values: &[f32]| is_any_finite(DType::Float32, &bytes(values));
        assert!(is_any_finite(&[nan, 0.0]) && !is_any_finite(&[nan, infinity]) && !is_any_finite(&[]));
        assert!(super::is_any_finite(DType::Int8, &[0]) && !super::is_any_finite(DType::Int8, &[]));
    }

    #[test]
    fn each_type_has_its_own_rounding() {
        // 1 and what is just within and just beyond: by the bits of IEEE 754, and of the upper half of a binary32.
        let float16 = |bits: u16| are_alike(DType::Float16, &0x3c00_u16.to_le_bytes(), &bits.to_le_bytes(), 1.0);
        assert!(float16(0x3c14) && !float16(0x3c16), "1.0195 and 1.0215");
        let bfloat16 = |bits: u16| are_alike(DType::Bfloat16, &0x3f80_u16.to_le_bytes(), &bits.to_le_bytes(), 1.0);
        assert!(bfloat16(0x3f8a) && !bfloat16(0x3f8c), "1.078 and 1.094");
        let float64 = |value: f64| are_alike(DType::Float64, &1_f64.to_le_bytes(), &value.to_le_bytes(), 1.0);
        assert!(float64(1.000_000_000_9) && !float64(1.000_000_001_1));
    }

    #[test]
    fn integers_and_bools_are_exact() {
        for dtype in [DType::Uint8, DType::Int8, DType::Bool] {
            assert!(are_alike(dtype, &[1, 0], &[1, 0], 9.0) && !are_alike(dtype, &[1, 0], &[1, 1], 9.0));
        }
        let one = 1_000_000_000_i64.to_le_bytes();
        assert!(!are_alike(DType::Int64, &one, &1_000_000_001_i64.to_le_bytes(), 9.0));
    }
}
