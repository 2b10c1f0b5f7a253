//! The batching core: rows of shared arenas are claimed by requests, filled by whoever receives them, and sealed into
//! batches by whoever runs them. Without a lock, and without an allocation once a lane is made.
//!
//! What never lives here: frames, dtypes, models, threads, clocks, logs, the operating system. Memory is given as
//! [`Region`]s, sleepers are woken through a [`Doorbell`], and what a request is to the daemon is the parameter `T`.
//!
//! # The words
//!
//! A *lane* takes requests whose rows have the same size. It has a few *arenas*; each is memory for a fixed number of
//! *rows*, one *column* per input of the model, and in each column the rows lie one behind the other. A *claim* is a
//! run of rows that belongs to one request. A *batch* is a run of committed claims of one arena, *sealed* by an executor.
//!
//! ```text
//!            claim          commit             take             complete
//!  free rows ─────► Claim ───────────► committed ────► Sealed ───────────► free rows
//!                     └─ drop: void                      └─ drop: each T is dropped
//! ```
//!
//! # The protocol
//!
//! | field | who may touch it | when | what proves that |
//! | --- | --- | --- | --- |
//! | `Word` (state, rows claimed, rows finished, generation) | everybody | always | one atomic word; every transition is one compare-and-swap in one total function of [`word`](mod@word) |
//! | `Lane::open` (version, arena) | everybody | always | one atomic word; the version makes a slow replacement fail |
//! | `Free` (a bit per arena) | everybody | always | the bit of an arena is set only while its state is `Idle` and nobody is opening or freeing it: whoever clears it owns the arena |
//! | bytes of a claim's rows | the [`Claim`], or the kernel operation that it was moved into | from the claim to the commit | `claimed` only grows within a generation, so rows are handed out once; a claim is not `Clone` |
//! | `cells[row]`, the claim's `T` and length | whoever commits | before it stores `ready[row]` | only the claim's owner can commit, once: the claim is consumed |
//! | `ready[row]` (rows of the claim that begins there; 0 = nothing committed) | the committer sets it (`Release`), a taker clears it by compare-and-swap (`Acquire`) | while the row is not finished | of several takers one wins, and it has everything that was written before the commit |
//! | `cells[row]` and the bytes of its rows | the [`Sealed`] that has cleared `ready[row]` | until it finishes the rows | as above; bytes are only read |
//! | bytes of rows that were answered and are kept | whoever has the [`Kept`] that the `Sealed` has become | until its drop finishes the rows | only one of `Sealed` and `Kept` finishes them; bytes are only read |
//! | rows that are finished | nobody, until the arena begins anew | | the last one to finish (`Release` on the word, like all before it) begins a new generation, and only after that rows are claimed again (`Acquire`) |
//!
//! A row is *finished* once: by the drop of its claim (it is void then: nothing was committed, nothing runs), or by the
//! `Sealed` that took it, or the [`Kept`] that it has become. When all rows that were claimed are finished, the arena begins anew: at once if it is still
//! open, so that a lane with little to do stays in the same warm rows; as a free arena if it was closed because it was
//! full. `finished == claimed` can be reached by one finisher only, and until then no row of the arena is handed out
//! twice: that is what a generation is.
//!
//! **Nobody sees a row that is not committed.** A batch consists of rows whose `ready` was seen and cleared. Rows that
//! are still being received stay, and hold up nothing but the recycling of their arena.
//!
//! **Waiting.** Nothing here waits. A claim that finds no room says so; a taker that finds nothing says so. Executors
//! that want to sleep use a [`Gate`], whose handshake makes sure that what is announced is seen: see there.
//!
//! **Unsafe** is in `arena` (row bytes) and `lane` (cells), nowhere else.

mod arena;
mod claim;
mod free;
mod gate;
mod kept;
mod lane;
mod layout;
mod mailbox;
mod sealed;
mod sync;
pub mod word;

pub use arena::Region;
pub use claim::Claim;
pub use gate::{Asleep, Doorbell, Gate};
pub use kept::Kept;
pub use lane::{Lane, Verdict};
pub use layout::{BASE_ALIGN, Layout, ROWS_MAX};
pub use mailbox::Mailbox;
pub use sealed::Sealed;

/// Arenas of one lane: their free ones are the bits of a word.
pub const ARENAS_MAX: usize = 64;
