//! The daemon's own counters, as anybody reads them: `GET /metrics`.

use crate::address::Address;
use crate::socket::{self, Wait};
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::Read;

/// A metric with its labels, and its value.
pub type Sample = (String, u64);

/// All samples of a metric.
pub fn read(address: &Address, metric: &str) -> Result<Vec<Sample>> {
    let connection = socket::connect(address)?;
    socket::transmit(&connection, b"GET /metrics HTTP/1.0\r\n\r\n", Wait::Block)?;
    let mut text = String::new();
    File::from(connection).read_to_string(&mut text).context("reading /metrics")?;
    ensure!(text.split_whitespace().nth(1) == Some("200"), "/metrics was answered with {:?}", text.lines().next());
    let samples = text.lines().filter(|line| line.starts_with(metric) && !line[metric.len()..].starts_with('_'));
    let samples = samples.filter_map(|line| line.rsplit_once(' '));
    samples.map(|(name, value)| Ok((name.to_owned(), value.parse::<f64>()? as u64))).collect()
}

/// How many batches of the model have run, and with how many rows.
pub fn batches(address: &Address, model: &str) -> Result<Option<(u64, u64)>> {
    let label = format!("model=\"{model}\"");
    let one = |metric: &str| -> Result<Option<u64>> {
        let samples = read(address, metric)?;
        let ours: Vec<u64> =
            samples.iter().filter(|(name, _)| name.contains(&label)).map(|(_, value)| *value).collect();
        Ok((!ours.is_empty()).then(|| ours.iter().sum()))
    };
    Ok(one("graphpiped_batch_rows_count")?.zip(one("graphpiped_batch_rows_sum")?))
}
