//! FlatBuffers' tables, vectors and strings, as positions in a [`Window`].
//!
//! A table begins with the signed distance back to its vtable; a vtable is its own size, the table's size, and the place
//! of each field in the table (0 = absent), all 16-bit. A field that is not inline holds the distance forward to a vector
//! or table. A vector is a 32-bit count and its elements; a string is a vector of bytes. Alignment and final NULs are
//! nobody's business here.

use super::window::{Stop, Window, malformed};

/// A table and its vtable, both inside of the message, the vtable all there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    at: u32,
    vtable: u32,
    vtable_bytes: u16,
}

/// A vector whose count is there and whose elements are inside of the message; they need not be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Vector {
    /// Where the first element is.
    pub at: u32,
    /// The number of elements.
    pub count: u32,
}

impl Table {
    /// The table that the message begins with.
    pub fn root(window: Window<'_>) -> Result<Table, Stop> {
        if window.length() < 4 {
            return malformed("a message without the 4 bytes of its root offset", 0);
        }
        Table::read(window, target(window, 0)?)
    }

    /// The table at `at`.
    #[inline]
    pub fn read(window: Window<'_>, at: u32) -> Result<Table, Stop> {
        let back = i32::from_le_bytes(window.load(at)?);
        let vtable = i64::from(at) - i64::from(back);
        if vtable < 0 || vtable + 4 > i64::from(window.length()) {
            return malformed("a table whose vtable is outside of the message", at);
        }
        let vtable = vtable as u32;
        let vtable_bytes = window.u16(vtable)?;
        if vtable_bytes < 4 || vtable_bytes % 2 != 0 {
            return malformed("a vtable of an impossible size", vtable);
        }
        window.bytes(vtable, u32::from(vtable_bytes))?;
        Ok(Table { at, vtable, vtable_bytes })
    }

    /// Where it begins.
    pub fn at(&self) -> u32 {
        self.at
    }

    /// Where the field `id`, of `bytes` bytes in the table, is; `None` if it is absent.
    #[inline]
    pub fn field(&self, window: Window<'_>, id: u16, bytes: u32) -> Result<Option<u32>, Stop> {
        let slot = 4 + 2 * id;
        if slot + 2 > self.vtable_bytes {
            return Ok(None);
        }
        let slot = self.vtable + u32::from(slot);
        let place = window.u16(slot)?;
        if place == 0 {
            return Ok(None);
        }
        let at = self.at + u32::from(place);
        if at + bytes > window.length() {
            return malformed("a vtable that puts a field beyond the end of the message", slot);
        }
        window.bytes(at, bytes)?;
        Ok(Some(at))
    }

    /// Where the field `id` points to; `None` if it is absent.
    #[inline]
    pub fn target(&self, window: Window<'_>, id: u16) -> Result<Option<u32>, Stop> {
        match self.field(window, id, 4)? {
            Some(at) => target(window, at).map(Some),
            None => Ok(None),
        }
    }

    /// The vector of the field `id`, whose elements have `element` bytes; empty if absent.
    #[inline]
    pub fn vector(&self, window: Window<'_>, id: u16, element: u32) -> Result<Vector, Stop> {
        match self.target(window, id)? {
            Some(at) => Vector::read(window, at, element),
            None => Ok(Vector::default()),
        }
    }

    /// The bytes of the string of the field `id`; empty if absent.
    #[inline]
    pub fn string<'a>(&self, window: Window<'a>, id: u16) -> Result<&'a [u8], Stop> {
        match self.target(window, id)? {
            Some(at) => string(window, at),
            None => Ok(&[]),
        }
    }
}

impl Vector {
    /// The vector at `at`, whose elements have `element` bytes.
    #[inline]
    pub fn read(window: Window<'_>, at: u32, element: u32) -> Result<Vector, Stop> {
        let count = window.u32(at)?;
        // The four bytes of the count are inside of the message, so this neither overflows nor goes below 0.
        let left = window.length() - (at + 4);
        if u64::from(count) * u64::from(element) > u64::from(left) {
            return malformed("a vector that is longer than the rest of the message", at);
        }
        Ok(Vector { at: at + 4, count })
    }

    /// The vector of offsets at `at`, of at most `max` elements, all of which are there.
    pub fn read_short(window: Window<'_>, at: u32, max: usize, over: &'static str) -> Result<Vector, Stop> {
        let vector = Vector::read(window, at, 4)?;
        if vector.count as usize > max {
            return malformed(over, at);
        }
        window.bytes(vector.at, vector.count * 4)?;
        Ok(vector)
    }

    /// What the `index`-th element of a vector of offsets points to.
    #[inline]
    pub fn target(self, window: Window<'_>, index: u32) -> Result<u32, Stop> {
        target(window, self.at + index * 4)
    }
}

/// What the offset at `at` points to: a place with at least four bytes, as tables, vectors and strings have.
#[inline]
pub(crate) fn target(window: Window<'_>, at: u32) -> Result<u32, Stop> {
    let offset = window.u32(at)?;
    if offset == 0 {
        return malformed("an offset of 0", at);
    }
    // The offset's own four bytes are inside of the message: at + 4 <= length.
    if offset > window.length() - 4 - at {
        return malformed("an offset beyond the end of the message", at);
    }
    Ok(at + offset)
}

/// The bytes of the string at `at`.
#[inline]
pub(crate) fn string(window: Window<'_>, at: u32) -> Result<&[u8], Stop> {
    let bytes = Vector::read(window, at, 1)?;
    window.bytes(bytes.at, bytes.count)
}
