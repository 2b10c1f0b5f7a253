//! Takes from reports what the panels show: decodes the histograms of rounds and puts them together. Nothing is drawn here.

use super::Series;
use super::page::{INK, Place};
use super::percentiles::Curve;
use super::scale::part;
use super::style::Style;
use super::throughput::{Setting, Trend};
use crate::result::{Point, Round, hdr};
use hdrhistogram::Histogram;

/// How many points a line of percentiles has: one for each second point of the page.
const LINE_POINTS: u32 = 450;

/// The curves of all settings, and the trends of all reports that have answers. The error is the end of a sentence.
pub fn gather(series: &[Series<'_>]) -> Result<(Vec<Curve>, Vec<Trend>), String> {
    let longest = series.iter().map(|one| one.report.points.len()).max().unwrap_or(0);
    let (mut curves, mut trends) = (Vec::new(), Vec::new());
    for (index, one) in series.iter().enumerate() {
        let mut settings = Vec::new();
        for (at, point) in one.report.points.iter().enumerate() {
            let name = if point.label.is_empty() { one.name.clone() } else { format!("{}, {}", one.name, point.label) };
            let style = Style::of(index, series.len(), at, longest);
            let rounds = decode(point).map_err(|why| format!("{name}: {why}"))?;
            curves.push(curve(&name, style, &rounds)?);
            settings.extend(setting(point, style, &rounds)?.map(|setting| (point.load.rate, setting)));
        }
        // A search tries rates in another order than that in which they make a line.
        settings.sort_by(|a, b| a.0.unwrap_or(0.0).total_cmp(&b.0.unwrap_or(0.0)));
        let settings: Vec<Setting> = settings.into_iter().map(|(_, setting)| setting).collect();
        let color = if series.len() == 1 { INK } else { Style::of(index, series.len(), 0, longest).color };
        if !settings.is_empty() {
            trends.push(Trend { name: one.name.clone(), color, settings });
        }
    }
    Ok((curves, trends))
}

/// A round with what it has measured; `None` if nothing was answered.
type Decoded<'a> = (&'a Round, Option<Histogram<u64>>);

fn decode(point: &Point) -> Result<Vec<Decoded<'_>>, String> {
    let rounds = point.rounds.iter().enumerate().map(|(index, round)| {
        if round.answered == 0 || round.histogram.is_empty() {
            return Ok((round, None));
        }
        let histogram =
            hdr::decode(&round.histogram).map_err(|why| format!("the histogram of round {}: {why}", index + 1))?;
        Ok((round, Some(histogram).filter(|histogram| !histogram.is_empty())))
    });
    rounds.collect()
}

/// All rounds as one; `None` if there is none.
fn merge<'a>(histograms: impl Iterator<Item = &'a Histogram<u64>>) -> Result<Option<Histogram<u64>>, String> {
    let mut merged: Option<Histogram<u64>> = None;
    for histogram in histograms {
        match &mut merged {
            None => {
                let mut first = histogram.clone();
                first.auto(true);
                merged = Some(first);
            }
            Some(merged) => merged.add(histogram).map_err(|why| format!("rounds cannot be put together: {why}"))?,
        }
    }
    Ok(merged)
}

