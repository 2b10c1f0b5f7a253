//! MXNet's errors in one line that is safe to show, without what only its makers want to know.

use graphpiped_backend_api::one_line;

/// The message without MXNet's name and without the stack trace that follows.
pub(crate) fn cause_of(message: &str) -> String {
    let message = message.split("\nStack trace:").next().unwrap_or_default();
    let message = message.trim_start().strip_prefix("MXNetError: ").unwrap_or(message);
    let line = one_line(message);
    let line = line.split(' ').filter(|word| !is_time(word)).collect::<Vec<_>>().join(" ");
    if line.is_empty() { "it does not say why".to_string() } else { line }
}

/// Whether MXNet has said it: of an assertion of its own.
pub(crate) fn is_of_mxnet(message: &str) -> bool {
    message.contains("Check failed: ")
}

/// Whether a message is about memory that there is not.
pub(crate) fn is_of_the_machine(message: &str) -> bool {
    ["Failed to allocate CPU Memory", "std::bad_alloc"].iter().any(|words| message.contains(words))
}

/// As in `[12:59:00]`.
fn is_time(word: &str) -> bool {
    let Some(time) = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) else { return false };
    time.len() == 8 && time.bytes().all(|byte| byte.is_ascii_digit() || byte == b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stack_the_time_and_the_line_breaks_are_left_out() {
        // As MXNet 1.9.1 has said it.
        let message = "MXNetError: Error in operator conv: [20:22:34] ../src/operator/nn/convolution.cc:151: Check \
                       failed: dshp.ndim() == 4U (2 vs. 4) : Input data should be 4D\n in batch\nStack trace:\n  File \"x\"";
        assert_eq!(
            cause_of(message),
            "Error in operator conv: ../src/operator/nn/convolution.cc:151: Check failed: dshp.ndim() == 4U (2 vs. 4) : \
             Input data should be 4D in batch"
        );
        assert_eq!(cause_of("MXNetError: Failed [1] [a]"), "Failed [1] [a]");
        assert_eq!(cause_of("no \u{1b}[2Jnode\0 a\u{85}b"), "no ?[2Jnode? a b");
        assert_eq!(cause_of(""), "it does not say why");
        assert!(is_of_mxnet(message) && !is_of_mxnet("there is no output none"));
        assert!(is_of_the_machine("MXNetError: Failed to allocate CPU Memory\nStack trace:"));
        assert!(!is_of_the_machine("cannot find input key nono"));
    }
}
