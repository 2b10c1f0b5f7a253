//! Whether one result differs from another: two files (`compare`), or two commands that are run in turns (`ab`). Nothing is
//! measured here; what may be compared is what `result::summary` lets through.

mod ab;
mod command;
mod difference;
mod statistics;

pub use ab::{AbOptions, ab};

use crate::result::Report;
use crate::result::grid::plain;
use crate::result::summary::Metric;
use crate::result::verdict::total;
use difference::{Difference, differences, doubts, target};

/// What two points are compared by.
const METRICS: [Metric; 6] = [Metric::Rate, Metric::P50, Metric::P90, Metric::P99, Metric::P999, Metric::ServerCpu];

/// Compares two files point by point: medians of the rounds, their ratio with an interval, and what that shows. Before it stands
/// what makes the comparison doubtful.
pub fn compare(a: &Report, b: &Report) -> String {
    let mut parts = vec![format!("a  {}\nb  {}\n", target(a), target(b))];
    let mut warnings = differences(a, b);
    for (name, report) in [("a", a), ("b", b)] {
        warnings.extend(doubts(name, report));
    }
    warnings.extend(unmatched(a, b));
    parts.extend(warnings.iter().map(|warning| format!("warning: {warning}\n")));
    let head = parts.len();
    for point in &a.points {
        let Some(other) = b.points.iter().find(|other| other.label == point.label) else { continue };
        let values = |metric: Metric| Difference {
            metric,
            interval: statistics::unpaired(&metric.of_rounds(point), &metric.of_rounds(other)),
            a: metric.of_rounds(point),
            b: metric.of_rounds(other),
        };
        parts.push(format!("\n{}", difference::table(&plain(&point.label), METRICS.map(values))));
    }
    if parts.len() == head {
        return parts.concat() + "Nothing was compared: the two have no point in common.\n";
    }
    parts.concat()
        + "\nMedians of the rounds; b/a is the median of all ratios, with the interval of Mann and Whitney and its confidence.\n\
            An interval of 95 % misses one time in twenty. What changed on the machine between the two files counts as a difference;\n\
            `graphpipe-loadgen ab` measures in turns.\n"
}

/// Points that only one of the two has, and rounds beyond those that count.
fn unmatched(a: &Report, b: &Report) -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, report, other) in [("a", a, b), ("b", b, a)] {
        let missing = report.points.iter().filter(|point| !other.points.iter().any(|there| there.label == point.label));
        let labels: Vec<String> = missing.map(|point| format!("`{}`", plain(&point.label))).collect();
        if !labels.is_empty() {
            warnings.push(format!("only {name} has the points {}", labels.join(", ")));
        }
        let beyond = report.points.iter().map(|point| point.rounds.len().saturating_sub(statistics::VALUES_MAX) as u64);
        if total(beyond) > 0 {
            let most = statistics::VALUES_MAX;
            warnings
                .push(format!("{name} has more than {most} rounds of a point; the first {most} count for intervals"));
        }
    }
    warnings
}

#[cfg(test)]
mod tests;
