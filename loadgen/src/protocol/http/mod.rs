//! HTTP/1.1 as a client needs it: requests, and the responses in a stream of bytes, which come in order. What a body
//! means is not known here, but for one thing: whether one of status 200 is a GraphPipe message, with an error or not.
//!
//! ```text
//!          1xx
//!        ┌─────┐
//!        └─> Head ──Content-Length──> Length ──all there──┐
//!              │ ───chunked─────────> Chunks ──last one───┼──> a reply, and Head again
//!              └────neither─────────> UntilClose ──end()──┘
//! ```

mod chunks;
mod head;
mod request;

pub(super) use request::{get, post, segment};

use super::body::Body;
use super::graphpipe::{self, Said};
use super::replies::looks;
use super::{BODY_BYTES_MAX, Outcome, REFUSAL_BYTES_MAX, Reply, Violation};
use chunks::Chunks;
use head::{Framing, HEAD_BYTES_MAX, Head};

/// So much of a GraphPipe message is kept to look for an error in it, even if bodies are not kept. Old servers report
/// errors with status 200; their texts are short, and so few bytes are copied in less time than a system call takes.
/// More is kept only of a message that does not say so early what it is.
const ERROR_BYTES_MAX: usize = 4 << 10;

/// In so many bytes, what is no HTTP shows.
const BEGIN_BYTES: usize = 16;

/// Finds responses in a stream.
#[derive(Debug)]
pub(super) struct Responses {
    keep_bodies: bool,
    content: Content,
    /// What has come of a head that came in pieces; otherwise heads are read where they were received.
    head_part: Vec<u8>,
    state: State,
    /// Of the response that is being received.
    status: u16,
    closes: bool,
    json_bytes: Option<usize>,
    body: Body,
}

/// What a body with status 200 is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A GraphPipe message, in which there may be errors.
    Message,
    /// JSON, with binary tensors behind it or without.
    Json,
    /// Whatever the server likes.
    Any,
}

#[derive(Debug)]
enum State {
    /// Before or in a head.
    Head,
    /// In a body of which so many bytes are still to come.
    Length(u64),
    /// In a body in chunks.
    Chunks(Chunks),
    /// In a body that ends when the server closes.
    UntilClose,
}

impl Responses {
    /// Before the first byte.
    pub fn new(keep_bodies: bool, content: Content) -> Responses {
        Responses {
            keep_bodies,
            content,
            head_part: Vec::new(),
            state: State::Head,
            status: 0,
            closes: false,
            json_bytes: None,
            body: Body::default(),
        }
    }

