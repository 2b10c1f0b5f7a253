//! Sizes and times as people write them: `4G`, `64K`, `10s`, `500ms`. The same words on the command line, in the
//! environment and in the configuration file. Nothing here knows what a size or a time is for.

use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::fmt::{Display, Formatter};
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

/// A number of bytes; `K`, `M`, `G` and `T` are powers of 1024, with or without `iB` or `B` behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<ByteSize, String> {
        let (number, unit) =
            split(text).ok_or_else(|| format!("\"{text}\" is not a size such as 4G, 512M or 65536"))?;
        let letter = unit.strip_suffix("iB").or_else(|| unit.strip_suffix('B')).unwrap_or(unit);
        let shift = match letter {
            "" => 0,
            "k" | "K" => 10,
            "M" => 20,
            "G" => 30,
            "T" => 40,
            _ => return Err(format!("\"{unit}\" is not a unit of size; K, M, G and T are")),
        };
        let bytes = number.checked_mul(1_u64 << shift).ok_or_else(|| format!("{text} does not fit 64 bits"))?;
        Ok(ByteSize(bytes))
    }
}

/// The largest unit that keeps one decimal honest: `1.5 GiB`.
impl Display for ByteSize {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let units = [(1_u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units.into_iter().find(|(size, _)| self.0 >= *size) {
            None => write!(f, "{} B", self.0),
            Some((size, unit)) if self.0.is_multiple_of(size) => write!(f, "{} {unit}", self.0 / size),
            Some((size, unit)) => write!(f, "{:.1} {unit}", self.0 as f64 / size as f64),
        }
    }
}

/// A length of time: a whole number and `us`, `ms`, `s`, `m` or `h`; without a unit, seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        let (number, unit) = split(text).ok_or_else(|| format!("\"{text}\" is not a time such as 10s or 500ms"))?;
        let microseconds = match unit {
            "us" => 1,
            "ms" => 1_000,
            "" | "s" => 1_000_000,
            "m" | "min" => 60_000_000,
            "h" => 3_600_000_000,
            _ => return Err(format!("\"{unit}\" is not a unit of time; us, ms, s, m and h are")),
        };
        let total = number.checked_mul(microseconds).filter(|total| *total <= SPAN_MICROSECONDS_MAX);
        total.map(|total| Span(Duration::from_micros(total))).ok_or_else(|| format!("{text} is more than a year"))
    }
}

/// A year: beyond that nobody means a timeout, and sums of times and clocks could overflow.
const SPAN_MICROSECONDS_MAX: u64 = 366 * 24 * 3_600_000_000;

/// The digits that a text begins with, and the rest without blanks around it.
fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number = text[..digits].parse().ok()?;
    Some((number, text[digits..].trim()))
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
        deserializer.deserialize_any(TextOrNumber(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        deserializer.deserialize_any(TextOrNumber(PhantomData))
    }
}

/// Takes `4096` where `"4096"` could stand.
struct TextOrNumber<T>(PhantomData<T>);

impl<T: FromStr<Err = String>> Visitor<'_> for TextOrNumber<T> {
    type Value = T;

    fn expecting(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number, or a text with a unit such as \"4G\" or \"10s\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        number.to_string().parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Result<u64, String> {
        text.parse::<ByteSize>().map(|size| size.0)
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(bytes("65536"), Ok(65_536));
        assert_eq!(bytes("4K"), Ok(4_096));
        assert_eq!(bytes("512 MiB"), Ok(536_870_912));
        assert_eq!(bytes("4G"), Ok(4_294_967_296));
        assert_eq!(bytes("1TB"), Ok(1_099_511_627_776));
    }

    #[test]
    fn a_size_that_is_none_says_what_one_is() {
        assert_eq!(bytes("many").unwrap_err(), "\"many\" is not a size such as 4G, 512M or 65536");
        assert_eq!(bytes("4Q").unwrap_err(), "\"Q\" is not a unit of size; K, M, G and T are");
        assert!(bytes("-1").is_err());
        assert_eq!(bytes("16777216T").unwrap_err(), "16777216T does not fit 64 bits");
    }

    #[test]
    fn sizes_are_shown_in_their_largest_unit() {
        assert_eq!(ByteSize(17).to_string(), "17 B");
        assert_eq!(ByteSize(4_096).to_string(), "4 KiB");
        assert_eq!(ByteSize(1_610_612_736).to_string(), "1.5 GiB");
    }

    #[test]
    fn times_have_units_and_are_seconds_without_one() {
        let time = |text: &str| text.parse::<Span>().map(|span| span.0);
        assert_eq!(time("10"), Ok(Duration::from_secs(10)));
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("2m"), Ok(Duration::from_mins(2)));
        assert_eq!(time("0s"), Ok(Duration::ZERO));
        assert_eq!(time("3 weeks").unwrap_err(), "\"weeks\" is not a unit of time; us, ms, s, m and h are");
        assert_eq!(time("9999999999h").unwrap_err(), "9999999999h is more than a year");
    }
}
