//! The bytes that have arrived, and loads from them.
//!
//! Every access of the reader goes through [`Window::bytes`] and [`Window::load`]: it is inside of the message or
//! [`Malformed`], and it is there or a [`Hole`]. Nothing else here knows what the bytes mean.

use crate::MESSAGE_BYTES_MAX;
use std::fmt;

/// The part of a message that has arrived: its first bytes, and, where a payload was received elsewhere, its
/// last ones. Positions are relative to the start of the message.
#[derive(Clone, Copy)]
pub struct Window<'a> {
    /// Invariant: `prefix.len() + tail.len() <= length <= MESSAGE_BYTES_MAX`, so that a position in the message plus any
    /// 16-bit number fits into a `u32`.
    prefix: &'a [u8],
    tail: &'a [u8],
    length: u32,
}

/// Numbers of bytes, and not the bytes: a message may be 2 GiB long.
impl fmt::Debug for Window<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Window({} and {} of {} bytes)", self.prefix.len(), self.tail.len(), self.length)
    }
}

/// Why bytes can never become a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Malformed {
    /// What is wrong.
    pub what: &'static str,
    /// Where, in bytes from the start of the message.
    pub at: u32,
}

/// Bytes that are needed and not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    /// The first one that is not there.
    pub at: u32,
    /// Where what was asked for ends.
    pub end: u32,
}

/// Why an access failed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    /// It can never succeed.
    Malformed(Malformed),
    /// It may succeed when more has arrived.
    Missing(Hole),
}

impl From<Malformed> for Stop {
    fn from(malformed: Malformed) -> Stop {
        Stop::Malformed(malformed)
    }
}

/// An access that can never succeed.
#[cold]
pub(crate) fn malformed<T>(what: &'static str, at: u32) -> Result<T, Stop> {
    Err(Stop::Malformed(Malformed { what, at }))
}

impl<'a> Window<'a> {
    /// A message that is all there. Of a message that is longer than [`MESSAGE_BYTES_MAX`], only so much is read.
    pub fn whole(message: &'a [u8]) -> Window<'a> {
        let length = message.len().min(MESSAGE_BYTES_MAX as usize);
        Window { prefix: &message[..length], tail: &[], length: length as u32 }
    }

    /// The first `prefix.len()` bytes and the last `tail.len()` bytes of a message of `length` bytes. Between the two
    /// lies at least one payload that was received elsewhere; no field of the message may lie there.
    ///
    /// # Panics
    ///
    /// If `prefix.len() + tail.len() > length`, or `length > MESSAGE_BYTES_MAX`: the caller has counted these bytes.
    pub fn split(prefix: &'a [u8], tail: &'a [u8], length: u32) -> Window<'a> {
        assert!(length <= MESSAGE_BYTES_MAX, "a message of {length} bytes was let in");
        assert!(
            prefix.len() + tail.len() <= length as usize,
            "{} and {} bytes of a message of {length} bytes",
            prefix.len(),
            tail.len()
        );
        Window { prefix, tail, length }
    }

    /// Bytes of the whole message.
    #[inline]
    pub fn length(&self) -> u32 {
        self.length
    }

    /// Whether bytes in the middle of the message were received elsewhere: what is not in this window will not come.
    #[inline]
    pub(crate) fn is_split(&self) -> bool {
        !self.tail.is_empty()
    }

    /// `count` bytes at `at`.
    #[inline]
    pub(crate) fn bytes(&self, at: u32, count: u32) -> Result<&'a [u8], Stop> {
        #[cfg(test)]
        super::tests::work::count();
        match self.prefix.get(at as usize..at as usize + count as usize) {
            Some(bytes) => Ok(bytes),
            None => self.bytes_elsewhere(at, count),
        }
    }

    /// `N` bytes at `at`.
    #[inline]
    pub(crate) fn load<const N: usize>(&self, at: u32) -> Result<[u8; N], Stop> {
        let bytes = self.bytes(at, N as u32)?;
        let mut loaded = [0; N];
        loaded.copy_from_slice(bytes);
        Ok(loaded)
    }

    /// The number at `at`.
    #[inline]
    pub(crate) fn u8(&self, at: u32) -> Result<u8, Stop> {
        self.load(at).map(u8::from_le_bytes)
    }

    /// The number at `at`.
    #[inline]
    pub(crate) fn u16(&self, at: u32) -> Result<u16, Stop> {
        self.load(at).map(u16::from_le_bytes)
    }

    /// The number at `at`.
    #[inline]
    pub(crate) fn u32(&self, at: u32) -> Result<u32, Stop> {
        self.load(at).map(u32::from_le_bytes)
    }

    /// The number at `at`.
    #[inline]
    pub(crate) fn u64(&self, at: u32) -> Result<u64, Stop> {
        self.load(at).map(u64::from_le_bytes)
    }

    /// The number at `at`.
    #[inline]
    pub(crate) fn i64(&self, at: u32) -> Result<i64, Stop> {
        self.load(at).map(i64::from_le_bytes)
    }

    #[cold]
    fn bytes_elsewhere(&self, at: u32, count: u32) -> Result<&'a [u8], Stop> {
        let end = u64::from(at) + u64::from(count);
        if end > u64::from(self.length) {
            return malformed("a field that reaches beyond the end of the message", at);
        }
        if count == 0 {
            return Ok(&[]);
        }
        let tail_at = self.length - self.tail.len() as u32;
        if at >= tail_at {
            let from = (at - tail_at) as usize;
            return Ok(&self.tail[from..from + count as usize]);
        }
        // Both are at most `length`, which is a `u32`.
        Err(Stop::Missing(Hole { at: at.max(self.prefix.len() as u32), end: end as u32 }))
    }
}
