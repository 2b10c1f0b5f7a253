//! Entry points for fuzzers, and for the plain tests that run the same checks on random bytes. They panic when a parser
//! contradicts itself: when the same bytes in other pieces get another verdict, or when a promise of its documentation
//! is broken.

use super::{Body, Chunked, HEAD_BYTES_MAX, Method, Parsed, Reject, read_head};

/// Reads `data` as the head of a request, at once and byte by byte.
pub fn fuzz_http_head(data: &[u8]) {
    let whole = read_head(data, 0);
    let mut pieces = Ok(Parsed::Need);
    for length in 1..=data.len().min(HEAD_BYTES_MAX) {
        pieces = read_head(&data[..length], length - 1);
        if pieces != Ok(Parsed::Need) {
            break;
        }
    }
    assert_eq!(pieces, whole, "another verdict byte by byte");
    match whole {
        Ok(Parsed::Head { head, bytes }) => {
            assert!(bytes <= data.len().min(HEAD_BYTES_MAX) && data[bytes - 1] == b'\n');
            assert!(head.path.starts_with('/') || (head.path == "*" && head.method == Method::Options));
            assert!(!head.path.contains('?'));
            assert_ne!(head.body, Body::Length(0));
            assert!(!head.expect_continue || head.body != Body::None);
        }
        Ok(Parsed::Need) => assert!(data.len() < HEAD_BYTES_MAX),
        Err(reject) => assert!(matches!(reject.status, 400 | 417 | 431 | 501 | 505), "status {}", reject.status),
    }
}

/// Decodes `data` as a chunked body, at once and in pieces. The first byte gives the limit, the second the length of
/// the pieces.
pub fn fuzz_chunked(data: &[u8]) {
    let [limit, piece, body @ ..] = data else { return };
    let limit = u64::from(*limit) << 4;
    let whole = decode(body, body.len().max(1), limit);
    assert_eq!(decode(body, usize::from(*piece).max(1), limit), whole, "another body in pieces of {piece}");
    assert!(whole.data.len() as u64 <= limit, "more data than the limit allows");
    if let Err(reject) = whole.end {
        assert!(matches!(reject.status, 400 | 413 | 431), "status {}", reject.status);
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Decoded {
    data: Vec<u8>,
    /// Where the body ended; `None` if it has not.
    end: Result<Option<usize>, Reject>,
}

/// Decodes a body that arrives in pieces of `piece` bytes.
fn decode(body: &[u8], piece: usize, limit: u64) -> Decoded {
    let mut chunked = Chunked::new(limit);
    let mut data = Vec::new();
    for (index, input) in body.chunks(piece).enumerate() {
        let mut at = 0;
        while at < input.len() {
            let step = match chunked.decode(&input[at..]) {
                Ok(step) => step,
                Err(reject) => return Decoded { data, end: Err(reject) },
            };
            assert!(step.done || step.consumed > 0, "no progress");
            assert!(
                step.done || !step.data.is_empty() || at + step.consumed == input.len(),
                "stopped without a reason"
            );
            data.extend_from_slice(&input[at..][step.data]);
            at += step.consumed;
            if step.done {
                return Decoded { data, end: Ok(Some(index * piece + at)) };
            }
        }
    }
    Decoded { data, end: Ok(None) }
}

#[cfg(test)]
mod tests;
