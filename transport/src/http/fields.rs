//! What a head's fields say about the body and the connection: Content-Length, Transfer-Encoding, Connection, Expect.
//! Every other field is ignored, Content-Type among them: clients send whatever their library defaults to.
//!
//! Two parties that disagree on where a body ends can be made to see different requests on one connection, so whatever
//! is open to two readings is refused. One pair of lengths is accepted although it is suspect, because libcurl sends it
//! on behalf of real clients: `chunked` beside a Content-Length. There the chunks count, and the connection closes
//! after the reply, so that nothing behind the body is ever read as a request.

use super::{Body, Reject, Version};

/// The fields that matter.
#[derive(Debug, Default)]
pub(super) struct Fields {
    length: Option<u64>,
    codings: Option<Codings>,
    close: bool,
    keep_alive: bool,
    expect_continue: bool,
}

/// The transfer codings, over all Transfer-Encoding fields in their order.
#[derive(Debug, Default)]
struct Codings {
    chunked_count: usize,
    other_count: usize,
    is_chunked_last: bool,
}

impl Fields {
    pub(super) fn read(headers: &[httparse::Header<'_>]) -> Result<Fields, Reject> {
        let mut fields = Fields::default();
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            if is("content-length") {
                fields.content_length(header.value)?;
            } else if is("transfer-encoding") {
                fields.transfer_encoding(header.value)?;
            } else if is("connection") {
                fields.connection(header.value);
            } else if is("expect") {
                fields.expect(header.value)?;
            }
        }
        Ok(fields)
    }

    /// Where the body ends.
    pub(super) fn body(&self, version: Version) -> Result<Body, Reject> {
        match (&self.codings, self.length) {
            (None, None | Some(0)) => Ok(Body::None),
            (None, Some(length)) => Ok(Body::Length(length)),
            // HTTP/1.0 has no transfer codings, so what lies between may have read the length instead.
            (Some(_), _) if version == Version::Http10 => Err(CODING_IN_1_0),
            (Some(codings), _) => codings.body(),
        }
    }

    /// Whether the connection may carry another request.
    pub(super) fn keep_alive(&self, version: Version) -> bool {
        let is_wanted = match version {
            Version::Http11 => true,
            Version::Http10 => self.keep_alive,
        };
        is_wanted && !self.close && !(self.codings.is_some() && self.length.is_some())
    }

    /// Whether the client waits for an interim reply; HTTP/1.0 clients cannot read one.
    pub(super) fn expects_continue(&self, version: Version) -> bool {
        self.expect_continue && version == Version::Http11
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Reject> {
        for item in items(value) {
            let length = decimal(item)?;
            if self.length.is_some_and(|earlier| earlier != length) {
                return Err(LENGTHS_DIFFER);
            }
            self.length = Some(length);
        }
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Reject> {
        let codings = self.codings.get_or_insert_default();
        for item in items(value) {
            if item.is_empty() {
                return Err(CODING_EMPTY);
            }
            codings.is_chunked_last = item.eq_ignore_ascii_case(b"chunked");
            if codings.is_chunked_last {
                codings.chunked_count += 1;
            } else {
                codings.other_count += 1;
            }
        }
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) {
        for option in items(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn expect(&mut self, value: &[u8]) -> Result<(), Reject> {
        for expectation in items(value).filter(|expectation| !expectation.is_empty()) {
            if !expectation.eq_ignore_ascii_case(b"100-continue") {
                return Err(EXPECTATION);
            }
            self.expect_continue = true;
        }
        Ok(())
    }
}

impl Codings {
    fn body(&self) -> Result<Body, Reject> {
        match self {
            // RFC 9112 §6.3: without chunked at the end, nobody knows where the body ends.
            Codings { is_chunked_last: false, .. } => Err(CODING_NOT_LAST),
            Codings { chunked_count: 2.., .. } => Err(CODING_TWICE),
            Codings { other_count: 1.., .. } => Err(CODING_UNKNOWN),
            Codings { .. } => Ok(Body::Chunked),
        }
    }
}

/// The items of a comma-separated list, without the white space around them. An empty value has one empty item.
fn items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// A number of digits and nothing else. `str::parse` would take a sign.
fn decimal(digits: &[u8]) -> Result<u64, Reject> {
    if digits.is_empty() {
        return Err(LENGTH_DIGITS);
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        if !byte.is_ascii_digit() {
            return Err(LENGTH_DIGITS);
        }
        let digit = u64::from(byte - b'0');
        number.checked_mul(10).and_then(|tens| tens.checked_add(digit)).ok_or(LENGTH_OVERFLOW)
    })
}

const LENGTHS_DIFFER: Reject = Reject::new(400, "Content-Length is given twice, with different values");
const LENGTH_DIGITS: Reject = Reject::new(400, "Content-Length is not a decimal number");
const LENGTH_OVERFLOW: Reject = Reject::new(400, "Content-Length does not fit into 64 bits");
const CODING_IN_1_0: Reject = Reject::new(400, "Transfer-Encoding in an HTTP/1.0 request; use Content-Length");
const CODING_EMPTY: Reject = Reject::new(400, "Transfer-Encoding has an empty item; expected chunked");
const CODING_NOT_LAST: Reject =
    Reject::new(400, "the last transfer coding is not chunked, so the end of the body is not known");
const CODING_TWICE: Reject = Reject::new(400, "the transfer coding chunked is given twice");
const CODING_UNKNOWN: Reject = Reject::new(501, "only the transfer coding chunked is supported, on its own");
const EXPECTATION: Reject = Reject::new(417, "the only expectation that can be met is 100-continue");
