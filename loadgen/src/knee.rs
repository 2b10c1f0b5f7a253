//! `--find-knee`: the highest rate at which the server holds an objective. The search is here; measuring is not.

use crate::result::{Knee, Round};
use crate::units::duration;
use anyhow::{Result, bail};
use hdrhistogram::Histogram;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A bound on the latency.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    text: String,
    what: What,
    below: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Quantile(f64),
    Mean,
    Max,
}

/// The search ends when what holds and what does not are this close.
const CLOSE: f64 = 0.05;
/// How often the rate that was found has to hold again.
const CONFIRMATIONS: usize = 2;
/// A rate that does not hold again is lowered by this factor.
const STEP_BACK: f64 = 0.9;
/// The search gives up below this part of what the server can do at most.
const LOWEST: f64 = 0.01;
/// The part of the intended rate that has to be reached.
const REACHED: f64 = 0.99;
/// How often a rate is tried when the generator could not keep it, which on a busy machine may be chance.
const TRIES_MAX: usize = 3;
/// The most times that the rate is doubled while it holds.
const DOUBLINGS_MAX: usize = 10;

impl FromStr for Objective {
    type Err = String;

    fn from_str(text: &str) -> Result<Objective, String> {
        let form = || format!("{text:?} is not an objective; write p99<5ms, p50<200us, mean<1ms or max<50ms");
        let (name, bound) = text.split_once('<').ok_or_else(form)?;
        let what = match name.trim() {
            "mean" => What::Mean,
            "max" => What::Max,
            name => {
                let percent: f64 = name.strip_prefix('p').and_then(|number| number.parse().ok()).ok_or_else(form)?;
                if !(percent > 0.0 && percent < 100.0) {
                    return Err(form());
                }
                What::Quantile(percent / 100.0)
            }
        };
        let below = duration(bound.trim())?;
        if below.is_zero() {
            return Err(form());
        }
        Ok(Objective { text: text.to_owned(), what, below })
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether a rate holds, and if not, why.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The objective was met, at the rate that was intended, without an error.
    Holds,
    /// It was not.
    Fails,
    /// The generator could not send as much, so nothing is known of the server.
    Unknown(String),
}

impl Objective {
    /// Judges the rounds at `rate`, with the histogram of all of them, if anything was answered.
    pub fn judge(&self, rate: f64, rounds: &[Round], latency: Option<&Histogram<u64>>) -> Verdict {
        if let Some(text) = rounds.iter().find_map(|round| round.generator.bottleneck.clone()) {
            return Verdict::Unknown(text);
        }
        let answered: f64 = rounds.iter().map(|round| round.answered as f64).sum();
        let seconds: f64 = rounds.iter().map(|round| round.seconds).sum();
        let failed = rounds.iter().any(|round| !round.errors.is_empty());
        let Some(latency) = latency else { return Verdict::Fails };
        let found = match self.what {
            What::Quantile(quantile) => latency.value_at_quantile(quantile) as f64,
            What::Mean => latency.mean(),
            What::Max => latency.max() as f64,
        };
        // A few requests more or less than intended fall into a short window.
        let reached = answered + 2.0 >= REACHED * rate * seconds;
        if !failed && reached && found < self.below.as_nanos() as f64 { Verdict::Holds } else { Verdict::Fails }
    }

    /// Searches between nothing and what the server can do at most (`capacity`, of a closed loop) by halving, then
    /// measures what was found again. `try_rate` measures one rate.
    pub fn search(&self, capacity: f64, mut try_rate: impl FnMut(f64) -> Result<Verdict>) -> Result<Knee> {
        if capacity <= 0.0 {
            bail!("the server has answered nothing, so there is no knee to be found");
        }
        let mut holds = |rate: f64| {
            let mut tries = 1;
            loop {
                match try_rate(rate)? {
                    Verdict::Holds => return Ok(true),
                    Verdict::Fails => return Ok(false),
                    Verdict::Unknown(_) if tries < TRIES_MAX => tries += 1,
                    Verdict::Unknown(text) => bail!("at {rate:.0} requests/s the generator is the bottleneck: {text}"),
                }
            }
        };
        let (mut low, mut high) = (0.0, capacity);
        for _ in 0..DOUBLINGS_MAX {
            if !holds(high)? {
                break;
            }
            (low, high) = (high, 2.0 * high);
        }
        while high - low > CLOSE * high && high > LOWEST * capacity {
            let middle = f64::midpoint(low, high);
            if holds(middle)? { low = middle } else { high = middle }
        }
        let mut failed_at = high;
        let mut confirmed = 0;
        while low > LOWEST * capacity && confirmed < CONFIRMATIONS {
            if holds(low)? {
                confirmed += 1;
            } else {
                (failed_at, low, confirmed) = (low, low * STEP_BACK, 0);
            }
        }
        let rate = (confirmed == CONFIRMATIONS).then_some(low);
        Ok(Knee { objective: self.text.clone(), rate, failed_at: Some(failed_at) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(capacity: f64, holds: impl Fn(f64, usize) -> bool) -> (Knee, usize) {
        let objective: Objective = "p99<5ms".parse().unwrap();
        let mut tries = 0;
        let knee = objective.search(capacity, |rate| {
            tries += 1;
            Ok(if holds(rate, tries) { Verdict::Holds } else { Verdict::Fails })
        });
        (knee.unwrap(), tries)
    }

    #[test]
    fn the_knee_is_found_to_five_percent_and_confirmed() {
        for knee_at in [50.0, 333.0, 910.0, 1500.0, 3000.0] {
            let (knee, tries) = search(1000.0, |rate, _| rate <= knee_at);
            let rate = knee.rate.unwrap();
            assert!(rate <= knee_at && rate >= 0.94 * knee_at, "{knee_at}: {rate}");
            assert!(knee.failed_at.unwrap() > knee_at);
            assert!(tries < 20, "{tries} tries");
        }
    }

    #[test]
    fn what_does_not_hold_again_is_lowered() {
        // Once, and never again, 700 holds.
        let (knee, _) = search(1000.0, |rate, try_| rate <= 600.0 || (rate < 700.0 && try_ < 8));
        let rate = knee.rate.unwrap();
        assert!((540.0..=600.0).contains(&rate), "{rate}");
    }

    #[test]
    fn a_generator_that_cannot_keep_a_rate_gets_two_more_chances() {
        let objective: Objective = "p99<5ms".parse().unwrap();
        let unknown = || Verdict::Unknown("tired".to_owned());
        let mut tries = 0;
        let found = objective.search(1000.0, |rate| {
            tries += 1;
            Ok(match rate {
                _ if tries % 3 != 0 => unknown(),
                ..=500.0 => Verdict::Holds,
                _ => Verdict::Fails,
            })
        });
        assert!(found.unwrap().rate.is_some_and(|rate| rate > 470.0));
        let error = objective.search(1000.0, |_| Ok(unknown())).unwrap_err().to_string();
        assert!(error.contains("generator") && error.contains("tired"), "{error}");
    }

    #[test]
    fn where_nothing_holds_nothing_is_found() {
        assert_eq!(search(1000.0, |_, _| false).0.rate, None);
    }

    #[test]
    fn objectives_are_read() {
        let objective: Objective = "p99.9<250us".parse().unwrap();
        assert_eq!(objective.what, What::Quantile(99.9 / 100.0));
        assert_eq!(objective.below, Duration::from_micros(250));
        for text in ["", "p99", "p0<1ms", "p100<1ms", "p99<0s", "p99>1ms", "best<1ms", "p99<1"] {
            assert!(text.parse::<Objective>().is_err(), "{text}");
        }
    }
}
