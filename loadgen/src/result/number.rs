//! How numbers are written: three significant digits and a unit, in one place, so that a rate looks alike in every
//! table. What the numbers mean is known elsewhere.

use super::summary::Spread;

/// What stands where there is no number.
pub const DASH: &str = "–";

/// A kind of quantity: its units, from small to large, each with what a number is divided by.
#[derive(Debug)]
pub struct Unit(&'static [(f64, &'static str)]);

/// Microseconds in; `850 µs`, `4.12 ms`, `1.50 s`.
pub const TIME: Unit = Unit(&[(1.0, "µs"), (1e3, "ms"), (1e6, "s")]);
/// Per second; `812 /s`, `12.3 K/s`, `1.20 M/s`.
pub const RATE: Unit = Unit(&[(1.0, "/s"), (1e3, "K/s"), (1e6, "M/s"), (1e9, "G/s")]);
/// Bytes at rest; `640 B`, `34.0 MiB`.
pub const BYTES: Unit =
    Unit(&[(1.0, "B"), (1024.0, "KiB"), (1_048_576.0, "MiB"), (1_073_741_824.0, "GiB"), (1_099_511_627_776.0, "TiB")]);
/// Bytes that move; `4.84 MB/s`. Decimal, as networks are sold.
pub const THROUGHPUT: Unit = Unit(&[(1.0, "B/s"), (1e3, "KB/s"), (1e6, "MB/s"), (1e9, "GB/s")]);
/// A number without a unit: rows of a batch, cores, ratios.
pub const PLAIN: Unit = Unit(&[(1.0, "")]);

impl Unit {
    /// `4.12 ms`; a dash for what is not finite.
    pub fn write(&self, value: f64) -> String {
        let (number, unit) = self.parts(value);
        joined(&number, unit)
    }

    /// `4.12 ms (3.90–4.40)`: the median, and in brackets the least and the greatest. The brackets repeat the unit where
    /// it is not the same for all three. One value has no spread, and no brackets.
    pub fn write_spread(&self, spread: &Spread) -> String {
        if spread.count == 1 {
            return self.write(spread.median);
        }
        let [median, min, max] = [spread.median, spread.min, spread.max].map(|value| self.parts(value));
        let between = if min.1 == median.1 && max.1 == median.1 {
            format!("{}–{}", min.0, max.0)
        } else {
            format!("{}–{}", joined(&min.0, min.1), joined(&max.0, max.1))
        };
        format!("{} ({between})", joined(&median.0, median.1))
    }

    /// The digits and the unit. The unit is chosen after rounding, so that 999.6 µs is `1.00 ms` and not `1000 µs`.
    fn parts(&self, value: f64) -> (String, &'static str) {
        if !value.is_finite() {
            return (DASH.to_owned(), "");
        }
        let (first, rest) = self.0.split_first().expect("every unit has at least one name");
        let rounded = |factor: f64| three_digits(value / factor);
        let fitting = rest.iter().rev().find(|&&(factor, _)| rounded(factor).abs() >= 1.0);
        let &(factor, name) = fitting.unwrap_or(first);
        (digits(rounded(factor)), name)
    }
}

/// `120,000`.
pub fn count(number: u64) -> String {
    grouped(&number.to_string())
}

/// `1 request`, `120,000 requests`, `2 replies`.
pub fn counted(number: u64, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if number == 1 => format!("1 {noun}"),
        Some(stem) => format!("{} {stem}ies", count(number)),
        None => format!("{} {noun}s", count(number)),
    }
}

/// A part of one in percent: `0.4 %`, `43 %`, `99.97 %`. Near 0 and 1 it keeps digits, so that neither is claimed before it
/// is reached.
pub fn percent(part: f64) -> String {
    if !part.is_finite() {
        return DASH.to_owned();
    }
    let percent = part * 100.0;
    let decimals = match percent.min(100.0 - percent).abs() {
        0.0 => 0,
        distance if distance < 0.1 => 2,
        distance if distance < 10.0 => 1,
        _ => 0,
    };
    format!("{percent:.decimals$} %")
}

fn joined(number: &str, unit: &str) -> String {
    if unit.is_empty() { number.to_owned() } else { format!("{number} {unit}") }
}

