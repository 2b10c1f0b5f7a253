//! Bodies by hand, from RFC 9112 §7.1 and from what has gone wrong in other decoders.

use super::*;

/// The data of a body that arrives at once, and how many bytes it took.
fn body(mut input: &[u8], limit: u64) -> Result<(Vec<u8>, usize), Reject> {
    let mut chunked = Chunked::new(limit);
    let (mut data, mut consumed) = (Vec::new(), 0);
    loop {
        let step = chunked.decode(input)?;
        data.extend_from_slice(&input[step.data]);
        consumed += step.consumed;
        if step.done {
            return Ok((data, consumed));
        }
        assert!(step.consumed > 0, "the body is incomplete");
        input = &input[step.consumed..];
    }
}

fn status(input: &[u8]) -> u16 {
    match body(input, 1 << 20) {
        Err(reject) => reject.status,
        Ok((data, _)) => panic!("{} gave {}", input.escape_ascii(), data.escape_ascii()),
    }
}

#[test]
fn chunks_are_joined_and_what_follows_is_left() {
    let input = b"4\r\nWiki\r\n6\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\n\r\n";
    let expected = b"Wikipedia in \r\n\r\nchunks.".to_vec();
    assert_eq!(body(input, 1 << 20), Ok((expected.clone(), input.len())));
    let pipelined = [&input[..], b"GET / HTTP/1.1\r\n"].concat();
    assert_eq!(body(&pipelined, 1 << 20), Ok((expected, input.len())));
}

#[test]
fn an_empty_body_is_its_last_chunk() {
    assert_eq!(body(b"0\r\n\r\n", 0), Ok((vec![], 5)));
    assert_eq!(body(b"000\r\n\r\n", 0), Ok((vec![], 7)));
}

#[test]
fn the_place_of_the_data_is_told_as_it_arrives() {
    let mut chunked = Chunked::new(100);
    let step = |consumed, data, done| Ok(Step { consumed, data, done });
    assert_eq!(chunked.decode(b"5\r"), step(2, 2..2, false));
    assert_eq!(chunked.decode(b"\nab"), step(3, 1..3, false));
    assert_eq!(chunked.decode(b"cde\r\n1\r\nf"), step(3, 0..3, false));
    assert_eq!(chunked.decode(b"\r\n1\r\nf"), step(6, 5..6, false));
    assert_eq!(chunked.decode(b""), step(0, 0..0, false));
    assert_eq!(chunked.decode(b"\r\n0\r\n\r\nGET"), step(7, 7..7, true));
    assert_eq!(chunked.decode(b"GET"), step(0, 0..0, true));
}

#[test]
fn sizes_are_hexadecimal_in_either_case() {
    for size in ["1a", "1A", "001a", "1a ", "1a\t", "1a;", "1a;x", "1a ;x=\"y\";z"] {
        let input = format!("{size}\r\n{}\r\n0\r\n\r\n", "x".repeat(26));
        assert_eq!(body(input.as_bytes(), 26).map(|(data, _)| data.len()), Ok(26), "{size:?}");
    }
}

#[test]
fn malformed_sizes_are_refused() {
    for input in [
        &b"\r\n"[..],
        b" 1\r\n",
        b"g\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b"0x1\r\n",
        b"1 1\r\n",
        b";x\r\n",
        b"1\n",
        b"1\rx",
        b"1;x\n",
        b"1;\x00\r\n",
        b"1;x\rx",
        b"\xff",
    ] {
        assert_eq!(status(input), 400, "{}", input.escape_ascii());
    }
}

#[test]
fn a_size_over_64_bits_is_refused_and_one_that_fits_is_too_large() {
    assert_eq!(status(b"10000000000000000\r\n"), 400);
    assert_eq!(status(b"ffffffffffffffff\r\n"), 413);
    // 2⁶⁴ − 1 of them are allowed, but the sum of two chunks is not allowed to wrap.
    assert_eq!(body(b"1\r\nx\r\nffffffffffffffff\r\n", u64::MAX).unwrap_err().status, 413);
}

#[test]
fn data_that_is_not_followed_by_crlf_is_refused() {
    for input in [&b"1\r\nxx"[..], b"1\r\nx\n", b"1\r\nx\rx", b"2\r\nx\r\n0"] {
        assert_eq!(status(input), 400, "{}", input.escape_ascii());
    }
}

#[test]
fn the_limit_counts_all_chunks_before_their_data_arrives() {
    let two_of_five = b"5\r\nabcde\r\n5\r\nfghij\r\n0\r\n\r\n";
    assert_eq!(body(two_of_five, 10).map(|(data, _)| data), Ok(b"abcdefghij".to_vec()));
    let reject = body(&two_of_five[..13], 9).unwrap_err();
    assert_eq!(reject, Reject::body_over(9));
    assert!(reject.message.contains("9 bytes"));
}

#[test]
fn trailers_are_skipped() {
    let input = b"1\r\nx\r\n0\r\nExpires: never\r\nA:\r\n\r\n";
    assert_eq!(body(input, 1), Ok((b"x".to_vec(), input.len())));
}

#[test]
fn malformed_trailers_are_refused() {
    for input in [&b"0\r\n\n"[..], b"0\r\n\rx", b"0\r\nA: b\n", b"0\r\nA: b\rx", b"0\r\nA: \x00"] {
        assert_eq!(status(input), 400, "{}", input.escape_ascii());
    }
}

#[test]
fn a_trailer_section_has_at_most_8_kib() {
    let around = b"A: \r\n\r\n".len();
    let with_trailer = |length: usize| format!("0\r\nA: {}\r\n\r\n", "x".repeat(length - around)).into_bytes();
    assert_eq!(body(&with_trailer(8192), 0).map(|(data, _)| data.len()), Ok(0));
    assert_eq!(status(&with_trailer(8193)), 431);
    assert!(TRAILER_TOO_LONG.message.contains(&TRAILER_BYTES_MAX.to_string()));
}

#[test]
fn a_size_line_has_at_most_256_bytes() {
    let of_length = |length: usize| format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(length - 4)).into_bytes();
    assert_eq!(body(&of_length(256), 1).map(|(data, _)| data), Ok(b"x".to_vec()));
    assert_eq!(status(&of_length(257)), 400);
    assert_eq!(status("0".repeat(257).as_bytes()), 400);
}

#[test]
fn extensions_of_a_whole_body_are_bounded_and_tiny_chunks_are_not() {
    let plain = b"1\r\nx\r\n".repeat(20_000);
    assert_eq!(body(&[&plain[..], b"0\r\n\r\n"].concat(), 20_000).map(|(data, _)| data.len()), Ok(20_000));
    // Each line has 118 bytes, 100 of them over the 18 that are free: 163 of them stay within 16 384, 164 do not.
    let padded = format!("1;{}\r\nx\r\n", "e".repeat(114)).into_bytes();
    assert_eq!(body(&[&padded.repeat(163)[..], b"0\r\n\r\n"].concat(), 1000).map(|(data, _)| data.len()), Ok(163));
    assert_eq!(status(&padded.repeat(164)), 400);
}

#[test]
fn the_state_of_a_body_is_a_few_words() {
    assert!(size_of::<Chunked>() <= 64);
}
