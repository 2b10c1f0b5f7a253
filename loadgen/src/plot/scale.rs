//! Where a value lies on an axis, which values get a tick, and how these are written. Nothing is drawn here.

/// An axis between two places of the page.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// The values at its ends.
    pub values: (f64, f64),
    /// Where these are.
    pub places: (f64, f64),
    /// Whether equal distances are equal ratios.
    pub log: bool,
}

impl Axis {
    /// The place of `value`; what is beyond an end is put there.
    pub fn at(&self, value: f64) -> f64 {
        let measure = |value: f64| if self.log { value.log10() } else { value };
        let (first, last) = (measure(self.values.0), measure(self.values.1));
        let part = ((measure(value) - first) / (last - first)).clamp(0.0, 1.0);
        self.places.0 + part * (self.places.1 - self.places.0)
    }
}

/// The place of a percentile on an axis on which each further nine takes the same room: 90 % is at 1, 99 % at 2.
#[cfg(test)]
pub fn nines(part: f64) -> f64 {
    -(1.0 - part).log10()
}

/// The part of all samples at a place of that axis.
pub fn part(nines: f64) -> f64 {
    1.0 - 10f64.powf(-nines)
}

/// The ticks of the axis of percentiles up to `most` nines, and their names.
pub fn percentile_ticks(most: f64) -> Vec<(f64, String)> {
    let mut ticks = vec![(0.0, "0 %".to_owned()), (2f64.log10(), "50 %".to_owned())];
    let whole = (1..=most as usize).map(|count| {
        let after = if count > 2 { format!(".{}", "9".repeat(count - 2)) } else { String::new() };
        (count as f64, if count == 1 { "90 %".to_owned() } else { format!("99{after} %") })
    });
    ticks.extend(whole);
    ticks
}

/// The value of a step of 1, 2, 5, 10, 20, 50 …: step 0 is 1.
fn step_value(step: i32) -> f64 {
    let mantissa = [1.0, 2.0, 5.0][step.rem_euclid(3) as usize];
    let power = step.div_euclid(3);
    // Dividing by an exact power of ten gives the number that the decimal is written for; multiplying with 0.1 does not.
    if power < 0 { mantissa / 10f64.powi(-power) } else { mantissa * 10f64.powi(power) }
}

/// The greatest step that is not above `value`, which is above zero.
fn step_below(value: f64) -> i32 {
    let mut step = value.log10().floor() as i32 * 3 + 3;
    while step_value(step) > value {
        step -= 1;
    }
    step
}

/// The least step that is not below `value`, but for what calculating may have added to it.
fn step_above(value: f64) -> i32 {
    let below = step_below(value);
    if step_value(below) < value * (1.0 - 1e-9) { below + 1 } else { below }
}

/// Ends of a logarithmic axis: the steps of 1, 2, 5 around the values, never the same one.
pub fn log_ends(least: f64, most: f64) -> (f64, f64) {
    let low = step_below(least);
    let high = step_below(most);
    let high = if step_value(high) < most || high == low { high + 1 } else { high };
    (step_value(low), step_value(high))
}

/// The ticks of a logarithmic axis: each 1, 2 and 5, or, where these would be more than `count`, powers of ten. A short axis has equal
/// steps.
pub fn log_ticks(ends: (f64, f64), count: usize) -> Vec<f64> {
    const FEW: usize = 5;
    if ends.1 <= 2.6 * ends.0 {
        let step = step_value(step_above((ends.1 - ends.0) / FEW as f64));
        let steps = ((ends.1 - ends.0) / step).round() as u32;
        return (0..=steps).map(|index| ends.0 + f64::from(index) * step).collect();
    }
    let all: Vec<i32> = (step_below(ends.0)..=step_below(ends.1)).filter(|step| step_value(*step) >= ends.0).collect();
    let tens = all.iter().filter(|step| step.rem_euclid(3) == 0).count();
    let each =
        |every: i32| all.iter().filter(|step| step.rem_euclid(every) == 0).map(|step| step_value(*step)).collect();
    match (all.len() <= count || tens < 2, tens <= count) {
        (true, _) => each(1),
        (false, true) => each(3),
        (false, false) => each(3 * tens.div_ceil(count) as i32),
    }
}

/// The ticks of an axis from zero, at most `count` besides zero; the last one is not below `most`.
pub fn linear_ticks(most: f64, count: usize) -> Vec<f64> {
    let most = if most > 0.0 { most } else { 1.0 };
    let step = step_value(step_above(most / count as f64));
    let last = (most / step - 1e-9).ceil() as u32;
    (0..=last).map(|index| f64::from(index) * step).collect()
}

