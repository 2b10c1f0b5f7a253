//! The program `graphpiped`: the allocator, the command, the exit code. Everything else is in the library.
#![forbid(unsafe_code)]

use graphpiped::cli::{Cli, Command};
use graphpiped::{check, control, faults, isolation, open, runtime};
use std::process::ExitCode;

/// Reactors free what executors allocate, and the other way round, for which mimalloc needs no lock. On loads that stay
/// on one thread it is neither faster nor slower than glibc's allocator, and takes 12 MB more: `benches/README.md`, under
/// "allocator". Tensors do not come from it, they have a pool of their own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before there is a second thread.
    open::prepare_process();
    faults::abort_on_panic();
    let result = match Cli::of_process().command {
        Command::Serve(args) => control::serve(*args).map_err(|failure| failure.to_string()),
        Command::BackendHost(args) => isolation::host(args),
        Command::Check(args) => check::check(args).map(|text| print!("{text}")),
        Command::Runtime(command) => runtime::run(command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => {
            eprintln!("graphpiped: {line}");
            ExitCode::FAILURE
        }
    }
}
