//! The life of a model's processes: one after the other, watched by a thread that starts the next when one has ended.
//!
//! ```text
//!           launch, Open         Opened, arenas shared
//!  (down) ───────────────► starting ─────────────────► up ──► its socket ends, or it says what cannot be ──► (down)
//!     ▲                       │ it ends, NotOpened                                                              │
//!     └───────────────────────┴──────────────── a pause, which doubles ◄────────────────────────────────────────┘
//! ```
//!
//! The *epoch* counts these changes: it is odd while a process is up, and no two processes have the same. Whoever runs something
//! has the epoch that its instance was made in; a run in another one is not begun, and whether a run has failed because
//! its process ended is whether the epoch is still what it was.
//!
//! | what | written by | under |
//! | --- | --- | --- |
//! | `epoch` | the watcher; whoever finds that the process says what cannot be | the lock of `state` |
//! | the list of arenas, and what the process is told of it | whoever makes or drops one, the watcher at a start | the lock of `state` |
//! | everything that comes on the control socket | read by the watcher alone | – |

use crate::arenas::{Arena, Arenas};
use crate::background::{Leave, push};
use crate::budget::Budget;
use crate::connection::Connection;
use crate::process::Launch;
use crate::socket::{Mailbag, Socket};
use crate::stamp::Stamp;
use crate::wire::Garbage;
use crate::wire::control::{FromProcess, Opened, ToProcess};
use graphpiped_backend_api::{OpenError, Options};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The pause before the first new start.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause: a model whose file is mended is served again within half a minute.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A process that lived for so many pauses has earned the shortest one: starts then take little of the time.
const LIVED_PAUSES: u32 = 10;
/// And so has one that lived for so long.
const LIVED_LONG: Duration = Duration::from_mins(1);
/// For how long a run that has failed waits to hear how its process ended. It takes as long as the system needs to take a
/// process apart, and longer only if it has much memory.
const EPITAPH_MAX: Duration = Duration::from_secs(1);

/// What is to be opened, and how its processes go.
pub(crate) struct Life {
    /// What clients call the model.
    pub name: String,
    backend: String,
    path: PathBuf,
    /// The file as the first process found it.
    stamp: Stamp,
    options: Options,
    launch: Box<dyn Launch>,
    state: Mutex<State>,
    /// Something in `state` or `epoch` has changed.
    changed: Condvar,
    epoch: AtomicU64,
    /// Starts after the first one.
    pub restarts: AtomicU64,
    /// Bytes of tensors that were copied to and from processes, and by them.
    pub copied: AtomicU64,
    /// What processes read.
    pub arenas: Arenas,
    /// What is counted of what they need besides.
    pub budget: Arc<dyn Budget>,
}

#[derive(Default)]
struct State {
    /// The process that is up.
    up: Option<Arc<Connection>>,
    /// How the last one ended, and the epoch that it ended with.
    end: (u64, String),
    /// When the next one is started.
    again: Option<Instant>,
    /// Nobody needs a process any more.
    is_closed: bool,
    /// Names of arenas that have been given.
    arenas_given: u64,
}

