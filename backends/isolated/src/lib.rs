//! A model whose framework runs in a process of its own: one that crashes takes nothing with it but the runs that it was in.
//!
//! The daemon's side is [`Isolated`], a model like any other; the process's side is [`host::serve`], which opens the model
//! with a backend as the daemon would. Both are the same program.
//!
//! ```text
//!  daemon                                                        process
//!  ┌───────────────┐   control: Open, Instance, Share, Forget   ┌──────────────────┐
//!  │ watcher       ├───────────────────────────────────────────►│ main thread      │
//!  │ (life)        │◄───────────────────────────────────────────┤ (host)           │
//!  ├───────────────┤   Opened, Released                         ├──────────────────┤
//!  │ executor with │   Run: where inputs lie, outputs go        │ a thread with    │
//!  │ an instance   ├───────────────────────────────────────────►│ a real instance  │
//!  │               │◄───────────────────────────────────────────┤                  │
//!  └───────┬───────┘   Done: where outputs are; Room; Failed    └────────┬─────────┘
//!          │                                                             │
//!          │      arenas: written by the daemon, read there              │
//!          ├──────────────── areas for inputs: the same ────────────────►│
//!          │◄─────────────── areas for outputs: written there ───────────┤
//! ```
//!
//! Inputs that lie in a shared arena are not copied; others are, once, into an area of the instance. Outputs are copied out of
//! areas, so the daemon never refers to memory that another process can write. A message is a packet of a socket: the kernel
//! copies it, so what is checked is what is used; it wakes whoever waits; and it tells the end of a process as soon as there
//! is one, so nobody waits for a process that is gone.
//!
//! What lives where: `wire` bytes of messages, `socket` packets, `memory` what both see and all unsafe code about it, `budget`
//! what of it is counted, `life` start, end and pause, `background` a start that others do not notice, `instance` and `settle` runs on the daemon's side, [`host`] the other side. What never will be
//! here: frameworks, and what a request is to the daemon.

mod arenas;
mod background;
mod budget;
mod connection;
pub mod host;
mod instance;
mod kept;
mod life;
mod memory;
mod model;
mod process;
mod settle;
mod socket;
mod stamp;
mod wire;

pub use budget::{Budget, Counted};
pub use memory::AREAS_BYTES_MAX;
pub use model::Isolated;
pub use process::{Launch, Process, Program};
