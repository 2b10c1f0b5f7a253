//! The daemon `graphpiped`: it knows everyone, and is the only one that does.
//!
//! | what | where |
//! | --- | --- |
//! | what was asked for | [`cli`], [`config`], [`units`], [`address`]; what is in effect: [`settings`], [`limits`], [`machine`] |
//! | the way of a request | [`service`] → [`receive`] ([`claim`], [`admission`]) → [`executor`] → [`run`] → [`returns`] |
//! | what is served | [`registry`], [`model`], [`open`]; what is shown of it: [`pages`], [`metrics`], [`check`] |
//! | what all of it shares | [`daemon`] |
//! | the control plane | [`control`], [`threads`], [`listen`], [`runtime_folder`], [`faults`] |
//!
//! `main.rs` holds the allocator and the exit code, and nothing else.
#![forbid(unsafe_code)]

pub mod address;
pub mod admission;
pub mod check;
pub mod claim;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod executor;
pub mod faults;
pub mod limits;
pub mod listen;
pub mod machine;
pub mod metrics;
pub mod model;
pub mod open;
pub mod pages;
pub mod receive;
pub mod registry;
pub mod returns;
pub mod run;
pub mod runtime_folder;
pub mod service;
pub mod settings;
pub mod threads;
pub mod units;
