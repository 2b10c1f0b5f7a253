//! What can become of a request other than outputs, told apart so that each kind can be counted.

use std::collections::BTreeMap;
use std::fmt;

/// Why a request has no outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Failure {
    /// Nobody accepted the connection on which it was to be sent.
    Connect,
    /// The server ended the connection before it answered.
    Closed,
    /// No reply came in time.
    Timeout,
    /// It was answered with bytes that are no reply of the protocol.
    Protocol,
    /// We gave the connection up, because of another request's timeout or bytes that are no reply.
    Abandoned,
    /// Every connection was busy for longer than the timeout, so it was never sent.
    Unsent,
    /// The reply is not the right one.
    Wrong,
    /// The server refused it with a code of GraphPipe.
    Code(i64),
    /// The server refused it with a status of HTTP.
    Status(u16),
    /// One kind more than are told apart.
    Other,
}

impl fmt::Display for Failure {
    /// The key in results.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Connect => f.write_str("connect"),
            Failure::Closed => f.write_str("closed"),
            Failure::Timeout => f.write_str("timeout"),
            Failure::Protocol => f.write_str("protocol"),
            Failure::Abandoned => f.write_str("abandoned"),
            Failure::Unsent => f.write_str("unsent"),
            Failure::Wrong => f.write_str("wrong"),
            Failure::Code(code) => match graphpipe_schema::Code::from_wire(*code) {
                Some(known) => write!(f, "{} ({code})", known.name()),
                None => write!(f, "code {code}"),
            },
            Failure::Status(status) => write!(f, "HTTP {status}"),
            Failure::Other => f.write_str("other"),
        }
    }
}

/// How often each kind happened, and the first text of each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Failures(BTreeMap<Failure, (u64, String)>);

/// The most kinds that are told apart: a server may invent codes.
const KINDS_MAX: usize = 64;

impl Failures {
    /// Counts one; `text` is asked for once per kind.
    pub(super) fn count(&mut self, failure: Failure, text: impl FnOnce() -> String) {
        let known = self.0.contains_key(&failure);
        let failure = if known || self.0.len() < KINDS_MAX { failure } else { Failure::Other };
        self.0.entry(failure).or_insert_with(|| (0, text())).0 += 1;
    }

    pub(super) fn merge(&mut self, other: Failures) {
        for (failure, (count, text)) in other.0 {
            self.0.entry(failure).or_insert((0, text)).0 += count;
        }
    }

    /// Each kind's name, count and first text.
    pub fn iter(&self) -> impl Iterator<Item = (String, u64, &str)> {
        self.0.iter().map(|(failure, (count, text))| (failure.to_string(), *count, text.as_str()))
    }
}
