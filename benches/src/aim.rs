//! What a number was meant to be, and whether it is: the line at the end of a table.

use crate::interval::Interval;

/// A bound that a number was meant to hold.
#[derive(Clone, Copy, Debug)]
pub enum Aim {
    /// It should not be less.
    AtLeast(f64),
    /// It should not be more.
    AtMost(f64),
}

/// Prints whether a number holds its bound. `what` names it, and `unit` is written behind numbers.
pub fn print(what: &str, aim: Aim, unit: &str, found: f64) {
    println!("\n{}", line(what, aim, unit, found));
}

/// Prints whether all of an interval is so close to 1.
pub fn print_same(what: &str, part: f64, found: &Interval) {
    println!("\n{}", line_of_same(what, part, found));
}

/// `aim: on / off within ± 3 %: missed, because [0.990, 1.041] reaches 4.1 % from 1.`
fn line_of_same(what: &str, part: f64, found: &Interval) -> String {
    let outcome = if found.farthest() <= part { "reached:" } else { "missed, because" };
    let (percent, farthest) = (100.0 * part, 100.0 * found.farthest());
    format!(
        "aim: {what} within ± {percent} %: {outcome} [{:.3}, {:.3}] reaches {farthest:.1} % from 1.",
        found.least, found.most
    )
}

/// `aim: goodput / capacity ≥ 0.95: reached (0.970).`
fn line(what: &str, aim: Aim, unit: &str, found: f64) -> String {
    let (sign, bound, is_reached) = match aim {
        Aim::AtLeast(bound) => ('≥', bound, found >= bound),
        Aim::AtMost(bound) => ('≤', bound, found <= bound),
    };
    let number = |value: f64| if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.3}") };
    let outcome = if is_reached {
        "reached".to_owned()
    } else {
        format!("missed by {:.1} %", 100.0 * (found - bound).abs() / bound)
    };
    format!("aim: {what} {sign} {bound}{unit}: {outcome} ({}{unit}).", number(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_reached_when_it_is_held_exactly() {
        assert_eq!(line("ratio", Aim::AtLeast(0.99), "", 0.99), "aim: ratio ≥ 0.99: reached (0.990).");
        assert_eq!(line("CPU", Aim::AtMost(9.0), " µs", 9.0), "aim: CPU ≤ 9 µs: reached (9.000 µs).");
    }

    #[test]
    fn how_far_it_was_missed_is_a_part_of_the_bound() {
        assert_eq!(
            line("rate", Aim::AtLeast(170_000.0), "/s", 136_000.0),
            "aim: rate ≥ 170000/s: missed by 20.0 % (136000/s)."
        );
        assert_eq!(line("p99 ratio", Aim::AtMost(1.1), "", 1.21), "aim: p99 ratio ≤ 1.1: missed by 10.0 % (1.210).");
    }

    #[test]
    fn an_interval_is_the_same_as_one_only_if_both_ends_are_close() {
        let interval = |least, most| Interval { ratio: 1.0, least, most, pairs: 40 };
        assert_eq!(
            line_of_same("on / off", 0.03, &interval(0.99, 1.041)),
            "aim: on / off within ± 3 %: missed, because [0.990, 1.041] reaches 4.1 % from 1."
        );
        assert_eq!(
            line_of_same("on / off", 0.03, &interval(0.98, 1.011)),
            "aim: on / off within ± 3 %: reached: [0.980, 1.011] reaches 2.0 % from 1."
        );
    }
}
