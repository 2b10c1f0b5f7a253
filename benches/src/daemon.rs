//! A daemon of our own: started on a free port and a Unix socket in a temporary folder, serving the echo model, then
//! moved to the core of the server; ended by SIGTERM.

use crate::address::{Address, Family};
use crate::companion;
use crate::cores;
use crate::options::Bench;
use crate::socket;
use anyhow::{Context, Result, bail, ensure};
use rustix::net::{AddressFamily, sockopt};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, kill_process, pidfd_getfd, pidfd_open};
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long the daemon may take to begin, and to end.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it may be silent before somebody knocks.
const KNOCKS: Duration = Duration::from_millis(200);
/// The name of its Unix socket.
const SOCKET_NAME: &str = "graphpiped.sock";

/// A running daemon. Dropping it ends it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: Receiver<String>,
    tcp: SocketAddr,
    folder: TempDir,
}

impl Daemon {
    /// Starts the daemon of this run with some more arguments.
    pub fn start(bench: &Bench, arguments: &[&str]) -> Result<Daemon> {
        Daemon::start_binary(&bench.daemon, bench, arguments)
    }

    /// Starts another binary.
    pub fn start_binary(binary: &Path, bench: &Bench, arguments: &[&str]) -> Result<Daemon> {
        Daemon::start_command(companion::command(binary)?, bench, arguments)
    }

    /// Starts the daemon of this run without a core of its own: for what several processes do.
    pub fn start_anywhere(bench: &Bench, arguments: &[&str]) -> Result<Daemon> {
        Daemon::start_on(&bench.cores, companion::command(&bench.daemon)?, arguments)
    }

    /// Starts the daemon of this run so that models alone run on the server's core, and its other threads on the client's.
    pub fn start_around_its_core(bench: &Bench, arguments: &[&str]) -> Result<Daemon> {
        let cpus = bench.server_core.to_string();
        let flags = ["--inline", "never", "--cpus", cpus.as_str()];
        let command = companion::command(&bench.daemon)?;
        let daemon = Daemon::start_on(&bench.cores, command, &[&flags, arguments].concat())?;
        cores::pin_others(daemon.pid(), bench.server_core, bench.client_core)?;
        Ok(daemon)
    }

    /// Starts the daemon of this run on the core where it stays: it knows that it has but one, and does not spin there while
    /// a model runs.
    pub fn start_on_its_core(bench: &Bench, arguments: &[&str]) -> Result<Daemon> {
        Daemon::start_on(&[bench.server_core], companion::command(&bench.daemon)?, arguments)
    }

    /// Starts what a command says, which may be a binary within something that watches it. It is one that ends with this
    /// process.
    pub fn start_command(command: Command, bench: &Bench, arguments: &[&str]) -> Result<Daemon> {
        let daemon = Daemon::start_on(&bench.cores, command, arguments)?;
        // Only now: one that began on a single core would settle for that, and not spin.
        cores::pin_process(daemon.pid(), bench.server_core)?;
        Ok(daemon)
    }

