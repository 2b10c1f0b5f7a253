//! The fuzzers' checks as plain tests, on bytes that are random, and on bytes that are nearly right.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Pieces of which heads are made; most sequences of them are wrong somewhere.
const HEAD_PIECES: &[&str] = &[
    "GET ",
    "POST ",
    "/ ",
    "/models/digits?x ",
    "http://h/x ",
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/2.0",
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    ":",
    ",",
    "Content-Length: 5",
    "Content-Length: 6",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip",
    "Connection: close",
    "Expect: 100-continue",
    "a:\r\n",
    "\r\n\r\n",
];
/// A head whose single faults are interesting.
const HEAD: &[u8] = b"\r\nPOST /models/digits?x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\
Content-Length: 9\r\nExpect: 100-continue\r\nConnection: keep-alive\r\n\r\nabc";
/// A body of 7 bytes in two chunks, with everything that a body may have, behind the two bytes that steer the check.
const BODY: &[u8] = b"\x01\x03005 ;x=y\r\nabcde\r\n2\r\nfg\r\n0\r\nA: b\r\n\r\nGET";

proptest! {
    #[test]
    fn random_bytes_get_one_verdict(bytes in vec(any::<u8>(), 0..300)) {
        fuzz_http_head(&bytes);
        fuzz_chunked(&bytes);
    }

    #[test]
    fn a_head_with_one_byte_changed_gets_one_verdict(at in any::<Index>(), byte in any::<u8>()) {
        let mut bytes = HEAD.to_vec();
        bytes[at.index(HEAD.len())] = byte;
        fuzz_http_head(&bytes);
    }

    #[test]
    fn any_lines_get_one_verdict(pieces in vec(select(HEAD_PIECES), 0..40)) {
        fuzz_http_head(format!("POST / HTTP/1.1\r\n{}", pieces.concat()).as_bytes());
        fuzz_http_head(pieces.concat().as_bytes());
    }

    #[test]
    fn a_head_near_its_longest_gets_one_verdict(
        line in 1..600_usize, length in HEAD_BYTES_MAX - 300..HEAD_BYTES_MAX + 300, end in select(HEAD_PIECES),
    ) {
        let field = format!("a: {}\r\n", "x".repeat(line));
        let mut bytes = b"GET / HTTP/1.1\r\n".to_vec();
        while bytes.len() < length {
            bytes.extend_from_slice(field.as_bytes());
        }
        bytes.truncate(length);
        bytes.extend_from_slice(end.as_bytes());
        fuzz_http_head(&bytes);
    }

    #[test]
    fn a_head_is_the_same_wherever_it_is_cut(cuts in vec(0..HEAD.len(), 0..6)) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        cuts.push(HEAD.len());
        let (mut seen, mut verdict) = (0, Ok(Parsed::Need));
        for cut in cuts {
            if verdict == Ok(Parsed::Need) {
                verdict = read_head(&HEAD[..cut], seen);
                seen = cut;
            }
        }
        // Bytes behind the head are not the head's.
        let Ok(Parsed::Head { bytes, head }) = verdict else { panic!("{verdict:?}") };
        prop_assert_eq!(bytes, HEAD.len() - 3);
        prop_assert_eq!((head.path, head.body), ("/models/digits", Body::Chunked));
    }

    #[test]
    fn a_body_with_one_byte_changed_gets_one_verdict(at in any::<Index>(), byte in any::<u8>()) {
        let mut bytes = BODY.to_vec();
        bytes[at.index(BODY.len())] = byte;
        fuzz_chunked(&bytes);
    }

    #[test]
    fn a_body_is_the_same_however_it_is_chunked_and_cut(
        chunks in vec(vec(any::<u8>(), 1..40), 0..20), piece in 1..50_usize,
    ) {
        let mut body = Vec::new();
        for chunk in &chunks {
            body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\n\r\n");
        let expected = Decoded { data: chunks.concat(), end: Ok(Some(body.len())) };
        prop_assert_eq!(decode(&body, piece, 800), expected);
    }
}

#[test]
fn every_prefix_of_a_body_is_incomplete() {
    let body = &BODY[2..BODY.len() - 3];
    for length in 0..body.len() {
        assert_eq!(decode(&body[..length], 1, 7).end, Ok(None), "{length} bytes");
    }
    assert_eq!(decode(body, 1, 7), Decoded { data: b"abcdefg".to_vec(), end: Ok(Some(body.len())) });
}
