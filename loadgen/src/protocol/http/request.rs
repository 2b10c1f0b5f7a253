//! Requests: heads with nothing in them but what a server needs. A load of requests is a load of heads, and each field
//! is work for the server that nobody has asked for.

use std::fmt::Write;

/// A GET.
pub(in crate::protocol) fn get(host: &str, path: &str) -> Vec<u8> {
    format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", visible(path), visible(host)).into_bytes()
}

/// A POST with these fields, which are not from outside, and this body.
pub(in crate::protocol) fn post(host: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("POST {} HTTP/1.1\r\nHost: {}\r\n", visible(path), visible(host));
    for (name, value) in fields {
        head.extend([name, ": ", value, "\r\n"]);
    }
    let mut request = head.into_bytes();
    request.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    request.extend_from_slice(body);
    request
}

/// A name as one segment of a path.
pub(in crate::protocol) fn segment(name: &str) -> String {
    encoded(name, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// A path or host as it was given, but for what would end the line or the word.
fn visible(text: &str) -> String {
    encoded(text, |byte| byte.is_ascii_graphic())
}

/// Encodes each byte that is not allowed as `%` and two hexadecimal digits.
fn encoded(text: &str, is_allowed: impl Fn(u8) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_allowed(byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes all that is written to it");
        }
    }
    encoded
}
