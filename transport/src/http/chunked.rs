//! The chunked transfer coding (RFC 9112 §7.1), decoded as it arrives: where in the input the body's bytes are. No byte
//! is buffered or copied here, and the state is a few words however long the body is.
//!
//! ```text
//!  1a;name=value CRLF  26 bytes CRLF   0 CRLF  Name: value CRLF  CRLF
//!  └─ size line ─────┘ └─ data ─────┘  └last┘  └─ trailer ─────┘ └end┘
//! ```
//!
//! Lines end in CRLF and in nothing else: a decoder that takes a bare LF sees other chunks than one that does not, and
//! between such a pair a second request can be hidden. Extensions and trailers are checked for control characters,
//! bounded, and ignored.

use super::Reject;
use std::ops::Range;

/// The decoder of one body.
#[derive(Clone, Debug)]
pub struct Chunked {
    state: State,
    /// What the current size line says so far; within the data, what is left of it.
    chunk_bytes: u64,
    /// Bytes of the current size line so far.
    line_bytes: usize,
    /// Bytes of size lines beyond [`LINE_BYTES_FREE`], over the whole body.
    padding_bytes: usize,
    /// Bytes of the trailer section so far.
    trailer_bytes: usize,
    /// How many bytes of data the body may still have.
    allowance: u64,
    limit: u64,
}

/// What one call of [`Chunked::decode`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How many bytes of the input are done with, those of `data` included.
    pub consumed: usize,
    /// Where in the input the next bytes of the body are; empty if there are none.
    pub data: Range<usize>,
    /// Whether the body is complete. What follows in the input is the next request.
    pub done: bool,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The size, of which no digit has been seen.
    Size,
    /// The size, of which a digit has been seen.
    SizeDigits,
    /// White space behind the size.
    SizeGap,
    /// An extension.
    Extension,
    /// The LF of a size line.
    SizeLf,
    Data,
    /// The CR behind the data.
    DataCr,
    /// The LF behind the data.
    DataLf,
    /// The first byte of a trailer line, or the CR of the empty line that ends the body.
    TrailerStart,
    /// A trailer line.
    Trailer,
    /// The LF of a trailer line.
    TrailerLf,
    /// The LF of the empty line that ends the body.
    EndLf,
    Done,
}

impl Chunked {
    /// A decoder of a body of at most `limit` bytes of data.
    pub fn new(limit: u64) -> Chunked {
        Chunked {
            state: State::Size,
            chunk_bytes: 0,
            line_bytes: 0,
            padding_bytes: 0,
            trailer_bytes: 0,
            allowance: limit,
            limit,
        }
    }

    /// Decodes up to the end of the next run of data, of the body, or of the input, whichever comes first.
    ///
    /// `input` begins where the call before stopped consuming. Unless the body is done, at least one byte of an input
    /// that is not empty is consumed, and only a run of data ends a step before the end of the input. After an error
    /// nothing more is to be decoded.
    pub fn decode(&mut self, input: &[u8]) -> Result<Step, Reject> {
        let mut at = 0;
        while at < input.len() {
            let byte = input[at];
            self.state = match self.state {
                State::Done => break,
                State::Data => return Ok(self.data(at, input.len() - at)),
                State::DataCr => expect(byte, b'\r', State::DataLf, DATA_END)?,
                State::DataLf => expect(byte, b'\n', State::Size, DATA_END)?,
                State::Size | State::SizeDigits | State::SizeGap | State::Extension | State::SizeLf => {
                    self.size_line(byte)?
                }
                State::TrailerStart | State::Trailer | State::TrailerLf | State::EndLf => self.trailer(byte)?,
            };
            at += 1;
        }
        Ok(Step { consumed: at, data: at..at, done: self.state == State::Done })
    }

    /// Takes what `available` bytes of input at `at` have of the chunk's data.
    fn data(&mut self, at: usize, available: usize) -> Step {
        // At most `available`, so the narrowing loses nothing.
        let length = self.chunk_bytes.min(available as u64) as usize;
        self.chunk_bytes -= length as u64;
        if self.chunk_bytes == 0 {
            self.state = State::DataCr;
        }
        Step { consumed: at + length, data: at..at + length, done: false }
    }

