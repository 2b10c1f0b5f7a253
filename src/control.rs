//! The control plane: makes everything, watches over it, and ends it in order.
//!
//! It runs on the main thread, in a tokio-uring runtime: model files are read through it, models are loaded on its blocking
//! threads, signals and ends of threads come in as events. What tokio-uring cannot do safely is done otherwise: sockets are
//! bound by [`listen`](crate::listen), and accepted by the reactors.
//!
//! The order of the end matters: reactors finish what was accepted and end, with them the last senders of the queues are
//! dropped, so the executors empty the queues and end. Listeners, and with them the files of Unix sockets, go first.

use crate::check::batch_axis;
use crate::cli::ServeArgs;
use crate::config;
use crate::daemon::Daemon;
use crate::executor::Executor;
use crate::limits;
use crate::listen::Listening;
use crate::machine;
use crate::model::Served;
use crate::open::{Backends, Opened, open};
use crate::registry::{Entry, Registry};
use crate::returns::Returns;
use crate::runtime_folder::runtime_folder;
use crate::service::ReactorService;
use crate::settings::{Machine, ModelSettings, Settings, default_addresses};
use crate::threads::{Event, Threads};
use crate::units::ByteSize;
use crossbeam::channel::bounded;
use graphpiped_memory::Pool;
use graphpiped_transport::mailbox::Mailbox;
use graphpiped_transport::probe::probe;
use graphpiped_transport::reactor::{Control, Listener, Reactor};
use sd_notify::NotifyState;
use std::future::{Future, poll_fn};
use std::io::IsTerminal;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
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

async fn run(settings: Settings, cores: usize) -> Result<(), Failure> {
    let mut threads = Threads::new()?;
    // First of all: an address that is in use should be known before minutes go into loading models. Clients that come
    // meanwhile wait in the backlog.
    let listening = settings.listen.iter().map(Listening::new).collect::<Result<Vec<_>, _>>()?;
    let models = match open_until_signal(&settings, &mut threads).await? {
        Ok(models) => models,
        Err(name) => {
            info!(name, "signal; the models are not loaded to the end");
            // The files of Unix sockets go with them.
            drop(listening);
            // A framework that loads a model cannot be asked to stop, and the runtime would wait for its thread.
            std::process::exit(0);
        }
    };
    show_limits(&settings);
    let daemon = start(&settings, cores, models, &listening, &mut threads).await?;
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
    threads: &mut Threads,
) -> Result<Result<Vec<Arc<Served>>, &'static str>, Failure> {
    let mut opening = pin!(open_all(settings));
    let mut event = pin!(threads.next());
    poll_fn(|context| match event.as_mut().poll(context) {
        Poll::Ready(Event::Signal(name)) => Poll::Ready(Ok(Err(name))),
        Poll::Ready(_) => unreachable!("no reactor and no executor has been started"),
        Poll::Pending => opening.as_mut().poll(context).map(|models| models.map(Ok)),
    })
    .await
}

async fn open_all(settings: &Settings) -> Result<Vec<Arc<Served>>, Failure> {
    let backends = Backends::new(settings.onnxruntime.clone());
    let names: Vec<_> = settings.models.iter().map(|model| model.name.clone()).collect();
    let mut models = Vec::new();
    for model in &settings.models {
        let opened = open(&backends, model).await?;
        show_model(model, &opened);
        models.push(Arc::new(Served::new(model.clone(), opened.model, &names)));
    }
    Ok(models)
}

fn show_model(settings: &ModelSettings, opened: &Opened) {
    let ModelSettings { name, source, intra_threads, instances, queue_max } = settings;
    let signature = opened.model.signature();
    let list = |specs: &[_]| specs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let options: Vec<_> =
        opened.model.effective_options().iter().map(|(key, value)| format!("{key}={value}")).collect();
    info!(
        model = %name,
        %source,
        file_bytes = opened.file_bytes,
        inputs = %list(&signature.inputs),
        outputs = %list(&signature.outputs),
        batch_axis = %batch_axis(signature),
        instances,
        intra_threads,
        queue_max,
        options = %options.join(" "),
        "model opened"
    );
}

fn show_limits(settings: &Settings) {
    let lines = limits::sum(settings);
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

/// Makes what all threads share, then starts executors and reactors. Returns when every reactor has its ring.
async fn start(
    settings: &Settings,
    cores: usize,
    models: Vec<Arc<Served>>,
    listening: &[Listening],
    threads: &mut Threads,
) -> Result<Arc<Daemon>, Failure> {
    let replies_max = limits::replies_max(settings);
    let mailboxes = (0..settings.io_threads)
        .map(|_| Mailbox::new(replies_max))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(|error| format!("cannot make the mailbox of a reactor: {error}"))?;
    let returns: Arc<[Returns]> = mailboxes.iter().map(|mailbox| Returns::new(mailbox.clone())).collect();
    let (pool, running) = (Pool::new(settings.memory_bytes), Arc::new(AtomicUsize::new(0)));
    let mut entries = Vec::new();
    for served in models {
        let (queue, jobs) = bounded(served.settings.queue_max);
        // A model that runs on the reactors has no executors.
        let instances = if served.model.is_cheap() { 0 } else { served.settings.instances };
        for _ in 0..instances {
            let instance = Some(served.model.instance().map_err(|error| error.to_string())?);
            let (served, jobs, pool) = (served.clone(), jobs.clone(), pool.clone());
            let (returns, running) = (returns.clone(), running.clone());
            threads.start_executor(Executor { served, instance, jobs, pool, returns, running })?;
        }
        entries.push(Entry { served, queue });
    }
    let daemon = Arc::new(Daemon {
        registry: Registry::new(entries),
        pool,
        counters: mailboxes.iter().map(|_| Arc::default()).collect(),
        returns,
        control: Control::new(mailboxes.clone()),
        running,
        cores,
    });
    for (index, mailbox) in mailboxes.into_iter().enumerate() {
        let listeners = listening.iter().map(Listening::listener).collect::<std::io::Result<Vec<_>>>();
        let listeners = listeners.map_err(|error| format!("cannot share a listener with a reactor: {error}"))?;
        start_reactor(settings, &daemon, index, mailbox, listeners, threads)?;
    }
    threads.reactors_are_ready().await?;
    Ok(daemon)
}

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
