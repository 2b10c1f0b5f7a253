//! The command line. Every option is a flag, an environment variable (`GRAPHPIPED_` and the flag in capitals) and, but
//! for `--config`, a key of the configuration file (the flag with underscores): one struct is all three.
//!
//! What the options add up to is decided in [`settings`](crate::settings).

use crate::address::Address;
use crate::config::ModelTable;
use crate::cores::CpuList;
use crate::source::{BackendName, ModelArg};
use crate::units::{ByteSize, Span};
use clap::builder::{BoolishValueParser, OsStr as ClapStr, Resettable};
use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;
use toml::Spanned;

mod runtime;

pub use runtime::{InstallArgs, ListArgs, RuntimeCommand};

/// Serves models of any framework over the GraphPipe protocol, on io_uring.
#[derive(Debug, Parser)]
#[command(name = "graphpiped", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// What this process was asked for. Prints what is wrong with it, or help, and ends the process.
    pub fn of_process() -> Cli {
        // An empty variable is how scripts and unit files take one back; clap would take it for a value.
        let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
        let without_empty = |arg: Arg| {
            if arg.get_env().is_some_and(is_empty) { arg.env(Resettable::<ClapStr>::Reset) } else { arg }
        };
        let command = on_each(Cli::command(), &without_empty);
        Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
    }
}

/// Changes every argument of a command and of those below it.
fn on_each(command: clap::Command, change: &dyn Fn(Arg) -> Arg) -> clap::Command {
    command.mut_args(change).mut_subcommands(|command| on_each(command, change))
}

/// What the daemon can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve models until SIGTERM or SIGINT.
    Serve(Box<ServeArgs>),
    /// Open a model, print what would be served, and exit.
    Check(CheckArgs),
    /// Say which frameworks are there, or fetch them.
    #[command(subcommand)]
    Runtime(RuntimeCommand),
    /// Host one model for the daemon, which starts this itself.
    #[command(hide = true)]
    BackendHost(HostArgs),
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// A configuration file (TOML). Flags and environment variables go before what it says.
    #[arg(long, env = "GRAPHPIPED_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Everything else.
    #[command(flatten)]
    pub options: Options,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The model: a path, or one behind a backend such as onnx:PATH, or echo:
    pub path: ModelArg,
    /// The backend that opens the model. Default: the one for its format, which its content tells.
    #[arg(long, env = "GRAPHPIPED_BACKEND", value_name = "NAME")]
    pub backend: Option<BackendName>,
    /// Names of the inputs, in their order, for a format that does not say them (a frozen graph).
    #[arg(long, env = "GRAPHPIPED_INPUTS", value_name = "NAMES", value_delimiter = ',')]
    pub inputs: Vec<String>,
    /// Names of the outputs, in their order; as for --inputs.
    #[arg(long, env = "GRAPHPIPED_OUTPUTS", value_name = "NAMES", value_delimiter = ',')]
    pub outputs: Vec<String>,
    /// Which of a model's signatures to serve, where it has several (a SavedModel).
    #[arg(long, env = "GRAPHPIPED_SIGNATURE", value_name = "NAME")]
    pub signature: Option<String>,
    /// Whether a model that is machine code may be loaded (an AOTInductor package).
    #[arg(long, env = "GRAPHPIPED_TRUST_NATIVE", value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub trust_native: Option<bool>,
    /// Threads inside one run.
    #[arg(long, env = "GRAPHPIPED_INTRA_THREADS", value_name = "N")]
    pub intra_threads: Option<usize>,
    /// Where the framework runs: none, in this process; process: in one of its own, whose crash is then told in a line.
    #[arg(long, env = "GRAPHPIPED_ISOLATION", value_name = "MODE")]
    pub isolation: Option<IsolationMode>,
    /// The folder of the frameworks' libraries.
    #[arg(long, env = "GRAPHPIPED_RUNTIME", value_name = "DIR")]
    pub runtime: Option<PathBuf>,
    /// The ONNX Runtime library.
    #[arg(long, env = "GRAPHPIPED_ONNXRUNTIME", value_name = "PATH")]
    pub onnxruntime: Option<PathBuf>,
}

