//! `ab`: runs two commands in turns and says by how much the second differs from the first. Turns, because a machine drifts: what
//! runs later meets another machine. The order within each round is a coin's, so that neither profits from going second;
//! that, and nothing about distributions, is what the interval rests on.

use super::difference::{self, Difference, differences, doubts};
use super::{command, statistics};
use crate::result::Report;
use crate::result::grid::plain;
use crate::result::number::DASH;
use crate::result::summary::{Metric, Spread};
use anyhow::{Result, bail};
use fastrand::Rng;
use std::fmt;

/// What a round is compared by.
const METRICS: [Metric; 4] = [Metric::Rate, Metric::P50, Metric::P99, Metric::ServerCpu];

/// What `ab` is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbOptions {
    /// A command for the shell that writes a report as JSON, to the file named by `GRAPHPIPE_LOADGEN_JSON` or to its output.
    pub a: String,
    #[allow(missing_docs)]
    pub b: String,
    /// How often each is run. Six are the fewest that give an interval of 95 %; of eight, two may be lost.
    pub rounds: usize,
    /// Of the coin; the same seed gives the same order.
    pub seed: u64,
}

/// What both commands have found.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What was asked for.
    pub options: AbOptions,
    /// The rounds, in their order.
    pub rounds: Vec<Pair>,
}

/// One round.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// Whether `b` went first.
    pub b_first: bool,
    #[allow(missing_docs)]
    pub a: Report,
    #[allow(missing_docs)]
    pub b: Report,
}

/// Runs the commands, with a line on the standard error at the beginning and after each round. The first command that fails
/// ends it all: the error is a sentence with its name, its status and the last lines of what it said.
pub fn ab(options: &AbOptions) -> Result<Outcome> {
    in_turns(options, &mut |line| eprintln!("{line}"))
}

fn in_turns(options: &AbOptions, progress: &mut dyn FnMut(&str)) -> Result<Outcome> {
    if options.rounds == 0 {
        bail!("0 rounds compare nothing; ask for at least 1, and for 6 or more to have an interval of 95 %");
    }
    progress(&format!("{} rounds, seed {}", options.rounds, options.seed));
    let mut coin = Rng::with_seed(options.seed);
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        let b_first = coin.bool();
        let pair = run(options, b_first)?;
        let rate = |report: &Report| {
            value(Metric::Rate, report).map_or_else(|| DASH.to_owned(), |rate| Metric::Rate.unit().write(rate))
        };
        progress(&format!("round {number} of {}: a {}, b {}", options.rounds, rate(&pair.a), rate(&pair.b)));
        rounds.push(pair);
    }
    Ok(Outcome { options: options.clone(), rounds })
}

fn run(options: &AbOptions, b_first: bool) -> Result<Pair> {
    let a = || command::run("a", &options.a);
    let b = || command::run("b", &options.b);
    let (a, b) = if b_first {
        let b = b()?;
        (a()?, b)
    } else {
        let a = a()?;
        (a, b()?)
    };
    Ok(Pair { b_first, a, b })
}

impl fmt::Display for Outcome {
    /// The table at the end, with an end of line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render(self))
    }
}

fn render(outcome: &Outcome) -> String {
    let AbOptions { a, b, seed, .. } = &outcome.options;
    let rounds = outcome.rounds.len();
    let b_first = outcome.rounds.iter().filter(|pair| pair.b_first).count();
    let mut parts = vec![
        format!("a  {}\nb  {}\n", plain(a), plain(b)),
        format!("{rounds} rounds in turns, b first in {b_first} of them (seed {seed})\n"),
    ];
    parts.extend(warnings(&outcome.rounds).iter().map(|warning| format!("warning: {warning}\n")));
    let found = METRICS.map(|metric| of_pairs(metric, &outcome.rounds));
    let lost: Vec<String> = found
        .iter()
        .filter(|found| !found.a.is_empty() && found.a.len() < rounds)
        .map(|found| format!("{} of {} rounds", found.metric.name(), found.a.len()))
        .collect();
    parts.push(format!("\n{}", difference::table("", found)));
    if !lost.is_empty() {
        parts.push(format!("Only rounds in which both have a number count: {}.\n", lost.join(", ")));
    }
    parts.concat()
        + "\nMedians of the rounds; b/a is the median of the rounds' ratios, with the interval of the sign test and its confidence.\n"
}