/// Rounds in which the server was what was measured.
fn kept<'a>(rounds: &'a [Decoded<'_>]) -> impl Iterator<Item = &'a Histogram<u64>> {
    let kept = rounds.iter().filter(|(round, _)| round.generator.bottleneck.is_none());
    kept.filter_map(|(_, histogram)| histogram.as_ref())
}

fn curve(name: &str, style: Style, rounds: &[Decoded<'_>]) -> Result<Curve, String> {
    let left_out = rounds.iter().filter(|(round, _)| round.generator.bottleneck.is_some()).count();
    let merged = merge(kept(rounds))?;
    let why = match (left_out, &merged) {
        (0, Some(_)) => String::new(),
        (0, None) => " (nothing was answered)".to_owned(),
        (all, _) if all == rounds.len() => " (left out: the generator was the bottleneck)".to_owned(),
        (some, _) => format!(" ({some} of {} rounds left out: the generator was the bottleneck)", rounds.len()),
    };
    let histograms: Vec<_> = kept(rounds).collect();
    let line = merged.as_ref().map(|merged| simple(&line(merged))).unwrap_or_default();
    let band = if histograms.len() > 1 { band(&histograms) } else { Vec::new() };
    Ok(Curve { name: format!("{name}{why}"), style, line, band })
}

/// The percentile, in nines, that the greatest of so many samples stands for: the middle of its own share.
fn most_nines(samples: u64) -> f64 {
    (2.0 * samples as f64).log10()
}

/// The percentiles at which a line up to `most` has its points, whole nines among them.
fn steps(most: f64) -> Vec<f64> {
    let mut steps: Vec<f64> = (0..LINE_POINTS).map(|step| most * f64::from(step) / f64::from(LINE_POINTS)).collect();
    steps.extend((1..=most as u32).map(f64::from));
    steps.push(most);
    steps.sort_by(f64::total_cmp);
    steps.dedup();
    steps
}

/// The latency at each of `steps`, in one pass: looking each of them up would go through all counts each time.
fn latencies(histogram: &Histogram<u64>, steps: &[f64]) -> Vec<f64> {
    let mut recorded = histogram.iter_recorded();
    let (mut samples, mut value) = (0, 0);
    let at = |nines: &f64| {
        let wanted = (part(*nines) * histogram.len() as f64).ceil().max(1.0) as u64;
        while samples < wanted {
            let Some(next) = recorded.next() else { break };
            samples += next.count_since_last_iteration();
            value = next.value_iterated_to();
        }
        value as f64
    };
    steps.iter().map(at).collect()
}

fn line(histogram: &Histogram<u64>) -> Vec<Place> {
    let steps = steps(most_nines(histogram.len()));
    let latencies = latencies(histogram, &steps);
    steps.into_iter().zip(latencies).collect()
}

/// As far as each of the rounds has samples.
fn band(histograms: &[&Histogram<u64>]) -> Vec<(f64, f64, f64)> {
    let fewest = histograms.iter().map(|histogram| histogram.len()).min().unwrap_or(1);
    let mut band: Vec<_> = steps(most_nines(fewest)).into_iter().map(|nines| (nines, f64::INFINITY, 0.0_f64)).collect();
    let steps: Vec<f64> = band.iter().map(|(nines, ..)| *nines).collect();
    for histogram in histograms {
        for ((_, low, high), value) in band.iter_mut().zip(latencies(histogram, &steps)) {
            (*low, *high) = (low.min(value), high.max(value));
        }
    }
    band
}

/// The line without the points that lie on the same height as both of their neighbours.
#[allow(clippy::float_cmp, reason = "the values are whole numbers of nanoseconds")]
fn simple(line: &[Place]) -> Vec<Place> {
    let inner = |at: usize| at > 0 && at + 1 < line.len();
    let flat = |at: usize| inner(at) && line[at - 1].1 == line[at].1 && line[at].1 == line[at + 1].1;
    (0..line.len()).filter(|at| !flat(*at)).map(|at| line[at]).collect()
}

/// Where a setting lies in the panel of throughput. If the generator was the bottleneck of all rounds, they are shown as such.
fn setting(point: &Point, style: Style, rounds: &[Decoded<'_>]) -> Result<Option<Setting>, String> {
    let bottlenecks = rounds.iter().filter(|(round, _)| round.generator.bottleneck.is_some()).count();
    let all = bottlenecks == rounds.len();
    let shown = || rounds.iter().filter(move |(round, _)| all || round.generator.bottleneck.is_none());
    let Some(merged) = merge(shown().filter_map(|(_, histogram)| histogram.as_ref()))? else { return Ok(None) };
    let rate = shown().map(|(round, _)| round.rate).sum::<f64>() / shown().count() as f64;
    let errors = rounds.iter().any(|(round, _)| round.errors.values().any(|count| *count > 0));
    Ok(Some(Setting {
        label: point.label.clone(),
        rate,
        p50: merged.value_at_quantile(0.5) as f64,
        p99: merged.value_at_quantile(0.99) as f64,
        doubtful: errors || bottlenecks > 0,
        style,
    }))
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "latencies are whole numbers of nanoseconds")]
mod tests {
    use super::*;
    use crate::result::{Report, examples};

    /// 1, 2, 3 … 1000 µs, each times `factor`.
    fn ramp(factor: f64) -> Vec<f64> {
        (1..=1000).map(|us| f64::from(us) * factor).collect()
    }

    fn one(report: &Report) -> (Vec<Curve>, Vec<Trend>) {
        gather(&[Series { name: "ours".to_owned(), report }]).unwrap()
    }

    /// Within the three digits of the histogram.
    fn near(value: f64, expected: f64) -> bool {
        (value / expected - 1.0).abs() < 2e-3
    }

    #[test]
    fn a_line_goes_from_the_least_latency_to_the_greatest() {
        let report = examples::report(vec![examples::point("", vec![examples::round(1e3, &ramp(1.0))])]);
        let (curves, trends) = one(&report);
        let line = &curves[0].line;
        let at = |nines: f64| line.iter().find(|place| place.0 == nines).map(|place| place.1).unwrap();
        assert!(near(at(0.0), 1e3) && near(at(1.0), 9e5) && near(at(2.0), 9.9e5), "{line:?}");
        // The greatest of a thousand stands for the last thousandth, whose middle is 99.95 %.
        let (nines, latency) = line[line.len() - 1];
        assert!((nines - 3.30103).abs() < 1e-5 && near(latency, 1e6), "{nines} {latency}");
        assert_eq!((curves[0].name.as_str(), curves[0].band.len()), ("ours", 0));
        assert!(near(trends[0].settings[0].p50, 5e5) && near(trends[0].settings[0].p99, 9.9e5));
    }

    #[test]
    fn a_pass_finds_what_the_library_finds() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        let mut chance = 88_172_645_463_325_252_u64;
        for _ in 0..5000 {
            // Marsaglia's xorshift: the values only have to be spread.
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            histogram.record(chance % 10_000_000).unwrap();
        }
        let steps = steps(most_nines(histogram.len()));
        for (nines, value) in steps.iter().zip(latencies(&histogram, &steps)) {
            assert_eq!(value, histogram.value_at_quantile(part(*nines)) as f64, "at {nines} nines");
        }
    }

    #[test]
    fn rounds_become_one_line_and_a_band_between_the_lowest_and_the_highest() {
        let rounds = vec![examples::round(1e3, &ramp(2.0)), examples::round(3e3, &ramp(1.0))];
        let report = examples::report(vec![examples::point("", rounds)]);
        let (curves, trends) = one(&report);
        let (_, low, high) = *curves[0].band.iter().find(|band| band.0 == 1.0).unwrap();
        assert!(near(low, 9e5) && near(high, 1.8e6), "{low} {high}");
        // Of all two thousand, 1800 are at or below 1600 µs: 800 of the first round and 1000 of the second.
        let merged = curves[0].line.iter().find(|place| place.0 == 1.0).unwrap().1;
        assert!(near(merged, 1.6e6), "{merged}");
        assert_eq!(trends[0].settings[0].rate, 2e3);
        assert!(!trends[0].settings[0].doubtful);
    }

    #[test]
    fn a_round_in_which_the_generator_was_the_bottleneck_is_left_out_and_named() {
        let mut rounds = vec![examples::round(1e3, &ramp(1.0)), examples::round(9e3, &ramp(50.0))];
        rounds[1].generator.bottleneck = Some("its threads did not sleep".to_owned());
        let report = examples::report(vec![examples::point("clients=8", rounds)]);
        let (curves, trends) = one(&report);
        assert_eq!(curves[0].name, "ours, clients=8 (1 of 2 rounds left out: the generator was the bottleneck)");
        assert!(near(curves[0].line[curves[0].line.len() - 1].1, 1e6));
        let setting = &trends[0].settings[0];
        assert_eq!((setting.label.as_str(), setting.rate, setting.doubtful), ("clients=8", 1e3, true));
    }

    #[test]
    fn without_another_round_the_generators_own_is_shown_as_doubtful_and_has_no_curve() {
        let mut rounds = vec![examples::round(1e3, &ramp(1.0))];
        rounds[0].generator.bottleneck = Some("its threads did not sleep".to_owned());
        let report = examples::report(vec![examples::point("", rounds)]);
        let (curves, trends) = one(&report);
        assert_eq!(curves[0].name, "ours (left out: the generator was the bottleneck)");
        assert!(curves[0].line.is_empty());
        assert!(trends[0].settings[0].doubtful);
    }

    #[test]
    fn errors_make_a_setting_doubtful_and_a_setting_without_answers_has_none() {
        let mut failing = examples::round(1e3, &ramp(1.0));
        failing.errors.insert("busy (5)".to_owned(), 3);
        let points = vec![examples::point("a", vec![failing]), examples::point("b", vec![examples::round(0.0, &[])])];
        let report = examples::report(points);
        let (curves, trends) = one(&report);
        assert_eq!(curves[1].name, "ours, b (nothing was answered)");
        assert_eq!(trends[0].settings.len(), 1);
        assert!(trends[0].settings[0].doubtful);
    }

    #[test]
    fn settings_with_a_rate_are_joined_in_its_order() {
        let points = [4e3, 1e3, 2e3].map(|rate| {
            let mut point = examples::point(&format!("rate={rate}"), vec![examples::round(rate, &ramp(1.0))]);
            point.load.rate = Some(rate);
            point
        });
        let report = examples::report(points.to_vec());
        let (_, trends) = one(&report);
        let rates: Vec<f64> = trends[0].settings.iter().map(|setting| setting.rate).collect();
        assert_eq!(rates, [1e3, 2e3, 4e3]);
    }

    #[test]
    fn a_histogram_that_cannot_be_read_is_named_with_its_round() {
        let mut report = examples::report(vec![examples::point("x", vec![examples::round(1e3, &ramp(1.0)); 2])]);
        report.points[0].rounds[1].histogram = "!".to_owned();
        let error = gather(&[Series { name: "ours".to_owned(), report: &report }]).unwrap_err();
        assert!(error.starts_with("ours, x: the histogram of round 2: "), "{error}");
    }
}