impl CheckArgs {
    /// The same as options of `serve`.
    pub fn into_options(self) -> Options {
        Options {
            model: vec![self.path],
            backend: self.backend,
            inputs: self.inputs,
            outputs: self.outputs,
            signature: self.signature,
            trust_native: self.trust_native,
            intra_threads: self.intra_threads,
            isolation: self.isolation,
            runtime: self.runtime,
            onnxruntime: self.onnxruntime,
            ..Options::default()
        }
    }
}

/// Arguments of `backend-host`. They come from the daemon alone, so none of them is an environment variable.
#[derive(Debug, Args)]
pub struct HostArgs {
    /// What clients call the model, for those who look at the processes of the machine.
    pub model: String,
    /// The folder of the frameworks' libraries.
    #[arg(long, value_name = "DIR")]
    pub runtime: Option<PathBuf>,
    /// The ONNX Runtime library.
    #[arg(long, value_name = "PATH")]
    pub onnxruntime: Option<PathBuf>,
}

/// What can be said on the command line, in the environment and in the configuration file. Nothing said = `None`.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// A model to serve: NAME=PATH, or PATH (its name is then the file's). PATH may begin with a backend, such as onnx:PATH;
    /// without one, the format of the model decides. echo: is the identity. May be repeated, or several separated by commas. A model called "default", else the first one,
    /// answers requests that name no model. GP_MODEL works as well.
    #[arg(short, long, env = "GRAPHPIPED_MODEL", value_name = "NAME=PATH|PATH", value_delimiter = ',')]
    #[serde(skip)]
    pub model: Vec<ModelArg>,
    /// The models of the configuration file.
    #[arg(skip)]
    #[serde(rename = "model")]
    pub tables: BTreeMap<String, Spanned<ModelTable>>,
    /// An address to listen on: tcp://HOST:PORT or unix:PATH[?mode=0660]. May be repeated, or several separated by commas.
    /// Default: tcp://127.0.0.1:9000 and a Unix socket graphpiped.sock in the runtime directory.
    #[arg(short, long, env = "GRAPHPIPED_LISTEN", value_name = "ADDRESS", value_delimiter = ',')]
    pub listen: Vec<Address>,
    /// The backend that opens a model. Default: the one for its format, which its content tells.
    #[arg(long, env = "GRAPHPIPED_BACKEND", value_name = "NAME")]
    pub backend: Option<BackendName>,
    /// Names of a model's inputs, in their order, for formats that do not say them (a frozen graph). Separated by commas.
    #[arg(long, env = "GRAPHPIPED_INPUTS", value_name = "NAMES", value_delimiter = ',')]
    pub inputs: Vec<String>,
    /// Names of a model's outputs, in their order; as for --inputs.
    #[arg(long, env = "GRAPHPIPED_OUTPUTS", value_name = "NAMES", value_delimiter = ',')]
    pub outputs: Vec<String>,
    /// Which of a model's signatures to serve, where it has several (a SavedModel). Default: the model's default one.
    #[arg(long, env = "GRAPHPIPED_SIGNATURE", value_name = "NAME")]
    pub signature: Option<String>,
    /// Whether models that are machine code may be loaded (AOTInductor packages). They can do whatever the daemon can.
    /// Default: no.
    #[arg(long, env = "GRAPHPIPED_TRUST_NATIVE", value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub trust_native: Option<bool>,
    /// Threads inside one run of a model. Default: 1.
    #[arg(long, env = "GRAPHPIPED_INTRA_THREADS", value_name = "N")]
    pub intra_threads: Option<usize>,
    /// Runs of each model at the same time, a thread each. Default: the cores of --cpus, else those that --io-threads
    /// leaves, shared between the threads of a run; at least 1.
    #[arg(long, env = "GRAPHPIPED_INSTANCES", value_name = "N")]
    pub instances: Option<usize>,
    /// Cores that run models, such as 0-3,8. Default: all that this process may use, as the scheduler sees fit.
    #[arg(long, env = "GRAPHPIPED_CPUS", value_name = "LIST")]
    pub cpus: Option<CpuList>,
    /// Whether requests of many connections are run together. Default: auto, where a trial when the model is opened shows
    /// that rows run together give what they give alone; on: refuse to start where it does not; off: never.
    #[arg(long, env = "GRAPHPIPED_BATCH", value_name = "MODE")]
    pub batch: Option<BatchMode>,
    /// Rows of one run, at most. Default: up to 128, as many as have 16 MiB of inputs and outputs, so that they stay in
    /// the caches; fewer where --memory is short.
    #[arg(long, env = "GRAPHPIPED_MAX_BATCH", value_name = "ROWS")]
    pub max_batch: Option<usize>,
    /// Microseconds that a run waits for more rows while there is room for them. Default: 0, because while one run goes on
    /// the next one fills anyway.
    #[arg(long, env = "GRAPHPIPED_LINGER_US", value_name = "N")]
    pub linger_us: Option<u32>,
    /// Whether reactors run models themselves. Default: auto, where a run costs less than --inline-us, so that waking
    /// another thread would cost more than it saves.
    #[arg(long, env = "GRAPHPIPED_INLINE", value_name = "MODE")]
    pub inline: Option<InlineMode>,
    /// Microseconds that a run on a reactor may take with --inline auto. Default: 200, as long as receiving a piece of a
    /// large payload keeps the other connections waiting anyway.
    #[arg(long, env = "GRAPHPIPED_INLINE_US", value_name = "N")]
    pub inline_us: Option<u32>,
    /// Where a framework runs. Default: none, in the daemon itself; process: in a process of its own for each model, which
    /// takes no other model with it when it crashes, and is started again.
    #[arg(long, env = "GRAPHPIPED_ISOLATION", value_name = "MODE")]
    pub isolation: Option<IsolationMode>,
    /// Reactors: threads with a ring that do all input and output. Default: a quarter of the cores, at least 1.
    #[arg(long, env = "GRAPHPIPED_IO_THREADS", value_name = "N")]
    pub io_threads: Option<usize>,
    /// Memory for requests and outputs, all together, such as 4G. Default: a quarter of the machine's.
    #[arg(long, env = "GRAPHPIPED_MEMORY", value_name = "SIZE")]
    pub memory: Option<ByteSize>,
    /// Connections open at a time. One more is closed at once.
    #[arg(long, env = "GRAPHPIPED_CONNECTIONS_MAX", value_name = "N")]
    pub connections_max: Option<usize>,
    /// The longest message. Default: 2 GiB - 1, which FlatBuffers cannot exceed.
    #[arg(long, env = "GRAPHPIPED_MESSAGE_BYTES_MAX", value_name = "SIZE")]
    pub message_bytes_max: Option<ByteSize>,
    /// Requests of one connection that wait for their replies. A connection with as many is not read from.
    #[arg(long, env = "GRAPHPIPED_IN_FLIGHT_MAX", value_name = "N")]
    pub in_flight_max: Option<usize>,
    /// Requests that wait for each model. One more is answered "busy".
    #[arg(long, env = "GRAPHPIPED_QUEUE_MAX", value_name = "N")]
    pub queue_max: Option<usize>,
    /// How long a frame or an HTTP head that has begun may take to be complete.
    #[arg(long, env = "GRAPHPIPED_HEAD_TIMEOUT", value_name = "TIME")]
    pub head_timeout: Option<Span>,
    /// How long a connection may be without a request.
    #[arg(long, env = "GRAPHPIPED_IDLE_TIMEOUT", value_name = "TIME")]
    pub idle_timeout: Option<Span>,
    /// How long 4 KiB of a payload may take to come, or any byte of a reply to be taken.
    #[arg(long, env = "GRAPHPIPED_PROGRESS_TIMEOUT", value_name = "TIME")]
    pub progress_timeout: Option<Span>,
    /// How long what was accepted may take to finish after SIGTERM, and a refused connection to end.
    #[arg(long, env = "GRAPHPIPED_DRAIN_TIMEOUT", value_name = "TIME")]
    pub drain_timeout: Option<Span>,
    /// Microseconds that a reactor polls before it sleeps; 0 never polls.
    #[arg(long, env = "GRAPHPIPED_SPIN_US", value_name = "N")]
    pub spin_us: Option<u32>,
    /// Send outputs of this many bytes or more without a copy, such as 1M, to TCP peers on other machines. It can pay with
    /// network cards that gather what they send; on one machine, containers included, the kernel copies anyway and it
    /// costs more. Default: never.
    #[arg(long, env = "GRAPHPIPED_ZERO_COPY_SEND", value_name = "SIZE")]
    pub zero_copy_send: Option<ByteSize>,
    /// The folder of the frameworks' libraries, as `graphpiped runtime install` fills it. Default: runtime/ in the project
    /// that the daemon lies in, /usr/local/lib/graphpiped, /usr/lib/graphpiped.
    #[arg(long, env = "GRAPHPIPED_RUNTIME", value_name = "DIR")]
    pub runtime: Option<PathBuf>,
    /// The ONNX Runtime library. Default: ORT_DYLIB_PATH, else the one of --runtime, else the system's library path.
    #[arg(long, env = "GRAPHPIPED_ONNXRUNTIME", value_name = "PATH")]
    pub onnxruntime: Option<PathBuf>,
    /// What to log to the standard error: error, warn, info, debug or trace, or one of these per module. Default: info.
    #[arg(long, env = "GRAPHPIPED_LOG", value_name = "LEVEL")]
    pub log: Option<String>,
}

