//! `--find-knee`: the highest rate at which the server holds an objective. The search is here; measuring is not.

use crate::result::summary::carries;
use crate::result::{Knee, Round};
use crate::units::duration;
use anyhow::Result;
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
    /// The objective was met without an error.
    Holds,
    /// It was not.
    Fails,
    /// Nothing was answered.
    Dead,
    /// Nothing is known of the server, and why.
    Unknown(String),
}

impl Objective {
    /// Judges the rounds of one rate, with the histogram of those that are the server's.
    pub fn judge(&self, rounds: &[Round], latency: Option<&Histogram<u64>>) -> Verdict {
        if rounds.iter().all(|round| round.answered == 0) {
            return Verdict::Dead;
        }
        if rounds.iter().any(|round| !round.errors.is_empty()) {
            return Verdict::Fails;
        }
        let bound: Vec<&String> = rounds.iter().filter_map(|round| round.generator.bottleneck.as_ref()).collect();
        if let Some(text) = bound.first().filter(|_| 2 * bound.len() >= rounds.len()) {
            return Verdict::Unknown(format!("the generator is the bottleneck: {text}"));
        }
        let Some(latency) = latency else { return Verdict::Fails };
        let found = match self.what {
            What::Quantile(quantile) => {
                if !carries(latency.len(), quantile) {
                    let text = format!(
                        "{} replies are too few for {}; a longer --duration has more",
                        latency.len(),
                        self.text
                    );
                    return Verdict::Unknown(text);
                }
                latency.value_at_quantile(quantile) as f64
            }
            What::Mean => latency.mean(),
            What::Max => latency.max() as f64,
        };
        if found < self.below.as_nanos() as f64 { Verdict::Holds } else { Verdict::Fails }
    }

    /// Searches between nothing and what the server can do at most (`capacity`, of a closed loop) by halving, then
    /// measures what was found again. `try_rate` measures one rate. What stops the search is a remark, no error: what was
    /// measured until then is worth something.
    pub fn search(&self, capacity: f64, mut try_rate: impl FnMut(f64) -> Result<Verdict>) -> Result<Knee> {
        let mut remark = (capacity <= 0.0).then(|| "the server has answered nothing".to_owned());
        let mut range = Range { held: 0.0, failed_at: None };
        let mut holds = |rate: f64| -> Result<Option<bool>> {
            for _ in 0..TRIES_MAX {
                match try_rate(rate)? {
                    Verdict::Holds => return Ok(Some(true)),
                    Verdict::Fails => return Ok(Some(false)),
                    Verdict::Dead => {
                        remark = Some(format!("at {rate:.0}/s the server has answered nothing, which ends the search"));
                        return Ok(None);
                    }
                    Verdict::Unknown(text) => remark = Some(format!("at {rate:.0}/s {text}")),
                }
            }
            Ok(None)
        };
        let mut confirmed = 0;
        if capacity > 0.0 && range.halve(capacity, &mut holds)?.is_some() {
            while range.held > LOWEST * capacity && confirmed < CONFIRMATIONS {
                match holds(range.held)? {
                    Some(true) => confirmed += 1,
                    Some(false) => {
                        (range, confirmed) = (Range { held: range.held * STEP_BACK, failed_at: Some(range.held) }, 0);
                    }
                    None => break,
                }
            }
        }
        let rate = (confirmed == CONFIRMATIONS).then_some(range.held);
        // Of a rate that was found in the end, what a try on the way lacked is not to be told.
        let remark = remark.filter(|_| rate.is_none());
        Ok(Knee { objective: self.text.clone(), rate, failed_at: range.failed_at, remark })
    }
}

/// What has held so far, and what has not.
#[derive(Debug)]
struct Range {
    held: f64,
    failed_at: Option<f64>,
}

impl Range {
    /// Doubles what holds until something does not, then halves the distance until it is small. `None` if a rate could
    /// not be judged.
    fn halve(&mut self, capacity: f64, holds: &mut impl FnMut(f64) -> Result<Option<bool>>) -> Result<Option<()>> {
        let mut rate = capacity;
        for _ in 0..DOUBLINGS_MAX {
            match holds(rate)? {
                Some(true) => self.held = rate,
                Some(false) => {
                    self.failed_at = Some(rate);
                    break;
                }
                None => return Ok(None),
            }
            rate *= 2.0;
        }
        while let Some(high) =
            self.failed_at.filter(|high| high - self.held > CLOSE * high && *high > LOWEST * capacity)
        {
            let middle = f64::midpoint(self.held, high);
            match holds(middle)? {
                Some(true) => self.held = middle,
                Some(false) => self.failed_at = Some(middle),
                None => return Ok(None),
            }
        }
        Ok(Some(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::examples;

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
        let knee = objective.search(1000.0, |_| Ok(unknown())).unwrap();
        assert_eq!(knee.rate, None);
        assert!(knee.remark.is_some_and(|remark| remark.contains("tired")));
    }

    #[test]
    fn a_server_that_dies_ends_the_search() {
        let objective: Objective = "p99<5ms".parse().unwrap();
        let mut tries = 0;
        let found = objective.search(1000.0, |rate| {
            tries += 1;
            Ok(if tries > 5 {
                Verdict::Dead
            } else if rate <= 400.0 {
                Verdict::Holds
            } else {
                Verdict::Fails
            })
        });
        assert_eq!(found.unwrap().rate, None);
        assert_eq!(tries, 6);
        let knee = objective.search(0.0, |_| panic!("there is nothing to try")).unwrap();
        assert!(knee.remark.is_some_and(|remark| remark.contains("nothing")));
    }

    #[test]
    fn a_rate_is_judged_by_its_percentile_its_errors_and_how_much_is_known() {
        let objective: Objective = "p90<1ms".parse().unwrap();
        let mut latency = Histogram::new(3).unwrap();
        latency.record_n(500_000, 950).unwrap();
        latency.record_n(2_000_000, 50).unwrap();
        let good = examples::round(1000.0, &[500.0; 1000]);
        assert_eq!(objective.judge(std::slice::from_ref(&good), Some(&latency)), Verdict::Holds);
        let strict: Objective = "p99<1ms".parse().unwrap();
        assert_eq!(strict.judge(std::slice::from_ref(&good), Some(&latency)), Verdict::Fails);
        let rare: Objective = "p99.9<1ms".parse().unwrap();
        assert!(matches!(rare.judge(std::slice::from_ref(&good), Some(&latency)), Verdict::Unknown(_)));
        let mut failing = good.clone();
        failing.errors.insert("timeout".to_owned(), 1);
        assert_eq!(objective.judge(&[good.clone(), failing], Some(&latency)), Verdict::Fails);
        let mut bound = good.clone();
        bound.generator.bottleneck = Some("tired".to_owned());
        assert!(matches!(objective.judge(&[good.clone(), bound.clone()], Some(&latency)), Verdict::Unknown(_)));
        assert_eq!(objective.judge(&[good.clone(), good, bound], Some(&latency)), Verdict::Holds);
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
