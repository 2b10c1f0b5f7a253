//! Run buffers: memory that the kernel fills and a framework reads.
//!
//! A [`Pool`] hands out [`Buffer`]s, and sets aside a [`Mapping`] for each arena, from one budget. What lives here:
//! where the memory comes from, who owns it, and the count of it. What never does: messages, sockets, models, which rows
//! of an arena are whose, and what the bytes mean.
//!
//! # Who may touch a buffer
//!
//! | state | owner | may write | may read |
//! | --- | --- | --- | --- |
//! | idle | a free list of the pool | nobody | nobody |
//! | reserved | one [`Buffer`] value | who has `&mut Buffer` | who has `&Buffer` |
//! | in a kernel operation | the operation's entry, into which the `Buffer` was **moved** | the kernel | nobody |
//! | frozen | everybody with a clone of the [`Frozen`] | nobody | all of them, and the kernel while it sends |
//!
//! A buffer is never cloned, so a reservation has one owner. Lending memory to the kernel means taking the address with
//! [`Buffer::as_mut_ptr`] and moving the `Buffer` into the operation's entry until its terminal completion: as long as
//! it lies there, nobody else can have a slice of it, because slices borrow from the value that has moved away. The
//! address does not change with the move (the bytes lie in a mapping, the value holds a pointer to what holds it), and
//! the mapping cannot go away, because only dropping the value gives it back. An entry that is dropped early, while the
//! kernel still writes, would break this: waiting for the completion is the duty of whoever owns the ring, and the one
//! promise that this crate cannot check. It hands out an address and dereferences none, so all of it is safe code.
//!
//! A block and the count of its readers are one allocation, made when the block is mapped. So a buffer that becomes
//! [`Frozen`] allocates nothing, and the last reader to drop gets the block itself, to give it back to the pool.
//!
//! # Who may touch rows
//!
//! An arena is one [`Mapping`] that many requests receive into at once. It belongs to a lane, as one of its regions;
//! nobody has a slice of all of it. Each request has a [`Claim`](graphpiped_batch::Claim): rows that were handed out
//! once, and that nobody else touches until the claim is committed or dropped. So a claim is to its rows what a `Buffer`
//! is to its block, and both are lent to the kernel in the same way, as a [`Destination`]:
//!
//! | state | owner | may write | may read |
//! | --- | --- | --- | --- |
//! | claimed | one `Claim` value, alone or in a [`Destination`] | who has it by `&mut` | who has it by `&mut` |
//! | in a kernel operation | the operation's entry, into which the `Destination` was **moved** | the kernel | nobody |
//! | committed | the lane | nobody | nobody |
//! | sealed | the executor that took them | nobody | the executor, and the framework while it runs |
//!
//! The address from [`Destination::slice_mut`] does not change with the move (the claim names rows, and a region stays
//! where it is), and the arena cannot go away, because the claim keeps it. While the claim lies in the entry it can be
//! neither committed nor dropped, so the rows are not handed out again; an entry that is dropped early would let the
//! kernel write into the rows of the *next* request, which is the same one promise. The operations of other claims of
//! the same arena do not matter: they write other rows.
//!
//! # What a buffer contains
//!
//! Blocks are reused without being cleared (clearing costs as much as receiving), and so are rows. The content of a
//! fresh reservation or claim is zeros or the bytes of **another request**, perhaps of another client. Whoever sends
//! from a buffer sends only the range that was written for that reply, and whoever computes from it reads only what was
//! received or written. The mappings are anonymous and private: bytes of another process are never in them, nor do ours
//! get there; but for an arena that is shared on purpose ([`Pool::set_aside_shared`]), which one other process reads and
//! only this one can write.
// One promise is made and not kept by the compiler: what `mapping` says to a lane.
#![deny(unsafe_code)]

mod block;
mod buffer;
mod class;
mod destination;
mod exhausted;
mod mapping;
mod payload;
mod pool;
mod shared;

pub use buffer::{Buffer, Frozen};
pub use destination::Destination;
pub use exhausted::{Exhausted, Limit};
pub use mapping::Mapping;
pub use payload::Payload;
pub use pool::{Counted, Pool, Stats};
pub use shared::{Companion, Shareable};

/// The alignment of every buffer's first byte: what vector units and DMA engines ask for. Pages are aligned to more.
pub const BASE_ALIGN: usize = graphpiped_batch::BASE_ALIGN;
