//! The cases of the suite: each is a sentence that has to be true of every backend. [`suite!`](crate::suite) lists them.

pub mod dtypes;
pub mod errors;
pub mod memory;
pub mod outputs;
pub mod shapes;
pub mod threads;

use crate::Subject;

/// One line, and something in it.
pub(crate) fn assert_one_line(message: &str) {
    assert!(!message.trim().is_empty() && !message.contains('\n'), "{message:?}");
}

/// The inner size of `TwoByTwo`.
fn inner(subject: &impl Subject) -> i64 {
    if subject.capabilities().dynamic_inner_axes { 2 } else { 3 }
}
