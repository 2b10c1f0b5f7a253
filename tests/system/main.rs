//! The tests of the whole: the real daemon over real sockets, and the rules that the source tree keeps.
//!
//! One binary, because every further one is another link. What only one crate can get wrong is tested in that crate. What
//! the original Python client sees is tested in `tests/compat`.
#![forbid(unsafe_code)]

mod broken;
mod copies;
mod crowd;
mod echo;
mod pages;
mod readme;
mod refusals;
mod starting;
mod stopping;
mod support;
mod tidy;
