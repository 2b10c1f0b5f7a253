//! Messages between the daemon and a model's process: their bytes, and nothing of what they are about.
//!
//! Both sides are the same program, so there are no versions. A message is one packet of a socket, which the kernel copies
//! from the sender and to the receiver: whatever is read here cannot change while it is read. It is bounded
//! ([`MESSAGE_BYTES_MAX`]), so what it declares to contain cannot be more than it has; every count is compared with what is
//! left of it before anything is made room for. Elements of tensors are never in a message, but in memory that both see.

pub(crate) mod control;
pub(crate) mod run;

use graphpipe_schema::{DType, Shape};
use graphpiped_backend_api::{OpenError, RunError};

/// The longest message: below what a socket takes as one packet without further ado (212,992 bytes), and room for the
/// descriptions of some hundred tensors.
pub(crate) const MESSAGE_BYTES_MAX: usize = 128 << 10;

/// The longest text of an error; the rest of a longer one is left out.
const TEXT_BYTES_MAX: usize = 4096;

/// Why bytes are not what was to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Garbage(pub &'static str);

/// Puts a message together.
pub(crate) trait Write {
    fn number(&mut self, number: u64);
    fn tag(&mut self, tag: u8);
    fn bytes(&mut self, bytes: &[u8]);
    fn shape(&mut self, shape: &Shape);
    fn text(&mut self, text: &str);
    /// A text that is an error: its first 4 KiB.
    fn line(&mut self, text: &str);
}

impl Write for Vec<u8> {
    fn number(&mut self, number: u64) {
        self.extend_from_slice(&number.to_le_bytes());
    }

    fn tag(&mut self, tag: u8) {
        self.push(tag);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.extend_from_slice(bytes);
    }

    fn shape(&mut self, shape: &Shape) {
        self.tag(shape.rank() as u8);
        for dim in shape.dims() {
            self.extend_from_slice(&dim.to_le_bytes());
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn line(&mut self, text: &str) {
        let mut end = text.len().min(TEXT_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.bytes(&text.as_bytes()[..end]);
    }
}

/// Takes a message apart. What is not there is [`Garbage`].
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(message: &'a [u8]) -> Reader<'a> {
        Reader(message)
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Garbage> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(Garbage("it ends early"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn tag(&mut self) -> Result<u8, Garbage> {
        Ok(self.take(1)?[0])
    }

    pub fn number(&mut self) -> Result<u64, Garbage> {
        let bytes = self.take(8)?.try_into().map_err(|_| Garbage("a number has eight bytes"))?;
        Ok(u64::from_le_bytes(bytes))
    }

    pub fn size(&mut self) -> Result<usize, Garbage> {
        usize::try_from(self.number()?).map_err(|_| Garbage("a size is beyond all memory"))
    }

    pub fn flag(&mut self) -> Result<bool, Garbage> {
        match self.tag()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Garbage("a flag is neither up nor down")),
        }
    }

    /// How many things of at least one byte follow.
    pub fn count(&mut self) -> Result<usize, Garbage> {
        let count = self.size()?;
        if count > self.0.len() { Err(Garbage("it says to have more than it has")) } else { Ok(count) }
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], Garbage> {
        let count = self.size()?;
        self.take(count)
    }

    pub fn text(&mut self) -> Result<String, Garbage> {
        let text = std::str::from_utf8(self.bytes()?).map_err(|_| Garbage("a text is not one"))?;
        Ok(text.to_string())
    }

    /// An error, which is one line, whoever wrote it.
    pub fn line(&mut self) -> Result<String, Garbage> {
        Ok(self.text()?.replace(['\n', '\r'], " "))
    }

    pub fn dtype(&mut self) -> Result<DType, Garbage> {
        DType::from_wire(self.tag()?).ok_or(Garbage("there is no such type"))
    }

    pub fn shape(&mut self) -> Result<Shape, Garbage> {
        let rank = self.tag()?;
        let mut shape = Shape::SCALAR;
        for _ in 0..rank {
            shape.push(self.number()? as i64).ok_or(Garbage("a shape has too many axes"))?;
        }
        Ok(shape)
    }

    /// That nothing follows.
    pub fn end(self) -> Result<(), Garbage> {
        if self.0.is_empty() { Ok(()) } else { Err(Garbage("something follows its end")) }
    }
}

pub(crate) fn write_open_error(error: &OpenError, message: &mut Vec<u8>) {
    let (kind, text) = match error {
        OpenError::Framework(text) => (0, text),
        OpenError::Model(text) => (1, text),
        OpenError::Machine(text) => (2, text),
    };
    message.tag(kind);
    message.line(text);
}

pub(crate) fn read_open_error(reader: &mut Reader<'_>) -> Result<OpenError, Garbage> {
    match (reader.tag()?, reader.line()?) {
        (0, text) => Ok(OpenError::Framework(text)),
        (1, text) => Ok(OpenError::Model(text)),
        (2, text) => Ok(OpenError::Machine(text)),
        _ => Err(Garbage("there is no such kind of error")),
    }
}

pub(crate) fn write_run_error(error: &RunError, message: &mut Vec<u8>) {
    let (kind, text) = match error {
        RunError::Request(text) => (0, text),
        RunError::Model(text) => (1, text),
        RunError::Framework(text) => (2, text),
        RunError::Machine(text) => (3, text),
    };
    message.tag(kind);
    message.line(text);
}

pub(crate) fn read_run_error(reader: &mut Reader<'_>) -> Result<RunError, Garbage> {
    match (reader.tag()?, reader.line()?) {
        (0, text) => Ok(RunError::Request(text)),
        (1, text) => Ok(RunError::Model(text)),
        (2, text) => Ok(RunError::Framework(text)),
        (3, text) => Ok(RunError::Machine(text)),
        _ => Err(Garbage("there is no such kind of error")),
    }
}

/// Appends strings to an area: each with its length before it.
pub(crate) fn write_strings<'s>(strings: impl IntoIterator<Item = &'s [u8]>, into: &mut Vec<u8>) {
    for string in strings {
        into.bytes(string);
    }
}

/// So many strings, and nothing behind them.
pub(crate) fn read_strings(bytes: &[u8], count: u64) -> Result<Vec<&[u8]>, Garbage> {
    let (count, mut reader) = (strings_in(bytes, count)?, Reader::new(bytes));
    let strings = (0..count).map(|_| reader.bytes()).collect::<Result<_, _>>()?;
    reader.end()?;
    Ok(strings)
}

/// How many strings these are, if so many can be there: each has its length before it.
pub(crate) fn strings_in(bytes: &[u8], count: u64) -> Result<usize, Garbage> {
    let is_possible = count <= bytes.len() as u64 / 8;
    is_possible.then_some(count as usize).ok_or(Garbage("there are not so many strings"))
}
