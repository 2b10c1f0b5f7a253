//! Responses of HTTP.

use super::*;

/// Status, whether the connection goes on, and the body.
type Plain = (u16, bool, Vec<u8>);

fn seen(protocol: Protocol, bytes: &[u8]) -> (Vec<Plain>, Result<(), String>) {
    let (seen, end) = receive(protocol, true, [bytes]);
    let seen = seen.into_iter().map(|seen| {
        let status = match seen.outcome {
            Outcome::Outputs => 200,
            Outcome::Status(status) => status,
            Outcome::Code(code) => panic!("error {code}"),
        };
        (status, !seen.closes, seen.body)
    });
    (seen.collect(), end)
}

#[test]
fn bodies_end_after_their_length_after_their_last_chunk_or_when_the_server_closes() {
    // The body in chunks is the example of RFC 9112's predecessors that everybody knows, with an extension and a
    // trailer.
    let stream = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\
        HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n\
        4\r\nWiki\r\n7;a=\"b\"\r\npedia i\r\nB\r\nn \r\nchunks.\r\n0\r\nX: y\r\n\r\n\
        HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n\
        HTTP/1.1 200 OK\r\nDate: today\r\n\r\nuntil the end";
    let expected = [
        (200, true, b"hello".to_vec()),
        (200, true, b"Wikipedia in \r\nchunks.".to_vec()),
        (200, true, Vec::new()),
        (200, false, b"until the end".to_vec()),
    ];
    assert_eq!(seen(Protocol::Raw, stream), (expected.to_vec(), Ok(())));
}

#[test]
fn interim_responses_are_skipped_and_some_statuses_have_no_body() {
    let stream = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
        HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na\
        HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n\
        HTTP/1.1 503 X\r\nContent-Length: 1\r\n\r\nb";
    let (seen, end) = receive(Protocol::Raw, true, [stream.as_slice()]);
    let statuses: Vec<_> = seen.iter().map(|seen| (seen.outcome, &*seen.body)).collect();
    let expected: [(_, &[u8]); 4] = [
        (Outcome::Outputs, b"a"),
        (Outcome::Status(204), b""),
        (Outcome::Status(304), b""),
        (Outcome::Status(503), b"b"),
    ];
    assert_eq!((statuses.as_slice(), end), (expected.as_slice(), Ok(())));
}

#[test]
fn a_connection_goes_on_as_version_and_fields_say() {
    for (head, goes_on) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nCONNECTION: Foo, CLOSE\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: closely\r\n\r\n", true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n", true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive, close\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false),
    ] {
        assert_eq!(seen(Protocol::Raw, head.as_bytes()), (vec![(200, goes_on, Vec::new())], Ok(())), "{head}");
    }
}

#[test]
fn a_page_for_people_is_no_reply_where_json_is_to_come() {
    let page = response(200, "", b"<!DOCTYPE html><title>Sign in</title>");
    for protocol in [Protocol::OipJson, Protocol::OipBinary, Protocol::TfsJson] {
        for keep_bodies in [false, true] {
            let (seen, end) = receive(protocol, keep_bodies, [page.as_slice()]);
            assert!(seen.is_empty());
            assert!(end.unwrap_err().contains("<!DOCTYPE"), "{protocol}");
            let (seen, end) = receive(protocol, keep_bodies, [response(200, "", b" {}").as_slice()]);
            assert_eq!((seen.len(), end), (1, Ok(())));
        }
    }
}

#[test]
fn of_what_is_not_kept_only_the_beginning_of_refusals_is_there() {
    let body = vec![b'x'; 100_000];
    let stream = [response(200, "", &body), response(500, "", &body)].concat();
    let (seen, end) = receive(Protocol::Raw, false, stream.chunks(1000));
    assert_eq!(end, Ok(()));
    let kept: Vec<usize> = seen.iter().map(|seen| seen.body.len()).collect();
    assert_eq!(kept, [0, 65_536]);
}

#[test]
fn the_length_of_the_json_is_passed_on() {
    let stream = response(200, "inference-header-content-length: 3\r\n", b"{ }four");
    assert_eq!(only(Protocol::OipBinary, &stream).json_bytes, Some(3));
    assert_eq!(only(Protocol::OipBinary, &response(200, "", b"{}")).json_bytes, None);
}

#[test]
fn what_is_not_http_is_named_by_what_it_looks_like() {
    let said = |bytes: &[u8]| violation(Protocol::Raw, bytes);
    assert_eq!(
        said(b"GPF1\0\0\0\0"),
        "not HTTP: the reply begins with 47 50 46 31 00 00 00 00: this is a native frame"
    );
    assert_eq!(said(b"\x15\x03\x01\0\x02"), "not HTTP: the reply begins with 15 03 01 00 02: this is TLS");
    assert_eq!(said(b"\0\0\x12\x04\0\0"), "not HTTP: the reply begins with 00 00 12 04 00 00: this may be HTTP/2");
    assert_eq!(said(b"SSH-2.0-x\r\n"), "not HTTP: the reply begins with 53 53 48 2d 32 2e 30 2d 78 0d 0a");
    let version = "neither HTTP/1.0 nor 1.1: the reply begins with \"HTTP/2 200\": this is HTTP";
    assert_eq!(said(b"HTTP/2 200"), version);
}

