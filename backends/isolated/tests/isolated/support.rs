//! A framework that does as it is told, processes that host it, and runs.

use crate::subjects;
use graphpipe_schema::{DType, Shape};
use graphpiped_backend_api::{
    Backend, Dim, Elements, Input, Inputs, Instance, Keep, Kept, Model, OpenError, Options, OutputSlot, Prepared,
    Produced, RunError, Signature, TensorSpec,
};
use graphpiped_backend_isolated::{Budget, Counted, Isolated, Launch, Program, host};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Reached only when something is broken; long, because machines that run tests are slow.
pub const PATIENCE: Duration = Duration::from_mins(1);

const IS_HOST: &str = "GRAPHPIPED_TEST_HOST";

/// Not a test but the process of a model, where it is started as one.
#[test]
fn hosted() {
    use std::os::fd::AsFd;
    if std::env::var_os(IS_HOST).is_none() {
        return;
    }
    let control = std::io::stdin().as_fd().try_clone_to_owned().expect("a socket");
    // The panics of these frameworks are meant.
    std::panic::set_hook(Box::new(|_| {}));
    host::ends_with_the_daemon_alone();
    host::leaves_nothing_behind();
    host::serve(control, find, guarded);
    host::end()
}

fn find(name: &str) -> Option<Arc<dyn Backend>> {
    match name {
        "told" => Some(Arc::new(Told)),
        _ => subjects::backend(name),
    }
}

fn guarded(run: &mut dyn FnMut()) -> Result<(), String> {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    result.map_err(|why| why.downcast_ref::<&str>().copied().unwrap_or_default().to_string())
}

/// The command that starts this program as the process of a model, with the variables that the daemon sets there.
pub fn command() -> Command {
    let mut command = Command::new(std::env::current_exe().expect("it runs"));
    command.args(["--exact", "support::hosted", "--nocapture"]).env(IS_HOST, "1").stdout(Stdio::null());
    command.envs(graphpiped_backend_mxnet::ENVIRONMENT).envs(graphpiped_backend_torch::ENVIRONMENT);
    command
}

/// Starts this program as the process of a model.
pub fn program() -> Box<dyn Launch> {
    Box::new(Program(command))
}

/// Opens a model of a backend in a process.
pub fn open(backend: &str, path: &Path, options: &Options) -> Result<Arc<Isolated>, OpenError> {
    Isolated::open("m", backend, path, options, program(), Arc::new(Unbounded))
}

/// A budget that has as much as the machine.
pub struct Unbounded;

impl Budget for Unbounded {
    fn count(&self, _: usize) -> Result<Counted, String> {
        Ok(Counted::new(()))
    }
}

/// A budget of so many bytes.
pub struct Bounded(pub Arc<AtomicUsize>);

struct Part(Arc<AtomicUsize>, usize);

impl Budget for Bounded {
    fn count(&self, bytes: usize) -> Result<Counted, String> {
        let counted = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        counted.map_err(|left| format!("{bytes} of {left}"))?;
        Ok(Counted::new(Part(Arc::clone(&self.0), bytes)))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.0.fetch_add(self.1, Ordering::Relaxed);
    }
}

/// The model of the framework that does as it is told.
pub fn told() -> Arc<Isolated> {
    open("told", Path::new("a model"), &Options::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// Asks again and again until it is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "never {what}");
        std::thread::yield_now();
    }
}

/// Memory whose references are counted.
#[derive(Default)]
pub struct Memory(pub Arc<()>);

impl Keep for Memory {
    fn keep(&self) -> Kept {
        let kept: Arc<()> = Arc::clone(&self.0);
        kept
    }
}

