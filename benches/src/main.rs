//! Measures the daemon from outside, as its clients see it: one program per question, each beside a floor that is measured
//! in the same run on the same cores. `benches/README.md` says what each number means.
//!
//! The daemon is a process of its own, started from the binary that users run. Nothing of its code is linked here but the
//! messages, and the backends whose bare loops are floors, so that no number of the daemon depends on how this program was
//! built. What is measured from inside is in `benches/benches/`.
#![forbid(unsafe_code)]

mod address;
mod aim;
mod clients;
mod companion;
mod cores;
mod crowd;
mod daemon;
mod exchange;
mod floor;
mod framework;
mod generator;
mod interval;
mod machine;
mod metrics;
mod models;
mod npy;
mod options;
mod programs;
mod socket;
mod spread;
mod table;
mod usage;
mod valgrind;
mod watch;
mod wire;
mod wrk;

use anyhow::{Context, Result};
use clap::Parser;
use options::Options;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(plan) = companion::asked_for(std::env::args_os()) {
        return ended(companion::become_it(&plan).map(|never| match never {}));
    }
    ended(match floor::asked_for(std::env::args()) {
        Some(plan) => plan.and_then(|plan| plan.serve()),
        None => measure(&Options::parse()),
    })
}

fn ended(outcome: Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<()> {
    let bench = options.bench()?;
    let programs = options.chosen()?;
    // What is missing is said now, and not after minutes.
    for program in &programs {
        program.check(&bench, options).with_context(|| program.title().to_owned())?;
    }
    machine::print_header(&bench)?;
    for program in programs {
        let busy = machine::Busy::now()?;
        println!("\n## {}\n", program.title());
        program.run(&bench, options).with_context(|| program.title().to_owned())?;
        println!("\nMeanwhile other processes used {:.1} % of the machine.", busy.others_percent()?);
    }
    Ok(())
}
