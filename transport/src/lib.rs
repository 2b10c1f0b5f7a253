//! Sockets, frames, HTTP/1.1 and io_uring. What a model is stays unknown here: see [`service`] for the seam.
#![deny(unsafe_code)]

pub mod connection;
pub mod counters;
#[cfg(test)]
mod fake;
pub mod http;
pub mod limits;
pub mod mailbox;
pub mod probe;
pub mod reactor;
#[allow(unsafe_code)]
mod ring;
pub mod service;
