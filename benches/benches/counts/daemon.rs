//! Allocations of the daemon for each request, with everything in it: reactors, rings, executors and the control plane. It
//! runs on threads of this process, whose allocator counts; the client beside it allocates nothing while it asks.

use crate::ALLOCATOR;
use crate::common::messages::{LARGE, SMALL, Size};
use crate::table::Table;
use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use graphpipe_schema::frame::{HEADER_BYTES, Header};
use graphpiped::cli::{Cli, Command};
use graphpiped::control;
use stats_alloc::Region;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the daemon may take to begin.
const PATIENCE: Duration = Duration::from_secs(20);
/// Requests before any are counted.
const WARM_UP: u32 = 100;
/// Requests that are counted.
const TIMES: u32 = 1000;
/// The sample model, which runs on executors.
const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/digits/digits.onnx");

/// Starts the daemon, asks it, and prints. The daemon ends with this process.
pub fn count() -> Result<()> {
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let path = folder.path().join("counted.sock");
    start(&path)?;
    let digits = Size { shape: [1, 64], bytes: 256 };
    let cases = [
        ("echo, 800 B, native", SMALL.frame(b"echo")),
        ("echo, 800 B, HTTP", SMALL.post("/models/echo")),
        ("echo, 602 KB, native", LARGE.frame(b"echo")),
        ("digits, 256 B, native", digits.frame(b"digits")),
    ];
    let mut table = Table::new(&["requests", "allocations of each", "counted again"]);
    for (name, request) in &cases {
        let mut client = Client::connect(&path, request)?;
        table.row(&[name, &client.allocations()?, &client.allocations()?]);
    }
    table.print();
    Ok(())
}

/// Starts it on a thread of its own, as `graphpiped serve` would.
fn start(path: &Path) -> Result<()> {
    let (socket, digits) = (format!("unix:{}", path.display()), format!("digits={DIGITS}"));
    let arguments = ["graphpiped", "serve", "--log", "warn", "--io-threads", "1", "--listen", &socket];
    let cli = Cli::try_parse_from(arguments.into_iter().chain(["--model", "echo=echo:", "--model", &digits]))?;
    let Command::Serve(arguments) = cli.command else { bail!("`serve` is another command") };
    let daemon = std::thread::spawn(move || control::serve(*arguments));
    let deadline = Instant::now() + PATIENCE;
    while UnixStream::connect(path).is_err() {
        if daemon.is_finished() {
            match daemon.join() {
                Ok(Err(failure)) => bail!("the daemon did not start: {failure}"),
                _ => bail!("the daemon ended"),
            }
        }
        ensure!(Instant::now() < deadline, "the daemon does not listen after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// A client that sends the same request again and again.
struct Client<'a> {
    socket: UnixStream,
    request: &'a [u8],
    reply: Vec<u8>,
}

impl Client<'_> {
    /// Connects, and learns how long a reply is.
    fn connect<'a>(path: &Path, request: &'a [u8]) -> Result<Client<'a>> {
        let mut socket = UnixStream::connect(path).context("connecting")?;
        socket.set_read_timeout(Some(PATIENCE)).context("SO_RCVTIMEO")?;
        socket.write_all(request).context("sending")?;
        let mut reply = vec![0; HEADER_BYTES];
        socket.read_exact(&mut reply).context("receiving")?;
        let rest = if reply.starts_with(b"HTTP") {
            while !reply.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                socket.read_exact(&mut byte).context("receiving")?;
                reply.push(byte[0]);
            }
            content_length(&reply)?
        } else {
            let bytes: &[u8; HEADER_BYTES] = reply.first_chunk().context("it has been filled")?;
            let header = Header::read(bytes)?;
            ensure!(header.flags == 0, "the daemon answered with an error");
            header.length as usize
        };
        let head = reply.len();
        reply.resize(head + rest, 0);
        socket.read_exact(&mut reply[head..]).context("receiving")?;
        Ok(Client { socket, request, reply })
    }

    fn ask(&mut self) -> Result<()> {
        self.socket.write_all(self.request).context("sending")?;
        self.socket.read_exact(&mut self.reply).context("receiving")
    }

    /// Allocations of the process for each request.
    fn allocations(&mut self) -> Result<f64> {
        (0..WARM_UP).try_for_each(|_| self.ask())?;
        let region = Region::new(ALLOCATOR);
        (0..TIMES).try_for_each(|_| self.ask())?;
        let change = region.change();
        Ok((change.allocations + change.reallocations) as f64 / f64::from(TIMES))
    }
}

fn content_length(head: &[u8]) -> Result<usize> {
    let head = String::from_utf8_lossy(head);
    ensure!(head.starts_with("HTTP/1.1 200 "), "the daemon answered with {:?}", head.lines().next());
    let line =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:").map(str::to_owned));
    line.context("a reply without a length")?.trim().parse().context("Content-Length")
}
