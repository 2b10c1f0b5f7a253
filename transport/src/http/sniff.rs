//! What a new connection speaks, told from as few of its first bytes as possible. Whether the rest is well-formed is
//! never decided here: [`read_head`](super::read_head) and the frame's own reader do that, and say what is wrong.

/// What the first bytes of a connection look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sniff {
    /// An HTTP request line, or an empty line before one.
    Http,
    /// A TLS handshake, which nobody here speaks; see [`Reject::tls`](super::Reject::tls).
    Tls,
    /// Anything else: a native frame, or bytes of which the frame's reader says what is wrong.
    NotHttp,
    /// One more byte is needed.
    NeedMore,
}

/// Looks at the first bytes of a connection; two are always enough.
///
/// A frame begins with `GPF1` and an HTTP method is in capitals, so only `G` leaves a doubt: no registered method
/// begins with `GP`, and a damaged frame magic is worth the frame reader's better answer.
pub fn looks_like_http(first: &[u8]) -> Sniff {
    match first {
        [] | [b'G' | TLS_HANDSHAKE] => Sniff::NeedMore,
        [b'G', b'P', ..] => Sniff::NotHttp,
        [b'A'..=b'Z' | b'\r' | b'\n', ..] => Sniff::Http,
        [TLS_HANDSHAKE, TLS_MAJOR, ..] => Sniff::Tls,
        _ => Sniff::NotHttp,
    }
}

/// The type of a TLS record that carries a handshake (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 0x16;
/// The first byte of the version of every TLS record since SSL 3.
const TLS_MAJOR: u8 = 0x03;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_and_a_get_are_told_apart_by_their_second_byte() {
        assert_eq!(looks_like_http(b""), Sniff::NeedMore);
        assert_eq!(looks_like_http(b"G"), Sniff::NeedMore);
        assert_eq!(looks_like_http(b"GP"), Sniff::NotHttp);
        assert_eq!(looks_like_http(b"GPF1"), Sniff::NotHttp);
        assert_eq!(looks_like_http(b"GE"), Sniff::Http);
    }

    #[test]
    fn every_other_method_is_told_by_its_first_byte() {
        for method in ["POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PRI"] {
            assert_eq!(looks_like_http(&method.as_bytes()[..1]), Sniff::Http, "{method}");
        }
    }

    #[test]
    fn an_empty_line_before_a_request_is_http() {
        assert_eq!(looks_like_http(b"\r"), Sniff::Http);
        assert_eq!(looks_like_http(b"\n"), Sniff::Http);
    }

    #[test]
    fn a_client_hello_is_told_from_other_binary() {
        // The first bytes of what `openssl s_client` sends.
        assert_eq!(looks_like_http(&[0x16]), Sniff::NeedMore);
        assert_eq!(looks_like_http(&[0x16, 0x03, 0x01, 0x01, 0x3a, 0x01]), Sniff::Tls);
        assert_eq!(looks_like_http(&[0x16, 0x00]), Sniff::NotHttp);
    }

    #[test]
    fn lower_case_and_binary_are_not_http() {
        for first in [0x00, b' ', b'g', b'p', 0x7f, 0xff] {
            assert_eq!(looks_like_http(&[first]), Sniff::NotHttp, "{first:#x}");
        }
    }
}
