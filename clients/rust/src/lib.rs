//! A small blocking GraphPipe client over TCP and Unix sockets.
//!
//! ```no_run
//! use graphpipe_client::{Client, Request, Tensor};
//!
//! let mut client = Client::connect("unix:/run/graphpiped/socket")?;
//! let pixels = [0.0_f32; 64];
//! let response = client.infer(&Request::new().model("digits").input(Tensor::new(&[1, 64], &pixels)))?;
//! let output = response.output(0)?;
//! println!("{} {:?} {:?}", output.dtype(), output.shape(), output.as_slice::<f32>()?);
//! # Ok::<(), graphpipe_client::Error>(())
//! ```
//!
//! Tensors are not copied on the way: requests are sent from the caller's slices by one vectored write (all names and
//! shapes first, so that the server knows where each tensor belongs before its bytes arrive), and replies are received into
//! aligned memory, in which [`Output::as_slice`] shows numbers in place. That memory is used again for later replies. The
//! exception: what arrives of a reply in one piece with its header, at most 16 KiB, is copied to its place, because that
//! costs less than a system call of its own.
//!
//! # Pipelining
//!
//! A server that has many requests at a time can do many at a time, and each costs less. [`Client::send`] sends without
//! waiting, [`Client::receive`] returns replies as they come, in any order:
//!
//! ```no_run
//! # use graphpipe_client::{Client, Request, Tensor};
//! # let mut client = Client::connect("tcp://127.0.0.1:9000")?;
//! # let rows: Vec<[f32; 64]> = Vec::new();
//! for row in &rows {
//!     if client.in_flight() == 32 {
//!         let (id, reply) = client.receive()?;
//!         println!("{id:?}: {}", reply?.len());
//!     }
//!     client.send(&Request::new().input(Tensor::new(&[1, 64], row)))?;
//! }
//! while client.in_flight() > 0 {
//!     let (id, reply) = client.receive()?;
//!     println!("{id:?}: {}", reply?.len());
//! }
//! # Ok::<(), graphpipe_client::Error>(())
//! ```
//!
//! A bound like the 32 above keeps replies from piling up: a client that only sends keeps every reply that arrives, and is
//! refused ([`Error::InFlight`]) at [`Options::in_flight_max`]. It never stalls: while a send waits for room in the socket,
//! it takes in replies.
//!
//! What is not here: HTTP, retries, pools of connections, threads. A [`Client`] is one connection; after an error that ends
//! it, connect again.
#![forbid(unsafe_code)]

mod address;
mod client;
mod element;
mod error;
mod inbound;
mod memory;
mod options;
mod outbound;
mod replies;
mod request;
mod response;
mod stream;

pub use address::{Address, BadAddress};
pub use client::{Answer, Client, Id};
pub use element::Element;
pub use error::{Broken, Error, OutputError, ServerError};
pub use graphpipe_schema::metadata::{Io, Metadata};
pub use graphpipe_schema::{Code, DType, Shape};
pub use options::Options;
pub use request::{Request, Tensor};
pub use response::{Output, Response};
