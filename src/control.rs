//! The control plane: makes everything, watches over it, and ends it in order.
//!
//! It runs on the main thread, in a tokio-uring runtime: model files are read through it, models are loaded on its blocking
//! threads, signals and ends of threads come in as events. What tokio-uring cannot do safely is done otherwise: sockets are
//! bound by [`listen`](crate::listen), and accepted by the reactors.
//!
//! The order of the end matters: reactors finish what was accepted and end, with the last of them the registry is dropped,
//! which closes the queues, so the executors empty queues and lanes and end. Listeners, and with them the files of Unix sockets, go first.

use crate::batching::Batching;
use crate::cli::ServeArgs;
use crate::config;
use crate::cores::CpuList;
use crate::cost::Learner;
use crate::daemon::Daemon;
use crate::executor::Executor;
use crate::lane_maker::LaneMaker;
use crate::limits;
use crate::listen::Listening;
use crate::loading::{Loaded, batch_all, open_all};
use crate::machine;
use crate::model::Served;
use crate::plan::Weights;
use crate::queue::ModelQueue;
use crate::registry::{Entry, Registry};
use crate::returns::Returns;
use crate::runtime_folder::runtime_folder;
use crate::service::ReactorService;
use crate::settings::{Machine, Settings, default_addresses};
use crate::threads::{Event, Threads};
use crate::units::ByteSize;
use graphpiped_memory::Pool;
use graphpiped_transport::mailbox::Mailbox;
use graphpiped_transport::probe::probe;
use graphpiped_transport::reactor::{Listener, Reactor};
use sd_notify::NotifyState;
use std::future::{Future, poll_fn};
use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;
use tracing::{debug, info, warn};

/// Why the daemon does not start, or ended otherwise than it should: one line for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);

impl From<String> for Failure {
    fn from(line: String) -> Failure {
        Failure(line)
    }
}

/// Serves until a signal. Returns when everything that was accepted is finished.
pub fn serve(args: ServeArgs) -> Result<(), Failure> {
    let options = match &args.config {
        Some(file) => args.options.or(config::read(file)?),
        None => args.options,
    };
    log_to_stderr(options.log.as_deref().unwrap_or("info"))?;
    let machine = Machine::detect();
    let mut settings =
        Settings::resolve(options, std::env::var("GP_MODEL").ok().filter(|path| !path.is_empty()), &machine)?;
    if settings.listen.is_empty() {
        settings.listen = default_addresses(&runtime_folder(|name| std::env::var_os(name))?);
    }
    if let Some(cpus) = &settings.cpus {
        cpus.check(&CpuList::allowed()?)?;
    }
    probe().map_err(|unavailable| Failure(unavailable.to_string()))?;
    clip_connections(&mut settings, machine::raise_descriptors());
    tokio_uring::start(run(settings, machine.cores))
}

fn log_to_stderr(level: &str) -> Result<(), Failure> {
    let refused = |why: &str| format!("--log {level}: {why}; error, warn, info, debug, trace and off are levels");
    // The filter would take any other word for a module of which everything is logged, and of all others nothing.
    if let Some(wrong) = level.split(',').map(|part| part.rsplit('=').next().unwrap_or(part)).find(|l| !is_level(l)) {
        return Err(Failure(refused(&format!("\"{wrong}\" is not a level"))));
    }
    let filter = tracing_subscriber::EnvFilter::try_new(level).map_err(|error| refused(&error.to_string()))?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    subscriber.with_ansi(std::io::stderr().is_terminal()).init();
    Ok(())
}

fn is_level(text: &str) -> bool {
    ["error", "warn", "info", "debug", "trace", "off"].iter().any(|level| text.eq_ignore_ascii_case(level))
}

fn clip_connections(settings: &mut Settings, descriptors: u64) {
    if let Some(connections_max) = limits::clipped(settings, descriptors) {
        let wanted = settings.limits.connections_max;
        warn!(wanted, connections_max, descriptors, "fewer connections than wanted: raise LimitNOFILE or ulimit -n");
        settings.limits.connections_max = connections_max;
    }
}

async fn run(mut settings: Settings, cores: usize) -> Result<(), Failure> {
    let mut threads = Threads::new()?;
    // First of all: an address that is in use should be known before minutes go into loading models. Clients that come
    // meanwhile wait in the backlog.
    let listening = settings.listen.iter().map(Listening::new).collect::<Result<Vec<_>, _>>()?;
    let pool = Pool::new(settings.memory_bytes);
    let models = match open_until_signal(&settings, &pool, &mut threads).await? {
        Ok(models) => models,
        Err(name) => {
            info!(name, "signal; the models are not loaded to the end");
            // The files of Unix sockets go with them.
            drop(listening);
            leave();
        }
    };
    let daemon = start(&mut settings, cores, pool, models, &listening, &mut threads).await?;
    for Listening { address, .. } in &listening {
        info!(%address, "listening");
    }
    let names: Vec<_> = daemon.registry.entries().iter().map(|entry| entry.served.name()).collect();
    notify(&[NotifyState::Ready, NotifyState::Status(&format!("serving {}", names.join(", ")))]);
    finish(&settings, daemon, listening, threads).await
}

