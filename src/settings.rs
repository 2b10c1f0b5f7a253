//! What is in effect: flag before environment variable before configuration file before default, and every default with
//! its reason. Pure: the machine and the environment are arguments.

use crate::address::{Address, MODE_DEFAULT};
use crate::cli::{BatchMode, InlineMode, IsolationMode, Options};
use crate::config::ModelTable;
use crate::cores::CpuList;
use crate::places::Places;
use crate::source::{BackendName, ModelArg, Source, checked_name};
use crate::units::Span;
use graphpiped_batch::ROWS_MAX as ARENA_ROWS_MAX;
use graphpiped_transport::limits::{Limits, SMALL_BYTES_MAX};
use std::path::Path;
use std::time::Duration;
use toml::Spanned;

/// What the machine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Cores that this process may use.
    pub cores: usize,
    /// Bytes of memory that it may use.
    pub memory_bytes: u64,
}

/// Everything that `serve` needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The models; the first one is the default.
    pub models: Vec<ModelSettings>,
    /// Where to listen; empty = the default addresses.
    pub listen: Vec<Address>,
    /// Number of reactors.
    pub io_threads: usize,
    /// The budget of the pool.
    pub memory_bytes: u64,
    /// Cores that run models, if somebody said so.
    pub cpus: Option<CpuList>,
    /// Whether reactors run models themselves.
    pub inline: InlineMode,
    /// How long a run on a reactor may take with [`InlineMode::Auto`].
    pub inline_time_max: Duration,
    /// The bounds of all reactors together.
    pub limits: Limits,
    /// Where the frameworks' libraries are, as far as somebody said so.
    pub places: Places,
}

/// How one model is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSettings {
    /// What clients call it.
    pub name: String,
    /// Which backend opens what.
    pub source: Source,
    /// Names of the inputs, if somebody said so.
    pub inputs: Vec<String>,
    /// Names of the outputs, if somebody said so.
    pub outputs: Vec<String>,
    /// Which of the model's signatures, if somebody said so.
    pub signature: Option<String>,
    /// Whether it may be machine code.
    pub trust_native: bool,
    /// Threads inside one run.
    pub intra_threads: usize,
    /// Runs at the same time.
    pub instances: usize,
    /// Requests that wait.
    pub queue_max: usize,
    /// Whether rows of several requests are run together.
    pub batch: BatchMode,
    /// Rows of one run at most, if somebody said so.
    pub max_batch: Option<usize>,
    /// How long a run waits for more rows.
    pub linger: Duration,
    /// Where its framework runs.
    pub isolation: IsolationMode,
}

/// Requests that wait for each model: more than one connection may have in flight (a client that pipelines as deep as it
/// may is not refused), and few enough that the queue itself stays at some megabytes.
pub const QUEUE_MAX_DEFAULT: usize = 4096;
/// Microseconds of a run on a reactor: several times what waking another thread costs on a virtual machine, and as long as
/// one operation on a large payload holds up the other connections in any case.
pub const INLINE_MICROSECONDS_DEFAULT: u32 = 200;
/// Longer waits for more rows are a slip of the finger: a second is ten thousand times what waiting for them is worth.
const LINGER_MICROSECONDS_MAX: u32 = 1_000_000;
/// Where GraphPipe's servers have always listened.
pub const TCP_DEFAULT: (&str, u16) = ("127.0.0.1", 9000);
/// The name of the default Unix socket.
pub const SOCKET_NAME: &str = "graphpiped.sock";
/// The name of a model that is the default wherever it stands.
const DEFAULT_NAME: &str = "default";
/// More threads of one kind than any machine has cores: beyond that it is a slip of the finger.
const THREADS_MAX: usize = 1024;

impl Settings {
    /// What is in effect on this machine with these options. `gp_model` is the value of `GP_MODEL`, GraphPipe's own
    /// variable, which is looked at when no other says which models to serve.
    pub fn resolve(options: Options, gp_model: Option<String>, machine: &Machine) -> Result<Settings, String> {
        let io_threads = threads("--io-threads", options.io_threads, (machine.cores / 4).max(1))?;
        let limits = limits(&options)?;
        let beside_reactors = machine.cores.saturating_sub(io_threads).max(1);
        let cores = options.cpus.as_ref().map_or(beside_reactors, CpuList::count);
        let models = models(&options, gp_model, cores)?;
        // A quarter: models have weights and frameworks have arenas, which this budget does not see.
        let memory_bytes = options.memory.map_or(machine.memory_bytes / 4, |size| size.0);
        if memory_bytes < MEMORY_BYTES_MIN {
            return Err(format!("--memory {memory_bytes} is too little: {MEMORY_BYTES_MIN} bytes at least"));
        }
        Ok(Settings {
            models,
            listen: options.listen,
            io_threads,
            memory_bytes,
            cpus: options.cpus,
            inline: options.inline.unwrap_or_default(),
            inline_time_max: Duration::from_micros(options.inline_us.unwrap_or(INLINE_MICROSECONDS_DEFAULT).into()),
            limits,
            places: Places { runtime: options.runtime, onnxruntime: options.onnxruntime },
        })
    }
}

