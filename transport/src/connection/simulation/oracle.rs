//! What the peer of a simulated connection must find in the bytes that it got.

use super::script::{Answer, Expected, Script};
use crate::fake::samples::{read_frames, read_reply};
use graphpipe_schema::Code;
use graphpipe_schema::frame::{FLAG_ERROR, Header, MAGIC};

/// What is to be tolerated, because of what was done to the connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tolerance {
    /// The stream may end anywhere, and replies may be missing.
    pub may_be_cut: bool,
    /// Replies may be missing, but none may be cut.
    pub may_miss: bool,
    /// Requests may be refused with this code.
    pub refusal: Option<Code>,
    /// The requests were damaged: only the form of what is sent is known.
    pub is_damaged: bool,
}

/// How many replies there are; panics where one is not what it is to be.
pub(super) fn check(script: &Script, output: &[u8], metadata: &[u8], tolerance: Tolerance) -> usize {
    // Of damaged bytes, nobody knows which protocol they are.
    let is_http = script.is_http || (tolerance.is_damaged && output.starts_with(b"HTTP/"));
    let is_native = !is_http || (tolerance.is_damaged && output.starts_with(&MAGIC));
    match (is_native, tolerance.is_damaged) {
        (true, _) => check_native(script, output, metadata, tolerance),
        (false, false) => check_http(script, output, metadata, tolerance),
        // Which of them answers a HEAD and has no body is not known either.
        (false, true) => output.windows(8).filter(|start| *start == b"HTTP/1.1" || *start == b"HTTP/1.0").count(),
    }
}

fn check_native(script: &Script, output: &[u8], metadata: &[u8], tolerance: Tolerance) -> usize {
    let (frames, rest) = read_frames(output);
    assert!(rest == 0 || tolerance.may_be_cut, "{rest} bytes at the end are not a frame");
    if tolerance.is_damaged {
        return frames.len();
    }
    let mut missing: Vec<&Expected> = script.expected.iter().collect();
    for (header, message) in &frames {
        let index = missing.iter().position(|expected| expected.id == header.id);
        let index = index.unwrap_or_else(|| panic!("a second reply, or one that nobody waits for: {header:?}"));
        let expected = missing.remove(index);
        check_message(expected, header, message, metadata, tolerance);
    }
    assert!(missing.is_empty() || tolerance.may_miss || tolerance.may_be_cut, "without reply: {missing:?}");
    frames.len()
}

fn check_message(expected: &Expected, header: &Header, message: &[u8], metadata: &[u8], tolerance: Tolerance) {
    if expected.answer == Answer::Metadata {
        assert_eq!((header.flags, message), (0, metadata));
        return;
    }
    let reply = read_reply(message);
    assert_eq!(header.flags == FLAG_ERROR, reply.is_err());
    match (&expected.answer, reply) {
        (_, Err(code)) if tolerance.refusal.is_some_and(|refusal| refusal as i64 == code) => {}
        (Answer::Echo(samples), Ok(outputs)) => assert!(*samples == outputs, "{samples:?} is not {outputs:?}"),
        (Answer::Error(codes), Err(code)) => {
            assert!(codes.iter().any(|expected| *expected as i64 == code), "code {code}, not {codes:?}");
        }
        (answer, reply) => panic!("{reply:?}, not {answer:?}"),
    }
}

fn check_http(script: &Script, output: &[u8], metadata: &[u8], tolerance: Tolerance) -> usize {
    let (mut rest, mut replies) = (output, 0);
    let mut has_body =
        script.expected.iter().map(|expected| !matches!(expected.answer, Answer::Page { has_body: false, .. }));
    while !rest.is_empty() {
        let expected = script.expected.get(replies);
        if let Some(after) = rest.strip_prefix(crate::http::CONTINUE) {
            assert!(expected.is_some_and(|expected| expected.may_continue), "100 unasked");
            rest = after;
            continue;
        }
        let Some(response) = Response::read(rest, has_body.next().unwrap_or(true)) else {
            assert!(tolerance.may_be_cut, "a response is cut");
            break;
        };
        rest = &rest[response.length..];
        let expected = expected.unwrap_or_else(|| panic!("a response that nobody waits for: {response:?}"));
        response.check(expected, metadata, tolerance);
        assert!(!response.closes || rest.is_empty(), "more behind the last response");
        replies += 1;
    }
    let is_complete = replies == script.expected.len();
    let may_miss = tolerance.may_miss || tolerance.may_be_cut;
    assert!(is_complete || may_miss, "{replies} of {} responses", script.expected.len());
    replies
}

struct Response<'a> {
    status: u16,
    body: &'a [u8],
    closes: bool,
    length: usize,
}

impl std::fmt::Debug for Response<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} with {} bytes", self.status, self.body.len())
    }
}

impl<'a> Response<'a> {
    /// The first response in `bytes`, if all of it is there.
    fn read(bytes: &'a [u8], has_body: bool) -> Option<Response<'a>> {
        let head = bytes.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
        let text = std::str::from_utf8(&bytes[..head]).expect("a head is text");
        assert!(text.starts_with("HTTP/1.1 ") || text.starts_with("HTTP/1.0 "), "{text}");
        let status = text[9..12].parse().expect("a status");
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let declared: usize = field("Content-Length: ").expect("each has a length").parse().expect("a number");
        let closes = field("Connection: ") == Some("close");
        let count = if has_body { declared } else { 0 };
        let body = bytes.get(head..head + count)?;
        Some(Response { status, body, closes, length: head + count })
    }

    fn check(&self, expected: &Expected, metadata: &[u8], tolerance: Tolerance) {
        let refusal = tolerance.refusal.map(Code::http_status);
        match &expected.answer {
            _ if refusal == Some(self.status) => {}
            Answer::Echo(samples) => {
                assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(self.body));
                let outputs = read_reply(self.body).expect("errors have another status");
                assert!(*samples == outputs, "{samples:?} is not {outputs:?}");
            }
            Answer::Metadata => assert_eq!((self.status, self.body), (200, metadata)),
            Answer::Error(codes) => {
                let is_one = codes.iter().any(|code| code.http_status() == self.status);
                assert!(is_one, "{}, not of {codes:?}: {}", self.status, String::from_utf8_lossy(self.body));
            }
            Answer::Page { status, .. } => {
                assert_eq!(self.status, *status, "{}", String::from_utf8_lossy(self.body));
            }
        }
        let may_close = expected.is_last || tolerance.may_miss;
        assert!(self.closes == expected.is_last || may_close, "closes {} is last {}", self.closes, expected.is_last);
    }
}
