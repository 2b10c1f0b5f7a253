//! Bodies in chunks: `SIZE[;extension] CRLF, SIZE bytes, CRLF`, …, `0 CRLF`, trailing fields, and an empty line.
//! Extensions and trailing fields are skipped.

use crate::protocol::body::Body;
use crate::protocol::{BODY_BYTES_MAX, Violation};

/// The most bytes between two chunks' contents, or after the last. Nothing of it is stored; the bound is for a server
/// that sends an endless one.
const LINE_BYTES_MAX: u32 = 16 << 10;

/// Where in a body in chunks.
#[derive(Debug)]
pub(super) struct Chunks {
    state: State,
    /// Bytes since the last chunk's content.
    line_bytes: u32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// In the digits of a size.
    Size { size: u64, digits: bool },
    /// Behind them, before the end of the line.
    Extension { size: u64 },
    /// In a chunk's content.
    Content { left: u64 },
    /// Behind a chunk's content, before or in its line's end.
    ContentEnd { cr: bool },
    /// In the lines behind the last chunk; whether this one is empty so far.
    Trailer { empty: bool },
}

/// Before the first size.
const SIZE: State = State::Size { size: 0, digits: false };

impl Default for Chunks {
    fn default() -> Chunks {
        Chunks { state: SIZE, line_bytes: 0 }
    }
}

impl Chunks {
    /// Takes bytes up to the end of the body; says whether it was reached.
    pub fn take(&mut self, received: &mut &[u8], body: &mut Body) -> Result<bool, Violation> {
        loop {
            if let State::Content { left } = &mut self.state {
                body.take(received, left);
                if *left != 0 {
                    return Ok(false);
                }
                self.state = State::ContentEnd { cr: false };
                self.line_bytes = 0;
            }
            let Some((&byte, rest)) = received.split_first() else { return Ok(false) };
            *received = rest;
            self.line_bytes += 1;
            if self.line_bytes > LINE_BYTES_MAX {
                return Err(Violation(format!("more than {LINE_BYTES_MAX} bytes between two chunks of a body")));
            }
            match self.byte(byte, body)? {
                Some(state) => self.state = state,
                None => return Ok(true),
            }
        }
    }

    /// The state after a byte that is not content; `None` after the last one of the body.
    fn byte(&self, byte: u8, body: &Body) -> Result<Option<State>, Violation> {
        Ok(Some(match (self.state, byte) {
            (State::Size { digits: true, size } | State::Extension { size }, b'\n') => match size {
                0 => State::Trailer { empty: true },
                left if left > BODY_BYTES_MAX - body.bytes() => return Err(super::too_long()),
                left => State::Content { left },
            },
            (State::Size { digits: true, size }, b';' | b' ' | b'\t' | b'\r') | (State::Extension { size }, _) => {
                State::Extension { size }
            }
            (State::Size { size, .. }, byte) => match (byte as char).to_digit(16) {
                // A size that is let pass here is at most 2^31, so 16 times that and a digit is no overflow.
                Some(_) if size > BODY_BYTES_MAX => return Err(super::too_long()),
                Some(digit) => State::Size { size: size * 16 + u64::from(digit), digits: true },
                None => return Err(bad("size", byte)),
            },
            (State::ContentEnd { cr: false }, b'\r') => State::ContentEnd { cr: true },
            (State::ContentEnd { .. }, b'\n') => SIZE,
            (State::ContentEnd { .. }, byte) => return Err(bad("end", byte)),
            (State::Trailer { empty: true }, b'\n') => return Ok(None),
            (State::Trailer { .. }, b'\n') => State::Trailer { empty: true },
            (State::Trailer { empty }, b'\r') => State::Trailer { empty },
            (State::Trailer { .. }, _) => State::Trailer { empty: false },
            (State::Content { left }, _) => State::Content { left },
        }))
    }
}

fn bad(what: &str, byte: u8) -> Violation {
    Violation(format!("a chunk of a body with byte {byte:#04x} in its {what}"))
}
