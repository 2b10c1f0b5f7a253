//! The fields of a message, one by one and without an allocation: to count what a message holds before it is decoded.
//!
//! A message of two bytes becomes a structure of two hundred, so the length of a file alone is no bound for what
//! decoding it takes. Numbers are skipped; what has a length is shown as it lies there.

/// The fields of a message.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

/// A field: its number, and its bytes if it has a length.
pub(crate) type Field<'a> = (u64, Option<&'a [u8]>);

/// The bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damaged;

impl<'a> Fields<'a> {
    /// The fields of these bytes.
    pub fn of(message: &'a [u8]) -> Fields<'a> {
        Fields { rest: message }
    }

    fn field(&mut self) -> Result<Field<'a>, Damaged> {
        let key = self.varint()?;
        let bytes = match key & 7 {
            0 => self.varint().map(|_| None)?,
            1 => self.take(8).map(|_| None)?,
            2 => {
                let length = self.varint()?;
                Some(self.take(length)?)
            }
            5 => self.take(4).map(|_| None)?,
            // Groups, which nets do not have, and what is not defined.
            _ => return Err(Damaged),
        };
        match key >> 3 {
            0 => Err(Damaged),
            number => Ok((number, bytes)),
        }
    }

    fn varint(&mut self) -> Result<u64, Damaged> {
        let mut value = 0;
        // Ten bytes hold 64 bits, seven each.
        for (position, &byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * position);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[position + 1..];
                return Ok(value);
            }
        }
        Err(Damaged)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Damaged> {
        let length = usize::try_from(length).map_err(|_| Damaged)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Damaged)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[u8]) -> Result<Vec<Field<'_>>, Damaged> {
        Fields::of(bytes).collect()
    }

    #[test]
    fn every_kind_of_field_is_stepped_over() {
        // By hand: field 1 = 300, field 2 = "ab", field 3 = eight bytes, field 4 = four bytes, field 16 = "".
        let bytes = [0x08, 0xac, 2, 0x12, 2, b'a', b'b', 0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x25, 1, 2, 3, 4, 0x82, 1, 0];
        let expected = vec![(1, None), (2, Some(&b"ab"[..])), (3, None), (4, None), (16, Some(&b""[..]))];
        assert_eq!(fields(&bytes), Ok(expected));
        assert_eq!(fields(&[]), Ok(vec![]));
    }

    #[test]
    fn what_is_cut_or_lies_about_its_length_is_damaged() {
        let cases: [&[u8]; 8] = [
            &[0x08],
            &[0x08, 0x80],
            &[0x12, 3, b'a', b'b'],
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            &[0x19, 1, 2],
            &[0x0b, 0x0c],
            &[0x00, 0x00],
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
        ];
        for bytes in cases {
            assert_eq!(fields(bytes), Err(Damaged), "{bytes:?}");
        }
    }
}
