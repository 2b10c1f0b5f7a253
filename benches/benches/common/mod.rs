//! The pieces of the daemon that are measured apart, each with the floor that it stands beside. One list for both: `pieces`
//! takes their times, `counts` their instructions and allocations.
//!
//! A piece is a function that does the same again and again. Its floor does what nobody could do less than, with as many
//! bytes. What a piece is given is made before; whatever the kernel does is no part of any of them.

mod mailbox;
pub mod messages;
mod service;
mod whole;
mod wire;

/// A piece and its floor.
pub struct Piece {
    /// What it is.
    pub name: &'static str,
    /// Does it once.
    pub run: Box<dyn FnMut()>,
    /// What the floor is.
    pub floor_name: &'static str,
    /// Does the floor once.
    pub floor: Box<dyn FnMut()>,
}

/// Makes each of them. Functions, so that whoever wants one need not make all.
pub const PIECES: [fn() -> Piece; 12] = [
    wire::read_request,
    wire::read_reply,
    wire::write_request,
    wire::write_reply,
    service::small,
    service::large,
    mailbox::piece,
    whole::native_small,
    whole::native_large,
    whole::http_small,
    whole::http_large,
    whole::native_busy,
];
