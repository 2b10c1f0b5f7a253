//! Tensors' elements as JSON, which has no types: numbers, `true` and `false`, strings, and lists of them.

mod dim;
mod read;
mod write;

pub(super) use dim::Dim;
pub(super) use read::elements;
pub(super) use write::{Text, flat, nested, value};

use super::printable;

/// The most characters that are shown of an error.
const ERROR_CHARS_MAX: usize = 300;

/// An error of the JSON in `body`, in words.
pub(super) fn not_json(body: &[u8], error: &serde_json::Error) -> String {
    let has = |word: &[u8]| body.windows(word.len()).any(|window| window == word);
    let hint = if error.is_syntax() && (has(b"NaN") || has(b"Infinity")) {
        "; some servers write NaN and Infinity, which JSON does not have"
    } else {
        ""
    };
    // The error may quote all of what it does not understand.
    let error = printable(&error.to_string(), ERROR_CHARS_MAX);
    format!("the reply is not the JSON that it should be: {error}{hint}")
}
