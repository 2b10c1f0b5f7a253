//! Several rounds as one number: the median, and how far apart the least and the most were.

use std::fmt::{Display, Formatter};

/// The median of some rounds, the least and the most.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    /// That of some values, at least one.
    pub fn of(values: &[f64]) -> Spread {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        Spread { median, least: sorted[0], most: sorted[sorted.len() - 1] }
    }

    /// The value in the middle.
    pub fn median(&self) -> f64 {
        self.median
    }

    /// That of the ratios of each round: what disturbs a round disturbs both.
    pub fn of_ratios(over: &[f64], under: &[f64]) -> Spread {
        let ratios: Vec<f64> = over.iter().zip(under).map(|(over, under)| over / under).collect();
        Spread::of(&ratios)
    }
}

/// Three digits or more: `76.3 (74.1–80.2)`.
impl Display for Spread {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let digits = match self.median.abs() {
            median if median >= 100.0 => 0,
            median if median >= 10.0 => 1,
            _ => 2,
        };
        write!(f, "{:.digits$} ({:.digits$}–{:.digits$})", self.median, self.least, self.most)
    }
}

/// The `part`-th quantile (0.5 = the median) of sorted values, at least one.
pub fn quantile(sorted: &[u64], part: f64) -> u64 {
    let index = (sorted.len() as f64 * part) as usize;
    sorted[index.min(sorted.len() - 1)]
}

/// What to measure in which order in a round: each round begins with another one, so that none always follows the same.
pub fn order(round: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |index| (index + round) % count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        assert_eq!(Spread::of(&[4.0, 1.0, 3.0, 2.0]).to_string(), "2.50 (1.00–4.00)");
        assert_eq!(Spread::of(&[70.0, 90.0, 80.0]).to_string(), "80.0 (70.0–90.0)");
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        assert_eq!(Spread::of_ratios(&[10.0, 40.0], &[5.0, 10.0]).to_string(), "3.00 (2.00–4.00)");
    }

    #[test]
    fn a_quantile_is_a_value_that_was_measured() {
        assert_eq!(quantile(&[10, 20, 30, 40], 0.5), 30);
        assert_eq!(quantile(&[10, 20, 30, 40], 1.0), 40);
        assert_eq!(quantile(&[10], 0.99), 10);
    }

    #[test]
    fn every_round_measures_everything_once_and_begins_with_another() {
        assert_eq!(order(0, 3).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(order(4, 3).collect::<Vec<_>>(), [1, 2, 0]);
    }
}