    pub fn next(&mut self, received: &mut &[u8]) -> Result<Option<Reply<'_>>, Violation> {
        let done = self.advance(received)?;
        if done { self.reply().map(Some) } else { Ok(None) }
    }

    /// The server has closed.
    pub fn end(&mut self) -> Result<Option<Reply<'_>>, Violation> {
        match self.state {
            State::UntilClose => self.reply().map(Some),
            State::Head if self.head_part.is_empty() => Ok(None),
            State::Head => {
                let bytes = self.head_part.len();
                Err(Violation(format!("the server closed in the middle of an HTTP head, after {bytes} bytes")))
            }
            State::Length(left) => {
                let bytes = self.body.bytes();
                let all = bytes + left;
                Err(Violation(format!("the server closed in the middle of a body, after {bytes} of {all} bytes")))
            }
            State::Chunks(_) => {
                let bytes = self.body.bytes();
                Err(Violation(format!("the server closed in the middle of a body in chunks, after {bytes} bytes")))
            }
        }
    }

    /// Takes bytes up to the end of the response; says whether it was reached.
    fn advance(&mut self, received: &mut &[u8]) -> Result<bool, Violation> {
        loop {
            match &mut self.state {
                State::Head => match self.take_head(received)? {
                    Some(head) => self.begin(head)?,
                    None => return Ok(false),
                },
                State::Length(left) => {
                    self.body.take(received, left);
                    return Ok(*left == 0);
                }
                State::Chunks(chunks) => return chunks.take(received, &mut self.body),
                State::UntilClose => {
                    let mut left = BODY_BYTES_MAX - self.body.bytes();
                    self.body.take(received, &mut left);
                    return if received.is_empty() { Ok(false) } else { Err(too_long()) };
                }
            }
        }
    }

    /// Takes a head, if all of it is there; otherwise what there is of it.
    fn take_head(&mut self, received: &mut &[u8]) -> Result<Option<Head>, Violation> {
        let had = self.head_part.len();
        let more = &received[..received.len().min(HEAD_BYTES_MAX - had)];
        if more.is_empty() {
            return Ok(None);
        }
        let seen = if had == 0 {
            more
        } else {
            self.head_part.extend_from_slice(more);
            &self.head_part
        };
        // A head is read when its end has come, so that one that comes byte by byte is not read for each. What is not
        // HTTP at all is to be seen at its beginning, and what is too long at its end.
        let is_due = had < BEGIN_BYTES || ends(&seen[had.saturating_sub(2)..]) || seen.len() == HEAD_BYTES_MAX;
        if is_due && let Some((head, bytes)) = Head::read(seen)? {
            // A head of no more than `had` bytes would have been found before.
            *received = &received[bytes.saturating_sub(had)..];
            self.head_part.clear();
            return Ok(Some(head));
        }
        if seen.len() == HEAD_BYTES_MAX {
            return Err(Violation(format!("an HTTP head of more than {HEAD_BYTES_MAX} bytes")));
        }
        if had == 0 {
            self.head_part.extend_from_slice(more);
        }
        *received = &received[more.len()..];
        Ok(None)
    }

    /// Begins the body that a head announces. An interim response has none, and is followed by another head.
    fn begin(&mut self, head: Head) -> Result<(), Violation> {
        match head.status {
            101 => return Err(Violation("the server switches protocols (HTTP status 101), unasked".to_owned())),
            100..=199 => return Ok(()),
            _ => {}
        }
        self.state = match head.framing {
            Framing::Length(bytes) if bytes > BODY_BYTES_MAX => return Err(too_long()),
            Framing::Length(bytes) => State::Length(bytes),
            Framing::Chunks => State::Chunks(Chunks::default()),
            Framing::UntilClose => State::UntilClose,
        };
        self.status = head.status;
        self.closes = head.closes;
        self.json_bytes = head.json_bytes;
        match head.status {
            200 if self.keep_bodies => self.body.begin(usize::MAX, None),
            200 if self.content == Content::Message => self.body.begin(ERROR_BYTES_MAX, Some(more)),
            200 if self.content == Content::Json => self.body.begin(BEGIN_BYTES, None),
            200 => self.body.begin(0, None),
            _ => self.body.begin(REFUSAL_BYTES_MAX, None),
        }
        Ok(())
    }

    /// The response that is complete.
    fn reply(&mut self) -> Result<Reply<'_>, Violation> {
        self.state = State::Head;
        let outcome = match self.status {
            200 if self.content == Content::Message => self.message()?,
            200 if self.content == Content::Json => self.json()?,
            200 => Outcome::Outputs,
            status => Outcome::Status(status),
        };
        let is_shown = self.keep_bodies || outcome != Outcome::Outputs;
        Ok(Reply {
            id: None,
            outcome,
            closes: self.closes,
            json_bytes: self.json_bytes,
            body: if is_shown { self.body.kept() } else { &[] },
        })
    }

    /// Whether the body begins as JSON does. A page for people with status 200 is no reply; more than its beginning is
    /// looked at by who compares.
    fn json(&self) -> Result<Outcome, Violation> {
        let kept = self.body.kept();
        match kept.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{' | b'[') => Ok(Outcome::Outputs),
            _ => Err(Violation(format!("status 200 with no JSON: it begins with {}", looks(kept)))),
        }
    }

    /// What the GraphPipe message is that is complete.
    fn message(&self) -> Result<Outcome, Violation> {
        let kept = self.body.kept();
        match graphpipe::said(kept, self.body.bytes()) {
            Said::Error(code) => Ok(Outcome::Code(code)),
            // What is not known by now has more in it than an error.
            Said::Outputs | Said::Need(_) => Ok(Outcome::Outputs),
            // Who asks for metadata keeps it.
            Said::NotAMessage(_) if self.keep_bodies && graphpipe::is_metadata(kept) => Ok(Outcome::Outputs),
            Said::NotAMessage(why) => {
                Err(Violation(format!("status 200 with no GraphPipe message: {why}; it begins with {}", looks(kept))))
            }
        }
    }
}

/// How much of a message is to be kept that does not say within these bytes whether it is an error. At least twice as
/// much, so that it is not looked at often.
fn more(kept: &[u8]) -> usize {
    match graphpipe::said(kept, BODY_BYTES_MAX) {
        Said::Need(bytes) if bytes as usize <= REFUSAL_BYTES_MAX => {
            (bytes as usize).max(2 * kept.len()).min(REFUSAL_BYTES_MAX)
        }
        _ => 0,
    }
}

/// Whether there is an empty line in these bytes.
fn ends(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|two| two == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}

fn too_long() -> Violation {
    Violation(format!("a body of more than {BODY_BYTES_MAX} bytes"))
}
