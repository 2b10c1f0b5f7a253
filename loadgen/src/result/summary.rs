//! What several rounds say together: which quantity of a round counts, the spread of it over the rounds, and the rounds'
//! histograms as one. Every table, comparison and file takes its numbers from here, so that what must not be printed as
//! the server's is left out in one place.

use super::number::{BYTES, RATE, THROUGHPUT, TIME, Unit};
use super::{Arrivals, Latency, Point, Round, Server, hdr};
use hdrhistogram::Histogram;

/// How many samples must lie beyond a percentile for it to be a number and not an accident: with 10, chance moves the part
/// beyond it by about a third (one over the root of 10). So p50 needs 20 replies, p99 1,000 and p99.99 100,000.
pub const SAMPLES_BEYOND: f64 = 10.0;

/// One quantity of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Metric {
    Rate,
    SentBytes,
    ReceivedBytes,
    P50,
    P90,
    P95,
    P99,
    P999,
    P9999,
    Max,
    ServerCpu,
    ServerCores,
    ServerRss,
}

impl Metric {
    /// The percentiles that tables have, and the greatest.
    pub const LATENCIES: [Self; 7] = [Self::P50, Self::P90, Self::P95, Self::P99, Self::P999, Self::P9999, Self::Max];

    /// What tables and messages call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::SentBytes => "sent",
            Self::ReceivedBytes => "received",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::P9999 => "p99.99",
            Self::Max => "max",
            Self::ServerCpu => "server CPU",
            Self::ServerCores => "server cores",
            Self::ServerRss => "server RSS",
        }
    }

    /// How it is written.
    pub fn unit(self) -> &'static Unit {
        match self {
            Self::Rate => &RATE,
            Self::SentBytes | Self::ReceivedBytes => &THROUGHPUT,
            Self::ServerCores => &super::number::PLAIN,
            Self::ServerRss => &BYTES,
            _ => &TIME,
        }
    }

    /// This quantity of one round, in µs, bytes or per second. `None` where it was not measured, where the number would be
    /// the generator's and not the server's, and for a percentile that the round's replies cannot carry.
    pub fn of(self, round: &Round) -> Option<f64> {
        if self.is_the_generators(round) {
            return None;
        }
        let server = |part: fn(&Server) -> f64| round.server.as_ref().map(part);
        let value = match self {
            Self::Rate => Some(round.rate),
            Self::SentBytes => Some(round.sent_bytes_per_s),
            Self::ReceivedBytes => Some(round.received_bytes_per_s),
            Self::ServerCpu => server(|server| server.cpu_us_per_request),
            Self::ServerCores => server(|server| server.cores),
            Self::ServerRss => server(|server| server.rss_bytes as f64),
            latency => round.latency_us.as_ref().and_then(|found| latency.of_latency(found, round.answered)),
        };
        value.filter(|value| value.is_finite())
    }

    /// This quantity of each round of a point. Rounds of which the generator was the bottleneck are left out, and so are
    /// rounds without replies where the quantity is one of replies. Empty if any other round does not have it: the rounds that
    /// carry a percentile are the fast ones, and they alone would flatter it.
    pub fn of_rounds(self, point: &Point) -> Vec<f64> {
        let counted = point.rounds.iter().filter(|round| !self.is_the_generators(round) && !self.lacks_replies(round));
        counted.map(|round| self.of(round)).collect::<Option<Vec<f64>>>().unwrap_or_default()
    }

    /// One of the percentiles in µs, if `samples` replies carry it.
    pub fn of_latency(self, latency: &Latency, samples: u64) -> Option<f64> {
        let (value, part) = match self {
            Self::P50 => (latency.p50, 0.5),
            Self::P90 => (latency.p90, 0.9),
            Self::P95 => (latency.p95, 0.95),
            Self::P99 => (latency.p99, 0.99),
            Self::P999 => (latency.p999, 0.999),
            Self::P9999 => (latency.p9999, 0.9999),
            Self::Max => return Some(latency.max),
            _ => return None,
        };
        carries(samples, part).then_some(value)
    }

    /// The processor time and memory of a server are its own whoever was the bottleneck.
    fn is_the_generators(self, round: &Round) -> bool {
        let is_the_servers = matches!(self, Self::ServerCpu | Self::ServerCores | Self::ServerRss);
        round.generator.bottleneck.is_some() && !is_the_servers
    }

    fn lacks_replies(self, round: &Round) -> bool {
        let of_replies = self == Self::ServerCpu || Self::LATENCIES.contains(&self);
        round.answered == 0 && of_replies
    }
}

/// Whether `samples` replies are enough for the percentile with `part` of them below it: [`SAMPLES_BEYOND`].
pub fn carries(samples: u64, part: f64) -> bool {
    // 1 - 0.9999 is a little less than 0.0001; half a sample makes up for it.
    samples as f64 * (1.0 - part) >= SAMPLES_BEYOND - 0.5e-6
}

/// What several rounds found for one quantity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle one; of an even number, the mean of the two in the middle.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// Of how many.
    pub count: usize,
}

impl Spread {
    /// Of one quantity over the rounds of a point.
    pub fn of(metric: Metric, point: &Point) -> Option<Spread> {
        spread(&metric.of_rounds(point))
    }
}

/// Median, least and greatest; `None` of nothing.
pub fn spread(values: &[f64]) -> Option<Spread> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (&min, &max) = (sorted.first()?, sorted.last()?);
    let count = sorted.len();
    let median = f64::midpoint(sorted[(count - 1) / 2], sorted[count / 2]);
    Some(Spread { median, min, max, count })
}

