//! Fills by chance, as nets have them that nobody has trained, and that somebody wants to measure all the same.
//!
//! Distributions, and what their arguments are when they are not there, are those of Caffe2 (`filler_op.h`, `half_float_ops.h`).
//! Caffe2 draws anew each time; here the name of the blob decides, so that a model is the same whenever it is opened.

use crate::arguments::Arguments;
use crate::fill::{Room, put_float, put_int, repeated_bytes};
use crate::kinds::{self, size};
use fastrand::Rng;
use graphpiped_onnx_proto::DataType;
use std::collections::HashSet;

/// Numbers that differ from one another are kept while others are drawn.
const UNIQUE_MAX: i64 = 1 << 20;

/// What numbers are drawn from.
#[derive(Clone, Copy)]
enum Distribution {
    /// From one number to another, which it does not reach.
    Uniform(f32, f32),
    /// Mean and standard deviation.
    Normal(f32, f32),
    /// Whole numbers, both ends among them,
    Whole(i64, i64),
    /// and none of them twice.
    Unique(i64, i64),
}

/// What a fill makes of such a shape; `None` if it does not draw.
pub(crate) fn drawn(
    fill: &str,
    blob: &str,
    arguments: Arguments<'_>,
    dims: &[i64],
    room: &mut Room,
) -> Result<Option<(DataType, Vec<u8>)>, String> {
    let Some((kind, distribution)) = distribution(fill, arguments, dims)? else { return Ok(None) };
    let elements = crate::fill::elements(dims)?;
    let length = repeated_bytes(elements, size(kind).unwrap_or_default(), room)?;
    let (mut rng, mut bytes) = (Rng::with_seed(seed(blob)), Vec::with_capacity(length));
    if let Distribution::Unique(min, max) = distribution {
        for number in different(&mut rng, elements, min, max) {
            put_int(&mut bytes, kind, number)?;
        }
        return Ok(Some((kind, bytes)));
    }
    for _ in 0..elements {
        match distribution {
            Distribution::Uniform(min, max) => put_float(&mut bytes, kind, min + rng.f32() * (max - min))?,
            Distribution::Normal(mean, deviation) => put_float(&mut bytes, kind, mean + deviation * normal(&mut rng))?,
            Distribution::Whole(min, max) | Distribution::Unique(min, max) => {
                put_int(&mut bytes, kind, rng.i64(min..=max))?;
            }
        }
    }
    Ok(Some((kind, bytes)))
}

/// So many numbers of these, none of them twice: Floyd's way, which takes one step for each, and then in any order.
fn different(rng: &mut Rng, count: i64, min: i64, max: i64) -> Vec<i64> {
    let (mut made, mut numbers) = (HashSet::new(), Vec::new());
    for before_the_last in (0..count).rev() {
        let last = max - before_the_last;
        let number = rng.i64(min..=last);
        let number = if made.insert(number) { number } else { last };
        made.insert(number);
        numbers.push(number);
    }
    rng.shuffle(&mut numbers);
    numbers
}

fn distribution(
    fill: &str,
    arguments: Arguments<'_>,
    dims: &[i64],
) -> Result<Option<(DataType, Distribution)>, String> {
    let uniform = || Ok::<_, String>(Distribution::Uniform(arguments.float("min", 0.0)?, arguments.float("max", 1.0)?));
    let bounds = || {
        let (min, max) = (arguments.int("min", 0)?, arguments.int("max", 1)?);
        if min > max {
            Err(format!("draws from {min} to {max}, which is nothing; export the net again"))
        } else {
            Ok((min, max))
        }
    };
    Ok(Some(match fill {
        "UniformFill" => (DataType::Float, uniform()?),
        "Float16UniformFill" => (DataType::Float16, uniform()?),
        "GaussianFill" => {
            (DataType::Float, Distribution::Normal(arguments.float("mean", 0.0)?, arguments.float("std", 1.0)?))
        }
        "XavierFill" => {
            let scale = (3.0 / fan(dims, 0)?).sqrt();
            (DataType::Float, Distribution::Uniform(-scale, scale))
        }
        "MSRAFill" => (DataType::Float, Distribution::Normal(0.0, (2.0 / fan(dims, 1)?).sqrt())),
        "UniformIntFill" => {
            let (min, max) = bounds()?;
            (DataType::Int32, Distribution::Whole(min, max))
        }
        "UniqueUniformFill" => {
            let kind = arguments.try_int("dtype")?.map_or(Ok(DataType::Int32), kinds::of_caffe2)?;
            let (min, max) = bounds()?;
            let (count, there) = (crate::fill::elements(dims)?, max.saturating_sub(min).saturating_add(1));
            if count > there.min(UNIQUE_MAX) {
                let most = there.min(UNIQUE_MAX);
                return Err(format!("draws {count} different numbers of {most} at most; export the net again"));
            }
            (kind, Distribution::Unique(min, max))
        }
        _ => return Ok(None),
    }))
}

