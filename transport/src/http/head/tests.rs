//! Heads by hand: from RFC 9112 and as real clients send them.

use super::*;
use std::cell::Cell;

thread_local! {
    /// How often this thread has parsed a head, so that the bound on the work is counted and not timed.
    pub(super) static PARSES: Cell<usize> = const { Cell::new(0) };
}

fn head(bytes: &[u8]) -> RequestHead<'_> {
    match read_head(bytes, 0) {
        Ok(Parsed::Head { head, bytes: length }) => {
            assert_eq!(length, bytes.len(), "the head ends where its empty line does");
            head
        }
        other => panic!("{other:?} for {}", bytes.escape_ascii()),
    }
}

fn status(bytes: &[u8]) -> u16 {
    match read_head(bytes, 0) {
        Err(reject) => reject.status,
        other => panic!("{other:?} for {}", bytes.escape_ascii()),
    }
}

/// A POST to `/` with these fields, each with its line end.
fn post(fields: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n").into_bytes()
}

// What the original GraphPipe clients and their HTTP libraries send.

const PYTHON: &[u8] = b"POST / HTTP/1.1\r\nHost: 127.0.0.1:9000\r\nUser-Agent: python-requests/2.31.0\r\n\
Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\nContent-Length: 156\r\n\r\n";
const GO: &[u8] = b"POST / HTTP/1.1\r\nHost: 127.0.0.1:9000\r\nUser-Agent: Go-http-client/1.1\r\n\
Content-Length: 156\r\nAccept-Encoding: gzip\r\n\r\n";
const CURL: &[u8] = b"POST / HTTP/1.1\r\nHost: localhost:9000\r\nAccept: */*\r\nTransfer-Encoding: chunked\r\n\
Content-Length: 602260\r\nContent-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\n\r\n";
const AXIOS: &[u8] = b"POST /models/squeezenet HTTP/1.1\r\nAccept: application/json, text/plain, */*\r\n\
Content-Type: application/x-www-form-urlencoded\r\nUser-Agent: axios/0.18.0\r\nContent-Length: 156\r\n\
Host: localhost:9000\r\nConnection: close\r\n\r\n";
const JAVA: &[u8] = b"POST / HTTP/1.1\r\nContent-Length: 156\r\nHost: localhost:9000\r\nConnection: Keep-Alive\r\n\
User-Agent: Apache-HttpClient/4.5.6 (Java/1.8.0_181)\r\nAccept-Encoding: gzip,deflate\r\n\r\n";

#[test]
fn heads_of_keep_alive_clients_are_read() {
    for client in [PYTHON, GO, JAVA] {
        let expected = RequestHead {
            method: Method::Post,
            path: "/",
            version: Version::Http11,
            body: Body::Length(156),
            keep_alive: true,
            expect_continue: false,
        };
        assert_eq!(head(client), expected, "{}", client.escape_ascii());
    }
}

#[test]
fn the_head_of_axios_names_a_model_and_closes() {
    let head = head(AXIOS);
    assert_eq!(head.path, "/models/squeezenet");
    assert_eq!(head.body, Body::Length(156));
    assert!(!head.keep_alive);
}

#[test]
fn libcurls_pair_of_lengths_is_chunked_and_closes() {
    let head = head(CURL);
    assert_eq!(head.body, Body::Chunked);
    assert!(!head.keep_alive);
    assert!(head.expect_continue);
}

#[test]
fn every_proper_prefix_of_a_head_needs_more() {
    for client in [PYTHON, GO, CURL, AXIOS, JAVA] {
        for length in 0..client.len() {
            assert_eq!(read_head(&client[..length], 0), Ok(Parsed::Need), "{length} bytes");
            for seen in 0..=length {
                assert_eq!(read_head(&client[..length], seen), Ok(Parsed::Need), "{length} bytes, {seen} seen");
            }
        }
    }
}

#[test]
fn what_follows_a_head_is_left_alone() {
    let mut bytes = GO.to_vec();
    bytes.extend_from_slice(b"\x00\x01\r\n\r\nGET");
    let Ok(Parsed::Head { bytes: length, .. }) = read_head(&bytes, 0) else { panic!("not a head") };
    assert_eq!(length, GO.len());
}

#[test]
fn methods_are_told_apart_by_case() {
    for (line, expected) in [
        ("GET", Method::Get),
        ("HEAD", Method::Head),
        ("POST", Method::Post),
        ("OPTIONS", Method::Options),
        ("PUT", Method::Other("PUT")),
        ("Get", Method::Other("Get")),
    ] {
        assert_eq!(head(format!("{line} / HTTP/1.1\r\n\r\n").as_bytes()).method, expected);
    }
}

