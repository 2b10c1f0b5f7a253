//! The threads of the daemon and the signals of the process, as one stream of events for the control plane.

use crate::cores::{CpuList, pin};
use crate::executor::Executor;
use crate::lane_maker::LaneMaker;
use crate::service::ReactorService;
use graphpiped_transport::probe::Unavailable;
use graphpiped_transport::reactor::Reactor;
use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::thread::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

/// What the control plane waits for.
#[derive(Debug)]
pub enum Event {
    /// The first SIGTERM or SIGINT.
    Signal(&'static str),
    /// A reactor has drained, or could not go on.
    ReactorEnded(io::Result<()>),
    /// An executor has found its queue closed and empty.
    ExecutorEnded,
}

/// All threads that were started, and what comes from them.
#[derive(Debug)]
pub struct Threads {
    /// Unbounded, but every thread sends once, and the signals once.
    events: UnboundedReceiver<Event>,
    sender: UnboundedSender<Event>,
    starting: Vec<oneshot::Receiver<Result<(), Unavailable>>>,
    reactors: usize,
    executors: usize,
}

impl Threads {
    /// No threads yet, but signals are caught from now on. Must be called inside of a tokio runtime.
    pub fn new() -> Result<Threads, String> {
        let (sender, events) = unbounded_channel();
        let catch = |kind| signal(kind).map_err(|error| format!("cannot catch signals: {error}"));
        let (terminate, interrupt) = (catch(SignalKind::terminate())?, catch(SignalKind::interrupt())?);
        tokio_uring::spawn(watch_signals(terminate, interrupt, sender.clone()));
        Ok(Threads { events, sender, starting: Vec::new(), reactors: 0, executors: 0 })
    }

    /// Reactors that have not ended.
    pub fn reactors(&self) -> usize {
        self.reactors
    }

    /// Executors that have not ended.
    pub fn executors(&self) -> usize {
        self.executors
    }

    /// The next event.
    pub async fn next(&mut self) -> Event {
        let event = self.events.recv().await.expect("this struct has a sender itself");
        match &event {
            Event::Signal(_) => {}
            Event::ReactorEnded(_) => self.reactors -= 1,
            Event::ExecutorEnded => self.executors -= 1,
        }
        event
    }

    /// Starts a thread for an executor, on these cores if some are named.
    pub fn start_executor(&mut self, executor: Executor, cpus: Option<CpuList>) -> Result<(), String> {
        let name = format!("run-{}", executor.served.name());
        let sender = self.sender.clone();
        start(&name, move || {
            if let Some(Err(why)) = cpus.as_ref().map(pin) {
                tracing::warn!("{why}");
            }
            executor.run();
            // At the very end nobody may be listening any more.
            let _ = sender.send(Event::ExecutorEnded);
        })?;
        self.executors += 1;
        Ok(())
    }

    /// Starts the thread that makes lanes. It ends with the daemon, and nobody waits for it.
    pub fn start_lane_maker(lane_maker: LaneMaker) -> Result<(), String> {
        start("lanes", move || lane_maker.run())
    }

    /// Starts a thread for a reactor, which is made on it: its ring belongs to the thread.
    pub fn start_reactor(
        &mut self,
        index: usize,
        make: impl FnOnce() -> Result<Reactor<ReactorService>, Unavailable> + Send + 'static,
    ) -> Result<(), String> {
        let (started, starting) = oneshot::channel();
        let sender = self.sender.clone();
        start(&format!("reactor-{index}"), move || {
            let result = match make() {
                Ok(reactor) => {
                    // Whoever started this thread may have given up waiting; then it will end it, too.
                    let _ = started.send(Ok(()));
                    reactor.run()
                }
                Err(unavailable) => {
                    let _ = started.send(Err(unavailable));
                    Ok(())
                }
            };
            let _ = sender.send(Event::ReactorEnded(result));
        })?;
        self.starting.push(starting);
        self.reactors += 1;
        Ok(())
    }

    /// Waits until every reactor that was started has its ring.
    pub async fn reactors_are_ready(&mut self) -> Result<(), String> {
        for starting in self.starting.drain(..) {
            let started = starting.await.expect("a reactor's thread says how it went, or the process has aborted");
            started.map_err(|unavailable| unavailable.to_string())?;
        }
        Ok(())
    }
}

fn start(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let thread = Builder::new().name(name.into()).spawn(body);
    thread.map(drop).map_err(|error| format!("cannot start the thread {name}: {error}; raise LimitNPROC or ulimit -u"))
}

/// Reports the first signal. The second one ends the process at once: somebody has lost patience.
async fn watch_signals(mut terminate: Signal, mut interrupt: Signal, sender: UnboundedSender<Event>) {
    // Nobody listens if the daemon could not even start.
    let _ = sender.send(Event::Signal(next_signal(&mut terminate, &mut interrupt).await.0));
    let (_, exit_code) = next_signal(&mut terminate, &mut interrupt).await;
    std::process::exit(exit_code);
}

/// The name of a signal, and the exit code that a shell gives a process that it ended.
async fn next_signal(terminate: &mut Signal, interrupt: &mut Signal) -> (&'static str, i32) {
    poll_fn(|context| {
        if terminate.poll_recv(context).is_ready() {
            Poll::Ready(("SIGTERM", 128 + 15))
        } else if interrupt.poll_recv(context).is_ready() {
            Poll::Ready(("SIGINT", 128 + 2))
        } else {
            Poll::Pending
        }
    })
    .await
}