/// Below this not even a small request and its reply fit.
const MEMORY_BYTES_MIN: u64 = 1 << 20;

/// The addresses that are listened on when none is given.
pub fn default_addresses(runtime_folder: &Path) -> Vec<Address> {
    let (host, port) = TCP_DEFAULT;
    vec![
        Address::Tcp { host: host.into(), port },
        Address::Unix { path: runtime_folder.join(SOCKET_NAME), mode: MODE_DEFAULT },
    ]
}

fn limits(options: &Options) -> Result<Limits, String> {
    let default = Limits::default();
    let message_bytes_max = match options.message_bytes_max {
        None => default.message_bytes_max,
        Some(size) => u32::try_from(size.0)
            .ok()
            .filter(|bytes| (1..=graphpipe_schema::MESSAGE_BYTES_MAX).contains(bytes))
            .ok_or_else(|| format!("--message-bytes-max {} is not between 1 and 2147483647 bytes", size.0))?,
    };
    Ok(Limits {
        connections_max: positive("--connections-max", options.connections_max, default.connections_max)?,
        message_bytes_max,
        in_flight_max: positive("--in-flight-max", options.in_flight_max, default.in_flight_max)?,
        // What a request weighs follows from the models, which are opened later.
        weight_max: default.weight_max,
        backlog_bytes_max: default.backlog_bytes_max,
        head_timeout: time("--head-timeout", options.head_timeout, default.head_timeout)?,
        idle_timeout: time("--idle-timeout", options.idle_timeout, default.idle_timeout)?,
        progress_timeout: time("--progress-timeout", options.progress_timeout, default.progress_timeout)?,
        drain_timeout: options.drain_timeout.map_or(default.drain_timeout, |span| span.0),
        spin: options.spin_us.map_or(default.spin, |us| Duration::from_micros(us.into())),
        zero_copy_send_bytes_min: zero_copy_send(options)?.unwrap_or(default.zero_copy_send_bytes_min),
    })
}

fn zero_copy_send(options: &Options) -> Result<Option<usize>, String> {
    match options.zero_copy_send {
        Some(size) if size.0 <= SMALL_BYTES_MAX as u64 => Err(format!(
            "--zero-copy-send {} is too little: payloads up to {SMALL_BYTES_MAX} bytes travel in shared buffers; \
             without this option nothing is sent without a copy",
            size.0
        )),
        // More than any payload has is never.
        Some(size) => Ok(Some(usize::try_from(size.0).unwrap_or(usize::MAX))),
        None => Ok(None),
    }
}

fn time(flag: &str, said: Option<Span>, default: Duration) -> Result<Duration, String> {
    match said.map_or(default, |span| span.0) {
        Duration::ZERO => Err(format!("{flag} 0 would serve nobody; 1us is the least")),
        time => Ok(time),
    }
}

fn positive(flag: &str, said: Option<usize>, default: usize) -> Result<usize, String> {
    match said.unwrap_or(default) {
        0 => Err(format!("{flag} 0 would serve nobody; 1 is the least")),
        // So that sums over models, reactors and connections stay far from overflow.
        number if number > COUNT_MAX => Err(format!("{flag} {number} is too much: {COUNT_MAX} at most")),
        number => Ok(number),
    }
}

/// Sixteen million of anything is more than one process can have.
const COUNT_MAX: usize = 1 << 24;

fn threads(flag: &str, said: Option<usize>, default: usize) -> Result<usize, String> {
    match positive(flag, said, default)? {
        number if number > THREADS_MAX => Err(format!("{flag} {number} is too much: {THREADS_MAX} at most")),
        number => Ok(number),
    }
}

