//! The native frame: 32 bytes before each message, little-endian.
//!
//! ```text
//!  0      4        8      12      16         24         32
//!  | GPF1 | length | head | flags |    id    | reserved | message …
//! ```

use crate::MESSAGE_BYTES_MAX;

/// Bytes of a frame's header.
pub const HEADER_BYTES: usize = 32;
/// The first four bytes of every frame.
pub const MAGIC: [u8; 4] = *b"GPF1";
/// Flag: the message is a reply that carries an error.
pub const FLAG_ERROR: u32 = 1;

/// The header of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the message that follows.
    pub length: u32,
    /// Bytes of it before the first payload byte; 0 = unknown.
    pub head: u32,
    /// [`FLAG_ERROR`] or 0.
    pub flags: u32,
    /// Chosen by the client, echoed in the reply.
    pub id: u64,
}

/// Why 32 bytes are not the header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// The first four bytes are something else.
    #[error("bytes 0-3 are {found:02x?}, not the magic 47 50 46 31 (\"GPF1\")")]
    Magic {
        /// What stood there.
        found: [u8; 4],
    },
    /// A flag that nobody has defined.
    #[error("flags (bytes 12-15) are {flags:#x}; only bit 0 is defined")]
    Flags {
        /// All flags.
        flags: u32,
    },
    /// The reserved word is not zero.
    #[error("the reserved word (bytes 24-31) is {found:#x}, not 0")]
    Reserved {
        /// What stood there.
        found: u64,
    },
    /// The message is longer than any message may be.
    #[error("length (bytes 4-7) is {length}; a message has at most {MESSAGE_BYTES_MAX} bytes")]
    Length {
        /// The length that was declared.
        length: u32,
    },
    /// The head is longer than its message.
    #[error("head (bytes 8-11) is {head}, more than the length {length}")]
    Head {
        /// The head that was declared.
        head: u32,
        /// The length that was declared.
        length: u32,
    },
}

impl Header {
    /// Reads a header.
    pub fn read(bytes: &[u8; HEADER_BYTES]) -> Result<Header, BadFrame> {
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if bytes[..4] != MAGIC {
            return Err(BadFrame::Magic { found: [bytes[0], bytes[1], bytes[2], bytes[3]] });
        }
        let header = Header { length: u32_at(4), head: u32_at(8), flags: u32_at(12), id: u64_at(16) };
        if header.flags & !FLAG_ERROR != 0 {
            return Err(BadFrame::Flags { flags: header.flags });
        }
        if u64_at(24) != 0 {
            return Err(BadFrame::Reserved { found: u64_at(24) });
        }
        if header.length > MESSAGE_BYTES_MAX {
            return Err(BadFrame::Length { length: header.length });
        }
        if header.head > header.length {
            return Err(BadFrame::Head { head: header.head, length: header.length });
        }
        Ok(header)
    }

    /// The header as bytes.
    pub fn write(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.head.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.flags.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.id.to_le_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_32_bytes_in_this_order() {
        let header = Header { length: 0x0403_0201, head: 0x0302_0100, flags: 1, id: 0x1817_1615_1413_1211 };
        let bytes = header.write();
        assert_eq!(&bytes[..4], b"GPF1");
        assert_eq!(bytes[4..12], [1, 2, 3, 4, 0, 1, 2, 3]);
        assert_eq!(bytes[12..24], [1, 0, 0, 0, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18]);
        assert_eq!(bytes[24..], [0; 8]);
        assert_eq!(Header::read(&bytes), Ok(header));
    }

    #[test]
    fn what_is_wrong_is_said_with_where_and_what_stood_there() {
        let good = Header { length: 100, head: 64, flags: 0, id: 1 }.write();
        let with = |at: usize, bytes: &[u8]| {
            let mut header = good;
            header[at..at + bytes.len()].copy_from_slice(bytes);
            Header::read(&header).unwrap_err().to_string()
        };
        assert_eq!(with(0, b"GPF2"), "bytes 0-3 are [47, 50, 46, 32], not the magic 47 50 46 31 (\"GPF1\")");
        assert_eq!(with(12, &[5]), "flags (bytes 12-15) are 0x5; only bit 0 is defined");
        assert_eq!(with(31, &[1]), "the reserved word (bytes 24-31) is 0x100000000000000, not 0");
        assert_eq!(
            with(4, &[0, 0, 0, 0x80]),
            "length (bytes 4-7) is 2147483648; a message has at most 2147483647 bytes"
        );
        assert_eq!(with(8, &[101]), "head (bytes 8-11) is 101, more than the length 100");
    }
}