impl Options {
    /// These options, and where they say nothing the other ones.
    #[must_use]
    pub fn or(self, other: Options) -> Options {
        Options {
            model: first_said(self.model, other.model),
            tables: if self.tables.is_empty() { other.tables } else { self.tables },
            listen: first_said(self.listen, other.listen),
            backend: self.backend.or(other.backend),
            inputs: first_said(self.inputs, other.inputs),
            outputs: first_said(self.outputs, other.outputs),
            signature: self.signature.or(other.signature),
            trust_native: self.trust_native.or(other.trust_native),
            intra_threads: self.intra_threads.or(other.intra_threads),
            instances: self.instances.or(other.instances),
            cpus: self.cpus.or(other.cpus),
            batch: self.batch.or(other.batch),
            max_batch: self.max_batch.or(other.max_batch),
            linger_us: self.linger_us.or(other.linger_us),
            inline: self.inline.or(other.inline),
            inline_us: self.inline_us.or(other.inline_us),
            isolation: self.isolation.or(other.isolation),
            io_threads: self.io_threads.or(other.io_threads),
            memory: self.memory.or(other.memory),
            connections_max: self.connections_max.or(other.connections_max),
            message_bytes_max: self.message_bytes_max.or(other.message_bytes_max),
            in_flight_max: self.in_flight_max.or(other.in_flight_max),
            queue_max: self.queue_max.or(other.queue_max),
            head_timeout: self.head_timeout.or(other.head_timeout),
            idle_timeout: self.idle_timeout.or(other.idle_timeout),
            progress_timeout: self.progress_timeout.or(other.progress_timeout),
            drain_timeout: self.drain_timeout.or(other.drain_timeout),
            spin_us: self.spin_us.or(other.spin_us),
            zero_copy_send: self.zero_copy_send.or(other.zero_copy_send),
            runtime: self.runtime.or(other.runtime),
            onnxruntime: self.onnxruntime.or(other.onnxruntime),
            log: self.log.or(other.log),
        }
    }
}

fn first_said<T>(first: Vec<T>, second: Vec<T>) -> Vec<T> {
    if first.is_empty() { second } else { first }
}

/// Whether rows of several requests are run together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum BatchMode {
    /// If a trial shows that they do not see each other.
    #[default]
    Auto,
    /// Yes; a model that cannot be is refused.
    On,
    /// No.
    Off,
}

/// Whether reactors run models themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum InlineMode {
    /// Where a run costs less than a bound.
    #[default]
    Auto,
    /// Whatever a run costs.
    Always,
    /// Executors run everything.
    Never,
}

/// Where a framework runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum IsolationMode {
    /// In the daemon.
    #[default]
    None,
    /// In a process for each model.
    Process,
}

#[cfg(test)]
mod tests;
