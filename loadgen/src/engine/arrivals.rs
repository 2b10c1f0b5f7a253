//! When requests should be sent. Knows no connection and no clock: times are nanoseconds since the round began.

use std::sync::Arc;

/// Who decides when a request is sent.
#[derive(Clone, Debug)]
pub enum Pace {
    /// The reply before it: each connection always has as many under way as it may.
    Closed,
    /// A schedule, whatever the server does.
    Open(Schedule),
}

/// A schedule.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// At equal distances.
    Constant {
        /// Requests per second.
        rate: f64,
    },
    /// At exponentially distributed distances: what many independent users do.
    Poisson {
        /// Requests per second, on average.
        rate: f64,
        /// Where chance begins.
        seed: u64,
    },
    /// At these times, ascending.
    Replay(Arc<[u64]>),
}

/// The times of one thread, which are every n-th of a schedule's.
#[derive(Debug)]
pub(super) struct Arrivals {
    kind: Kind,
    end: u64,
}

#[derive(Debug)]
enum Kind {
    /// The `next`-th of all, then the one `step` behind it. Not a sum, whose errors would add up.
    Constant {
        next: u64,
        step: u64,
        interval: f64,
    },
    Poisson {
        at: f64,
        mean: f64,
        chance: fastrand::Rng,
    },
    Replay {
        next: usize,
        step: usize,
        times: Arc<[u64]>,
    },
}

impl Arrivals {
    /// Those of the `thread`-th of `threads`, before `end`.
    pub(super) fn new(schedule: &Schedule, thread: usize, threads: usize, end: u64) -> Arrivals {
        let kind = match schedule {
            Schedule::Constant { rate } => {
                Kind::Constant { next: thread as u64, step: threads as u64, interval: 1e9 / rate }
            }
            // A sum of independent Poisson processes is one.
            Schedule::Poisson { rate, seed } => Kind::Poisson {
                at: 0.0,
                mean: 1e9 * threads as f64 / rate,
                chance: fastrand::Rng::with_seed(mixed(*seed, thread as u64)),
            },
            Schedule::Replay(times) => Kind::Replay { next: thread, step: threads, times: Arc::clone(times) },
        };
        Arrivals { kind, end }
    }
}

/// A seed of its own for each thread of each round: neighbouring seeds must not meet.
pub fn mixed(seed: u64, index: u64) -> u64 {
    // Golden ratio, as in SplitMix64: an odd number whose multiples spread over all of u64.
    fastrand::Rng::with_seed(seed ^ index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)).u64(..)
}

impl Iterator for Arrivals {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let at = match &mut self.kind {
            Kind::Constant { next, step, interval } => {
                let at = (*next as f64 * *interval) as u64;
                *next += *step;
                at
            }
            Kind::Poisson { at, mean, chance } => {
                // Inversion; 1 - [0, 1) is never 0, whose logarithm would be infinite.
                *at -= (1.0 - chance.f64()).ln() * *mean;
                *at as u64
            }
            Kind::Replay { next, step, times } => {
                let at = *times.get(*next)?;
                *next += *step;
                at
            }
        };
        (at < self.end).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn threads_together_keep_a_constant_rate() {
        let schedule = Schedule::Constant { rate: 1000.0 };
        let mut all: Vec<u64> = (0..3).flat_map(|thread| Arrivals::new(&schedule, thread, 3, SECOND)).collect();
        all.sort_unstable();
        let expected: Vec<u64> = (0..1000).map(|index| index * 1_000_000).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn a_constant_rate_does_not_drift() {
        let schedule = Schedule::Constant { rate: 3.0 };
        let last = Arrivals::new(&schedule, 0, 1, 1_000_000 * SECOND).take(3_000_000).last();
        assert_eq!(last, Some(999_999_666_666_666), "2,999,999 / 3 seconds");
    }

    /// Mean and standard deviation of an exponential distribution are equal; the tolerance is four standard errors.
    #[test]
    fn poisson_arrivals_have_exponential_distances() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let schedule = Schedule::Poisson { rate: 1e6, seed };
        let mut distances: Vec<f64> = Vec::new();
        for thread in 0..2 {
            let times: Vec<u64> = Arrivals::new(&schedule, thread, 2, SECOND / 10).collect();
            distances.extend(times.windows(2).map(|pair| (pair[1] - pair[0]) as f64));
        }
        let n = distances.len() as f64;
        let mean = distances.iter().sum::<f64>() / n;
        let deviation = (distances.iter().map(|distance| (distance - mean).powi(2)).sum::<f64>() / n).sqrt();
        assert!((mean / 2000.0 - 1.0).abs() < 4.0 / n.sqrt(), "mean {mean} ns of {n}");
        assert!((deviation / 2000.0 - 1.0).abs() < 4.0 * (2.0 / n).sqrt(), "deviation {deviation} ns");
    }

    #[test]
    fn a_replay_ends_with_its_times_or_with_the_round() {
        let schedule = Schedule::Replay([5, 7, 11, 13].into());
        assert_eq!(Arrivals::new(&schedule, 1, 2, 100).collect::<Vec<_>>(), [7, 13]);
        assert_eq!(Arrivals::new(&schedule, 0, 1, 11).collect::<Vec<_>>(), [5, 7]);
    }
}