/// The models, or the name of the signal that came before they were open.
async fn open_until_signal(
    settings: &Settings,
    pool: &Pool,
    threads: &mut Threads,
) -> Result<Result<Vec<Loaded>, &'static str>, Failure> {
    let mut opening = pin!(open_all(settings, pool));
    let mut event = pin!(threads.next());
    poll_fn(|context| match event.as_mut().poll(context) {
        Poll::Ready(Event::Signal(name)) => Poll::Ready(Ok(Err(name))),
        Poll::Ready(_) => unreachable!("no reactor and no executor has been started"),
        Poll::Pending => opening.as_mut().poll(context).map(|models| Ok(Ok(models?))),
    })
    .await
}

fn show_limits(settings: &Settings, rows: usize) {
    let lines = limits::sum(settings, rows);
    for line in &lines {
        let (each, total) = (ByteSize(line.bytes), ByteSize(line.total()));
        info!(of = line.what, count = line.count, %each, %total, why = line.why, "limit of memory");
    }
    let total = ByteSize(lines.iter().fold(0, |total: u64, line| total.saturating_add(line.total())));
    info!(of = "everything but the frameworks", %total, "limit of memory");
    let l = &settings.limits;
    info!(
        connections_max = l.connections_max,
        message_bytes_max = l.message_bytes_max,
        in_flight_max = l.in_flight_max,
        head_timeout = ?l.head_timeout,
        idle_timeout = ?l.idle_timeout,
        progress_timeout = ?l.progress_timeout,
        drain_timeout = ?l.drain_timeout,
        spin = ?l.spin,
        io_threads = settings.io_threads,
        "limits"
    );
}

/// Ends the process while a framework loads a model. It cannot be asked to stop: the runtime would wait for its thread, and
/// exit handlers for the loader's lock, which that thread holds inside of dlopen. Becoming another program asks nobody.
fn leave() -> ! {
    let version = std::env::current_exe()
        .map(|daemon| Command::new(daemon).arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).exec());
    // It only returns if that program is not there any more.
    debug!(?version, "leaving by the exit handlers");
    std::process::exit(0)
}

/// Makes what all threads share, then starts executors and reactors. Returns when every reactor has its ring.
async fn start(
    settings: &mut Settings,
    cores: usize,
    pool: Pool,
    loaded: Vec<Loaded>,
    listening: &[Listening],
    threads: &mut Threads,
) -> Result<Arc<Daemon>, Failure> {
    let (models, plan) = batch_all(settings, &pool, loaded)?;
    let batchings = || models.iter().filter_map(|served| served.batching.as_ref());
    settings.limits.weight_max = Weights::new(batchings().map(|batching| batching.rows_max)).max();
    let rows = batchings().map(Batching::rows_wanted).sum();
    show_limits(settings, rows);
    let replies_max = limits::replies_max(settings, rows);
    let mailboxes = (0..settings.io_threads)
        .map(|_| Mailbox::new(replies_max))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(|error| format!("cannot make the mailbox of a reactor: {error}"))?;
    // Slots of connections that are closing are in use beside those of open ones.
    let slots = settings.limits.connections_max + SLOTS_CLOSING;
    let returns: Arc<[_]> = mailboxes.iter().map(|mailbox| Arc::new(Returns::new(mailbox.clone(), slots))).collect();
    let queue = |served: &Arc<Served>| Arc::new(ModelQueue::new(served.settings.queue_max, executors_of(served)));
    let entries = models.iter().map(|served| Entry { served: served.clone(), queue: queue(served) }).collect();
    let registry = Registry::new(entries);
    let daemon = Arc::new(Daemon::new(settings, cores, registry, pool.clone(), mailboxes.clone(), returns));
    for entry in daemon.registry.entries() {
        for place in 0..executors_of(&entry.served) {
            threads.start_executor(executor(&daemon, entry, place)?, settings.cpus.clone())?;
        }
    }
    let (wishes, reactors) = (daemon.wishes.clone(), settings.io_threads);
    let queues = daemon.registry.entries().iter().map(|entry| entry.queue.clone()).collect();
    Threads::start_lane_maker(LaneMaker { wishes, models, queues, pool, plan, reactors })?;
    for (index, mailbox) in mailboxes.into_iter().enumerate() {
        let listeners = listening.iter().map(Listening::listener).collect::<std::io::Result<Vec<_>>>();
        let listeners = listeners.map_err(|error| format!("cannot share a listener with a reactor: {error}"))?;
        start_reactor(settings, &daemon, index, mailbox, listeners, threads)?;
    }
    threads.reactors_are_ready().await?;
    Ok(daemon)
}

