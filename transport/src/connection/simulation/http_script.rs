//! What a simulated client sends, and what it is to get for it: a stream of HTTP requests.

use super::script::{Answer, MESSAGE_BYTES_MAX, Script, bytes_behind, request};
use crate::fake::random::Random;
use graphpipe_schema::Code;

/// An HTTP client of some requests, one behind the other. `with_end` lets it end in bytes that are refused.
pub(super) fn http(random: &mut Random, with_end: bool) -> Script {
    let mut script = Script { is_http: true, ..Script::default() };
    let count = random.within(1..9);
    for index in 0..count {
        let closes = index + 1 == count && random.chance(40);
        match random.within(0..10) {
            0 => page(random, &mut script, closes),
            1 if closes => page_with_body(random, &mut script),
            _ => post(random, &mut script, closes),
        }
    }
    let is_closed = script.expected.last().is_some_and(|last| last.is_last);
    if with_end && !is_closed && random.chance(25) {
        bad_request(random, &mut script);
    }
    if script.expected.last().is_some_and(|last| last.is_last) {
        script.bytes.extend(bytes_behind(random));
    }
    script
}

fn page(random: &mut Random, script: &mut Script, closes: bool) {
    let is_head = random.chance(30);
    let method = if is_head { "HEAD" } else { "GET" };
    let path = random.pick(&["/", "/metrics", "/models/a?b=c", "http://host/x"]);
    script.bytes.extend(format!("{method} {path} HTTP/1.1\r\nHost: h\r\n{}\r\n", connection(closes)).into_bytes());
    expect(script, Answer::Page { status: 200, has_body: !is_head }, false, closes);
}

/// A page does not look at a body, so the connection closes behind it.
fn page_with_body(random: &mut Random, script: &mut Script) {
    let body = random.length(3_000) + 1;
    script.bytes.extend(format!("POST /control/x HTTP/1.1\r\nContent-Length: {body}\r\n\r\n").into_bytes());
    script.bytes.extend(random.bytes(body));
    expect(script, Answer::Page { status: 200, has_body: true }, false, true);
}

fn post(random: &mut Random, script: &mut Script, closes: bool) {
    let (message, mut answer) = request(random);
    let mut path = "/models/some";
    if random.chance(5) && matches!(answer, Answer::Echo(_)) {
        path = "/models/refuse";
        answer = Answer::Error(&[Code::UnknownModel]);
    }
    let body = message.bytes;
    let is_old = random.chance(15);
    let is_chunked = !is_old && random.chance(40);
    let expects = !is_old && random.chance(20);
    let version = if is_old { "1.0" } else { "1.1" };
    let mut head = format!("POST {path} HTTP/{version}\r\nHost: h\r\nAccept: */*\r\n");
    head.push_str(match (is_old, closes) {
        (true, false) => "Connection: keep-alive\r\n",
        (true, true) => "",
        (false, closes) => connection(closes),
    });
    if expects {
        head.push_str("Expect: 100-continue\r\n");
    }
    if is_chunked {
        script.bytes.extend(format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes());
        chunks(random, &mut script.bytes, &body);
    } else {
        script.bytes.extend(format!("{head}Content-Length: {}\r\n\r\n", body.len()).into_bytes());
        script.bytes.extend(body);
    }
    expect(script, answer, expects, closes);
}

fn chunks(random: &mut Random, out: &mut Vec<u8>, body: &[u8]) {
    let mut rest = body;
    while !rest.is_empty() {
        let count = random.pick(&[1, 7, 100, 5_000, 70_000, usize::MAX]).min(rest.len());
        let extension = if random.chance(5) { ";name=value" } else { "" };
        out.extend(format!("{count:x}{extension}\r\n").into_bytes());
        out.extend_from_slice(&rest[..count]);
        out.extend_from_slice(b"\r\n");
        rest = &rest[count..];
    }
    let trailer = if random.chance(20) { "Checksum: none\r\n" } else { "" };
    out.extend(format!("0\r\n{trailer}\r\n").into_bytes());
}

fn bad_request(random: &mut Random, script: &mut Script) {
    let too_long = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", MESSAGE_BYTES_MAX + 1);
    let large_chunk = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n", MESSAGE_BYTES_MAX + 1);
    let (bytes, status): (&[u8], u16) = match random.within(0..7) {
        0 => (b"GET / HTTP/2.0\r\n\r\n", 505),
        1 => (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        2 => (too_long.as_bytes(), 413),
        3 => (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcdef", 400),
        4 => (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        5 => (large_chunk.as_bytes(), 413),
        _ => (b"GPF1 is no method\r\n\r\n", 400),
    };
    script.bytes.extend_from_slice(bytes);
    expect(script, Answer::Page { status, has_body: true }, false, true);
}

fn connection(closes: bool) -> &'static str {
    if closes { "Connection: close\r\n" } else { "" }
}

fn expect(script: &mut Script, answer: Answer, may_continue: bool, is_last: bool) {
    script.expect(answer);
    let last = script.expected.last_mut().expect("just pushed");
    last.may_continue = may_continue;
    last.is_last = is_last;
}