/// How many elements share one place of an axis.
fn fan(dims: &[i64], axis: usize) -> Result<f32, String> {
    let size = dims.get(axis).copied().filter(|&size| size > 0);
    let size = size.ok_or_else(|| format!("has a shape {dims:?} without an axis {axis}; export the net again"))?;
    Ok((crate::fill::elements(dims)? / size) as f32)
}

/// Box and Muller's way to the standard normal distribution.
fn normal(rng: &mut Rng) -> f32 {
    // The logarithm of 0 is none.
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    (radius * (std::f64::consts::TAU * rng.f64()).cos()) as f32
}

/// The name's hash (FNV-1a).
fn seed(blob: &str) -> u64 {
    blob.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Argument;

    fn numbers(fill: &str, blob: &str, dims: &[i64], arguments: &[Argument]) -> Vec<f32> {
        let made = drawn(fill, blob, Arguments(arguments), dims, &mut Room::of_a_model());
        let (kind, bytes) = made.expect("it is sound").expect("it draws");
        assert_eq!(kind, DataType::Float);
        bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four"))).collect()
    }

    fn wholes(fill: &str, dims: &[i64], min: i64, max: i64) -> Result<Vec<i32>, String> {
        let bound = |name: &str, i| Argument { name: Some(name.into()), i: Some(i), ..Argument::default() };
        let arguments = [bound("min", min), bound("max", max)];
        let made = drawn(fill, "w", Arguments(&arguments), dims, &mut Room::of_a_model())?;
        let (_, bytes) = made.expect("it draws");
        Ok(bytes.chunks_exact(4).map(|bytes| i32::from_le_bytes(bytes.try_into().expect("four"))).collect())
    }

    fn mean_and_deviation(numbers: &[f32]) -> (f64, f64) {
        let count = numbers.len() as f64;
        let mean = numbers.iter().map(|&number| f64::from(number)).sum::<f64>() / count;
        let variance = numbers.iter().map(|&number| (f64::from(number) - mean).powi(2)).sum::<f64>() / count;
        (mean, variance.sqrt())
    }

    /// Of 100 rows of 300 numbers: √(3 / 300) = 0.1, and a uniform distribution deviates by 0.1 / √3 = 0.0577; √(2 / 100) = 0.1414.
    /// Means of 30,000 are within a hundredth of a deviation of what they should be, four times in five, and within three always.
    #[test]
    fn numbers_are_of_the_distribution_that_the_fill_names() {
        let xavier = numbers("XavierFill", "w", &[100, 300], &[]);
        assert!(xavier.iter().all(|number| number.abs() <= 0.1));
        for (fill, expected) in [("XavierFill", 0.0577), ("MSRAFill", 0.1414), ("GaussianFill", 1.0)] {
            let (mean, deviation) = mean_and_deviation(&numbers(fill, "w", &[100, 300], &[]));
            assert!(
                mean.abs() < 0.03 * expected && (deviation / expected - 1.0).abs() < 0.02,
                "{fill}: {mean} {deviation}"
            );
        }
        let uniform = numbers("UniformFill", "w", &[30_000], &[]);
        assert!(uniform.iter().all(|number| (0.0..1.0).contains(number)));
        let (mean, _) = mean_and_deviation(&uniform);
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
    }

    #[test]
    fn a_blob_has_the_same_numbers_whenever_its_model_is_opened_and_no_other_has_them() {
        let of = |blob| numbers("GaussianFill", blob, &[8], &[]);
        assert_eq!(of("w"), of("w"));
        assert_ne!(of("w"), of("v"));
    }

    #[test]
    fn whole_numbers_reach_both_ends_and_those_that_differ_are_all_different() {
        let some = wholes("UniformIntFill", &[1000], -1, 1).expect("it is sound");
        assert!(
            [-1, 0, 1].iter().all(|number| some.contains(number))
                && some.iter().all(|number| (-1..=1).contains(number))
        );
        let mut all = wholes("UniqueUniformFill", &[5], 3, 7).expect("it is sound");
        all.sort_unstable();
        assert_eq!(all, [3, 4, 5, 6, 7]);
        let error = wholes("UniqueUniformFill", &[6], 3, 7).expect_err("there are five");
        assert_eq!(error, "draws 6 different numbers of 5 at most; export the net again");
        let error = wholes("UniformIntFill", &[1], 2, 1).expect_err("there are none");
        assert_eq!(error, "draws from 2 to 1, which is nothing; export the net again");
    }

    #[test]
    fn a_shape_is_compared_with_what_may_be_repeated_before_memory_is_asked_for() {
        for dims in [&[1 << 40, 1][..], &[], &[0, 0], &[i64::MAX, 2]] {
            let made = drawn("XavierFill", "w", Arguments(&[]), dims, &mut Room::of_a_model());
            assert!(made.expect_err("it is none").contains("; "), "{dims:?}");
        }
    }
}