/// A model that costs nothing runs on the reactors and has no executors.
fn executors_of(served: &Served) -> usize {
    if served.model.is_cheap() { 0 } else { served.settings.instances }
}

fn executor(daemon: &Daemon, entry: &Entry, place: usize) -> Result<Executor, Failure> {
    let served = &entry.served;
    Ok(Executor {
        served: served.clone(),
        instance: Some(served.model.instance().map_err(|error| error.to_string())?),
        learner: Learner::new(served.cost.clone()),
        queue: entry.queue.clone(),
        place,
        pool: daemon.pool.clone(),
        returns: daemon.returns.clone(),
        running: daemon.running.clone(),
        next_set: 0,
        has_left: false,
    })
}

/// Connections of a reactor that are closing while others have taken their number.
const SLOTS_CLOSING: usize = 1024;

fn start_reactor(
    settings: &Settings,
    daemon: &Arc<Daemon>,
    index: usize,
    mailbox: Arc<Mailbox>,
    listeners: Vec<Listener>,
    threads: &mut Threads,
) -> Result<(), Failure> {
    let (limits, control) = (settings.limits.clone(), daemon.control.clone());
    let counters = daemon.counters[index].clone();
    let service = ReactorService::new(daemon.clone(), index).map_err(|error| error.to_string())?;
    let make = move || Reactor::new(&limits, listeners, mailbox, counters, control, service);
    Ok(threads.start_reactor(index, make)?)
}

/// Waits for a signal, then for everybody to finish.
async fn finish(
    settings: &Settings,
    daemon: Arc<Daemon>,
    listening: Vec<Listening>,
    mut threads: Threads,
) -> Result<(), Failure> {
    let control = daemon.control.clone();
    drop(daemon);
    let mut outcome = end_is_ordered(&mut threads).await;
    let drain_timeout = settings.limits.drain_timeout;
    info!(?drain_timeout, "finishing what was accepted");
    notify(&[NotifyState::Stopping, NotifyState::Status("finishing what was accepted")]);
    control.drain();
    // The reactors close theirs. With the last one, who comes now is refused, and need not wait in a backlog.
    drop(listening);
    // Reactors end their connections at the drain timeout; this is for one that cannot.
    if timeout(drain_timeout + GRACE, reactors_end(&mut threads, &mut outcome)).await.is_err() {
        warn!("connections that take longer than --drain-timeout are given up");
        control.stop();
        if timeout(GRACE, reactors_end(&mut threads, &mut outcome)).await.is_err() {
            return Err(Failure("a reactor does not end; it is given up".into()));
        }
    }
    // The queues are closed now. Nobody waits for what is still in them or in a run.
    let executors_end = async {
        while threads.executors() > 0 {
            threads.next().await;
        }
    };
    if timeout(drain_timeout, executors_end).await.is_err() {
        warn!("a run takes longer than --drain-timeout; it is given up");
    }
    outcome
}

/// What the control plane grants beyond a timeout before it takes a thing into its own hands.
const GRACE: Duration = Duration::from_secs(1);

/// Waits until a signal orders the end, or a reactor's failure does: the others cannot know which connections it had, and
/// a clean process is better than a part of one.
async fn end_is_ordered(threads: &mut Threads) -> Result<(), Failure> {
    loop {
        match threads.next().await {
            Event::Signal(name) => {
                info!(name, "signal");
                return Ok(());
            }
            Event::ReactorEnded(Err(error)) => return Err(Failure(format!("a reactor failed: {error}"))),
            Event::ReactorEnded(Ok(())) | Event::ExecutorEnded => {}
        }
    }
}

/// Waits for the last reactor; the first failure of one is the outcome.
async fn reactors_end(threads: &mut Threads, outcome: &mut Result<(), Failure>) {
    while threads.reactors() > 0 {
        if let Event::ReactorEnded(Err(error)) = threads.next().await
            && outcome.is_ok()
        {
            *outcome = Err(Failure(format!("a reactor failed: {error}")));
        }
    }
}

/// Tells systemd; without it nobody listens, and that is as well.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!(%error, "systemd could not be told");
    }
}
