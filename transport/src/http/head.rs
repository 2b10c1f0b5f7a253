//! The head of a request: from the bytes so far to a [`RequestHead`], to "more bytes are needed", or to a [`Reject`].
//!
//! Nothing is kept between calls. A verdict depends on complete lines only (and on the start of the request line), so
//! however the network cuts a head in pieces, the result is the same; and because a head is parsed again only when a
//! line has ended, a peer that sends it byte by byte costs at most one parse per line, of which there are about
//! [`HEADERS_MAX`], of at most [`HEAD_BYTES_MAX`] bytes each.
//!
//! What the fields mean for the body and the connection is in [`super::fields`]; which path is served is not known
//! here.

use super::Reject;
use super::fields::Fields;
use std::mem::MaybeUninit;

/// The longest head, with its request line and the empty lines around it. Real clients send 100 to 400 bytes; proxies
/// add cookies and tokens, for which 8 to 16 KiB is what servers commonly allow.
pub const HEAD_BYTES_MAX: usize = 16 << 10;
/// The most header fields of a head. Real clients send 4 to 8.
pub const HEADERS_MAX: usize = 100;

/// What the bytes so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// The beginning of a head, and nothing wrong with it yet.
    Need,
    /// A head.
    Head {
        /// What it says.
        head: RequestHead<'a>,
        /// How many bytes it takes, with the empty line that ends it: the body begins there.
        bytes: usize,
    },
}

/// What a request's head says, as far as the server acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: Method<'a>,
    /// The path as it was sent (no percent-decoding: model names consist of characters that are never encoded), without
    /// query and without scheme and host. Begins with `/`, or is `*` (`OPTIONS` only).
    pub path: &'a str,
    /// The version, in which the answer is to be given.
    pub version: Version,
    /// Where the body ends.
    pub body: Body,
    /// Whether the connection may carry another request after the reply.
    pub keep_alive: bool,
    /// Whether the client waits for [`CONTINUE`](super::CONTINUE) before it sends the body. Never set without a body.
    pub expect_continue: bool,
}

/// A request's method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method<'a> {
    /// `GET`.
    Get,
    /// `HEAD`: a GET whose reply has a head and no body.
    Head,
    /// `POST`.
    Post,
    /// `OPTIONS`.
    Options,
    /// Another one, by name.
    Other(&'a str),
}

/// A version of HTTP that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// Where the body of a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// There is none: no length was declared, or 0.
    None,
    /// After this many bytes, never 0. Nobody has compared them with a limit yet.
    Length(u64),
    /// Where the chunks say; see [`Chunked`](super::Chunked).
    Chunked,
}

/// Reads the head of a request.
///
/// `bytes` is everything received since the previous request's end. `seen` is how many of them an earlier call has
/// answered with [`Parsed::Need`]; 0 is always right and only slower.
pub fn read_head(bytes: &[u8], seen: usize) -> Result<Parsed<'_>, Reject> {
    let window = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
    let is_full = window.len() == HEAD_BYTES_MAX;
    let start = skip_empty_lines(window)?;
    let rest = &window[start..];
    let fresh = window.get(start.max(seen)..).unwrap_or_default();
    let mut is_faulty = false;
    if fresh.contains(&b'\n') {
        match parse(rest) {
            Ok(Some((head, length))) => return Ok(Parsed::Head { head, bytes: start + length }),
            Ok(None) => {}
            Err(Fault::Meaning(reject)) => return Err(reject),
            Err(Fault::Syntax(_)) => is_faulty = true,
        }
    }
    check_start(rest)?;
    if is_faulty {
        check_complete_lines(rest)?;
    }
    if is_full { Err(HEAD_TOO_LONG) } else { Ok(Parsed::Need) }
}

/// How many bytes of empty lines stand before the request line. Some old clients send one after a body.
fn skip_empty_lines(window: &[u8]) -> Result<usize, Reject> {
    let mut start = 0;
    for _ in 0..=EMPTY_LINES_MAX {
        match window[start..] {
            [b'\r', b'\n', ..] => start += 2,
            [b'\n', ..] => start += 1,
            _ => return Ok(start),
        }
    }
    Err(EMPTY_LINES)
}

enum Fault {
    /// These bytes are no head, and no bytes behind them can mend it.
    Syntax(httparse::Error),
    /// The head is complete, and says what is not to be obeyed.
    Meaning(Reject),
}

fn parse(bytes: &[u8]) -> Result<Option<(RequestHead<'_>, usize)>, Fault> {
    #[cfg(test)]
    tests::PARSES.set(tests::PARSES.get() + 1);
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(bytes, &mut headers) {
        Ok(httparse::Status::Complete(length)) => {
            understand(&request).map(|head| Some((head, length))).map_err(Fault::Meaning)
        }
        Ok(httparse::Status::Partial) => Ok(None),
        Err(error) => Err(Fault::Syntax(error)),
    }
}

