//! The program as a process against servers that behave and servers that do not.

mod failures;
mod latency;
mod options;
mod program;
mod results;
mod server;
