//! The process of one model: opens it, makes its instances, and ends when the daemon does not need it any more.
//!
//! The thread that calls [`serve`] reads the control socket; each instance has a thread, which reads a socket of its own. Of the
//! daemon's memory this process has what it was sent: the arenas of its own model, to be read, and the areas of its instances.
//! What the daemon sends is believed as far as it goes, but nothing is read or written that is not there.

mod kept;
mod run;

use crate::background::Background;
use crate::memory::View;
use crate::socket::{Mailbag, Socket};
use crate::wire::control::{FromProcess, Opened, ToProcess};
use crate::wire::run::Answer;
use graphpiped_backend_api::{Backend, Instance, Model, OpenError, Options};
use run::Runner;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Runs code of a framework; a panic in it becomes an error with its message.
pub type Guard = fn(&mut dyn FnMut()) -> Result<(), String>;

/// What a process has of its model and of the daemon's memory.
struct Host {
    control: Arc<Socket>,
    guard: Guard,
    arenas: Mutex<HashMap<u64, Arc<View>>>,
    /// An arena has come.
    come: Condvar,
}

/// Hosts the model that the daemon names over `control`, which one of the backends that `find` knows has to open. Returns when
/// the daemon has ended the socket; threads of instances may go on, and nobody waits for what they do.
pub fn serve(control: OwnedFd, find: impl Fn(&str) -> Option<Arc<dyn Backend>>, guard: Guard) {
    let control = Arc::new(Socket::of(control));
    let host = Arc::new(Host { control, guard, arenas: Mutex::default(), come: Condvar::new() });
    let (mut mailbag, mut model, mut background) = (Mailbag::new(), None, None);
    loop {
        let Ok((message, mut descriptors)) = host.control.receive(&mut mailbag) else { return };
        if message.is_empty() {
            return;
        }
        match (ToProcess::read(message), descriptors.pop()) {
            (Ok(ToProcess::Open { backend, path, options, in_background }), None) => {
                background = in_background.then(Background::of_this_process);
                let opened = host.open(find(&backend), &backend, &path, &options);
                let said = match &opened {
                    Ok(model) => FromProcess::Opened(Opened {
                        signature: model.signature().clone(),
                        options: model.effective_options(),
                        copies: model.copies(),
                    }),
                    Err(error) => FromProcess::NotOpened(error.clone()),
                };
                model = opened.ok();
                host.say(&said, &path);
            }
            (Ok(ToProcess::Instance), Some(socket)) => {
                // Somebody waits for it, so nothing is left to others any more.
                drop(background.take());
                let (host, model) = (Arc::clone(&host), model.clone());
                let socket = Arc::new(Socket::of(socket));
                let its = Arc::clone(&socket);
                let thread = std::thread::Builder::new().name("instance".into()).spawn(move || {
                    if let Some(model) = model {
                        host.run_instance(&*model, &its);
                    }
                });
                if let Err(error) = thread {
                    let error = OpenError::Machine(format!("no thread for an instance: {error}"));
                    let mut message = Vec::new();
                    Answer::NotReady(error).write(&mut message);
                    // The daemon may be gone.
                    let _ = socket.send(&message, &[]);
                }
            }
            (Ok(ToProcess::Share { arena, bytes }), Some(memory)) => {
                let Ok(view) = View::of(&memory, bytes) else { return };
                host.arenas.lock().unwrap_or_else(PoisonError::into_inner).insert(arena, Arc::new(view));
                host.come.notify_all();
            }
            (Ok(ToProcess::Forget { arena }), None) => {
                host.arenas.lock().unwrap_or_else(PoisonError::into_inner).remove(&arena);
            }
            // The daemon is the same program, and does not say such things.
            _ => return,
        }
    }
}

impl Host {
    fn open(
        &self,
        backend: Option<Arc<dyn Backend>>,
        name: &str,
        path: &Path,
        options: &Options,
    ) -> Result<Arc<dyn Model>, OpenError> {
        let Some(backend) = backend else {
            return Err(OpenError::Framework(format!("{}: there is no backend {name}", path.display())));
        };
        let mut opened = None;
        let guarded = (self.guard)(&mut || opened = Some(backend.open(path, options)));
        match (guarded, opened) {
            (Ok(()), Some(opened)) => opened,
            (guarded, _) => {
                let why = guarded.err().unwrap_or_default();
                let place = path.display();
                Err(OpenError::Framework(format!("{place}: {name} panicked when it opened the model: {why}")))
            }
        }
    }