#[test]
fn heads_that_cannot_be_trusted_are_violations() {
    let said = |fields: &str| violation(Protocol::Raw, format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes());
    assert_eq!(said("Content-Length: 1\r\nContent-Length: 2\r\n"), "two Content-Length fields that disagree");
    assert_eq!(said("Content-Length: +1\r\n"), "an HTTP head with Content-Length: \"+1\"");
    assert_eq!(said("Content-Length:\r\n"), "an HTTP head with Content-Length: \"\"");
    assert_eq!(said("Content-Length: 2147483649\r\n"), "a body of more than 2147483648 bytes");
    let huge = "99999999999999999999";
    assert_eq!(said(&format!("Content-Length: {huge}\r\n")), "an HTTP head with Content-Length: \"9999999999999999\"");
    assert_eq!(said("Transfer-Encoding: gzip\r\n"), "an HTTP head with Transfer-Encoding: \"gzip\"");
    let twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
    assert_eq!(said(twice), "an HTTP head with Transfer-Encoding: \"chunked\"");
    assert_eq!(said("Inference-Header-Content-Length: -1\r\n").split_once(": ").unwrap().1, "\"-1\"");
    assert!(said("no colon\r\n").starts_with("a bad HTTP head: "));
    assert_eq!(said(&"A: b\r\n".repeat(101)), "an HTTP head of more than 100 fields");
    assert_eq!(said(&format!("A: {}\r\n", "b".repeat(70_000))), "an HTTP head of more than 65536 bytes");
    let switch = violation(Protocol::Raw, b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
    assert_eq!(switch, "the server switches protocols (HTTP status 101), unasked");
    let twice = seen(Protocol::Raw, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na");
    assert_eq!(twice, (vec![(200, true, b"a".to_vec())], Ok(())));
}

#[test]
fn a_head_that_comes_in_pieces_is_bounded_too() {
    let head = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(70_000));
    let (_, end) = receive(Protocol::Raw, true, head.as_bytes().chunks(30_000));
    assert_eq!(end, Err("an HTTP head of more than 65536 bytes".to_owned()));
}

#[test]
fn a_body_may_have_any_number_of_chunks() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let bytes = format!("{head}{}0\r\n\r\n", "1\r\na\r\n".repeat(20_000));
    assert_eq!(only(Protocol::Raw, bytes.as_bytes()).body, vec![b'a'; 20_000]);
}

#[test]
fn chunks_that_cannot_be_trusted_are_violations() {
    let said = |chunks: &str| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        violation(Protocol::Raw, format!("{head}{chunks}").as_bytes())
    };
    assert_eq!(said("\r\n"), "a chunk of a body with byte 0x0d in its size");
    assert_eq!(said("x\r\n"), "a chunk of a body with byte 0x78 in its size");
    assert_eq!(said("1\r\nab"), "a chunk of a body with byte 0x62 in its end");
    assert_eq!(said("1\r\na\rb"), "a chunk of a body with byte 0x62 in its end");
    assert_eq!(said("80000001\r\n"), "a body of more than 2147483648 bytes");
    assert_eq!(said("5\r\nhello\r\n7fffffff\r\n"), "a body of more than 2147483648 bytes");
    assert_eq!(said(&format!("7{}", "f".repeat(16))), "a body of more than 2147483648 bytes");
    assert_eq!(said(&"f".repeat(17)), "a body of more than 2147483648 bytes");
    let endless = "more than 16384 bytes between two chunks of a body";
    assert_eq!(said(&"0".repeat(20_000)), endless);
    assert_eq!(said(&format!("1;{}", "x".repeat(20_000))), endless);
    assert_eq!(said(&format!("0\r\n{}", "A: b\r\n".repeat(4000))), endless);
}

#[test]
fn a_server_that_closes_within_a_response_is_told_from_one_that_closes_between_two() {
    let said = |bytes: &[u8]| receive(Protocol::Raw, true, [bytes]).1;
    assert_eq!(said(b""), Ok(()));
    let begin = "the server closed in the middle of ";
    assert_eq!(said(b"HTTP/1.1 2"), Err(format!("{begin}an HTTP head, after 10 bytes")));
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    assert_eq!(said(half), Err(format!("{begin}a body, after 4 of 9 bytes")));
    let half = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n";
    assert_eq!(said(half), Err(format!("{begin}a body in chunks, after 4 bytes")));
}

#[test]
fn heads_of_old_servers_are_read() {
    let folded = b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length : 1\r\n\r\na";
    assert_eq!(seen(Protocol::Raw, folded), (vec![(200, true, b"a".to_vec())], Ok(())));
    let twice = b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na";
    assert_eq!(seen(Protocol::Raw, twice), (vec![(200, true, b"a".to_vec())], Ok(())));
    let disagree = violation(Protocol::Raw, b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\na");
    assert_eq!(disagree, "two Content-Length fields that disagree");
    let lines = b"HTTP/1.1 200 OK\nContent-Length: 1\n\na";
    for part in 1..lines.len() {
        let (seen, end) = receive(Protocol::Raw, true, lines.chunks(part));
        assert_eq!((seen.len(), end), (1, Ok(())), "{part}");
    }
}