fn understand<'a>(request: &httparse::Request<'_, 'a>) -> Result<RequestHead<'a>, Reject> {
    let version = if request.version == Some(0) { Version::Http10 } else { Version::Http11 };
    let method = match request.method.unwrap_or_default() {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "OPTIONS" => Method::Options,
        other => Method::Other(other),
    };
    let path = path(method, request.path.unwrap_or_default())?;
    let fields = Fields::read(request.headers)?;
    let body = fields.body(version)?;
    Ok(RequestHead {
        method,
        path,
        version,
        body,
        keep_alive: fields.keep_alive(version),
        expect_continue: fields.expects_continue(version) && body != Body::None,
    })
}

/// The path of a request target in origin form (`/path?query`), absolute form (`http://host/path?query`, which every
/// server has to accept) or asterisk form (`*`).
fn path<'a>(method: Method<'_>, target: &'a str) -> Result<&'a str, Reject> {
    if target == "*" && method == Method::Options {
        return Ok(target);
    }
    let behind_host = match target.split_once("://") {
        _ if target.starts_with('/') => target,
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") => {
            rest.find(['/', '?']).map_or("", |end_of_host| &rest[end_of_host..])
        }
        _ => return Err(TARGET),
    };
    let path = behind_host.split_once('?').map_or(behind_host, |(path, _query)| path);
    Ok(if path.is_empty() { "/" } else { path })
}

/// Refuses binary bytes that only happen to begin with a capital, without waiting for a line to end. Nothing that is
/// refused here would be taken once the line is complete.
fn check_start(rest: &[u8]) -> Result<(), Reject> {
    let mut is_method = true;
    for (index, &byte) in rest.iter().take(START_BYTES).enumerate() {
        match byte {
            b'\n' => break,
            // Of an empty line whose other half has not arrived.
            b'\r' if index == 0 && rest.len() == 1 => break,
            b' ' if index > 0 => is_method = false,
            _ if is_method && !is_token(byte) => return Err(REQUEST_LINE),
            b'\r' => {}
            0..=0x1f | 0x7f => return Err(REQUEST_LINE),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a byte may stand in a method or a field name (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Refuses what is wrong in the lines that are complete; a fault behind them may look different once its line has
/// ended.
fn check_complete_lines(rest: &[u8]) -> Result<(), Reject> {
    let end = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    match parse(&rest[..end]) {
        Err(Fault::Syntax(error)) => Err(explain(error, rest)),
        Err(Fault::Meaning(reject)) => Err(reject),
        Ok(_) => Ok(()),
    }
}

fn explain(error: httparse::Error, rest: &[u8]) -> Reject {
    match error {
        httparse::Error::Version if names_a_version(rest) => VERSION,
        httparse::Error::Token | httparse::Error::Version | httparse::Error::Status => REQUEST_LINE,
        httparse::Error::NewLine => LINE_END,
        httparse::Error::HeaderName => FIELD_NAME,
        httparse::Error::HeaderValue => FIELD_VALUE,
        httparse::Error::TooManyHeaders => TOO_MANY_HEADERS,
    }
}

/// Whether the request line ends in the name of some version of HTTP, `PRI * HTTP/2.0` included.
fn names_a_version(rest: &[u8]) -> bool {
    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.rsplit(|byte| *byte == b' ').next().is_some_and(|last| last.starts_with(b"HTTP/"))
}

/// Empty lines before a request line that are skipped: RFC 9112 §2.2 asks for one, and four cannot hurt.
const EMPTY_LINES_MAX: usize = 4;
/// How much of an unfinished request line is looked at on every call.
const START_BYTES: usize = 64;

const HEAD_TOO_LONG: Reject = Reject::new(431, "the request's head is over 16384 bytes");
const TOO_MANY_HEADERS: Reject = Reject::new(431, "the request has more than 100 header fields");
const EMPTY_LINES: Reject = Reject::new(400, "more than 4 empty lines where a request was expected");
const REQUEST_LINE: Reject = Reject::new(400, "malformed request line; expected METHOD TARGET HTTP/1.1");
const VERSION: Reject = Reject::new(505, "this HTTP version is not spoken here; use HTTP/1.1 (or 1.0)");
const TARGET: Reject = Reject::new(400, "the request target is neither a path nor an http URL");
const LINE_END: Reject = Reject::new(400, "a line of the request's head does not end in CRLF");
const FIELD_NAME: Reject = Reject::new(400, "malformed header field name (no space before the colon, no folded lines)");
const FIELD_VALUE: Reject = Reject::new(400, "a header field's value has a control character");

#[cfg(test)]
mod tests;