    fn size_line(&mut self, byte: u8) -> Result<State, Reject> {
        self.count_line_byte()?;
        match (self.state, byte) {
            (State::Size | State::SizeDigits, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.size_digit(byte),
            (State::Size, _) => Err(SIZE),
            (State::SizeLf, _) => {
                expect(byte, b'\n', State::Data, SIZE_LINE_END)?;
                self.size_is_known()
            }
            (_, b'\r') => Ok(State::SizeLf),
            (State::SizeDigits | State::SizeGap, b' ' | b'\t') => Ok(State::SizeGap),
            (State::SizeDigits | State::SizeGap, b';') => Ok(State::Extension),
            (State::Extension, _) if !is_control(byte) => Ok(State::Extension),
            (State::Extension, _) => Err(SIZE_LINE_END),
            _ => Err(SIZE),
        }
    }

    fn count_line_byte(&mut self) -> Result<(), Reject> {
        self.line_bytes += 1;
        if self.line_bytes > LINE_BYTES_FREE {
            self.padding_bytes += 1;
        }
        if self.line_bytes > LINE_BYTES_MAX || self.padding_bytes > PADDING_BYTES_MAX {
            return Err(SIZE_LINE_TOO_LONG);
        }
        Ok(())
    }

    fn size_digit(&mut self, byte: u8) -> Result<State, Reject> {
        // Only hexadecimal digits come here.
        let digit = (byte as char).to_digit(16).ok_or(SIZE)?;
        self.chunk_bytes = self.chunk_bytes.checked_mul(16).ok_or(SIZE_OVERFLOW)? | u64::from(digit);
        Ok(State::SizeDigits)
    }

    fn size_is_known(&mut self) -> Result<State, Reject> {
        self.line_bytes = 0;
        if self.chunk_bytes == 0 {
            return Ok(State::TrailerStart);
        }
        self.allowance = self.allowance.checked_sub(self.chunk_bytes).ok_or_else(|| Reject::body_over(self.limit))?;
        Ok(State::Data)
    }

    fn trailer(&mut self, byte: u8) -> Result<State, Reject> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err(TRAILER_TOO_LONG);
        }
        match (self.state, byte) {
            (State::EndLf, _) => expect(byte, b'\n', State::Done, TRAILER),
            (State::TrailerLf, _) => expect(byte, b'\n', State::TrailerStart, TRAILER),
            (State::TrailerStart, b'\r') => Ok(State::EndLf),
            (_, b'\r') => Ok(State::TrailerLf),
            _ if is_control(byte) => Err(TRAILER),
            _ => Ok(State::Trailer),
        }
    }
}

fn expect(byte: u8, expected: u8, next: State, otherwise: Reject) -> Result<State, Reject> {
    if byte == expected { Ok(next) } else { Err(otherwise) }
}

fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

/// The longest size line, with its CRLF. Seventeen bytes hold any size; the rest is for zeros and extensions.
const LINE_BYTES_MAX: usize = 256;
/// Bytes of a size line that are never counted as padding: sixteen digits and CRLF.
const LINE_BYTES_FREE: usize = 18;
/// What all size lines of a body together may have beyond that, so that a body in tiny chunks cannot be made mostly of
/// extensions. An extension of 64 bytes on each of 256 chunks.
const PADDING_BYTES_MAX: usize = 16 << 10;
/// The longest trailer section, with the empty line behind it: half of what a head may have.
const TRAILER_BYTES_MAX: usize = 8 << 10;

const SIZE: Reject = Reject::new(400, "malformed chunk size; expected hexadecimal digits");
const SIZE_OVERFLOW: Reject = Reject::new(400, "a chunk size does not fit into 64 bits");
const SIZE_LINE_END: Reject = Reject::new(400, "a chunk's size line does not end in CRLF");
const SIZE_LINE_TOO_LONG: Reject = Reject::new(400, "the chunks' size lines are too long");
const DATA_END: Reject = Reject::new(400, "a chunk's data does not end in CRLF where its size says");
const TRAILER: Reject = Reject::new(400, "malformed trailer behind the last chunk");
const TRAILER_TOO_LONG: Reject = Reject::new(431, "the trailer behind the last chunk is over 8192 bytes");

#[cfg(test)]
mod tests;
