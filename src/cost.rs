//! What a model's runs cost: `t(rows) = a + b·rows`, learned from the runs themselves.
//!
//! Every thread that runs the model has a [`Learner`] of its own, which forgets: about the last hundred runs count. It
//! publishes the line into the model's one [`Cost`], a single word that anybody may read at any time. Pure arithmetic:
//! how long a run took is an argument, no clock is read here, and nothing waits or allocates.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The line of one model, as whoever ran it last knows it.
///
/// Two `f32` of nanoseconds in one word: `a` in the upper half, `b` in the lower one. Seven digits are more than any
/// clock has to say about a run.
#[derive(Debug)]
pub struct Cost(AtomicU64);

/// The word of a cost that nobody has learned yet: the bits of two NaNs, which no line has.
const UNKNOWN: u64 = u64::MAX;

impl Default for Cost {
    fn default() -> Cost {
        Cost(AtomicU64::new(UNKNOWN))
    }
}

impl Cost {
    /// The fixed part and the part per row, in nanoseconds; `None` before the first run.
    pub fn known(&self) -> Option<(f64, f64)> {
        // Relaxed here and in `publish`: the word is all there is, so there is nothing for it to be in order with.
        match self.0.load(Ordering::Relaxed) {
            UNKNOWN => None,
            word => Some((f32::from_bits((word >> 32) as u32).into(), f32::from_bits(word as u32).into())),
        }
    }

    /// How long a run of so many rows will take; `None` before the first run.
    pub fn predict(&self, rows: usize) -> Option<Duration> {
        self.known().map(|line| Duration::from_nanos(at(line, rows) as u64))
    }

    /// How many rows a run may have to be done within this time; none before the first run, and none if even a run
    /// without rows takes longer.
    pub fn rows_within(&self, time: Duration) -> usize {
        let Some((a, b)) = self.known() else { return 0 };
        let left = nanoseconds(time) - a;
        if left < 0.0 {
            return 0;
        }
        // A cast saturates: rows that cost nothing are as many as there can be. 0/0 does not occur, as b is compared.
        if b > 0.0 { (left / b) as usize } else { usize::MAX }
    }

    /// How many rows a run should have at least, if there is a choice: so many that what it costs whatever its rows is no
    /// more than a fifth of all. 1 before the first run.
    pub fn rows_worthwhile(&self) -> usize {
        let Some((a, b)) = self.known() else { return 1 };
        // A cast saturates; 0/0 becomes 0.
        if b > 0.0 { ((4.0 * a / b).ceil() as usize).max(1) } else { usize::MAX }
    }

    fn publish(&self, (a, b): (f64, f64)) {
        let word = (u64::from((a as f32).to_bits()) << 32) | u64::from((b as f32).to_bits());
        self.0.store(word, Ordering::Relaxed);
    }
}

fn at((a, b): (f64, f64), rows: usize) -> f64 {
    a + b * rows as f64
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

/// Learns the line of a model from one thread's runs.
///
/// Least squares over sums that fade: each new run makes all earlier ones count 1 % less. Means and spreads are kept
/// instead of the sums of squares themselves, which would lose their digits when all runs have nearly the same size.
///
/// If the sizes hardly differ they say nothing about the cost of a row. Then the part per row stays what it was, and what
/// has changed is put into the fixed part.
#[derive(Debug)]
pub struct Learner {
    cost: Arc<Cost>,
    /// The sum of the weights; at most 1 / (1 - [`KEPT`]).
    weight: f64,
    rows_mean: f64,
    time_mean: f64,
    /// The weighted sum of (rows - mean)².
    rows_spread: f64,
    /// The weighted sum of (rows - mean) · (time - mean).
    joint_spread: f64,
}

/// What remains of an earlier run's weight after each new one: about the last hundred count.
const KEPT: f64 = 0.99;
/// A run that took more than so many times what was predicted counts as if it had taken exactly that: the thread was
/// not running all the time. A model that really is slower is believed run by run.
const OUTLIER: f64 = 8.0;
/// The least prediction that [`OUTLIER`] is applied to, or a cost of nothing could never become one of something.
const OUTLIER_NANOSECONDS_MIN: f64 = 1000.0;
/// Sizes that differ by less than this share of their mean say little about the cost of a row.
const SPREAD_MIN: f64 = 0.02;

impl Learner {
    /// Has learned nothing yet; starts from what `cost` says.
    pub fn new(cost: Arc<Cost>) -> Learner {
        Learner { cost, weight: 0.0, rows_mean: 0.0, time_mean: 0.0, rows_spread: 0.0, joint_spread: 0.0 }
    }

    /// A run of so many rows took this long.
    pub fn observe(&mut self, rows: usize, took: Duration) {
        let mut time = nanoseconds(took);
        let known = self.cost.known();
        if let Some(line) = known {
            time = time.min(OUTLIER * at(line, rows).max(OUTLIER_NANOSECONDS_MIN));
        }
        self.add(rows as f64, time);
        // Nobody knows anything: all of it is taken to be per row. Too much for more rows, rather than too little, keeps
        // costly runs away from reactors.
        let per_row = known.map_or(self.time_mean / self.rows_mean.max(1.0), |(_, b)| b);
        self.cost.publish(self.line(per_row));
    }

    fn add(&mut self, rows: f64, time: f64) {
        self.weight = self.weight * KEPT + 1.0;
        let (rows_off, time_off) = (rows - self.rows_mean, time - self.time_mean);
        self.rows_mean += rows_off / self.weight;
        self.time_mean += time_off / self.weight;
        self.rows_spread = self.rows_spread * KEPT + rows_off * (rows - self.rows_mean);
        self.joint_spread = self.joint_spread * KEPT + rows_off * (time - self.time_mean);
    }

    /// The line through the runs, neither part of it below zero. `per_row` is what a row is believed to cost.
    fn line(&self, per_row: f64) -> (f64, f64) {
        // The belief counts as much as sizes that differ by SPREAD_MIN; the divisor is thereby above zero.
        let belief = self.weight * (SPREAD_MIN * self.rows_mean.max(1.0)).powi(2);
        let b = (self.joint_spread + belief * per_row) / (self.rows_spread + belief);
        let a = self.time_mean - b * self.rows_mean;
        if b < 0.0 {
            (self.time_mean, 0.0)
        } else if a < 0.0 {
            // The line through the origin that is nearest. Rows are not all 0 here, or `a` were the mean of the times.
            let squares = self.rows_spread + self.weight * self.rows_mean.powi(2);
            (0.0, (self.joint_spread + self.weight * self.rows_mean * self.time_mean) / squares)
        } else {
            (a, b)
        }
    }
}

#[cfg(test)]
mod tests;
