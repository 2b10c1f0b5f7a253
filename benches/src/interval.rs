//! How sure a ratio is: two things measured in turn, many times, and between which bounds the ratio of what they really are
//! lies with a confidence of 95 %. It is that of the logarithms of the pairs' ratios by Student's distribution, so what
//! disturbs both of a pair disturbs nothing, and twice as fast weighs as much as half as fast. Where what disturbs comes in
//! bursts, which no such distribution has, the median of the ratios says more: a few pairs do not move it, whatever they are.

use anyhow::{Result, ensure};
use std::fmt::{Display, Formatter};

/// A ratio and its bounds.
#[derive(Clone, Copy, Debug)]
pub struct Interval {
    /// The geometric mean of the ratios, or their median.
    pub ratio: f64,
    /// It is not below this one,
    pub least: f64,
    /// nor above this one, in 95 of 100 such measurements.
    pub most: f64,
    /// How many pairs there were.
    pub pairs: usize,
}

impl Interval {
    /// That of positive values that were measured in pairs, two pairs at least.
    pub fn of_ratios(over: &[f64], under: &[f64]) -> Result<Interval> {
        ensure!(over.len() == under.len(), "{} values and {} are no pairs", over.len(), under.len());
        ensure!(over.len() > 1, "one pair says nothing of its spread");
        ensure!(over.iter().chain(under).all(|value| *value > 0.0), "a value of nothing has no ratio");
        let logs: Vec<f64> = over.iter().zip(under).map(|(over, under)| (over / under).ln()).collect();
        let pairs = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / pairs;
        let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (pairs - 1.0);
        let reach = student(logs.len() - 1) * (variance / pairs).sqrt();
        Ok(Interval { ratio: mean.exp(), least: (mean - reach).exp(), most: (mean + reach).exp(), pairs: logs.len() })
    }

    /// The median of the ratios of such pairs. As many lie above the median of all that could be measured as below, like coins
    /// that are thrown, so the bounds are two of the ratios; with fewer than six pairs all lie within them, and that is less sure.
    pub fn of_median_ratio(over: &[f64], under: &[f64]) -> Result<Interval> {
        // Looks at them.
        let pairs = Interval::of_ratios(over, under)?.pairs;
        let mut ratios: Vec<f64> = over.iter().zip(under).map(|(over, under)| over / under).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let (low, high) = (ratios[(pairs - 1) / 2], ratios[pairs / 2]);
        let beyond = beyond(pairs);
        Ok(Interval { ratio: f64::midpoint(low, high), least: ratios[beyond], most: ratios[pairs - 1 - beyond], pairs })
    }

    /// How far the end is from 1 that is farther from it.
    pub fn farthest(&self) -> f64 {
        (1.0 - self.least).abs().max((self.most - 1.0).abs())
    }
}

/// `1.002 [0.995, 1.009]`, to be read with the number of pairs beside it.
impl Display for Interval {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3} [{:.3}, {:.3}]", self.ratio, self.least, self.most)
    }
}

/// How many of so many ratios lie beyond a bound on either side: the most heads, of so many coins, that it is unlikely (2.5 %) to
/// see no more of; and none where even no heads at all are likelier.
fn beyond(throws: usize) -> usize {
    let mut chance = 0.5_f64.powi(throws as i32);
    let (mut sum, mut heads) = (chance, 0);
    while sum <= 0.025 && heads < throws {
        chance *= (throws - heads) as f64 / (heads + 1) as f64;
        sum += chance;
        heads += 1;
    }
    // With so many heads it is more.
    heads.saturating_sub(1)
}

/// The 97.5th percentile of Student's distribution. Between two numbers of degrees of freedom that stand in the table it is
/// the one of fewer, so an interval may be wider than it had to be, and is never narrower.
fn student(freedom: usize) -> f64 {
    /// From 1 to 30 degrees.
    const FEW: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
        2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
    ];
    match freedom {
        0..=30 => FEW[freedom.max(1) - 1],
        31..=39 => FEW[29],
        40..=59 => 2.021,
        60..=119 => 2.000,
        _ => 1.980,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logarithms 0.0, 0.1 and 0.2: mean 0.1, deviation 0.1, so 4.303 · 0.1 / √3 = 0.24843 to either side; e^0.1 = 1.10517,
    /// e^-0.14843 = 0.86206, e^0.34843 = 1.41685.
    #[test]
    fn an_interval_is_what_is_calculated_by_hand() {
        let over = [2.0, 2.0 * 0.1_f64.exp(), 2.0 * 0.2_f64.exp()];
        let interval = Interval::of_ratios(&over, &[2.0; 3]).unwrap();
        assert!((interval.ratio - 1.10517).abs() < 1e-5, "{interval:?}");
        assert!((interval.least - 0.86206).abs() < 1e-4, "{interval:?}");
        assert!((interval.most - 1.41685).abs() < 1e-4, "{interval:?}");
        assert_eq!(interval.to_string(), "1.105 [0.862, 1.417]");
        assert_eq!(interval.pairs, 3);
    }

    /// Bounds of the sign test, as in its tables: of 10 the 2nd and 9th, of 25 the 8th and 18th, of 5 there are none.
    #[test]
    fn the_bounds_of_a_median_are_those_of_the_sign_test() {
        assert_eq!([2, 5, 6, 10, 25, 50].map(beyond), [0, 0, 0, 1, 7, 17]);
        let over: Vec<f64> = [9.0, 1.1, 0.9, 1.0, 1.2, 5.0, 1.05, 1.15, 0.8, 0.95].into();
        let interval = Interval::of_median_ratio(&over, &[1.0; 10]).unwrap();
        assert_eq!(interval.to_string(), "1.075 [0.900, 5.000]");
    }

    #[test]
    fn turned_around_it_is_turned_around() {
        let (over, under) = ([1.0, 3.0, 2.0, 5.0], [2.0, 2.5, 3.0, 4.0]);
        let there = Interval::of_ratios(&over, &under).unwrap();
        let back = Interval::of_ratios(&under, &over).unwrap();
        assert!((there.ratio * back.ratio - 1.0).abs() < 1e-12);
        assert!((there.least * back.most - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_disturbs_both_of_a_pair_disturbs_nothing() {
        let interval = Interval::of_ratios(&[10.0, 1.0, 100.0], &[5.0, 0.5, 50.0]).unwrap();
        assert_eq!(interval.to_string(), "2.000 [2.000, 2.000]");
    }

    #[test]
    fn a_number_of_pairs_that_is_in_no_table_counts_as_fewer() {
        let close = |freedom, expected: f64| assert!((student(freedom) - expected).abs() < 1e-9, "{freedom}");
        close(1, 12.706);
        close(30, 2.042);
        close(39, 2.042);
        close(40, 2.021);
        close(1_000_000, 1.980);
    }

    #[test]
    fn the_end_that_is_farther_from_one_counts() {
        let farthest = |least, most| Interval { ratio: 1.0, least, most, pairs: 40 }.farthest();
        assert!((farthest(0.97, 1.01) - 0.03).abs() < 1e-12);
        assert!((farthest(0.99, 1.04) - 0.04).abs() < 1e-12);
        assert!((farthest(1.1, 1.2) - 0.2).abs() < 1e-12);
        assert!((farthest(0.7, 0.8) - 0.3).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_measurement_has_no_interval() {
        assert!(Interval::of_ratios(&[1.0], &[1.0]).is_err());
        assert!(Interval::of_ratios(&[1.0, 2.0], &[1.0]).is_err());
        assert!(Interval::of_ratios(&[1.0, 0.0], &[1.0, 1.0]).is_err());
    }
}
