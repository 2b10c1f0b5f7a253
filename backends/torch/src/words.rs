//! libtorch's words in one line that is safe to show: without the positions of its own code, and with the cause instead of the
//! way to it.

use graphpiped_backend_api::one_line;

/// What `words` say went wrong.
///
/// An error in TorchScript comes with the lines of the model that led to it, and its cause in the last line. Other errors may be
/// followed by where in libtorch they were raised.
pub(crate) fn cause_of(words: &str) -> String {
    // Machine code of a model has no exceptions of its own, and what stands here are the arguments of the call.
    if words.contains(" API call failed at ") {
        return "its machine code has failed, and written why to the standard error".to_string();
    }
    let words = words.split("Exception raised from ").next().unwrap_or_default();
    let is_cause = |line: &&str| CAUSES.iter().any(|cause| line.trim_start().starts_with(cause));
    let from_cause = words.lines().rev().find(is_cause).and_then(|line| {
        let start = line.as_ptr().addr() - words.as_ptr().addr();
        words.get(start..)
    });
    let cause = from_cause.unwrap_or(words).trim_start();
    let cause = cause.strip_prefix("RuntimeError: ").unwrap_or(cause);
    // Where in its own code an assertion stands.
    let in_its_code = cause.strip_prefix("[enforce fail at ").and_then(|rest| rest.split_once("] "));
    let cause = in_its_code.map_or(cause, |(_, rest)| rest.trim_start_matches(". "));
    let line = one_line(cause);
    match line.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.trim_end_matches(['.', ';']).to_string(),
    }
}

/// How lines begin that name the cause of an error in TorchScript: its own, and those that a model raises.
const CAUSES: [&str; 3] = ["RuntimeError: ", "builtins.", "torch.jit.Error: "];

/// A client sees these words, and some of libtorch's list everything that it knows.
const CHARS_MAX: usize = 600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_error_in_torchscript_the_cause_is_left() {
        let words = "The following operation failed in the TorchScript interpreter.\nTraceback of TorchScript, serialized code \
                     (most recent call last):\n  File \"code/__torch__.py\", line 8, in forward\n    return \
                     torch.reshape(x, [-1, 8])\n           ~~~~~~~~~~~~~ <--- HERE\nRuntimeError: shape '[-1, 8]' is invalid for \
                     input of size 12\n";
        assert_eq!(cause_of(words), "shape '[-1, 8]' is invalid for input of size 12");
    }

    #[test]
    fn where_libtorch_raised_an_error_is_left_out() {
        let words = "PytorchStreamReader failed reading zip archive: not a ZIP archive\nException raised from valid at \
                     ../caffe2/serialize/inline_container.cc:221 (most recent call first):\nframe #0: c10::Error::Error\n";
        assert_eq!(cause_of(words), "PytorchStreamReader failed reading zip archive: not a ZIP archive");
        let words = "[enforce fail at inline_container.cc:230] . Attempted to read [x] of version 99.";
        assert_eq!(cause_of(words), "Attempted to read [x] of version 99");
    }

    #[test]
    fn other_words_stay_and_endless_ones_end() {
        assert_eq!(cause_of("  one\n two.\n"), "one two");
        assert_eq!(cause_of(""), "");
        assert_eq!(cause_of("a\n\tb\u{1b}[31m\0 c\r\n"), "a b?[31m? c");
        let words = "run_func_( container_handle_, input_handles.data()) API call failed at /a/b.cpp, line 144";
        assert_eq!(cause_of(words), "its machine code has failed, and written why to the standard error");
        assert_eq!(cause_of(&"ü".repeat(10_000)).chars().count(), CHARS_MAX + 1);
    }
}
