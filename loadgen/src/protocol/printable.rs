//! Text of a server as it may go to a terminal and into files. What the text says is not looked at here.

/// The beginning of a text, on one line and without control characters.
pub(super) fn printable(text: &str, chars_max: usize) -> String {
    let shown = text.chars().take(chars_max);
    shown
        .map(|char| match char {
            '\n' | '\r' | '\t' => ' ',
            char if char.is_control() => char::REPLACEMENT_CHARACTER,
            char => char,
        })
        .collect()
}
