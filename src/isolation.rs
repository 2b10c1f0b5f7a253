//! Models in processes of their own: how such a process is started, what it does, and which memory of the daemon it reads.
//!
//! The process is this program again, as the command `backend-host`, which is for nobody else. What is said between the two is in
//! the crate `graphpiped-backend-isolated`.

use crate::cli::HostArgs;
use crate::cores::{CpuList, pin};
use crate::faults;
use crate::open::Backends;
use crate::places::Places;
use graphpiped_backend_isolated::{Budget, Counted, Isolated, Launch, Program, host};
use graphpiped_memory::{Exhausted, Mapping, Pool, Shareable};
use std::ffi::OsStr;
use std::io::stdin;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// How processes of models are started.
#[derive(Clone, Debug)]
pub struct HostProgram {
    /// Where the frameworks' libraries are, as far as somebody said so.
    pub places: Places,
    /// Cores that run models, if somebody said so.
    pub cpus: Option<CpuList>,
    /// Whose budget bounds what their runs need.
    pub pool: Pool,
}

impl HostProgram {
    /// Starts those of the model that clients call so.
    pub fn launch(&self, model: &str) -> Box<dyn Launch> {
        let HostProgram { places: Places { runtime, onnxruntime }, cpus, pool: _ } = self.clone();
        let model = model.to_string();
        Box::new(Program(move || {
            // The thread that starts a process does nothing else, and the process has its cores.
            if let Some(Err(why)) = cpus.as_ref().map(pin) {
                tracing::warn!("{why}");
            }
            // The very program that runs, also when another one lies at its path by now.
            let mut command = Command::new("/proc/self/exe");
            command.arg0("graphpiped").arg("backend-host");
            for (flag, path) in [("--runtime", &runtime), ("--onnxruntime", &onnxruntime)] {
                command.args(path.iter().flat_map(|path| [OsStr::new(flag), path.as_os_str()]));
            }
            // Last, and no flag whatever it begins with.
            command.args(["--", &model]);
            command
        }))
    }
}

/// The budget of a pool.
pub struct Budgeted(pub Pool);

impl Budget for Budgeted {
    fn count(&self, bytes: usize) -> Result<Counted, String> {
        self.0.count(bytes).map(Counted::new).map_err(|exhausted| exhausted.to_string())
    }
}

/// Hosts the model that the daemon names over the standard input. Does not return: the process ends when the daemon does not
/// need it any more.
pub fn host(args: HostArgs) -> Result<(), String> {
    let no_socket = |why: &dyn std::fmt::Display| format!("backend-host is started by the daemon alone: {why}");
    let control = stdin().as_fd().try_clone_to_owned().map_err(|error| no_socket(&error))?;
    // What a framework reads from its standard input is nothing.
    let null = std::fs::File::open("/dev/null").map_err(|error| error.to_string())?;
    rustix::stdio::dup2_stdin(&null).map_err(|error| error.to_string())?;
    if rustix::net::sockopt::socket_type(&control) != Ok(rustix::net::SocketType::SEQPACKET) {
        return Err(no_socket(&"its standard input is not the daemon's socket"));
    }
    host::ends_with_the_daemon_alone();
    host::leaves_nothing_behind();
    // Of a program that was started as /proc/self/exe this is the name otherwise: "exe". It is for people, so it may fail.
    let _ = rustix::thread::set_name(c"graphpiped-host");
    // It starts no processes, so nothing of theirs is counted here.
    let nothing = Pool::new(0);
    let backends = Backends::new(&Places { runtime: args.runtime, onnxruntime: args.onnxruntime }, nothing);
    host::serve(control, |name| backends.find(name), |run| faults::guarded(run));
    host::end()
}

/// Where the memory of a model's arenas comes from.
#[derive(Clone, Copy, Debug)]
pub struct ArenaMemory<'a> {
    /// Whose budget it is.
    pub pool: &'a Pool,
    /// Whose processes read it as well.
    pub isolated: Option<&'a Isolated>,
}

impl<'a> From<&'a Pool> for ArenaMemory<'a> {
    /// Memory that nobody else reads.
    fn from(pool: &'a Pool) -> ArenaMemory<'a> {
        ArenaMemory { pool, isolated: None }
    }
}

impl ArenaMemory<'_> {
    /// Memory for one arena.
    pub fn set_aside(&self, bytes: usize) -> Result<Mapping, Exhausted> {
        match self.isolated {
            None => self.pool.set_aside(bytes),
            Some(isolated) => {
                let mut share = |Shareable { descriptor, address, bytes }| isolated.share(descriptor, address, bytes);
                self.pool.set_aside_shared(bytes, &mut share)
            }
        }
    }
}
