//! Run buffers: memory that the kernel fills and a framework reads.
//!
//! A [`Pool`] hands out [`Buffer`]s from one budget. What lives here: where the memory comes from, who owns it, and the
//! count of it. What never does: messages, sockets, models, and what the bytes mean.
//!
//! # Who may touch a buffer
//!
//! | state | owner | may write | may read |
//! | --- | --- | --- | --- |
//! | idle | a free list of the pool | nobody | nobody |
//! | reserved | one [`Buffer`] value | who has `&mut Buffer` | who has `&Buffer` |
//! | in a kernel operation | the operation's entry, into which the `Buffer` was **moved** | the kernel | nobody |
//! | frozen | everybody with an `Arc<Frozen>` | nobody | all of them, and the kernel while it sends |
//!
//! A buffer is never cloned, so a reservation has one owner. Lending memory to the kernel means taking the address with
//! [`Buffer::as_mut_ptr`] and moving the `Buffer` into the operation's entry until its terminal completion: as long as
//! it lies there, nobody else can have a slice of it, because slices borrow from the value that has moved away. The
//! address does not change with the move (the bytes lie in a mapping, the value holds a raw pointer to it), and the
//! mapping cannot go away, because only dropping the value gives it back. An entry that is dropped early, while the
//! kernel still writes, would break this: waiting for the completion is the duty of whoever owns the ring, and the one
//! promise that this crate cannot check. It hands out an address and dereferences none, so all of it is safe code.
//!
//! # What a buffer contains
//!
//! Blocks are reused without being cleared (clearing costs as much as receiving). The content of a fresh reservation is
//! zeros or the bytes of **another request**, perhaps of another client. Whoever sends from a buffer sends only the
//! range that was written for that reply, and whoever computes from it reads only what was received or written. The
//! mappings are anonymous and private: bytes of another process are never in them, nor do ours get there.
#![forbid(unsafe_code)]

mod buffer;
mod class;
mod payload;
mod pool;

pub use buffer::{Buffer, Frozen};
pub use payload::Payload;
pub use pool::{Exhausted, Limit, Pool, Stats};

/// The alignment of every buffer's first byte: what vector units and DMA engines ask for. Pages are aligned to more.
pub const BASE_ALIGN: usize = 256;
