//! One axis of a shape, as it is written: a size, a name, or `"?"`.

use graphpiped_backend_api::Dim;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use std::fmt::Formatter;

/// One axis.
pub(crate) struct Size(pub Dim);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("a size, a name such as \"N\", or \"?\"")
    }

    fn visit_i64<E: Error>(self, size: i64) -> Result<Size, E> {
        let size = u64::try_from(size).map_err(|_| E::invalid_value(Unexpected::Signed(size), &self))?;
        Ok(Size(Dim::Fixed(size)))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Size, E> {
        match name {
            "?" => Ok(Size(Dim::Any)),
            // A number in quotes is one that somebody wanted to be a size.
            _ if name.starts_with(|first: char| first.is_alphabetic() || first == '_')
                && !name.contains(char::is_control) =>
            {
                Ok(Size(Dim::Symbol(name.into())))
            }
            _ => Err(E::invalid_value(Unexpected::Str(name), &self)),
        }
    }
}
