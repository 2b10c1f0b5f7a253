//! What `/metrics` says, asked for over HTTP by hand.

use super::Address;
use std::io::{Read, Write};

/// One answer of `/metrics`.
pub struct Metrics(String);

impl Metrics {
    /// Asks for it; `None` if the daemon has no room for one connection more.
    pub fn read(address: &Address) -> Option<Metrics> {
        try_get(address, "/metrics").ok().map(|(_, page)| Metrics(page))
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The sum of all samples of a metric, whatever their labels.
    pub fn sum(&self, name: &str) -> u64 {
        let samples: Vec<u64> = self
            .0
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])))
            .map(|line| line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a whole number"))
            .collect();
        assert!(!samples.is_empty(), "there is no {name} in:\n{}", self.0);
        samples.iter().sum()
    }

    /// A sample that is no whole number, by its name and labels.
    pub fn value(&self, sample: &str) -> f64 {
        let line = self.0.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("there is no {sample} in:\n{}", self.0))
    }

    /// The names of all metrics.
    pub fn names(&self) -> Vec<&str> {
        let named = self.0.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        named.filter_map(|line| line.split(' ').next()).collect()
    }
}

/// Asks for a page: the status and the body.
pub fn get(address: &Address, path: &str) -> (u16, String) {
    try_get(address, path).expect("a reply")
}

fn try_get(address: &Address, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = address.connect();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    let (head, body) = reply.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Ok((status, body.to_owned()))
}
