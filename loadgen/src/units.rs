//! Lengths of time on the command line: `500ms`, `2s`, `1.5m`, `20us`.

use std::time::Duration;

/// Units and what each is in seconds; longer names first, because `m` ends some of them.
const UNITS: [(&str, f64); 6] = [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0)];

/// Reads a length of time, from 0 to a day. The error is a sentence.
pub fn duration(text: &str) -> Result<Duration, String> {
    let unreadable = || format!("{text:?} is not a time; write 500ms, 2s or 1m");
    let (number, unit) =
        UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds))).ok_or_else(unreadable)?;
    let number: f64 = number.trim_end().parse().map_err(|_| unreadable())?;
    let seconds = number * unit;
    if !(0.0..=86_400.0).contains(&seconds) {
        return Err(format!("{text:?} is not between 0 and a day"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_units_are_times() {
        let readings =
            [("500ms", 500_000), ("2s", 2_000_000), ("1.5m", 90_000_000), ("20us", 20), ("20 µs", 20), ("0s", 0)];
        for (text, micros) in readings {
            assert_eq!(duration(text), Ok(Duration::from_micros(micros)), "{text}");
        }
    }

    #[test]
    fn all_else_is_refused_with_what_would_do() {
        for text in ["", "2", "s", "-1s", "2 days", "NaNs", "infs", "1e9s"] {
            let error = duration(text).unwrap_err();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }
}