/// What a closed loop can say although the generator was the bottleneck in every round: the server answered at least this
/// many requests per second. The median of the rounds. An open loop only ever gets the rate that it sends.
pub fn rate_at_least(point: &Point) -> Option<f64> {
    let all = point.rounds.iter().all(|round| round.generator.bottleneck.is_some());
    let rates: Vec<f64> = point.rounds.iter().map(|round| round.rate).filter(|rate| rate.is_finite()).collect();
    if all && point.load.arrivals == Arrivals::Closed { Some(spread(&rates)?.median) } else { None }
}

/// The histograms of all rounds as one, in nanoseconds, without those of which the generator was the bottleneck. `None` if
/// none of them has a reply. The error is a sentence.
pub fn merged(point: &Point) -> Result<Option<Histogram<u64>>, String> {
    let mut whole: Option<Histogram<u64>> = None;
    for (at, round) in point.rounds.iter().enumerate() {
        if round.generator.bottleneck.is_some() || round.answered == 0 {
            continue;
        }
        let mut part =
            hdr::decode(&round.histogram).map_err(|error| format!("the histogram of round {}: {error}", at + 1))?;
        match &mut whole {
            None => {
                part.auto(true);
                whole = Some(part);
            }
            Some(whole) => whole.add(&part).map_err(|error| format!("the histogram of round {}: {error}", at + 1))?,
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::super::examples::{point, round};
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_the_mean_of_the_two_in_the_middle() {
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[3.0]), Some(Spread { median: 3.0, min: 3.0, max: 3.0, count: 1 }));
        assert_eq!(spread(&[9.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 9.0, count: 3 }));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 9.0]), Some(Spread { median: 3.0, min: 1.0, max: 9.0, count: 4 }));
    }

    #[test]
    fn a_percentile_needs_ten_samples_beyond_it() {
        let limits = [(0.5, 20), (0.9, 100), (0.95, 200), (0.99, 1_000), (0.999, 10_000), (0.9999, 100_000)];
        for (part, least) in limits {
            assert!(carries(least, part), "{least} samples carry {part}");
            assert!(!carries(least - 1, part), "{} samples do not carry {part}", least - 1);
        }
        assert!(!carries(500, 0.9999));
    }

    #[test]
    fn a_round_of_which_the_generator_is_the_bottleneck_has_no_rate_and_no_latency() {
        let mut slow = round(1_000.0, &[50.0; 2_000]);
        slow.server = Some(Server { cpu_us_per_request: 12.0, cores: 0.5, rss_bytes: 1 << 20 });
        assert_eq!(Metric::Rate.of(&slow), Some(1_000.0));
        slow.generator.bottleneck = Some("its busiest thread never slept".to_owned());
        for metric in [Metric::Rate, Metric::SentBytes, Metric::ReceivedBytes, Metric::P50, Metric::Max] {
            assert_eq!(metric.of(&slow), None, "{metric:?}");
        }
        assert_eq!(Metric::ServerCpu.of(&slow), Some(12.0), "the server's processor time is its own");
    }

    #[test]
    fn rounds_that_do_not_count_are_left_out_and_a_percentile_is_of_all_others_or_of_none() {
        let full = round(1_000.0, &[50.0; 1_000]);
        let mut limited = round(5_000.0, &[50.0; 1_000]);
        limited.generator.bottleneck = Some("…".to_owned());
        let three = point("", vec![full.clone(), limited, full.clone()]);
        assert_eq!(Metric::Rate.of_rounds(&three), [1_000.0, 1_000.0]);
        assert_eq!(Metric::P99.of_rounds(&three).len(), 2);

        let silent = round(0.0, &[]);
        let short = round(900.0, &[50.0; 999]);
        let mixed = point("", vec![full, silent, short]);
        assert_eq!(Metric::Rate.of_rounds(&mixed), [1_000.0, 0.0, 900.0], "no replies is a rate of 0");
        assert_eq!(Metric::P95.of_rounds(&mixed).len(), 2);
        assert!(Metric::P99.of_rounds(&mixed).is_empty(), "999 replies do not carry p99");
    }

    #[test]
    fn only_a_closed_loop_with_no_other_number_says_at_least() {
        let mut limited = round(812_000.0, &[50.0; 100]);
        limited.generator.bottleneck = Some("…".to_owned());
        let mut closed = point("", vec![limited.clone(), limited.clone()]);
        assert_eq!(rate_at_least(&closed), Some(812_000.0));
        closed.load.arrivals = Arrivals::Constant;
        assert_eq!(rate_at_least(&closed), None, "an open loop");
        let mixed = point("", vec![limited, round(900.0, &[50.0; 100])]);
        assert_eq!(rate_at_least(&mixed), None, "one round has a rate of its own");
    }

    #[test]
    fn all_rounds_together_are_more_samples_than_each() {
        let point = point("", vec![round(1.0, &[10.0; 60]), round(1.0, &[30.0; 40]), round(0.0, &[])]);
        let all = merged(&point).unwrap().unwrap();
        assert_eq!(all.len(), 100);
        // 60 of 100 at 10 µs, 40 at 30 µs: the median is 10 µs, the 70th percentile 30 µs; three digits are exact to 0.1 %.
        assert!((10_000..=10_010).contains(&all.value_at_quantile(0.5)));
        assert!((30_000..=30_030).contains(&all.value_at_quantile(0.7)));
        assert_eq!(merged(&super::super::examples::point("", vec![round(0.0, &[])])), Ok(None));
    }

    #[test]
    fn a_histogram_that_cannot_be_read_is_named() {
        let mut broken = round(1.0, &[10.0; 60]);
        broken.histogram = "!".to_owned();
        let error = merged(&point("", vec![round(1.0, &[10.0; 60]), broken])).unwrap_err();
        assert!(error.starts_with("the histogram of round 2: "), "{error}");
    }
}
