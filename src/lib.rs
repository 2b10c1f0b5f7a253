//! The daemon `graphpiped`: it knows everyone, and is the only one that does.
//!
//! | what | where |
//! | --- | --- |
//! | what was asked for | [`cli`], [`config`], [`source`], [`units`], [`address`]; what is in effect: [`settings`], [`limits`], [`machine`] |
//! | the way of a request | [`service`] → [`receive`] ([`claim`], [`admission`]) → [`inline`] or [`executor`] → [`run`] → [`returns`] |
//! | what is run together | [`batching`], [`lanes`], [`placement`], [`shortage`], [`seal`]; [`request`], [`queue`] |
//! | whether and how it may be | [`probe`], [`plan`], [`cost`], [`lane_maker`] |
//! | what is served | [`registry`], [`model`], [`open`], [`places`], [`isolation`]; what is shown of it: [`pages`], [`metrics`], [`check`] |
//! | what all of it shares | [`daemon`] |
//! | how frameworks get onto the machine | [`runtime`] |
//! | the control plane | [`control`], [`loading`], [`threads`], [`cores`], [`listen`], [`runtime_folder`], [`faults`] |
//!
//! `main.rs` holds the allocator and the exit code, and nothing else.
#![forbid(unsafe_code)]

pub mod address;
pub mod admission;
pub mod batching;
pub mod check;
pub mod claim;
pub mod cli;
pub mod config;
pub mod control;
pub mod cores;
pub mod cost;
pub mod daemon;
pub mod executor;
pub mod faults;
pub mod inline;
pub mod isolation;
pub mod lane_maker;
pub mod lanes;
pub mod limits;
pub mod listen;
pub mod loading;
pub mod machine;
pub mod metrics;
pub mod model;
pub mod open;
pub mod pages;
pub mod placement;
pub mod places;
pub mod plan;
pub mod probe;
pub mod queue;
pub mod receive;
pub mod registry;
pub mod request;
pub mod returns;
pub mod run;
pub mod runtime;
pub mod runtime_folder;
pub mod seal;
pub mod service;
pub mod settings;
pub mod shortage;
pub mod source;
pub mod threads;
pub mod units;
