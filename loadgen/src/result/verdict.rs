//! Whether a run went well, in a sentence: what stands last on the terminal and decides about the exit code.

use super::number::{count, counted};
use super::{Point, Report, Round};
use std::collections::BTreeMap;

/// What came of all requests of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether every round had replies and no request failed.
    pub clean: bool,
    /// `3 of 120,000 requests failed: 2 × timeout, 1 × connect.`
    pub sentence: String,
}

/// Counts what was answered and what failed.
pub fn verdict(report: &Report) -> Verdict {
    let rounds: Vec<&Round> = report.points.iter().flat_map(|point| &point.rounds).collect();
    let errors = errors(rounds.iter().copied());
    let answered = total(rounds.iter().map(|round| round.answered));
    let failures = total(errors.values().copied());
    let silent = rounds.iter().filter(|round| round.answered == 0).count() as u64;
    let requests = counted(answered.saturating_add(failures), "request");
    let without = format!("{} of {} had no reply.", count(silent), counted(rounds.len() as u64, "round"));
    let sentence = match (answered, failures) {
        (0, 0) => "No request was answered, and none failed.".to_owned(),
        (0, _) => format!("Nothing was answered: {requests} failed: {}.", kinds(&errors, " × ", ", ")),
        (_, 0) if silent > 0 => format!("No request failed, but {without}"),
        (_, 0) => match total(rounds.iter().filter_map(|round| round.verified)) {
            0 => format!("No request failed: {requests}."),
            verified => format!("No request failed: {requests}, {} compared.", counted(verified, "reply")),
        },
        _ => format!("{} of {requests} failed: {}.", count(failures), kinds(&errors, " × ", ", ")),
    };
    Verdict { clean: failures == 0 && silent == 0 && answered > 0, sentence }
}

/// Requests of a round without outputs.
pub fn failed(round: &Round) -> u64 {
    total(round.errors.values().copied())
}

/// The errors of several rounds by kind.
pub fn errors<'a>(rounds: impl IntoIterator<Item = &'a Round>) -> BTreeMap<String, u64> {
    let mut errors = BTreeMap::<String, u64>::new();
    for (kind, &times) in rounds.into_iter().flat_map(|round| &round.errors) {
        let sum = errors.entry(kind.clone()).or_default();
        *sum = sum.saturating_add(times);
    }
    errors.retain(|_, times| *times > 0);
    errors
}

/// The first text of a kind of error among the rounds of a point.
pub fn first_text<'a>(point: &'a Point, kind: &str) -> Option<&'a str> {
    point.rounds.iter().find_map(|round| round.error_texts.get(kind)).map(String::as_str)
}

/// `2 × timeout, 1 × connect`: the most frequent kind first.
pub fn kinds(errors: &BTreeMap<String, u64>, times: &str, separator: &str) -> String {
    let written: Vec<String> =
        most_first(errors).iter().map(|(kind, number)| format!("{}{times}{kind}", count(*number))).collect();
    written.join(separator)
}

/// Kinds of errors, the most frequent first, and by name where they are equal.
pub fn most_first(errors: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    let mut sorted: Vec<(&str, u64)> = errors.iter().map(|(kind, &times)| (kind.as_str(), times)).collect();
    sorted.sort_by_key(|&(_, times)| std::cmp::Reverse(times));
    sorted
}

/// A sum that stays where it is at its end: the numbers may come from a file.
pub fn total(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::super::examples::{point, report, round};
    use super::*;

    fn failing(answered: usize, errors: &[(&str, u64)]) -> Round {
        let mut round = round(1.0, &vec![1.0; answered]);
        round.errors = errors.iter().map(|&(kind, times)| (kind.to_owned(), times)).collect();
        round
    }

    fn of(rounds: Vec<Round>) -> Verdict {
        verdict(&report(vec![point("", rounds)]))
    }

    #[test]
    fn failures_are_counted_by_kind_over_all_rounds_and_points() {
        let report = report(vec![
            point("a", vec![failing(60_000, &[("timeout", 1)]), failing(0, &[("timeout", 1), ("connect", 1)])]),
            point("b", vec![failing(59_997, &[])]),
        ]);
        let found = verdict(&report);
        assert_eq!(found.sentence, "3 of 120,000 requests failed: 2 × timeout, 1 × connect.");
        assert!(!found.clean);
    }

    #[test]
    fn a_run_without_failures_is_clean() {
        let found = of(vec![failing(1, &[]), failing(1_199, &[("busy (5)", 0)])]);
        assert_eq!(found, Verdict { clean: true, sentence: "No request failed: 1,200 requests.".to_owned() });
        let mut compared = failing(2, &[]);
        compared.verified = Some(2);
        assert_eq!(of(vec![compared]).sentence, "No request failed: 2 requests, 2 replies compared.");
    }

    #[test]
    fn silence_is_not_clean() {
        assert_eq!(
            of(vec![failing(0, &[])]),
            Verdict { clean: false, sentence: "No request was answered, and none failed.".to_owned() }
        );
        assert_eq!(
            of(vec![failing(5, &[]), failing(0, &[])]),
            Verdict { clean: false, sentence: "No request failed, but 1 of 2 rounds had no reply.".to_owned() }
        );
        assert_eq!(
            of(vec![failing(0, &[("connect", 7)])]),
            Verdict { clean: false, sentence: "Nothing was answered: 7 requests failed: 7 × connect.".to_owned() }
        );
    }

    #[test]
    fn counts_of_a_hostile_file_do_not_overflow() {
        let found = of(vec![failing(1, &[("a", u64::MAX)]), failing(1, &[("a", 1)])]);
        assert!(found.sentence.ends_with("requests failed: 18,446,744,073,709,551,615 × a."), "{}", found.sentence);
    }
}