impl Memory {
    /// Who refers to it now.
    pub fn references(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

/// Bytes of numbers.
pub fn floats(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Runs with one row of numbers for one output; memory is prepared if `is_prepared`.
pub fn run(instance: &mut dyn Instance, memory: &Memory, bytes: &[u8], is_prepared: bool) -> Result<Vec<u8>, RunError> {
    let shape = [(bytes.len() / 4) as i64];
    let list = [Input { index: 0, dtype: DType::Float32, shape: &shape, elements: Elements::Bytes(bytes) }];
    let mut output = vec![0xa5; bytes.len()];
    let prepared = Prepared { shape: Shape::new(&shape).expect("a shape"), bytes: &mut output };
    let mut slots = [OutputSlot { index: 0, prepared: is_prepared.then_some(prepared), produced: None }];
    instance.run(&Inputs::new(&list, memory), &mut slots)?;
    let [slot] = slots;
    match slot.produced.expect("a run that succeeds sets every slot") {
        Produced::InPlace => Ok(output),
        Produced::Lent { owner, shape: found, .. } => {
            assert_eq!(found.dims(), shape);
            Ok((*owner).as_ref().to_vec())
        }
        other => panic!("{other:?}"),
    }
}

/// Makes a process that has what this one has, and does nothing until somebody, or a clock, ends it. Returns its number.
fn fork() -> i32 {
    // SAFETY: of the new process this thread alone goes on, in calls that are allowed there.
    let process = unsafe { libc::fork() };
    if process == 0 {
        // SAFETY: it takes a number.
        unsafe { libc::alarm(20) };
        loop {
            // SAFETY: it takes nothing.
            unsafe { libc::pause() };
        }
    }
    process
}

/// Doubles numbers. What the first number of a run is, it is told by:
pub const PANIC: f32 = 1.0;
/// It ends its process, as a crash does.
pub const CRASH: f32 = 2.0;
/// It goes on referring to its inputs.
pub const KEEP: f32 = 3.0;
/// It lets go of all inputs that it refers to.
pub const LET_GO: f32 = 4.0;
/// It refuses.
pub const REFUSE: f32 = 5.0;
/// It goes on referring to its inputs, and refuses.
pub const KEEP_AND_REFUSE: f32 = 6.0;
/// It lends its outputs, whatever is prepared.
pub const LEND: f32 = 7.0;
/// It makes a process of its own, which goes on when it ends. Its number is in a file beside the model.
pub const FORK: f32 = 8.0;
/// What is nothing of the above.
pub const DOUBLE: f32 = 10.0;

struct Told;

/// Where it says of itself what it is told to.
pub const VERSION: &str = "GRAPHPIPED_TEST_VERSION";

/// Adds the policy of this thread to a file beside the model, if there is one.
fn note_policy(model: &Path) {
    if let Ok(mut file) = OpenOptions::new().append(true).open(model.with_extension("policies")) {
        // SAFETY: it takes a number and gives one.
        let policy = unsafe { libc::sched_getscheduler(0) };
        writeln!(file, "{policy}").expect("it can be written");
    }
}

struct ToldModel(Signature, Arc<Mutex<Vec<Kept>>>, PathBuf);

struct ToldInstance(Arc<Mutex<Vec<Kept>>>, PathBuf);

impl Backend for Told {
    fn name(&self) -> &'static str {
        "told"
    }

    fn open(&self, path: &Path, _: &Options) -> Result<Arc<dyn Model>, OpenError> {
        match path.to_str() {
            Some("crash") => std::process::abort(),
            Some("panic") => panic!("no such luck"),
            Some("refuse") => Err(OpenError::Model("refuse: it is no model".into())),
            _ => {
                note_policy(path);
                let spec = |name: &str| {
                    let dims = Some(vec![Dim::Symbol("N".into())]);
                    TensorSpec { name: name.into(), dtype: DType::Float32, dims }
                };
                let signature = Signature { inputs: vec![spec("x")], outputs: vec![spec("y")], variadic: false };
                Ok(Arc::new(ToldModel(signature, Arc::default(), path.with_extension("process"))))
            }
        }
    }
}

impl Model for ToldModel {
    fn signature(&self) -> &Signature {
        &self.0
    }

    fn effective_options(&self) -> Vec<(String, String)> {
        vec![("told".into(), std::env::var(VERSION).unwrap_or("yes".into()))]
    }

    fn instance(&self) -> Result<Box<dyn Instance>, OpenError> {
        note_policy(&self.2);
        Ok(Box::new(ToldInstance(Arc::clone(&self.1), self.2.clone())))
    }
}

impl Instance for ToldInstance {
    fn run(&mut self, inputs: &Inputs<'_>, slots: &mut [OutputSlot<'_>]) -> Result<(), RunError> {
        note_policy(&self.1);
        let Elements::Bytes(bytes) = inputs[0].elements else { panic!("numbers") };
        assert!(bytes.is_empty() || bytes.as_ptr().addr().is_multiple_of(64), "inputs are aligned");
        let mut numbers = bytes.as_chunks().0.iter().map(|&number| f32::from_le_bytes(number)).peekable();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lends = numbers.peek() == Some(&LEND);
        match numbers.peek() {
            Some(&PANIC) => panic!("as told"),
            Some(&CRASH) => {
                let this = rustix::process::getpid();
                rustix::process::kill_process(this, rustix::process::Signal::SEGV).expect("it is this process");
                std::thread::park();
            }
            Some(&FORK) => {
                std::fs::write(&self.1, fork().to_string()).expect("it can be written");
                host::end();
            }
            Some(&KEEP) => kept.push(inputs.keep()),
            Some(&LET_GO) => kept.clear(),
            Some(&KEEP_AND_REFUSE) => {
                kept.push(inputs.keep());
                return Err(RunError::Model("I will not".into()));
            }
            Some(&REFUSE) => return Err(RunError::Model("I will not".into())),
            _ => {}
        }
        let doubled = floats(&numbers.map(|number| 2.0 * number).collect::<Vec<_>>());
        let shape = Shape::new(inputs[0].shape).expect("a shape");
        for slot in slots {
            slot.produced = Some(match &mut slot.prepared {
                Some(prepared) if !lends => {
                    prepared.bytes.copy_from_slice(&doubled);
                    Produced::InPlace
                }
                _ => Produced::Lent { shape, dtype: DType::Float32, owner: Arc::new(doubled.clone()) },
            });
        }
        Ok(())
    }
}