    fn start_on(cores: &[usize], mut command: Command, arguments: &[&str]) -> Result<Daemon> {
        let folder = tempfile::tempdir().context("a temporary folder")?;
        complete(&mut command, folder.path(), arguments);
        let child = cores::elsewhere(cores, || command.spawn())?;
        let mut child = child.context("starting the daemon")?;
        let log = lines_of(child.stderr.take().context("it is piped")?);
        let tcp = SocketAddr::from(([127, 0, 0, 1], 0));
        // From here on it is ended on every way out.
        let mut daemon = Daemon { child, log, tcp, folder };
        daemon.wait_until_it_listens()?;
        daemon.set_congestion()?;
        Ok(daemon)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub fn address(&self, family: Family) -> Address {
        match family {
            Family::Unix => Address::Unix(self.folder.path().join(SOCKET_NAME)),
            Family::Tcp => Address::Tcp(self.tcp),
        }
    }

    /// It logs both addresses once it accepts there, and the port is in no other place.
    fn wait_until_it_listens(&mut self) -> Result<()> {
        let (deadline, mut log) = (Instant::now() + PATIENCE, String::new());
        let (mut tcp, mut unix) = (false, false);
        while !(tcp && unix) {
            let line = match self.log.recv_timeout(KNOCKS) {
                Ok(line) => line,
                Err(RecvTimeoutError::Disconnected) => bail!("the daemon ended before it listened:\n{log}"),
                Err(RecvTimeoutError::Timeout) => {
                    ensure!(Instant::now() < deadline, "the daemon did not say where it listens:\n{log}");
                    // Valgrind lets one thread run at a time, and does not know that one which is in its ring sleeps. A
                    // knock at the door wakes it, and lets the others go on. It fails where there is no door yet.
                    drop(UnixStream::connect(self.folder.path().join(SOCKET_NAME)));
                    if tcp {
                        drop(TcpStream::connect(self.tcp));
                    }
                    continue;
                }
            };
            log.push_str(&line);
            log.push('\n');
            let Some((_, address)) = line.split_once("listening") else { continue };
            unix |= address.contains("unix:");
            if let Some((_, port)) = address.split_once("tcp://127.0.0.1:") {
                let digits: String = port.chars().take_while(char::is_ascii_digit).collect();
                self.tcp.set_port(digits.parse().with_context(|| format!("the port in {line:?}"))?);
                tcp = true;
            }
        }
        Ok(())
    }

    /// The sender's congestion control decides over the loopback interface, and the sender of replies is the daemon. It
    /// leaves that to the system, rightly; so where the system says otherwise, it is changed from here, on the daemon's own
    /// listening socket, whose connections inherit it. Nothing else of the machine is touched.
    fn set_congestion(&self) -> Result<()> {
        let system = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").unwrap_or_default();
        if system.trim() == socket::CONGESTION {
            return Ok(());
        }
        let listener = self.listening_socket().context(
            "the daemon's listening socket, to set its congestion control; \
             without leave to, set net.ipv4.tcp_congestion_control=cubic for the system",
        )?;
        socket::set_congestion(listener)
    }

    fn listening_socket(&self) -> Result<std::os::fd::OwnedFd> {
        let process = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()).context("pidfd_open")?;
        for entry in std::fs::read_dir(format!("/proc/{}/fd", self.pid()))? {
            let entry = entry?;
            // Descriptors come and go; what cannot be read is not the socket that listens until the end.
            let is_socket = entry.path().read_link().is_ok_and(|to| to.to_string_lossy().starts_with("socket:"));
            let Some(number) = entry.file_name().to_str().filter(|_| is_socket).and_then(|name| name.parse().ok())
            else {
                continue;
            };
            let found = pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).context("pidfd_getfd")?;
            if sockopt::socket_domain(&found)? == AddressFamily::INET && sockopt::socket_acceptconn(&found)? {
                return Ok(found);
            }
        }
        bail!("none of its descriptors is one");
    }

    /// Ends it, and checks that it ended well.
    pub fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).context("SIGTERM")?;
        let (deadline, mut log) = (Instant::now() + PATIENCE, String::new());
        loop {
            match self.log.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => log.extend([line.as_str(), "\n"]),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    bail!("the daemon did not end within {PATIENCE:?} of SIGTERM:\n{log}")
                }
            }
        }
        let status = self.child.wait().context("the daemon's end")?;
        ensure!(status.success(), "the daemon ended with {status}:\n{log}");
        Ok(())
    }
}

/// For the ways out that are errors: it ends at once.
impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail when it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Completes the daemon's command, and takes everything from its environment that would change what it does.
fn complete(command: &mut Command, folder: &Path, arguments: &[&str]) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("GP_") || text.starts_with("GRAPHPIPED_") || text.starts_with("MIMALLOC_") {
            command.env_remove(&name);
        }
    }
    let socket = format!("unix:{}", folder.join(SOCKET_NAME).display());
    command
        .args(["serve", "--model", "echo=echo:", "--io-threads", "1"])
        .args(["--listen", "tcp://127.0.0.1:0", "--listen", &socket])
        .args(arguments)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
}

/// The lines of a stream, read on a thread of their own so that one can wait for them with a deadline, and so that the
/// daemon never waits for us. The thread sleeps while nothing is logged, which is all the time that is measured.
fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            if line.map(|line| send.send(line)).is_err() {
                return;
            }
        }
    });
    receive
}
