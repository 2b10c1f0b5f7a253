//! By how much one thing differs from another, with an interval: exact, and without an assumption about how the numbers are
//! distributed. Latencies are skewed and rounds are few, so means and normal intervals would be wrong in the direction that
//! flatters. Knows numbers only, nothing of reports.
//!
//! Both intervals are closed and hold with at least the stated confidence; ties only make it greater.

/// The confidence that intervals are to have.
pub const CONFIDENCE: f64 = 0.95;

/// The most values of each side that [`unpaired`] looks at; the work grows with the fourth power.
pub const VALUES_MAX: usize = 100;

/// A ratio and where it lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The best single guess.
    pub ratio: f64,
    /// It is not less than this…
    pub low: f64,
    /// …and not more than this,
    pub high: f64,
    /// with this probability: [`CONFIDENCE`] or more if there are values enough, else what the widest interval has, and 0
    /// of a single value.
    pub confidence: f64,
}

impl Interval {
    /// Whether the interval has the confidence that it is to have.
    pub fn is_confident(&self) -> bool {
        self.confidence >= CONFIDENCE - ROUNDING
    }
}

/// What sums of some thousand probabilities may be off by.
const ROUNDING: f64 = 1e-12;

/// The median of the ratios of pairs, one for each round, with the interval that the sign test does not reject: from the k-th
/// least to the k-th greatest ratio. It misses the median only if fewer than k of n ratios lie on one side of it, each side
/// being a fair coin, whatever the distribution: 1 − 2·P(Bin(n, ½) < k). Six pairs are the fewest that reach 95 %, with k = 1.
///
/// W. J. Conover, Practical Nonparametric Statistics, 3rd ed., section 3.2 (confidence interval for a quantile);
/// H. A. David and H. N. Nagaraja, Order Statistics, 3rd ed., section 7.1.
///
/// `None` unless there are values and all are positive and finite.
pub fn paired(ratios: &[f64]) -> Option<Interval> {
    let sorted = sorted(ratios)?;
    let count = sorted.len();
    let below = binomial_below(count);
    // below[k - 1] is P(fewer than k); k = 1 is the widest interval.
    let rank = widest_or_confident(&below);
    let confidence = (1.0 - 2.0 * below[rank - 1]).max(0.0);
    Some(Interval { ratio: median(&sorted), low: sorted[rank - 1], high: sorted[count - rank], confidence })
}

/// The median of all ratios b/a between values that do not belong together (Hodges and Lehmann), with the interval that the
/// test of Mann and Whitney does not reject: from the C-th least to the C-th greatest of the n·m ratios. It misses with
/// probability 2·P(U < C), where U is that test's statistic. On a logarithmic scale a ratio is a shift, for which this
/// is proven. Four values on each side are the fewest of equal numbers that reach 95 %.
///
/// J. L. Hodges and E. L. Lehmann, Estimates of location based on rank tests, Ann. Math. Statist. 34 (1963), 598–611;
/// H. B. Mann and D. R. Whitney, On a test of whether one of two random variables is stochastically larger than the other,
/// Ann. Math. Statist. 18 (1947), 50–60; M. Hollander, D. A. Wolfe and E. Chicken, Nonparametric Statistical Methods, 3rd ed.,
/// sections 4.2 and 4.3.
///
/// Of either side the first [`VALUES_MAX`] values count. `None` unless there are values and all are positive and finite.
pub fn unpaired(a: &[f64], b: &[f64]) -> Option<Interval> {
    let (a, b) = (&a[..a.len().min(VALUES_MAX)], &b[..b.len().min(VALUES_MAX)]);
    let ratios: Vec<f64> = b.iter().flat_map(|b| a.iter().map(move |a| b / a)).collect();
    let ratios = sorted(a).and(sorted(b)).and_then(|_| sorted(&ratios))?;
    let below = mann_whitney_below(a.len(), b.len());
    let rank = widest_or_confident(&below);
    let confidence = (1.0 - 2.0 * below[rank - 1]).max(0.0);
    Some(Interval { ratio: median(&ratios), low: ratios[rank - 1], high: ratios[ratios.len() - rank], confidence })
}

/// The middle value; of an even number, the geometric mean of the two in the middle, so that b/a is the inverse of a/b.
fn median(sorted: &[f64]) -> f64 {
    let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    low * (high / low).sqrt()
}

fn sorted(values: &[f64]) -> Option<Vec<f64>> {
    let usable = !values.is_empty() && values.iter().all(|value| value.is_finite() && *value > 0.0);
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    usable.then_some(sorted)
}

