//! The sizes of batches, out of a page in Prometheus' text format.

use crate::ask::{self, Question};
use crate::protocol::{Dialect, Protocol};
use crate::result::Batches;
use crate::target::{Endpoint, Target};
use std::time::Duration;

/// The page and the histogram on it.
#[derive(Clone, Debug)]
pub struct Metrics {
    endpoint: Endpoint,
    dialect: Dialect,
    histogram: String,
    model: String,
}

/// What a histogram has counted so far: pairs of an upper bound and how many were not above it, ascending; the sum; all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    buckets: Vec<(f64, f64)>,
    sum: f64,
    count: f64,
}

impl Metrics {
    /// The page at `url`, or at `/metrics` of a target that speaks GraphPipe (which speaks HTTP at the same address).
    /// `None` if there is none to be guessed.
    pub fn new(
        url: Option<&str>,
        target: &Target,
        protocol: Protocol,
        histogram: &str,
        model: &str,
    ) -> Result<Option<Metrics>, String> {
        let (endpoint, host, path) = match url {
            Some(url) => {
                let page = Target::parse(url)?;
                (page.endpoint, page.host, if page.path.is_empty() { "/metrics".to_owned() } else { page.path })
            }
            None if matches!(protocol, Protocol::Native | Protocol::GraphpipeHttp) => {
                (target.endpoint.clone(), target.host.clone(), "/metrics".to_owned())
            }
            None => return Ok(None),
        };
        let dialect = Dialect { protocol: Protocol::Raw, host, path, model: String::new() };
        Ok(Some(Metrics { endpoint, dialect, histogram: histogram.to_owned(), model: model.to_owned() }))
    }

    /// What was counted until now; `None` if the server does not say it.
    pub fn snapshot(&self) -> Option<Snapshot> {
        let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", self.dialect.path, self.dialect.host);
        let question = Question { endpoint: &self.endpoint, dialect: &self.dialect, timeout: Duration::from_secs(1) };
        let page =
            ask::ask(&question, request.as_bytes(), |reply| String::from_utf8_lossy(reply.body).into_owned()).ok()?;
        Snapshot::read(&page, &self.histogram, &self.model)
    }
}

impl Snapshot {
    /// Adds up the histogram's lines; where they have a label `model` and a model is named, only that model's.
    fn read(page: &str, histogram: &str, model: &str) -> Option<Snapshot> {
        let mut found = Snapshot::default();
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let Some(rest) = line.strip_prefix(histogram) else { continue };
            // Labels may hold blanks; behind the value there may be a time.
            let (series, values) =
                rest.find('}').map_or_else(|| rest.split_once(' '), |at| Some(rest.split_at(at + 1)))?;
            let value: f64 = values.split_whitespace().next()?.parse().ok()?;
            if !model.is_empty() && label(series, "model").is_some_and(|name| name != model) {
                continue;
            }
            if series.starts_with("_bucket") {
                let bound: f64 = label(series, "le")?.parse().ok()?;
                match found.buckets.iter_mut().find(|(other, _)| other.total_cmp(&bound).is_eq()) {
                    Some((_, count)) => *count += value,
                    None => found.buckets.push((bound, value)),
                }
            } else if series.starts_with("_sum") {
                found.sum += value;
            } else if series.starts_with("_count") {
                found.count += value;
            }
        }
        found.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        (!found.buckets.is_empty()).then_some(found)
    }

    /// What was counted since `before`; `None` if nothing was.
    pub fn since(&self, before: &Snapshot) -> Option<Batches> {
        let mut below = 0.0;
        let buckets = self.buckets.iter().map(|(bound, count)| {
            let earlier = before
                .buckets
                .iter()
                .find(|(other, _)| other.total_cmp(bound).is_eq())
                .map_or(0.0, |(_, count)| *count);
            let until = count - earlier;
            let own = until - below;
            below = until;
            (bound.is_finite().then_some(*bound), own.max(0.0) as u64)
        });
        let buckets = buckets.collect();
        let count = (self.count - before.count).max(0.0) as u64;
        (count > 0).then_some(Batches { count, rows: self.sum - before.sum, buckets })
    }
}

/// The value of a label in `_bucket{le="8",model="x"}`. Escapes in values are left as they are: they are compared, not shown.
fn label<'a>(series: &'a str, name: &str) -> Option<&'a str> {
    let (_, labels) = series.split_once('{')?;
    let mut rest = labels;
    loop {
        let (key, after) = rest.split_once("=\"")?;
        let (value, after) = after.split_once('"')?;
        if key.trim_start_matches([',', ' ']) == name {
            return Some(value);
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Prometheus' documentation of the text format writes histograms.
    const BEFORE: &str = r#"# HELP rows Rows of each batch.
# TYPE rows histogram
rows_bucket{model="a",le="1"} 10
rows_bucket{model="a",le="4"} 20
rows_bucket{model="a",le="+Inf"} 20
rows_sum{model="a"} 40
rows_count{model="a"} 20
rows_bucket{model="b",le="1"} 7
rows_bucket{model="b",le="+Inf"} 7
rows_sum{model="b"} 7
rows_count{model="b"} 7
rows_other 5
"#;
    const AFTER: &str = r#"rows_bucket{model="a",le="1"} 11
rows_bucket{model="a",le="4"} 26
rows_bucket{model="a",le="+Inf"} 30
rows_sum{model="a"} 112 1700000000000
rows_count{model="a"} 30
"#;

    #[test]
    fn batches_are_what_was_counted_between_two_looks() {
        let before = Snapshot::read(BEFORE, "rows", "a").unwrap();
        let after = Snapshot::read(AFTER, "rows", "a").unwrap();
        let batches = after.since(&before).unwrap();
        // 1 of at most one row, 5 of two to four, 4 of more: 11-10, 26-20-1, 30-20-6.
        assert_eq!(batches.buckets, [(Some(1.0), 1), (Some(4.0), 5), (None, 4)]);
        assert_eq!((batches.count, batches.rows), (10, 72.0));
        assert_eq!(after.since(&after), None);
    }

    #[test]
    fn without_a_model_all_are_added_up_and_without_a_histogram_there_is_nothing() {
        let count = |histogram, model| Snapshot::read(BEFORE, histogram, model).map(|found| found.count);
        assert_eq!(count("rows", ""), Some(27.0));
        assert_eq!(count("rows", "b"), Some(7.0));
        assert_eq!(count("columns", ""), None);
    }
}