/// All models, the default one first.
fn models(options: &Options, gp_model: Option<String>, cores: usize) -> Result<Vec<ModelSettings>, String> {
    let mut args = options.model.clone();
    if args.is_empty() && options.tables.is_empty() {
        args.extend(gp_model.map(|path| path.parse().map_err(|why| format!("GP_MODEL: {why}"))).transpose()?);
    }
    let mut models = Vec::new();
    for ModelArg { name, source } in args {
        if models.iter().any(|model: &ModelSettings| model.name == name) {
            return Err(format!("two models are called \"{name}\"; give one of them another name: NAME=PATH"));
        }
        let table = options.tables.get(&name).map(Spanned::get_ref);
        models.push(model(options, name, argument_source(source, options)?, table, cores)?);
    }
    let mut tables: Vec<_> =
        options.tables.iter().filter(|(name, _)| models.iter().all(|m| m.name != **name)).collect();
    tables.sort_by_key(|(_, table)| table.span().start);
    for (name, table) in tables {
        let table = table.get_ref();
        let source = table_source(name, table, options)?;
        models.push(model(options, checked_name(name)?, source, Some(table), cores)?);
    }
    if let Some(position) = models.iter().position(|model| model.name == DEFAULT_NAME) {
        models[..=position].rotate_right(1);
    }
    if models.is_empty() {
        return Err(
            "no model to serve: give --model NAME=PATH, GP_MODEL, or a [model.NAME] table in --config FILE".into()
        );
    }
    Ok(models)
}

fn table_source(name: &str, table: &ModelTable, options: &Options) -> Result<Source, String> {
    match (table.backend.or(options.backend), &table.path) {
        (Some(BackendName::Echo), Some(path)) => {
            Err(format!("[model.{name}]: echo takes no path, but has {}", path.display()))
        }
        (backend @ Some(BackendName::Echo), None) => Ok(Source { backend, path: Path::new("").into() }),
        (_, None) => Err(format!("[model.{name}] has no path")),
        (backend, Some(path)) => Ok(Source { backend, path: path.clone() }),
    }
}

/// The source of a model of the command line: a backend that it does not name itself is that of --backend.
fn argument_source(source: Source, options: &Options) -> Result<Source, String> {
    match (source.backend, options.backend) {
        (None, Some(BackendName::Echo)) => {
            Err(format!("--backend echo: echo takes no path, but got \"{}\"", source.path.display()))
        }
        (said, default) => Ok(Source { backend: said.or(default), ..source }),
    }
}

fn model(
    options: &Options,
    name: String,
    source: Source,
    table: Option<&ModelTable>,
    cores: usize,
) -> Result<ModelSettings, String> {
    let of_table = |get: fn(&ModelTable) -> Option<usize>| table.and_then(get);
    let intra_threads = of_table(|table| table.intra_threads).or(options.intra_threads);
    // One thread per run and many runs beside each other: measured to give the most rows per second of a core.
    let intra_threads = threads("--intra-threads", intra_threads, 1)?;
    let instances = of_table(|table| table.instances).or(options.instances);
    let instances = threads("--instances", instances, (cores / intra_threads).max(1))?;
    let queue_max = of_table(|table| table.queue_max).or(options.queue_max);
    let queue_max = positive("--queue-max", queue_max, QUEUE_MAX_DEFAULT)?;
    let batch = table.and_then(|table| table.batch).or(options.batch).unwrap_or_default();
    let max_batch = of_table(|table| table.max_batch).or(options.max_batch);
    let isolation = table.and_then(|table| table.isolation).or(options.isolation).unwrap_or_default();
    let linger_us = table.and_then(|table| table.linger_us).or(options.linger_us);
    let trust_native = table.and_then(|table| table.trust_native).or(options.trust_native);
    Ok(ModelSettings {
        name,
        source,
        inputs: table.and_then(|table| table.inputs.clone()).unwrap_or_else(|| options.inputs.clone()),
        outputs: table.and_then(|table| table.outputs.clone()).unwrap_or_else(|| options.outputs.clone()),
        signature: table.and_then(|table| table.signature.clone()).or_else(|| options.signature.clone()),
        trust_native: trust_native.unwrap_or(false),
        intra_threads,
        instances,
        queue_max,
        batch,
        max_batch: max_batch.map(rows).transpose()?,
        linger: linger(linger_us.unwrap_or(0))?,
        isolation,
    })
}

fn rows(number: usize) -> Result<usize, String> {
    match number {
        0 => Err("--max-batch 0 would serve nobody; 1 is the least".into()),
        rows if rows > ARENA_ROWS_MAX => Err(format!("--max-batch {rows} is too much: {ARENA_ROWS_MAX} rows at most")),
        rows => Ok(rows),
    }
}

fn linger(microseconds: u32) -> Result<Duration, String> {
    if microseconds > LINGER_MICROSECONDS_MAX {
        let most = LINGER_MICROSECONDS_MAX;
        return Err(format!("--linger-us {microseconds} is too much: {most} at most, which is a second"));
    }
    Ok(Duration::from_micros(microseconds.into()))
}

#[cfg(test)]
mod tests;