/// The highest rank whose interval is confident, or 1. `below[k - 1]` is the probability that rank k misses on one side.
fn widest_or_confident(below: &[f64]) -> usize {
    below.iter().take_while(|&&miss| 1.0 - 2.0 * miss >= CONFIDENCE - ROUNDING).count().max(1)
}

/// P(Bin(n, ½) ≤ k) for k from 0 to the middle. By logarithms, because ½ⁿ is no number for n beyond a thousand.
fn binomial_below(count: usize) -> Vec<f64> {
    let mut logarithm = -(count as f64) * std::f64::consts::LN_2;
    let mut sum = 0.0;
    let mut below = Vec::with_capacity(count / 2 + 1);
    for k in 0..=count / 2 {
        sum += logarithm.exp();
        below.push(sum);
        logarithm += ((count - k) as f64 / (k + 1) as f64).ln();
    }
    below
}

/// P(U ≤ u) for u from 0 to the middle, of n and m values. The greatest of i + j values belongs to the first side with
/// probability i / (i + j), and then is above all j of the other:
///
/// p(i, j, u) = i/(i+j) · p(i−1, j, u−j) + j/(i+j) · p(i, j−1, u)
///
/// All terms are positive, so nothing cancels.
fn mann_whitney_below(n: usize, m: usize) -> Vec<f64> {
    let end = n * m / 2 + 1;
    let mut nothing = vec![0.0; end];
    nothing[0] = 1.0;
    // of[j] is the distribution of i and j values; i grows.
    let mut of = vec![nothing; m + 1];
    for i in 1..=n {
        for j in 1..=m {
            let first = i as f64 / (i + j) as f64;
            let (before, from) = of.split_at_mut(j);
            let (fewer, this) = (&before[j - 1], &mut from[0]);
            for u in (0..end).rev() {
                let above_all = if u >= j { this[u - j] } else { 0.0 };
                this[u] = first * above_all + (1.0 - first) * fewer[u];
            }
        }
    }
    let mut sum = 0.0;
    of[m]
        .iter()
        .map(|part| {
            sum += part;
            sum
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64, digits: f64) {
        assert!((found - expected).abs() <= digits, "{found} is not {expected}");
    }

    #[test]
    fn six_pairs_reach_from_the_least_to_the_greatest_with_96_9_percent() {
        let found = paired(&[1.3, 1.1, 1.2, 1.6, 1.5, 1.4]).unwrap();
        assert_eq!((found.low, found.high), (1.1, 1.6));
        near(found.confidence, 0.96875, 1e-12); // 1 − 2/64
        near(found.ratio, 1.349_073_756, 1e-9); // √(1.3 · 1.4)
        assert!(found.is_confident());
    }

    #[test]
    fn fewer_pairs_have_the_widest_interval_and_say_its_confidence() {
        // 1 − 2/2ⁿ
        for (count, confidence) in [(1, 0.0), (2, 0.5), (3, 0.75), (4, 0.875), (5, 0.9375)] {
            let ratios: Vec<f64> = (1..=count).map(f64::from).collect();
            let found = paired(&ratios).unwrap();
            assert_eq!((found.low, found.high), (1.0, f64::from(count)));
            near(found.confidence, confidence, 1e-12);
            assert!(!found.is_confident());
        }
    }

    /// Ranks and confidence of the median's interval, as in tables of the sign test.
    #[test]
    fn ranks_of_more_pairs_are_those_of_the_tables() {
        let table = [
            (8, 1, 0.9922),
            (9, 2, 0.9609),
            (10, 2, 0.9785),
            (12, 3, 0.9614),
            (15, 4, 0.9648),
            (20, 6, 0.9586),
            (25, 8, 0.9567),
            (30, 10, 0.9572),
            (100, 40, 0.9648),
            // Computed with SciPy's binom.cdf.
            (1_000, 469, 0.9537),
        ];
        for (count, rank, confidence) in table {
            let ratios: Vec<f64> = (1..=count).map(f64::from).collect();
            let found = paired(&ratios).unwrap();
            assert_eq!((found.low, found.high), (f64::from(rank), f64::from(count + 1 - rank)), "of {count}");
            near(found.confidence, confidence, 5e-5);
        }
        assert!(paired(&vec![1.0; 5_000]).unwrap().is_confident(), "where a half to the n-th is no number");
    }

    /// The greatest U that is significant at 5 % on both sides, from the usual tables (S. Siegel, Nonparametric Statistics for the
    /// Behavioral Sciences, table K; to 20), and from SciPy's exact distribution beyond.
    #[test]
    fn critical_values_of_mann_and_whitney_are_those_of_the_tables() {
        let table = [
            (4, 4, 0),
            (3, 5, 0),
            (2, 8, 0),
            (5, 5, 2),
            (5, 8, 6),
            (6, 6, 5),
            (7, 10, 14),
            (8, 8, 13),
            (10, 10, 23),
            (12, 11, 33),
            (13, 16, 59),
            (20, 20, 127),
            (30, 30, 317),
            (100, 40, 1_575),
        ];
        for (n, m, critical) in table {
            for below in [mann_whitney_below(n, m), mann_whitney_below(m, n)] {
                assert_eq!(widest_or_confident(&below), critical + 1, "of {n} and {m}");
                assert!(below[critical] <= 0.025 && below[critical + 1] > 0.025, "of {n} and {m}");
            }
        }
    }

    #[test]
    fn the_distribution_of_u_is_that_of_all_orders() {
        // Two and two values have six orders, with U = 0, 1, 2, 2, 3, 4.
        let below = mann_whitney_below(2, 2);
        for (found, expected) in below.iter().zip([1.0 / 6.0, 2.0 / 6.0, 4.0 / 6.0]) {
            near(*found, expected, 1e-12);
        }
        assert_eq!(below.len(), 3);
        // SciPy: 1 − 2 · P(U ≤ 0) of 4 and 4, P(U ≤ 2) of 5 and 5, P(U ≤ 317) of 30 and 30.
        near(1.0 - 2.0 * mann_whitney_below(4, 4)[0], 0.971_428_571_428_571_4, 1e-12);
        near(1.0 - 2.0 * mann_whitney_below(5, 5)[2], 0.968_253_968_253_968_3, 1e-12);
        near(1.0 - 2.0 * mann_whitney_below(30, 30)[317], 0.950_380_000_034_445_6, 1e-12);
    }

    #[test]
    fn unpaired_values_have_the_median_of_all_ratios() {
        // b/a of 1, 2, 4, 8 and 3, 5, 7, 9, sorted: .375 .625 .75 .875 1.125 1.25 1.5 1.75 | 2.25 2.5 3 3.5 4.5 5 7 9
        let found = unpaired(&[4.0, 1.0, 8.0, 2.0], &[9.0, 3.0, 7.0, 5.0]).unwrap();
        near(found.ratio, 1.984_313_483_298_443, 1e-12); // √(1.75 · 2.25)
        assert_eq!((found.low, found.high), (0.375, 9.0));
        near(found.confidence, 1.0 - 2.0 / 70.0, 1e-12);
        // With five on each side the critical U is 2: from the third least to the third greatest.
        let found = unpaired(&[1.0; 5], &[2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!((found.ratio, found.low, found.high), (4.0, 2.0, 6.0));
        let found = unpaired(&[1.0, 10.0, 100.0, 1e3, 1e4], &[2e4; 5]).unwrap();
        assert_eq!((found.low, found.high), (2.0, 20_000.0), "each ratio five times: rank 3 is the first of them");
    }

    #[test]
    fn three_on_each_side_are_not_enough() {
        let found = unpaired(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]).unwrap();
        near(found.confidence, 0.9, 1e-12); // 1 − 2/20
        assert!(!found.is_confident());
        assert_eq!(unpaired(&[2.0], &[3.0]), Some(Interval { ratio: 1.5, low: 1.5, high: 1.5, confidence: 0.0 }));
    }

    #[test]
    fn a_over_b_is_the_inverse_of_b_over_a() {
        let (a, b) = ([1.0, 2.0, 3.0, 5.0], [2.0, 7.0, 9.0, 11.0]);
        let (there, back) = (unpaired(&a, &b).unwrap(), unpaired(&b, &a).unwrap());
        near(there.ratio * back.ratio, 1.0, 1e-12);
        near(there.low * back.high, 1.0, 1e-12);
    }

    #[test]
    fn what_has_no_ratio_has_no_interval() {
        for values in [&[][..], &[0.0], &[1.0, f64::NAN], &[f64::INFINITY], &[-1.0]] {
            assert_eq!(paired(values), None, "{values:?}");
            assert_eq!(unpaired(values, &[1.0]), None, "{values:?}");
            assert_eq!(unpaired(&[1.0], values), None, "{values:?}");
        }
    }

    #[test]
    fn no_more_than_the_first_hundred_values_count() {
        let mut a = vec![1.0; 100];
        a.extend([50.0; 1_000]);
        let found = unpaired(&a, &[2.0; 4]).unwrap();
        assert_eq!((found.low, found.high), (2.0, 2.0));
    }
}