/// The nearest number of three significant digits.
fn three_digits(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

/// All three digits of a number that has been rounded to them, without an exponent.
fn digits(rounded: f64) -> String {
    if rounded == 0.0 {
        return "0".to_owned();
    }
    let leading = rounded.abs().log10().floor();
    // Beyond nine decimals a number is noise in any of our units.
    let decimals = (2.0 - leading).clamp(0.0, 9.0) as usize;
    grouped(&format!("{rounded:.decimals$}"))
}

/// Commas between thousands, for numbers that no unit has made short.
fn grouped(text: &str) -> String {
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = unsigned.find('.').map_or((unsigned, ""), |at| unsigned.split_at(at));
    let mut written = String::from(sign);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            written.push(',');
        }
        written.push(digit);
    }
    written + fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_the_unit_that_makes_them_short() {
        let times = [
            (0.0, "0 µs"),
            (0.0421, "0.0421 µs"),
            (0.85, "0.850 µs"),
            (7.0, "7.00 µs"),
            (42.25, "42.2 µs"),
            (812.4, "812 µs"),
            (4123.0, "4.12 ms"),
            (60_000.0, "60.0 ms"),
            (1_500_000.0, "1.50 s"),
            (3.6e9, "3,600 s"),
        ];
        for (us, text) in times {
            assert_eq!(TIME.write(us), text);
        }
        assert_eq!(RATE.write(812.0), "812 /s");
        assert_eq!(RATE.write(812_345.0), "812 K/s");
        assert_eq!(RATE.write(1_204_000.0), "1.20 M/s");
        assert_eq!(THROUGHPUT.write(4_840_000.0), "4.84 MB/s");
        assert_eq!(PLAIN.write(10.25), "10.2");
    }

    #[test]
    fn bytes_at_rest_are_counted_in_powers_of_two() {
        assert_eq!(BYTES.write(640.0), "640 B");
        assert_eq!(BYTES.write(1024.0), "1.00 KiB");
        assert_eq!(BYTES.write(35_651_584.0), "34.0 MiB");
        assert_eq!(BYTES.write(1.5 * 1_073_741_824.0), "1.50 GiB");
    }

    #[test]
    fn a_number_that_rounds_up_to_the_next_unit_takes_that_unit() {
        assert_eq!(TIME.write(999.4), "999 µs");
        assert_eq!(TIME.write(999.6), "1.00 ms");
        assert_eq!(RATE.write(999_999.0), "1.00 M/s");
        assert_eq!(TIME.write(9.996), "10.0 µs");
    }

    #[test]
    fn what_is_not_finite_is_a_dash() {
        assert_eq!(TIME.write(f64::NAN), "–");
        assert_eq!(RATE.write(f64::INFINITY), "–");
        assert_eq!(percent(f64::NAN), "–");
    }

    #[test]
    fn a_spread_names_its_unit_once_if_it_is_the_same_for_all() {
        let spread = |median, min, max| Spread { median, min, max, count: 3 };
        assert_eq!(TIME.write_spread(&spread(4120.0, 3900.0, 4400.0)), "4.12 ms (3.90–4.40)");
        assert_eq!(TIME.write_spread(&spread(1100.0, 900.0, 2e6)), "1.10 ms (900 µs–2.00 s)");
        assert_eq!(TIME.write_spread(&spread(1100.0, 1000.0, 2e6)), "1.10 ms (1.00 ms–2.00 s)");
        assert_eq!(TIME.write_spread(&spread(1100.0, 900.0, 1200.0)), "1.10 ms (900 µs–1.20 ms)");
        assert_eq!(TIME.write_spread(&Spread { median: 5.0, min: 5.0, max: 5.0, count: 1 }), "5.00 µs");
    }

    #[test]
    fn counts_have_commas_between_thousands() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(120_000), "120,000");
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(counted(1, "request"), "1 request");
        assert_eq!(counted(1_200, "request"), "1,200 requests");
        assert_eq!([counted(1, "reply"), counted(2, "reply")], ["1 reply", "2 replies"]);
    }

    #[test]
    fn a_part_is_not_rounded_to_nothing_or_to_all() {
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(0.0004), "0.04 %");
        assert_eq!(percent(0.004), "0.4 %");
        assert_eq!(percent(0.43), "43 %");
        assert_eq!(percent(0.96875), "96.9 %");
        assert_eq!(percent(0.9997), "99.97 %");
        assert_eq!(percent(1.0), "100 %");
    }
}