impl Life {
    pub fn new(
        name: &str,
        backend: &str,
        path: PathBuf,
        options: Options,
        launch: Box<dyn Launch>,
        budget: Arc<dyn Budget>,
    ) -> Life {
        Life {
            name: name.into(),
            backend: backend.into(),
            stamp: Stamp::of(&path),
            path,
            options,
            launch,
            state: Mutex::default(),
            changed: Condvar::new(),
            epoch: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            copied: AtomicU64::new(0),
            arenas: Arenas::default(),
            budget,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See the module's documentation.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The process that is up, or why there is none, for those who ask.
    pub fn connection(&self) -> Result<Arc<Connection>, String> {
        let state = self.state();
        if let Some(up) = &state.up {
            return Ok(Arc::clone(up));
        }
        let left = state.again.map(|again| again.saturating_duration_since(Instant::now())).unwrap_or_default();
        let when = match left.as_millis() {
            0 => "in a moment".to_string(),
            milliseconds => format!("in {milliseconds} ms"),
        };
        let how = if state.end.0 == self.epoch() { &state.end.1 } else { "" };
        Err(format!(
            "the process of model \"{}\" has ended{how}; it is being started again, so ask again {when}",
            self.name
        ))
    }

    /// What is said to those whose run it was when a process says nothing more: how it ended. One that lives, but has ended
    /// the socket of an instance, or takes nothing there, is ended.
    pub fn lost(&self, connection: &Connection) -> String {
        let epitaph = self.epitaph(connection.epoch);
        if self.epoch() == connection.epoch {
            self.condemn(connection, Garbage("nothing more, though it lives"))
        } else {
            epitaph
        }
    }

    /// How the process of this epoch ended, in a line for those whose run it was.
    fn epitaph(&self, epoch: u64) -> String {
        let is_unknown = |state: &mut State| state.end.0 < epoch && !state.is_closed;
        let waited = self.changed.wait_timeout_while(self.state(), EPITAPH_MAX, is_unknown);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let how = if state.end.0 < epoch { "" } else { &state.end.1 };
        format!("the process of model \"{}\" ended{how} in the middle of the run; it is being started again", self.name)
    }

    /// Gives up a process that says what cannot be: it ends, and another one is started. Returns the line for those whose run
    /// it was.
    pub fn condemn(&self, connection: &Connection, why: Garbage) -> String {
        self.is_down(&mut self.state(), connection.epoch);
        connection.end();
        let name = &self.name;
        tracing::error!(model = name, "its process says what cannot be: {}; it is ended", why.0);
        format!("the process of model \"{name}\" gave an answer that cannot be ({}); it is being started again", why.0)
    }

    /// Ends the epoch of a process, if it has not ended.
    fn is_down(&self, state: &mut State, epoch: u64) {
        if self.epoch() == epoch {
            state.up = None;
            self.epoch.store(epoch + 1, Ordering::Release);
        }
    }

    /// Adds an arena, and lets the process that is up have it. Returns its name.
    pub fn share(&self, descriptor: OwnedFd, address: usize, bytes: usize) -> u64 {
        let mut state = self.state();
        state.arenas_given += 1;
        let arena = Arc::new(Arena { id: state.arenas_given, address, bytes, descriptor });
        self.arenas.add(Arc::clone(&arena));
        if let Some(up) = &state.up {
            up.share(&arena);
        }
        arena.id
    }

    /// Removes an arena, and has the process forget it.
    pub fn unshare(&self, id: u64) {
        let state = self.state();
        self.arenas.remove(id);
        if let Some(up) = &state.up {
            up.unshare(id);
        }
    }

    /// Ends everything.
    pub fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        if let Some(up) = &state.up {
            up.end();
        }
        self.changed.notify_all();
    }

    /// Has one process after the other until nobody needs any. What becomes of the first is told; if that cannot open the
    /// model, there is no second.
    pub fn watch(&self, first: &Sender<Result<Opened, OpenError>>) {
        let mut expected = None;
        // As if there had been one, so that the first is the shortest.
        let mut pause = PAUSE_MIN / 2;
        loop {
            let (outcome, lived) = self.have_one(&mut expected, first);
            if expected.is_none() {
                // Whoever opens it may have given up.
                let _ = first.send(Err(outcome));
                return;
            }
            let has_earned = lived >= (pause * LIVED_PAUSES).min(LIVED_LONG);
            pause = if has_earned { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
            if self.pause(pause) {
                return;
            }
            self.restarts.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits before the next process; whether nobody needs one.
    fn pause(&self, pause: Duration) -> bool {
        let mut state = self.state();
        if state.is_closed {
            return true;
        }
        tracing::error!(model = self.name, again_in = ?pause, "the process of the model ended{}", state.end.1);
        state.again = Some(Instant::now() + pause);
        self.changed.notify_all();
        let waited = self.changed.wait_timeout_while(state, pause, |state| !state.is_closed);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_closed
    }

    /// Has one process from its start to its end. `expected` is what the first one has said of the model. Returns why it could
    /// not open it, or something to say instead; and for how long it has served.
    fn have_one(
        &self,
        expected: &mut Option<Opened>,
        first: &Sender<Result<Opened, OpenError>>,
    ) -> (OpenError, Duration) {
        // Nobody is served before the first has started.
        let leave = if expected.is_some() { Leave::find() } else { None };
        let launched = Socket::pair().and_then(|(ours, theirs)| Ok((ours, self.launch.launch(theirs)?)));
        let (control, mut process) = match launched {
            Ok(launched) => launched,
            Err(error) => {
                self.note_end(format!(" and cannot be started: {error}"));
                let message = format!("{}: its process cannot be started: {error}", self.place());
                return (OpenError::Machine(message), Duration::ZERO);
            }
        };
        let connection = Arc::new(Connection::new(self.epoch() + 1, control));
        let mut mailbag = Mailbag::new();
        let (mut refused, mut lived) = (None, Duration::ZERO);
        let pushed = leave.zip(process.number()).and_then(|(leave, process)| push(process, &leave));
        let opened = self.open(&connection, process.end(), &mut mailbag, expected.as_ref(), pushed.is_some());
        drop(pushed);
        match opened {
            Ok(opened) => {
                let begun = Instant::now();
                // The first is told only now that requests can be run.
                if self.is_up(&connection) && expected.is_none() {
                    *expected = Some(opened.clone());
                    // Whoever opens it may have given up; then it is closed soon.
                    let _ = first.send(Ok(opened));
                }
                if let Err(garbage) = connection.listen(process.end(), &mut mailbag) {
                    self.condemn(&connection, garbage);
                }
                lived = begun.elapsed();
            }
            Err(why) => refused = why,
        }
        self.is_down(&mut self.state(), connection.epoch);
        process.kill();
        connection.is_over();
        let how = process.wait();
        // It reads nothing any more.
        connection.kept.end();
        self.note_end(refused.as_ref().map_or_else(|| format!(" {how}"), |error| format!(": {error}")));
        let early =
            || OpenError::Framework(format!("{}: its process ended {how} while it opened the model", self.place()));
        (refused.unwrap_or_else(early), lived)
    }

    fn place(&self) -> String {
        if self.path.as_os_str().is_empty() { format!("{}:", self.backend) } else { self.path.display().to_string() }
    }

    fn note_end(&self, how: String) {
        let mut state = self.state();
        state.end = (self.epoch(), how);
        self.changed.notify_all();
    }

    /// Has a process open the model. An error without words is the end of the process.
    fn open(
        &self,
        connection: &Connection,
        end: Option<BorrowedFd<'_>>,
        mailbag: &mut Mailbag,
        expected: Option<&Opened>,
        in_background: bool,
    ) -> Result<Opened, Option<OpenError>> {
        if expected.is_some() && Stamp::of(&self.path) != self.stamp {
            let place = self.place();
            let message = format!("{place}: the model has changed since the daemon started; restart the daemon");
            return Err(Some(OpenError::Model(message)));
        }
        let (backend, path, options) = (self.backend.clone(), self.path.clone(), self.options.clone());
        let mut message = Vec::new();
        ToProcess::Open { backend, path, options, in_background }.write(&mut message);
        let answer = connection.ask(&message, end, mailbag).ok_or(None)?;
        match answer {
            Ok(FromProcess::Opened(opened))
                if expected.is_none_or(|expected| expected.signature == opened.signature) =>
            {
                if let Some(expected) = expected.filter(|expected| **expected != opened) {
                    let list = |options: &[(String, String)]| {
                        options.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
                    };
                    let (before, now) = (list(&expected.options), list(&opened.options));
                    tracing::warn!(model = self.name, before, now, "its framework is another one than at the start");
                }
                Ok(opened)
            }
            Ok(FromProcess::Opened(_)) => {
                let place = self.place();
                let message =
                    format!("{place}: the model is another one than when the daemon started; restart the daemon");
                Err(Some(OpenError::Model(message)))
            }
            Ok(FromProcess::NotOpened(error)) => Err(Some(error)),
            Ok(FromProcess::Released { .. }) | Err(_) => {
                let place = self.place();
                Err(Some(OpenError::Framework(format!(
                    "{place}: its process says nothing of the model that makes sense"
                ))))
            }
        }
    }

    /// From now on requests are run. `false` if nobody needs that any more.
    fn is_up(&self, connection: &Arc<Connection>) -> bool {
        let mut state = self.state();
        if state.is_closed {
            connection.end();
            return false;
        }
        self.arenas.all().iter().for_each(|arena| connection.share(arena));
        state.up = Some(Arc::clone(connection));
        state.again = None;
        self.epoch.store(connection.epoch, Ordering::Release);
        self.changed.notify_all();
        true
    }
}