#[test]
fn a_target_is_reduced_to_its_path() {
    for (target, expected) in [
        ("/", "/"),
        ("/models/digits?x=1?2", "/models/digits"),
        ("/?", "/"),
        ("//x", "//x"),
        ("/a://b", "/a://b"),
        ("http://host:9000/models/digits?x", "/models/digits"),
        ("HTTPS://host/", "/"),
        ("http://host", "/"),
        ("http://host?x=/y", "/"),
        ("/%2e", "/%2e"),
    ] {
        assert_eq!(head(format!("GET {target} HTTP/1.1\r\n\r\n").as_bytes()).path, expected, "{target}");
    }
    assert_eq!(head(b"OPTIONS * HTTP/1.1\r\n\r\n").path, "*");
}

#[test]
fn a_target_that_is_no_path_is_refused() {
    for target in ["*", "models/digits", "host:9000", "ftp://host/", "://", "?x"] {
        assert_eq!(status(format!("GET {target} HTTP/1.1\r\n\r\n").as_bytes()), 400, "{target}");
    }
}

#[test]
fn http_1_0_closes_unless_asked_to_keep_alive() {
    let plain = head(b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\n");
    assert_eq!((plain.version, plain.keep_alive), (Version::Http10, false));
    assert!(head(b"POST / HTTP/1.0\r\nConnection: Keep-Alive\r\nContent-Length: 5\r\n\r\n").keep_alive);
    assert!(!head(b"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n").keep_alive);
}

#[test]
fn a_connection_option_is_found_in_any_list() {
    assert!(!head(&post("Connection: upgrade, Close\r\n")).keep_alive);
    assert!(!head(&post("Connection: keep-alive\r\nConnection: close\r\n")).keep_alive);
    assert!(head(&post("Connection: closed\r\n")).keep_alive);
}

#[test]
fn an_upgrade_is_not_taken_and_does_no_harm() {
    // What `curl --http2` sends; RFC 9110 §7.8 lets a server ignore it.
    let upgrade = post("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n");
    assert!(head(&upgrade).keep_alive);
}

#[test]
fn lengths_are_digits_that_agree() {
    for (fields, expected) in [
        ("", Body::None),
        ("Content-Length: 0\r\n", Body::None),
        ("content-length:\t7 \r\n", Body::Length(7)),
        ("Content-Length: 007\r\n", Body::Length(7)),
        ("Content-Length: 7\r\nContent-Length: 7\r\n", Body::Length(7)),
        ("Content-Length: 7, 7\r\n", Body::Length(7)),
        ("Content-Length: 18446744073709551615\r\n", Body::Length(u64::MAX)),
    ] {
        assert_eq!(head(&post(fields)).body, expected, "{fields:?}");
    }
    for value in ["", "7, 8", "7,", "+7", "-7", "0x7", "7 7", "7.0", "seven", "٧"] {
        assert_eq!(status(&post(&format!("Content-Length: {value}\r\n"))), 400, "{value:?}");
    }
    // Over 2⁶⁴ − 1 by one, and by four: the first does not fit at its last digit, the second before it.
    for value in ["18446744073709551616", "18446744073709551620", "99999999999999999999999999"] {
        assert_eq!(status(&post(&format!("Content-Length: {value}\r\n"))), 400, "{value:?}");
    }
    assert_eq!(status(&post("Content-Length: 7\r\nContent-Length: 8\r\n")), 400);
    assert_eq!(status(&post("Transfer-Encoding: chunked\r\nContent-Length: 7\r\nContent-Length: 8\r\n")), 400);
}

#[test]
fn the_only_transfer_coding_is_chunked() {
    for fields in ["Transfer-Encoding: chunked\r\n", "transfer-encoding:  CHUNKED \r\n"] {
        let bytes = post(fields);
        let head = head(&bytes);
        assert_eq!((head.body, head.keep_alive), (Body::Chunked, true), "{fields:?}");
    }
    for (value, expected) in [
        ("gzip, chunked", 501),
        ("gzip", 400),
        ("identity", 400),
        ("chunked, gzip", 400),
        ("chunked, chunked", 400),
        ("chunked;q=1", 400),
        ("xchunked", 400),
        ("\u{b}chunked", 400),
        ("chunked,", 400),
        (",chunked", 400),
        ("", 400),
    ] {
        assert_eq!(status(&post(&format!("Transfer-Encoding: {value}\r\n"))), expected, "{value:?}");
    }
    assert_eq!(status(&post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n")), 501);
    assert_eq!(status(&post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n")), 400);
    assert_eq!(status(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

#[test]
fn a_client_waits_for_100_only_before_a_body_and_in_http_1_1() {
    assert!(head(&post("Expect: 100-Continue\r\nContent-Length: 5\r\n")).expect_continue);
    assert!(!head(&post("Expect: 100-continue\r\n")).expect_continue);
    assert!(!head(&post("Expect:\r\nContent-Length: 5\r\n")).expect_continue);
    assert!(!head(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n").expect_continue);
    assert_eq!(status(&post("Expect: 200-ok\r\nContent-Length: 5\r\n")), 417);
}

#[test]
fn a_head_without_host_or_with_bare_line_feeds_is_taken() {
    assert_eq!(head(b"GET /x HTTP/1.1\n\n").path, "/x");
    assert_eq!(head(b"GET /x HTTP/1.1\r\nA: b\n\r\n").path, "/x");
    assert_eq!(head(b"GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").path, "/x");
}

#[test]
fn a_few_empty_lines_before_a_request_are_skipped() {
    assert_eq!(head(b"\r\n\n\r\n\nGET / HTTP/1.1\r\n\r\n").path, "/");
    assert_eq!(read_head(b"\r\n\r", 0), Ok(Parsed::Need));
    assert_eq!(status(b"\r\n\r\n\r\n\r\n\r\n"), 400);
    assert_eq!(status(b"\rGET / HTTP/1.1\r\n\r\n"), 400);
}

#[test]
fn malformed_lines_are_refused() {
    for bytes in [
        &b"GET /\r\n"[..],
        b"GET  / HTTP/1.1\r\n",
        b" GET / HTTP/1.1\r\n",
        b"GET\t/ HTTP/1.1\r\n",
        b"GET / HTTP/1.1 \r\n",
        b"GET / http/1.1\r\n",
        b"GET / HTTP/1.1\rX\r\n",
        b"GET /\x00 HTTP/1.1\r\n",
        b"GET /\xff HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\n folded: x\r\n",
        b"GET / HTTP/1.1\r\nA: b\r\n folded\r\n",
        b"GET / HTTP/1.1\r\nContent-Length : 5\r\n",
        b"GET / HTTP/1.1\r\nContent-Length\r\n",
        b"GET / HTTP/1.1\r\n: no name\r\n",
        b"GET / HTTP/1.1\r\nA: \x00\r\n",
        b"GET / HTTP/1.1\r\nA: b\rc\r\n",
        b"GET / HTTP/1.1\r\nA\x00: b\r\n",
    ] {
        assert_eq!(status(bytes), 400, "{}", bytes.escape_ascii());
    }
}

#[test]
fn another_version_is_answered_with_the_one_to_use() {
    for line in ["PRI * HTTP/2.0", "GET / HTTP/2", "GET / HTTP/1.2", "GET / HTTP/3.0", "GET / HTTP/0.9"] {
        let bytes = format!("{line}\r\n\r\n");
        let Err(reject) = read_head(bytes.as_bytes(), 0) else { panic!("{line} was taken") };
        assert_eq!(reject.status, 505, "{line}");
        assert!(reject.message.contains("HTTP/1.1"));
    }
}

#[test]
fn binary_behind_a_capital_is_refused_before_a_line_ends() {
    // A frame with a wrong magic, and one whose length looks like the space behind a method.
    assert_eq!(status(b"XPF1\x9c\0\0\0"), 400);
    assert_eq!(status(b"XPF1 \0\0\0"), 400);
    assert_eq!(read_head(b"XPF1 ", 0), Ok(Parsed::Need));
}

#[test]
fn the_longest_head_is_taken_and_one_byte_more_is_not() {
    let around = b"GET / HTTP/1.1\r\nA: \r\n\r\n".len();
    let of_length =
        |length: usize| format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(length - around)).into_bytes();
    assert_eq!(head(&of_length(16_384)).path, "/");
    assert_eq!(status(&of_length(16_385)), 431);
    assert_eq!(status(&of_length(300_000)), 431);
    assert_eq!(status(format!("GET /{}", "x".repeat(16_384)).as_bytes()), 431);
    assert_eq!(read_head(&of_length(16_385)[..16_383], 0), Ok(Parsed::Need));
    assert_eq!(status(&of_length(16_385)[..16_384]), 431);
}

#[test]
fn a_hundred_fields_are_taken_and_one_more_is_not() {
    let with_fields = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "a:\r\n".repeat(count)).into_bytes();
    assert_eq!(head(&with_fields(100)).path, "/");
    assert_eq!(status(&with_fields(101)), 431);
}

#[test]
fn messages_state_the_limits_as_they_are() {
    assert!(HEAD_TOO_LONG.message.contains(&HEAD_BYTES_MAX.to_string()));
    assert!(TOO_MANY_HEADERS.message.contains(&HEADERS_MAX.to_string()));
    assert!(EMPTY_LINES.message.contains(&EMPTY_LINES_MAX.to_string()));
}

#[test]
fn a_head_that_comes_byte_by_byte_is_parsed_once_per_line() {
    let mut bytes = b"\r\n\r\nGET / HTTP/1.1\r\n".to_vec();
    for _ in 0..HEADERS_MAX {
        bytes.extend_from_slice(format!("a: {}\r\n", "x".repeat(150)).as_bytes());
    }
    let before = PARSES.get();
    for length in 1..=bytes.len() {
        assert_eq!(read_head(&bytes[..length], length - 1), Ok(Parsed::Need));
    }
    // The request line and each field; the empty lines before them are not worth a parse.
    assert_eq!(PARSES.get() - before, 1 + HEADERS_MAX);
}
