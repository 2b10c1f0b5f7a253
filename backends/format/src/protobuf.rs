//! The fields of a message of Protocol Buffers, without its schema: their numbers, wire types and places.
//!
//! What a field contains is skipped, not read, so a model of gigabytes costs as little as a small one.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// A field of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its number.
    pub number: u64,
    /// What it is.
    pub value: Value,
}

/// What a field is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number of any size.
    Varint(u64),
    /// Four or eight bytes.
    Fixed,
    /// A string, bytes or a message; where in the file it is. It may end behind the end of the file.
    Block(Range<u64>),
}

/// The first `count_max` fields of a message that lies in this part of a file; `None` if it is none. Where the file is cut off,
/// those that begin before.
pub fn fields(file: &File, part: Range<u64>, count_max: usize) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    let mut at = part.start;
    while at < part.end && fields.len() < count_max {
        let mut head = [0; HEAD_BYTES];
        let wanted = usize::try_from(part.end - at).unwrap_or(HEAD_BYTES).min(HEAD_BYTES);
        let read = read(file, &mut head[..wanted], at);
        if read == 0 {
            break;
        }
        let mut head = &head[..read];
        let tag = varint(&mut head)?;
        let value = match tag & 7 {
            0 => varint(&mut head).map(Value::Varint)?,
            wire @ (1 | 5) => {
                head = head.get(if wire == 1 { 8 } else { 4 }..)?;
                Value::Fixed
            }
            2 => {
                let length = varint(&mut head)?;
                let start = at + (read - head.len()) as u64;
                Value::Block(start..start.checked_add(length)?)
            }
            _ => return None,
        };
        at = match &value {
            Value::Block(place) => place.end,
            _ => at + (read - head.len()) as u64,
        };
        fields.push(Field { number: Some(tag >> 3).filter(|number| *number != 0)?, value });
    }
    Some(fields)
}

/// A tag and a number, each of ten bytes at most.
const HEAD_BYTES: usize = 20;

/// The text of a block, if it is a short one of ASCII.
pub fn text(file: &File, block: &Range<u64>) -> Option<String> {
    let length = usize::try_from(block.end - block.start).ok().filter(|length| *length <= TEXT_BYTES_MAX)?;
    let mut bytes = vec![0; length];
    let read = read(file, &mut bytes, block.start);
    String::from_utf8(bytes).ok().filter(|text| read == length && text.is_ascii())
}

/// Longer than the name of any operator.
const TEXT_BYTES_MAX: usize = 256;

/// As many bytes as there are; an unreadable file has none.
fn read(file: &File, into: &mut [u8], at: u64) -> usize {
    let mut filled = 0;
    while filled < into.len() {
        match file.read_at(&mut into[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    filled
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn of(bytes: &[u8]) -> Option<Vec<Field>> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("it is written");
        fields(&file, 0..bytes.len() as u64, 8)
    }

    #[test]
    fn each_wire_type_is_skipped_by_its_length() {
        // Field 1 = 300, field 2 = eight bytes, field 3 = "abc", field 4 = four bytes, field 100 = 1.
        let bytes = b"\x08\xac\x02\x11\0\0\0\0\0\0\0\0\x1a\x03abc\x25\0\0\0\0\xa0\x06\x01";
        let fields = of(bytes).expect("a message");
        let expected = [
            (1, Value::Varint(300)),
            (2, Value::Fixed),
            (3, Value::Block(14..17)),
            (4, Value::Fixed),
            (100, Value::Varint(1)),
        ];
        assert_eq!(fields, expected.map(|(number, value)| Field { number, value }));
    }

    #[test]
    fn what_is_no_message_is_none() {
        for bytes in [
            &b"\0\0"[..],
            b"\x0b",
            b"\x0c",
            b"\x0f",
            b"\x08",
            b"\x11\0",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            assert_eq!(of(bytes), None, "{bytes:?}");
        }
        assert_eq!(of(b""), Some(Vec::new()));
    }

    #[test]
    fn a_block_that_is_cut_off_is_the_last_field() {
        assert_eq!(of(b"\x0a\x7fab"), Some(vec![Field { number: 1, value: Value::Block(2..129) }]));
    }
}
