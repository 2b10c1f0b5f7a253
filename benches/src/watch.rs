//! Another program as a client: run to its end, on this program's core, and how much processor time it took in the middle.

use crate::usage::Cpu;
use anyhow::{Context, Result};
use std::io::Read;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What is left of the window when the processor time is read for the second time: it must not have ended by then.
const REST: f64 = 0.2;

/// Runs a program (`name` in errors) that ends with this process, and that warms up for so long and then measures for so long.
/// Returns what it said, and how many cores it kept busy meanwhile, by the kernel's count and not by its own; that is an error
/// if it ended too early, of which what it said may tell more.
pub fn run(name: &str, command: &mut Command, warm_up: Duration, window: Duration) -> Result<(Output, Result<f64>)> {
    let begun = begin(name, command)?;
    let busy = cores_busy(&begun.child.0, warm_up, window);
    Ok((begun.end()?, busy))
}

/// Begins with one that others are watched beside.
pub fn begin(name: &str, command: &mut Command) -> Result<Begun> {
    let pipes = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Running(pipes.spawn().with_context(|| format!("starting {name}"))?);
    let (out, err) = (drained(child.0.stdout.take()), drained(child.0.stderr.take()));
    Ok(Begun { name: name.to_owned(), child, out, err })
}

/// A program that was begun with.
#[derive(Debug)]
pub struct Begun {
    name: String,
    child: Running,
    out: Reader,
    err: Reader,
}

/// What reads a stream.
type Reader = JoinHandle<std::io::Result<Vec<u8>>>;

impl Begun {
    /// Waits for its end; what it said.
    pub fn end(self) -> Result<Output> {
        let Begun { name, mut child, out, err } = self;
        let status = child.0.wait().with_context(|| format!("the end of {name}"))?;
        Ok(Output { status, stdout: joined(out)?, stderr: joined(err)? })
    }
}

/// Measures a program in its steady state.
fn cores_busy(child: &Child, warm_up: Duration, window: Duration) -> Result<f64> {
    std::thread::sleep(warm_up);
    let (before, begin) = (Cpu::of(child.id())?, Instant::now());
    std::thread::sleep(window.mul_f64(1.0 - REST));
    let cpu = Cpu::of(child.id())?.since(&before);
    Ok(cpu.seconds() / begin.elapsed().as_secs_f64())
}

/// A program that is ended with whoever watches it.
#[derive(Debug)]
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has ended, which is as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads a stream on a thread of its own, so that the program never waits for its reader.
fn drained(stream: Option<impl Read + Send + 'static>) -> Reader {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            stream.read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    })
}

fn joined(reader: Reader) -> Result<Vec<u8>> {
    let bytes = reader.join().ok().context("a reader panicked")?;
    bytes.context("what the program said")
}
