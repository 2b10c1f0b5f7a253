//! Dimensions as servers write them: numbers, or numbers as strings, as protobuf's mapping to JSON does, or whatever else
//! says that a dimension is open. What a shape is for is not known here.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// A dimension.
#[derive(Deserialize)]
#[serde(untagged)]
pub(in crate::protocol) enum Dim {
    /// A number.
    Number(i64),
    /// A number as text, or a name.
    Text(String),
    /// Anything else.
    Other(IgnoredAny),
}

impl Dim {
    /// The number, if it is one.
    pub fn number(&self) -> Option<i64> {
        match self {
            Dim::Number(number) => Some(*number),
            Dim::Text(text) => text.parse().ok(),
            Dim::Other(_) => None,
        }
    }

    /// The number in a signature, in which -1 stands for an open dimension.
    pub fn or_open(&self) -> i64 {
        self.number().unwrap_or(-1)
    }
}
