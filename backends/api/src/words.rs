//! The words of frameworks and models, made safe to show. They come in several lines, and quote names in which anything may
//! stand; what is shown of them in a log, on a terminal or to a client is one line.

/// These words in one line: white space of any kind is one space, and what a terminal would act on a question mark, so that
/// it is seen that something stood there.
pub fn one_line(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ").replace(char::is_control, "?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_has_no_character_that_a_terminal_acts_on() {
        assert_eq!(one_line("  a\n\tb\u{1b}[31m\0 c\r\n"), "a b?[31m? c");
        // A rubout, and of C1 the next line, which is white space, and a control sequence's introducer, which is none.
        assert_eq!(one_line("a\x7fb\u{85}c\u{9b}d"), "a?b c?d");
        assert_eq!(one_line(""), "");
    }
}