/// A time in nanoseconds with the unit that makes it short.
pub fn time(nanoseconds: f64) -> String {
    let (unit, name) = match nanoseconds {
        small if small < 1e3 => (1.0, "ns"),
        small if small < 1e6 => (1e3, "µs"),
        small if small < 1e9 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    format!("{} {name}", number(nanoseconds / unit))
}

/// A number to three digits, or to its whole ones where these are more, in groups of three.
pub fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    // From the number as it is rounded, so that 9.996 is 10.0 rather than 10.00.
    let rounded: f64 = format!("{value:.2e}").parse().unwrap_or(value);
    let decimals = (2 - rounded.abs().log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.decimals$}");
    let (whole, after) = text.split_once('.').unwrap_or((&text, ""));
    let after = after.trim_end_matches('0');
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if after.is_empty() { grouped } else { format!("{grouped}.{after}") }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "the values are those that the decimals stand for, exactly")]
mod tests {
    use super::*;

    #[test]
    fn each_further_nine_takes_the_same_room() {
        for (percent, expected) in [(0.0, 0.0), (0.9, 1.0), (0.99, 2.0), (0.999, 3.0), (0.9999, 4.0)] {
            assert!((nines(percent) - expected).abs() < 1e-9, "{percent}");
            assert!((part(expected) - percent).abs() < 1e-12, "{expected}");
        }
    }

    #[test]
    fn percentiles_have_ticks_as_far_as_samples_carry() {
        let names = |most| percentile_ticks(most).into_iter().map(|tick| tick.1).collect::<Vec<_>>();
        assert_eq!(names(1.0), ["0 %", "50 %", "90 %"]);
        assert_eq!(names(4.3), ["0 %", "50 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
    }

    #[test]
    fn a_logarithmic_axis_puts_the_geometric_mean_in_its_middle() {
        let axis = Axis { values: (1.0, 100.0), places: (0.0, 200.0), log: true };
        assert_eq!((axis.at(1.0), axis.at(10.0), axis.at(100.0)), (0.0, 100.0, 200.0));
        assert_eq!((axis.at(0.0), axis.at(1e9)), (0.0, 200.0));
    }

    #[test]
    fn an_axis_may_run_upwards() {
        let axis = Axis { values: (0.0, 10.0), places: (100.0, 50.0), log: false };
        assert_eq!((axis.at(0.0), axis.at(5.0), axis.at(10.0)), (100.0, 75.0, 50.0));
    }

    #[test]
    fn ends_of_a_logarithmic_axis_are_the_next_round_values() {
        assert_eq!(log_ends(800.0, 950.0), (500.0, 1000.0));
        assert_eq!(log_ends(1000.0, 1000.0), (1000.0, 2000.0));
        assert_eq!(log_ends(0.003, 42.0), (0.002, 50.0));
        assert_eq!(log_ends(1.0, 5.0), (1.0, 5.0));
    }

    #[test]
    fn a_long_logarithmic_axis_has_ticks_at_powers_of_ten_and_a_short_one_between() {
        assert_eq!(log_ticks((500.0, 5000.0), 10), [500.0, 1000.0, 2000.0, 5000.0]);
        assert_eq!(log_ticks((1000.0, 2000.0), 10), [1000.0, 1200.0, 1400.0, 1600.0, 1800.0, 2000.0]);
        assert_eq!(log_ticks((2.0, 5.0), 10), [2.0, 3.0, 4.0, 5.0]);
        assert_eq!(log_ticks((0.05, 1e3), 6), [0.1, 1.0, 10.0, 100.0, 1e3]);
        assert_eq!(log_ticks((1.0, 1e9), 5), [1.0, 1e2, 1e4, 1e6, 1e8]);
    }

    #[test]
    fn a_linear_axis_has_round_steps_and_ends_at_or_above_the_greatest_value() {
        assert_eq!(linear_ticks(950.0, 5), [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]);
        assert_eq!(linear_ticks(10.0, 5), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(linear_ticks(0.0, 5), [0.0, 0.2, 0.4, 0.600_000_000_000_000_1, 0.8, 1.0]);
        assert_eq!(linear_ticks(0.3, 6).len(), 7);
    }

    #[test]
    fn times_have_the_unit_that_makes_them_short() {
        for (nanoseconds, text) in
            [(500.0, "500 ns"), (1e3, "1 µs"), (2e5, "200 µs"), (5e6, "5 ms"), (1.25e9, "1.25 s"), (2e12, "2,000 s")]
        {
            assert_eq!(time(nanoseconds), text);
        }
    }

    #[test]
    fn numbers_have_three_digits_and_groups() {
        for (value, text) in [
            (0.0, "0"),
            (0.002_134, "0.00213"),
            (1.0, "1"),
            (9.996, "10"),
            (12.34, "12.3"),
            (999.6, "1,000"),
            (1234.0, "1,234"),
            (1_234_567.8, "1,234,568"),
            (-1234.0, "-1,234"),
            (-123.0, "-123"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
