//! The command line. What it says is taken apart where it is used; what cannot be is refused here, before anything is sent.

use crate::knee::Objective;
use crate::protocol::Protocol;
use crate::sweep::Sweep;
use crate::units::duration;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Asks a server of tensors as often as it is told to, and says what came of it.
///
/// Latency counts from when a request should have been sent. Without --rate that is when the reply before it has come
/// (a closed loop: what a number of clients can get); with it, when the clock says so (an open loop: what users would see).
///
/// Exits with 0 if every request was answered and every number is the server's, with 2 if it ran and that is not so, and
/// with 1 if it did not run.
#[derive(Debug, Parser)]
#[command(name = "graphpipe-loadgen", version, max_term_width = 110)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, args_override_self = true)]
pub struct Cli {
    /// Other things than asking.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What to ask, how, and for how long.
    #[command(flatten)]
    pub run: Run,
}

/// Other things than asking.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Says what has changed between two results (files of --json).
    Compare {
        /// The one to compare with.
        a: PathBuf,
        /// The one that is compared.
        b: PathBuf,
    },
    /// Runs two commands in turn and says how they differ.
    ///
    /// Each command is run by /bin/sh and writes a result of this program to its standard output (`graphpipe-loadgen …
    /// --json -`) or to the file that GRAPHPIPE_LOADGEN_JSON names.
    Ab {
        /// The command to compare with.
        #[arg(long, value_name = "COMMAND")]
        a: String,
        /// The command that is compared.
        #[arg(long, value_name = "COMMAND")]
        b: String,
        /// How often each is run. With fewer than 6, no interval reaches 95 % confidence.
        #[arg(long, value_name = "N", default_value_t = 8)]
        rounds: usize,
        /// Decides which of the two begins each round.
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
    },
    /// Draws results (files of --json) into one picture.
    Plot {
        /// The results, as FILE or NAME=FILE.
        #[arg(value_name = "[NAME=]FILE")]
        results: Vec<String>,
        /// Draws this bar chart instead: JSON with title, unit, log and groups of bars.
        #[arg(long, value_name = "FILE", conflicts_with = "results")]
        bars: Option<PathBuf>,
        /// Where to: .svg or .png.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// What stands above it.
        #[arg(long, default_value = "")]
        title: String,
    },
}

/// What to ask, how, and for how long.
#[derive(Debug, Args)]
pub struct Run {
    /// tcp://HOST:PORT, unix:PATH or http://HOST:PORT[/PATH].
    #[arg(required = true)]
    pub target: Option<String>,
    /// What is spoken. Default: native on tcp: and unix:, graphpipe-http on http:.
    #[arg(long, value_enum)]
    pub protocol: Option<Protocol>,
    /// The model's name. Default: the server's default model, where the protocol knows one.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub model: String,
    /// Asks for this output; may be repeated. Default: all of them.
    #[arg(long = "output", value_name = "NAME")]
    pub outputs: Vec<String>,

    #[command(flatten)]
    pub loop_: Loop,
    #[command(flatten)]
    pub inputs: Inputs,
    #[command(flatten)]
    pub checks: Checks,
    #[command(flatten)]
    pub results: Results,
}

