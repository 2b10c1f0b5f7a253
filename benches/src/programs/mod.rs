//! The programs: one file for each question that is asked of the daemon.

mod allocator;
pub mod batching;
mod copies;
mod cpu;
mod end_to_end;
mod frameworks;
mod idle;
mod instructions;
mod instrument;
mod isolation;
mod large;
mod latency;
mod transport;
mod zero_copy;

use crate::framework::BareLoop;
use crate::generator::Generator;
use crate::options::{Bench, Options};
use crate::{valgrind, wrk};
use anyhow::Result;
use clap::ValueEnum;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Program {
    /// Round trips of one client, beside a bare ping-pong.
    Latency,
    /// Rates of large requests, beside a bare receive and send.
    Large,
    /// The daemon's processor time for each small request.
    Cpu,
    /// The daemon's memory for each idle connection.
    Idle,
    /// The daemon's time outside of the kernel for each large request, beside a memcpy.
    Copies,
    /// Daemon and load generator together, by transport and model, beside bare sockets and a bare framework.
    #[value(name = "end_to_end")]
    EndToEnd,
    /// The daemon's instructions for each request, counted by callgrind.
    Instructions,
    /// Whether the load generator can be trusted, beside wrk and a bare client. Not by default: it needs wrk.
    Instrument,
    /// Two allocators, with --system-allocator PATH.
    Allocator,
    /// What batching gains and what it costs. Not by default: it takes ten minutes. Names of its parts may follow; without
    /// one it is all of them.
    Batching,
    /// Each framework behind the daemon, beside itself in a loop. Not by default: it takes a quarter of an hour.
    Frameworks,
    /// What a model that crashes costs its neighbours. Not by default: it takes five minutes.
    Isolation,
    /// What --zero-copy-send is worth, between network namespaces and over loopback. Not by default: one has to be root.
    #[value(name = "zero_copy")]
    ZeroCopy,
}

impl Program {
    /// All of them.
    pub const ALL: [Program; 13] = [
        Program::Latency,
        Program::Large,
        Program::Cpu,
        Program::Idle,
        Program::Copies,
        Program::EndToEnd,
        Program::Instructions,
        Program::Instrument,
        Program::Allocator,
        Program::Batching,
        Program::Frameworks,
        Program::Isolation,
        Program::ZeroCopy,
    ];

    /// What stands above its tables.
    pub fn title(self) -> &'static str {
        match self {
            Program::Latency => "latency",
            Program::Large => "large",
            Program::Cpu => "cpu",
            Program::Idle => "idle",
            Program::Copies => "copies",
            Program::EndToEnd => "end_to_end",
            Program::Instructions => "instructions",
            Program::Instrument => "instrument",
            Program::Allocator => "allocator",
            Program::Batching => "batching",
            Program::Frameworks => "frameworks",
            Program::Isolation => "isolation",
            Program::ZeroCopy => "zero_copy",
        }
    }

    /// Looks for all that it needs besides the daemon.
    pub fn check(self, bench: &Bench, options: &Options) -> Result<()> {
        match self {
            Program::Latency | Program::Large | Program::Cpu | Program::Idle | Program::Copies => Ok(()),
            Program::EndToEnd | Program::Batching => Generator::find(bench).and(BareLoop::open()).map(drop),
            Program::Instructions => valgrind::version().map(drop),
            Program::Isolation => Generator::find(bench).map(drop),
            Program::Instrument => Generator::find(bench).and(wrk::check()),
            Program::Allocator => allocator::other_build(options.system_allocator.as_deref()).map(drop),
            Program::Frameworks => frameworks::check(bench),
            Program::ZeroCopy => zero_copy::check(),
        }
    }

    /// Measures and prints.
    pub fn run(self, bench: &Bench, options: &Options) -> Result<()> {
        match self {
            Program::Latency => latency::run(bench),
            Program::Large => large::run(bench),
            Program::Cpu => cpu::run(bench),
            Program::Idle => idle::run(bench, options.connections),
            Program::Copies => copies::run(bench),
            Program::EndToEnd => end_to_end::run(bench),
            Program::Instructions => instructions::run(bench),
            Program::Instrument => instrument::run(bench),
            Program::Allocator => allocator::run(bench, options.system_allocator.as_deref()),
            Program::Batching => batching::run(bench, &options.parts()?, options.connections),
            Program::Frameworks => frameworks::run(bench),
            Program::Isolation => isolation::run(bench),
            Program::ZeroCopy => zero_copy::run(bench),
        }
    }
}

/// Payload of a small request: 200 numbers. Beyond 4 KiB another way of receiving begins.
const SMALL_BYTES: usize = 800;
/// Payload of a picture of 224 × 224 pixels in three colours.
const PICTURE_BYTES: usize = 3 * 224 * 224 * 4;
/// Payload of 128 such pictures.
const PICTURES_BYTES: usize = 128 * PICTURE_BYTES;
/// What makes a daemon sleep as soon as it has nothing to do.
const NO_SPIN: [&str; 2] = ["--spin-us", "0"];