    fn say(&self, said: &FromProcess, path: &Path) {
        let mut message = Vec::new();
        said.write(&mut message);
        if self.control.send(&message, &[]).is_err() {
            // It has so many inputs and outputs that they are no packet; or the daemon is gone, and hears nothing.
            let message = "the model has more inputs and outputs than fit; serve it with isolation = \"none\"";
            let error = OpenError::Model(format!("{}: {message}", path.display()));
            let mut bytes = Vec::new();
            FromProcess::NotOpened(error).write(&mut bytes);
            let _ = self.control.send(&bytes, &[]);
        }
    }

    /// The arena of this name. The daemon has sent it before it names it, but over another socket.
    fn arena(&self, id: u64) -> Arc<View> {
        let arenas = self.arenas.lock().unwrap_or_else(PoisonError::into_inner);
        let arenas = self.come.wait_while(arenas, |arenas| !arenas.contains_key(&id));
        Arc::clone(&arenas.unwrap_or_else(PoisonError::into_inner)[&id])
    }

    /// An instance, or why there is none.
    fn instance(&self, model: &dyn Model) -> Result<Box<dyn Instance>, OpenError> {
        let mut made = None;
        let guarded = (self.guard)(&mut || made = Some(model.instance()));
        match (guarded, made) {
            (Ok(()), Some(made)) => made,
            (guarded, _) => {
                Err(OpenError::Framework(format!("the framework panicked: {}", guarded.err().unwrap_or_default())))
            }
        }
    }

    /// Makes an instance and does its runs, until the daemon does not need it any more.
    fn run_instance(&self, model: &dyn Model, socket: &Socket) {
        let (answer, instance) = match self.instance(model) {
            Ok(instance) => (Answer::Ready, Some(instance)),
            Err(error) => (Answer::NotReady(error), None),
        };
        let mut message = Vec::new();
        answer.write(&mut message);
        let is_said = socket.send(&message, &[]).is_ok();
        if let (true, Some(instance)) = (is_said, instance) {
            Runner::new(self, model, socket, instance).run();
        }
    }
}

/// A process that ends only when the daemon says so, and not when somebody at the terminal or the service manager tells all
/// processes to end: what was accepted is finished first. It ends with the daemon in any case. A fault ends it at the first
/// signal: Rust's own handlers, which look for overflows of stacks, let one pass that somebody has sent.
pub fn ends_with_the_daemon_alone() {
    let ignored = [libc::SIGINT, libc::SIGTERM].map(|signal| (signal, libc::SIG_IGN));
    let fatal = [libc::SIGSEGV, libc::SIGBUS].map(|signal| (signal, libc::SIG_DFL));
    for (signal, what) in ignored.into_iter().chain(fatal) {
        // SAFETY: the signals exist, and neither to ignore one nor its default runs code of ours.
        unsafe { libc::signal(signal, what) };
    }
    // It fails only for numbers that are no signals.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
}

/// A process that leaves nothing behind when a framework crashes, and that the system, when memory is short, ends before the
/// daemon. A core would have the tensors of clients in it, and those who wait for an answer would wait until it is written.
pub fn leaves_nothing_behind() {
    // Before the other, which takes the right to do this. It may be forbidden, and then it is as the daemon is.
    let inherited = std::fs::read_to_string(OOM_SCORE).ok().and_then(|score| score.trim().parse::<i32>().ok());
    let _ = std::fs::write(OOM_SCORE, (inherited.unwrap_or(0) + OOM_SCORE_RAISE).min(OOM_SCORE_MAX).to_string());
    // It fails only for what is none of the behaviours.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// What decides whom the system ends first.
const OOM_SCORE: &str = "/proc/self/oom_score_adj";
/// As if it had half of the machine's memory beside its own.
const OOM_SCORE_RAISE: i32 = 500;
/// What the system takes at the most.
const OOM_SCORE_MAX: i32 = 1000;

/// Ends this process at once. Handlers of exits are a framework's code; what they wait for may never come.
pub fn end() -> ! {
    let this = rustix::process::getpid();
    // Nobody is forbidden to do that to itself.
    let _ = rustix::process::kill_process(this, rustix::process::Signal::KILL);
    std::process::abort()
}
