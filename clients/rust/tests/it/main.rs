//! The client against a server in a thread, over real sockets of both kinds.

mod calls;
mod fake;
mod faults;
mod pipelining;