/// Who decides when a request is sent, and for how long.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Load")]
pub struct Loop {
    /// Connections.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub clients: usize,
    /// The most requests under way on each connection.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub pipeline: usize,
    /// Threads of this program.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub threads: usize,
    /// Requests per second, whatever the server does (an open loop).
    #[arg(long, value_name = "N", conflicts_with = "replay", allow_negative_numbers = true)]
    pub rate: Option<f64>,
    /// How the requests of a rate are spread. Default: constant.
    #[arg(long, value_enum)]
    pub arrivals: Option<Spread>,
    /// Sends at the times that this file says: seconds, one a line, ascending, from any origin.
    #[arg(long, value_name = "FILE")]
    pub replay: Option<PathBuf>,
    /// How long each round counts. Default: 5s, and as long as the trace with --replay.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// How long each round runs before it counts. Default: 1s, and 0s with --replay.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub warmup: Option<Duration>,
    /// How often everything is measured. Comparing two results takes 4 rounds of each at least.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub rounds: usize,
    /// How long a reply may take, and how late a request may be sent.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub timeout: Duration,
    /// Measures each setting: clients=1,2,4 or pipeline=…, rate=…; rounds of all settings take turns.
    #[arg(long, value_name = "NAME=N,N,…", conflicts_with_all = ["find_knee", "replay"])]
    pub sweep: Option<Sweep>,
    /// Searches the highest rate that holds an objective: p99<5ms. Other percentiles, mean and max do as well.
    #[arg(long, value_name = "OBJECTIVE", conflicts_with_all = ["rate", "replay"])]
    pub find_knee: Option<Objective>,
    /// Never sleeps: replies are seen sooner, and a core is used up.
    #[arg(long)]
    pub spin: bool,
    /// The TCP congestion control of our side (cubic, bbr, …). Default: the system's.
    #[arg(long, value_name = "NAME")]
    pub congestion: Option<String>,
}

/// How requests of an open loop are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Spread {
    /// At equal distances.
    Constant,
    /// By chance, as independent users do.
    Poisson,
}

/// What is sent.
#[derive(Debug, Args)]
#[command(next_help_heading = "Inputs")]
pub struct Inputs {
    /// An input's shape where the model leaves it open, or where the server does not say it; NAME may be left out if there is one.
    #[arg(long = "shape", value_name = "[NAME=]N,N,…")]
    pub shapes: Vec<String>,
    /// An input's element type where the server does not say it.
    #[arg(long = "dtype", value_name = "[NAME=]TYPE")]
    pub dtypes: Vec<String>,
    /// Takes an input from a file: .npy, .npz, .png or .jpg. Others are generated.
    #[arg(long = "input", value_name = "[NAME=]FILE")]
    pub files: Vec<String>,
    /// Rows of each request: the first dimension, where the model leaves it open. Default: 1, or all that a file has.
    #[arg(long, value_name = "N")]
    pub rows: Option<u32>,
    /// Where chance begins, for generated values and for --arrivals poisson.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How many different requests there are, at most; fewer if they would take more than 64 MiB.
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub distinct: usize,
}

/// What is looked at besides time.
#[derive(Debug, Args)]
#[command(next_help_heading = "Checks")]
pub struct Checks {
    /// Compares every reply: with what was sent (echo), with the first reply to the same request (first), or with a file (.npy, .npz).
    #[arg(long, value_name = "WITH")]
    pub verify: Option<String>,
    /// How far floats may be off, absolutely and relatively. Default: not by a bit.
    #[arg(long, value_name = "X", requires = "verify")]
    pub tolerance: Option<f64>,
    /// A process of the server, on this machine; counted with all that it has started. May be repeated.
    #[arg(long = "server-pid", value_name = "PID")]
    pub server_pids: Vec<u32>,
    /// The page with the server's metrics, for the sizes of batches. Default: /metrics of a GraphPipe server.
    #[arg(long, value_name = "URL")]
    pub metrics: Option<String>,
    /// The histogram of rows per batch on that page.
    #[arg(long, value_name = "NAME", default_value = "graphpiped_batch_rows")]
    pub batch_metric: String,
}

/// Where results go, besides the table.
#[derive(Debug, Args)]
#[command(next_help_heading = "Results")]
pub struct Results {
    /// Everything, for `compare`, `ab` and `plot`; - is the standard output, on which nothing else is written then.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// A line for each round.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// All latencies, as HdrHistogram's interval log.
    #[arg(long, value_name = "FILE")]
    pub hdr: Option<PathBuf>,
    /// A picture: latency by percentile, and over throughput after a sweep. .svg or .png.
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
}
