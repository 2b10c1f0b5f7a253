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

/// What to measure in which order in a round: by chance, so that none always follows the same, nor has the same place among
/// whatever happens at regular times. The same seed makes the same orders.
pub fn order(seed: u64, round: usize, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    fastrand::Rng::with_seed(seed.wrapping_add(round as u64)).shuffle(&mut order);
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

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
    fn every_round_measures_everything_once() {
        for round in 0..100 {
            let mut sorted = order(1, round, 7);
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5, 6]);
        }
    }

    #[test]
    fn in_many_rounds_everything_has_followed_everything() {
        let followed: HashSet<(usize, usize)> = (0..100)
            .flat_map(|round| order(1, round, 4).windows(2).map(|pair| (pair[0], pair[1])).collect::<Vec<_>>())
            .collect();
        assert_eq!(followed.len(), 4 * 3);
    }

    #[test]
    fn a_seed_makes_the_same_orders_again_and_another_makes_others() {
        let orders = |seed| (0..5).map(|round| order(seed, round, 12)).collect::<Vec<_>>();
        assert_eq!(orders(1), orders(1));
        assert_ne!(orders(1), orders(1000));
    }
}
