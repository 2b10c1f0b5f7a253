//! Writes protobuf messages: the encoding, and nothing of what is said in it. ONNX and TensorFlow write their models so.

/// A protobuf message: fields one after the other, each a key (its number and how it is written) and a value.
#[derive(Debug, Default)]
pub struct Message(pub Vec<u8>);

/// How a value is written: as a varint, or as a length and so many bytes.
const VARINT: u64 = 0;
const LENGTH: u64 = 2;

impl Message {
    /// A field that is a number.
    pub fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3 | VARINT);
        self.varint(value);
    }

    /// A repeated field of numbers, each on its own: that is read wherever the packed form is.
    pub fn numbers(&mut self, field: u64, values: &[u64]) {
        for value in values {
            self.number(field, *value);
        }
    }

    /// A field that is bytes.
    pub fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | LENGTH);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// A field that is text.
    pub fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    /// A field that is a message.
    pub fn message(&mut self, field: u64, message: &Message) {
        self.bytes(field, &message.0);
    }

    /// Seven bits a byte, the lowest first; all bytes but the last have the highest bit set.
    fn varint(&mut self, mut value: u64) {
        while value > 0x7f {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of protobuf's own page on its encoding: `a = 150` in field 1, `"testing"` in field 2, and the first one
    /// as a message in field 3.
    #[test]
    fn the_encoding_is_that_of_protobufs_documentation() {
        let mut number = Message::default();
        number.number(1, 150);
        assert_eq!(number.0, [0x08, 0x96, 0x01]);
        let mut text = Message::default();
        text.text(2, "testing");
        assert_eq!(text.0, b"\x12\x07testing");
        let mut nested = Message::default();
        nested.message(3, &number);
        assert_eq!(nested.0, [0x1a, 0x03, 0x08, 0x96, 0x01]);
    }

    #[test]
    fn a_varint_of_any_length_has_its_high_bits_last() {
        let bytes = |value| {
            let mut message = Message::default();
            message.varint(value);
            message.0
        };
        assert_eq!(bytes(0), [0]);
        assert_eq!(bytes(127), [0x7f]);
        assert_eq!(bytes(300), [0xac, 0x02]);
        assert_eq!(bytes(u64::MAX), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    }
}
