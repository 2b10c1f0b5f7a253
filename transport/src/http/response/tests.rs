//! Responses compared with the bytes they should be.

use super::*;

fn head(version: Version, status: u16, content_type: &'static str, content_bytes: u64, keep_alive: bool) -> String {
    let mut out = b"before".to_vec();
    write_response_head(&mut out, &ResponseHead { version, status, content_type, content_bytes, keep_alive });
    String::from_utf8(out).unwrap().strip_prefix("before").expect("what was there stays").to_owned()
}

#[test]
fn a_message_is_answered_in_the_version_of_its_request() {
    assert_eq!(
        head(Version::Http11, 200, OCTET_STREAM, 0, true),
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 0\r\n\r\n"
    );
    assert_eq!(
        head(Version::Http10, 200, JSON, 602_260, true),
        "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: 602260\r\nConnection: keep-alive\r\n\r\n"
    );
    assert_eq!(
        head(Version::Http11, 200, JSON, u64::MAX, false),
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 18446744073709551615\r\n\
         Connection: close\r\n\r\n"
    );
}

#[test]
fn an_error_is_text_that_no_browser_takes_for_a_page() {
    let mut out = Vec::new();
    write_text(&mut out, Version::Http11, 400, "no input x", true, false);
    let expected = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 11\r\n\
                    X-Content-Type-Options: nosniff\r\n\r\nno input x\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn a_reply_to_head_has_the_length_and_not_the_body() {
    let (mut get, mut head) = (Vec::new(), Vec::new());
    write_text(&mut get, Version::Http11, 200, "ok", true, false);
    write_text(&mut head, Version::Http11, 200, "ok", true, true);
    assert_eq!(get, [&head[..], b"ok\n"].concat());
}

#[test]
fn a_busy_server_says_when_to_come_back() {
    assert!(head(Version::Http11, 503, TEXT, 5, true).contains("\r\nRetry-After: 1\r\n"));
    assert!(!head(Version::Http11, 504, TEXT, 5, true).contains("Retry-After"));
}

#[test]
fn a_reject_closes() {
    let mut out = Vec::new();
    write_reject(&mut out, &Reject::body_over(7));
    let expected = "HTTP/1.1 413 Content Too Large\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 46\r\n\
                    X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n\
                    the body is over the largest message, 7 bytes\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn a_status_that_is_never_sent_still_has_a_well_formed_line() {
    assert!(head(Version::Http11, 299, JSON, 0, true).starts_with("HTTP/1.1 299 \r\n"));
}

#[test]
fn a_client_reads_the_interim_reply() {
    let mut headers = [httparse::EMPTY_HEADER; 1];
    let mut response = httparse::Response::new(&mut headers);
    assert_eq!(response.parse(CONTINUE), Ok(httparse::Status::Complete(CONTINUE.len())));
    assert_eq!(response.code, Some(100));
}
