//! The head of a response: its status, how its body ends, whether the connection goes on. Its other fields are skipped.

use crate::protocol::Violation;
use crate::protocol::replies::looks;
use std::mem::MaybeUninit;

/// The most bytes of a head. Servers send a few hundred; this is what clients commonly allow.
pub(super) const HEAD_BYTES_MAX: usize = 64 << 10;

/// The most fields of a head; what clients commonly allow.
const FIELDS_MAX: usize = 100;

/// A head, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub status: u16,
    pub framing: Framing,
    /// Whether the server closes the connection after the response.
    pub closes: bool,
    /// `Inference-Header-Content-Length`.
    pub json_bytes: Option<usize>,
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// By a chunk of size 0.
    Chunks,
    /// When the server closes.
    UntilClose,
}

impl Head {
    /// Reads a head at the beginning of `bytes`; says how many bytes it has. `None` if it does not end there.
    pub fn read(bytes: &[u8]) -> Result<Option<(Head, usize)>, Violation> {
        let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut []);
        // What old servers write is read as all clients read it.
        let mut config = httparse::ParserConfig::default();
        config.allow_obsolete_multiline_headers_in_responses(true);
        config.allow_spaces_after_header_name_in_responses(true);
        let parsed = config.parse_response_with_uninit_headers(&mut response, bytes, &mut fields);
        let length = match parsed {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(why) => return Err(not_http(bytes, why)),
        };
        let status = response.code.unwrap_or(0);
        let mut found = Found::default();
        for field in response.headers.iter() {
            found.field(field.name, field.value.trim_ascii())?;
        }
        Ok(Some((found.head(status, response.version == Some(0)), length)))
    }
}

/// The fields that matter.
#[derive(Debug, Default)]
struct Found {
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    json_bytes: Option<usize>,
}

impl Found {
    fn field(&mut self, name: &str, value: &[u8]) -> Result<(), Violation> {
        if name.eq_ignore_ascii_case("content-length") {
            // Two fields may have been put together into one.
            for value in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                let length = number(value).ok_or_else(|| bad_field(name, value))?;
                if self.length.replace(length).is_some_and(|other| other != length) {
                    return Err(Violation("two Content-Length fields that disagree".to_owned()));
                }
            }
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            // Nothing else was asked for, and none that is compressed could be compared with anything.
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(bad_field(name, value));
            }
            self.chunked = true;
        } else if name.eq_ignore_ascii_case("connection") {
            for word in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                self.close |= word.eq_ignore_ascii_case(b"close");
                self.keep_alive |= word.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if name.eq_ignore_ascii_case("inference-header-content-length") {
            let length = number(value).ok_or_else(|| bad_field(name, value))?;
            self.json_bytes = Some(usize::try_from(length).map_err(|_| bad_field(name, value))?);
        }
        Ok(())
    }

    fn head(&self, status: u16, is_version_0: bool) -> Head {
        let framing = match (status, self.length) {
            (100..=199 | 204 | 304, _) => Framing::Length(0),
            _ if self.chunked => Framing::Chunks,
            (_, Some(length)) => Framing::Length(length),
            (_, None) => Framing::UntilClose,
        };
        // Two framings at once are how responses are smuggled: the chunks count, and nothing after them.
        let closes = self.close
            || (is_version_0 && !self.keep_alive)
            || framing == Framing::UntilClose
            || (self.chunked && self.length.is_some());
        Head { status, framing, closes, json_bytes: self.json_bytes }
    }
}

/// Digits, and nothing but digits.
fn number(value: &[u8]) -> Option<u64> {
    if !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn bad_field(name: &str, value: &[u8]) -> Violation {
    Violation(format!("an HTTP head with {name}: {}", looks(value)))
}

fn not_http(bytes: &[u8], why: httparse::Error) -> Violation {
    let bytes = bytes.trim_ascii_start();
    let is_http = bytes.starts_with(b"HTTP/");
    Violation(match why {
        httparse::Error::TooManyHeaders => format!("an HTTP head of more than {FIELDS_MAX} fields"),
        httparse::Error::Version if is_http => {
            format!("neither HTTP/1.0 nor 1.1: the reply begins with {}", looks(bytes))
        }
        why if is_http => format!("a bad HTTP head: {why}"),
        _ => format!("not HTTP: the reply begins with {}", looks(bytes)),
    })
}
