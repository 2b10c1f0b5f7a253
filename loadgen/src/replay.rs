//! Recorded traces: when requests came, one time a line.

use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use std::sync::Arc;

/// The most times of one trace.
const TIMES_MAX: usize = 50_000_000;

/// Reads a trace: seconds as decimal numbers, ascending, from any origin (the first line is when the round begins). Empty
/// lines and those that begin with `#` are left out, and what follows a comma. Returns nanoseconds.
pub fn read(path: &Path) -> Result<Arc<[u64]>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("--replay {}", path.display()))?;
    parse(&text).with_context(|| format!("--replay {}", path.display()))
}

fn parse(text: &str) -> Result<Arc<[u64]>> {
    let mut times = Vec::new();
    let mut first = None;
    for (index, line) in text.lines().enumerate() {
        let time = line.split(',').next().unwrap_or_default().trim();
        if time.is_empty() || time.starts_with('#') {
            continue;
        }
        let number = index + 1;
        let Ok(seconds) = time.parse::<f64>() else { bail!("line {number}: {time:?} is not a time in seconds") };
        ensure!(seconds.is_finite(), "line {number}: {time:?} is not a time in seconds");
        let origin = *first.get_or_insert(seconds);
        let at = ((seconds - origin) * 1e9).round();
        ensure!(at >= 0.0, "line {number}: {time} is before the first time; times are to ascend");
        let at = at as u64;
        ensure!(times.last().is_none_or(|last| *last <= at), "line {number}: {time} is before the time above it");
        ensure!(times.len() < TIMES_MAX, "more than {TIMES_MAX} times");
        times.push(at);
    }
    ensure!(!times.is_empty(), "there is no time in it");
    Ok(times.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_count_from_the_first() {
        let text = "# a trace\n1700000000.5\n1700000000.75,POST /\n\n1700000002\n1700000002\n";
        assert_eq!(*parse(text).unwrap(), [0, 250_000_000, 1_500_000_000, 1_500_000_000]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, expected) in [
            ("1\nx\n", "line 2"),
            ("2\n1\n", "line 2"),
            ("1\n3\n2\n", "line 3"),
            ("1\nNaN", "line 2"),
            ("# none\n", "no time"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}
