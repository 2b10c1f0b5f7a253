//! The tests of the whole: the real daemon over real sockets, and the rules that the source tree keeps.
//!
//! One binary, because every further one is another link. What only one crate can get wrong is tested in that crate. What
//! the original Python client sees is tested in `tests/compat`.
#![forbid(unsafe_code)]

mod broken;
mod copies;
mod copies_in_batches;
mod crowd;
mod deadlines;
mod departures;
mod echo;
mod fairness;
mod isolated;
mod lazy;
mod neighbours;
mod options;
mod orders;
mod pages;
mod readme;
mod refusals;
mod runtime;
mod soak;
mod spoilt;
mod starting;
mod stopping;
mod support;
mod tidy;
