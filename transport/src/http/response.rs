//! Response heads, appended to a buffer that the caller owns; bodies of text with them, because every error has one.
//!
//! There is no Date field: it serves caches, which keep no reply to a POST, no client of GraphPipe reads it, and this
//! module knows no clock. Nothing here is chunked either: the length of a reply is known before its first byte is sent.

use super::{Reject, Version};

/// The interim reply that a client with `Expect: 100-continue` waits for.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// The media type of a message.
pub const OCTET_STREAM: &str = "application/octet-stream";
/// The media type of an error's text.
pub const TEXT: &str = "text/plain; charset=utf-8";
/// The media type of metadata.
pub const JSON: &str = "application/json";

/// What the head of a response says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// The version of the request: GraphPipe's servers answered in it.
    pub version: Version,
    /// The status, of three digits.
    pub status: u16,
    /// The media type of the body.
    pub content_type: &'static str,
    /// Bytes of the body; in reply to a HEAD, of the body that a GET would have got.
    pub content_bytes: u64,
    /// Whether the connection carries on afterwards.
    pub keep_alive: bool,
}

/// Appends the head of a response; the body follows it.
pub fn write_response_head(out: &mut Vec<u8>, head: &ResponseHead) {
    debug_assert!((100..=999).contains(&head.status), "a status has three digits");
    out.extend_from_slice(match head.version {
        Version::Http10 => b"HTTP/1.0 ",
        Version::Http11 => b"HTTP/1.1 ",
    });
    push_decimal(out, head.status.into());
    push_text(out, &[" ", reason(head.status), "\r\nContent-Type: ", head.content_type]);
    out.extend_from_slice(b"\r\nContent-Length: ");
    push_decimal(out, head.content_bytes);
    if head.content_type.starts_with("text/plain") {
        // An error may quote what the client sent: no browser is to take it for a page.
        out.extend_from_slice(b"\r\nX-Content-Type-Options: nosniff");
    }
    if head.status == 503 {
        out.extend_from_slice(b"\r\nRetry-After: 1");
    }
    out.extend_from_slice(match (head.version, head.keep_alive) {
        (Version::Http11, true) => b"\r\n\r\n",
        (Version::Http10, true) => b"\r\nConnection: keep-alive\r\n\r\n",
        (_, false) => b"\r\nConnection: close\r\n\r\n",
    });
}

/// Appends a response whose body is `message` and a line feed, as GraphPipe's servers always wrote their errors.
/// With `is_head` set (a reply to HEAD) the body is left out and its length is not.
pub fn write_text(out: &mut Vec<u8>, version: Version, status: u16, message: &str, keep_alive: bool, is_head: bool) {
    let content_bytes = message.len() as u64 + 1;
    write_response_head(out, &ResponseHead { version, status, content_type: TEXT, content_bytes, keep_alive });
    if !is_head {
        push_text(out, &[message, "\n"]);
    }
}

/// Appends the answer to bytes that were refused. The connection is to be closed behind it.
pub fn write_reject(out: &mut Vec<u8>, reject: &Reject) {
    write_text(out, Version::Http11, reject.status, &reject.message, false, false);
}

/// The reason phrase of a status that this server sends; empty (which is valid) for any other.
pub const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

fn push_text(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Appends a number in decimal, without a string in between.
fn push_decimal(out: &mut Vec<u8>, mut number: u64) {
    // 2⁶⁴ − 1 has twenty digits.
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests;