/// What a round has found: the median over the rounds of its report's first point.
fn value(metric: Metric, report: &Report) -> Option<f64> {
    Some(Spread::of(metric, report.points.first()?)?.median)
}

fn of_pairs(metric: Metric, pairs: &[Pair]) -> Difference {
    let both = pairs.iter().filter_map(|pair| Some((value(metric, &pair.a)?, value(metric, &pair.b)?)));
    let (a, b): (Vec<f64>, Vec<f64>) = both.unzip();
    let ratios: Vec<f64> = a.iter().zip(&b).map(|(a, b)| b / a).collect();
    Difference { metric, interval: statistics::paired(&ratios), a, b }
}

/// What makes the comparison doubtful; each sentence once.
fn warnings(pairs: &[Pair]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (at, pair) in pairs.iter().enumerate() {
        let mut add = |warning: String| {
            if !found.contains(&warning) {
                found.push(warning);
            }
        };
        differences(&pair.a, &pair.b).into_iter().for_each(&mut add);
        for (name, report) in [("a", &pair.a), ("b", &pair.b)] {
            doubts(&format!("round {}, {name}", at + 1), report).into_iter().for_each(&mut add);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::examples::{point, report, round};
    use crate::result::json;
    use std::path::Path;

    fn a_report(rate: f64, latency_us: f64) -> Report {
        report(vec![point("", vec![round(rate, &vec![latency_us; 1_000])])])
    }

    /// Commands that note their turn in `order`.
    fn options(folder: &Path, rounds: usize, seed: u64) -> AbOptions {
        let command = |name: &str, rate: f64| {
            let path = folder.join(format!("{name}.json"));
            json::write(&path, &a_report(rate, 1_000.0)).unwrap();
            format!("printf {name} >> '{}'; cat '{}'", folder.join("order").display(), path.display())
        };
        AbOptions { a: command("a", 1_000.0), b: command("b", 1_100.0), rounds, seed }
    }

    #[test]
    fn every_round_runs_both_in_an_order_that_the_seed_repeats() {
        let orders = [7, 7, 8].map(|seed| {
            let folder = tempfile::tempdir().unwrap();
            let mut lines = Vec::new();
            let outcome = in_turns(&options(folder.path(), 16, seed), &mut |line| lines.push(line.to_owned())).unwrap();
            assert_eq!(lines.len(), 17);
            assert_eq!(lines[0], format!("16 rounds, seed {seed}"));
            assert_eq!(lines[16], "round 16 of 16: a 1.00 K/s, b 1.10 K/s");
            let order = std::fs::read_to_string(folder.path().join("order")).unwrap();
            let noted: String = outcome.rounds.iter().map(|pair| if pair.b_first { "ba" } else { "ab" }).collect();
            assert_eq!(order, noted);
            assert!(outcome.rounds.iter().all(|pair| pair.a == a_report(1_000.0, 1_000.0)));
            assert!(outcome.rounds.iter().all(|pair| pair.b == a_report(1_100.0, 1_000.0)));
            order
        });
        assert_eq!(orders[0], orders[1]);
        assert_ne!(orders[0], orders[2], "seeds 7 and 8");
        assert!(orders[0].contains("abba") || orders[0].contains("baab"), "neither is always first: {}", orders[0]);
    }

    #[test]
    fn the_first_command_that_fails_ends_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut options = options(folder.path(), 8, 1);
        options.b = "echo no such server >&2; exit 3".to_owned();
        let error = in_turns(&options, &mut |_| {}).unwrap_err().to_string();
        let expected =
            "command b failed with exit status 3: echo no such server >&2; exit 3\nIts last lines:\n  no such server";
        assert_eq!(error, expected);
        options.rounds = 0;
        assert!(in_turns(&options, &mut |_| {}).unwrap_err().to_string().starts_with("0 rounds compare nothing"));
    }

    fn outcome(pairs: Vec<Pair>) -> Outcome {
        let options = AbOptions { a: "one".to_owned(), b: "two".to_owned(), rounds: pairs.len(), seed: 42 };
        Outcome { options, rounds: pairs }
    }

    #[test]
    fn ratios_are_of_rounds_and_not_of_medians() {
        // The machine becomes slower from round to round; b is always 10 % faster, but for one round in which it is 20 % faster.
        let rates = [
            (6_000.0, 6_600.0),
            (5_000.0, 5_500.0),
            (4_000.0, 4_400.0),
            (3_000.0, 3_600.0),
            (2_000.0, 2_200.0),
            (1_000.0, 1_100.0),
        ];
        let pairs = rates.map(|(a, b)| Pair { b_first: a > 3_500.0, a: a_report(a, 2_000.0), b: a_report(b, 2_000.0) });
        let expected = "\
a  one
b  two
6 rounds in turns, b first in 3 of them (seed 42)

      a         b         b/a
rate  3.50 K/s  4.00 K/s  1.100 (1.100–1.200, 96.9 %)  faster
p50   2.00 ms   2.00 ms   1.000 (1.000–1.000, 96.9 %)  no difference shown
p99   2.00 ms   2.00 ms   1.000 (1.000–1.000, 96.9 %)  no difference shown

Medians of the rounds; b/a is the median of the rounds' ratios, with the interval of the sign test and its confidence.
";
        assert_eq!(outcome(pairs.to_vec()).to_string(), expected);
    }

    #[test]
    fn a_round_of_which_the_generator_is_the_bottleneck_does_not_count() {
        let mut pairs = vec![Pair { b_first: false, a: a_report(1_000.0, 10.0), b: a_report(2_000.0, 10.0) }; 7];
        pairs[6].b.points[0].rounds[0].generator.bottleneck = Some("its busiest thread never slept".to_owned());
        pairs[6].b.points[0].rounds[0].rate = 777_000.0;
        let text = render(&outcome(pairs));
        assert!(text.contains("rate  1.00 K/s  2.00 K/s  2.000 (2.000–2.000, 96.9 %)  faster\n"), "{text}");
        assert!(text.contains("Only rounds in which both have a number count: rate of 6 rounds, p50 of 6"), "{text}");
        let warning =
            "warning: round 7, b: the generator is the bottleneck in 1 of 1 rounds, which do not count: its busiest";
        assert!(text.contains(warning) && !text.contains("777"), "{text}");
    }

    #[test]
    fn five_rounds_are_too_few_for_a_word() {
        let pair = Pair { b_first: false, a: a_report(1_000.0, 10.0), b: a_report(2_000.0, 10.0) };
        let text = render(&outcome(vec![pair.clone(); 5]));
        assert!(text.contains("2.000 (2.000–2.000, 93.8 %)  too few rounds\n"), "{text}");
        let text = render(&outcome(vec![pair]));
        assert!(text.contains("rate  1.00 K/s  2.00 K/s  2.000  too few rounds\n"), "{text}");
    }

    #[test]
    fn what_makes_it_doubtful_is_said_once() {
        let mut pair = Pair { b_first: false, a: a_report(1_000.0, 10.0), b: a_report(2_000.0, 10.0) };
        pair.b.target.protocol = "http".to_owned();
        pair.a.points[0].rounds[0].errors.insert("timeout".to_owned(), 1);
        let text = render(&outcome(vec![pair; 2]));
        let warnings: Vec<&str> = text.lines().filter(|line| line.starts_with("warning")).collect();
        let expected = [
            "warning: the protocols differ: native and http",
            "warning: round 1, a: 1 of 1,001 requests failed: 1 × timeout.",
            "warning: round 2, a: 1 of 1,001 requests failed: 1 × timeout.",
        ];
        assert_eq!(warnings, expected);
    }
}
