//! Starts the daemon in a folder of its own, reads its log, and ends it.

use super::{Address, Metrics, PATIENCE};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

/// The daemon's command, with nothing of the environment that would change what it does.
pub fn graphpiped() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_graphpiped"));
    for (name, _) in std::env::vars() {
        if name.starts_with("GP_") || name.starts_with("GRAPHPIPED_") || name == "ORT_DYLIB_PATH" || name == "RUST_LOG"
        {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// A running daemon. Dropping it kills it.
pub struct Daemon {
    child: Child,
    lines: Receiver<String>,
    log: String,
    /// Where it listens, over TCP.
    pub tcp: Address,
    /// Where it listens on a Unix socket.
    pub unix: Address,
    folder: tempfile::TempDir,
}

impl Daemon {
    /// Serves the echo backend as the model `echo`.
    pub fn echo(arguments: &[&str]) -> Daemon {
        Daemon::start(&[&["--model", "echo=echo:"], arguments].concat())
    }

    /// Serves on a free port and on a Unix socket; returns when it listens on both.
    pub fn start(arguments: &[&str]) -> Daemon {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let socket = folder.path().join("graphpiped.sock");
        let mut child = graphpiped()
            .args(["serve", "--listen", "tcp://127.0.0.1:0", "--listen", &format!("unix:{}", socket.display())])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the daemon starts");
        let lines = lines_of(child.stderr.take().expect("it is piped"));
        let tcp = Address::Tcp("127.0.0.1:0".parse().expect("an address"));
        let mut daemon = Daemon { child, lines, log: String::new(), tcp, unix: Address::Unix(socket), folder };
        daemon.wait_until_it_listens();
        daemon
    }

    fn wait_until_it_listens(&mut self) {
        let (mut tcp, mut unix) = (false, false);
        while !(tcp && unix) {
            let line = self.next_line().unwrap_or_else(|| panic!("the daemon ended early:\n{}", self.log));
            let Some((_, address)) = line.split_once("listening") else { continue };
            unix |= address.contains("unix:");
            if let Some((_, port)) = address.split_once("tcp://127.0.0.1:") {
                let digits: String = port.chars().take_while(char::is_ascii_digit).collect();
                self.tcp = Address::Tcp(format!("127.0.0.1:{digits}").parse().expect("an address"));
                tcp = true;
            }
        }
    }

    /// The next line of the log; `None` at its end, which is the daemon's own.
    fn next_line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                self.log.push_str(&line);
                self.log.push('\n');
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the daemon says nothing more, and does not end:\n{}", self.log),
        }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The TCP and the Unix address.
    pub fn addresses(&self) -> [&Address; 2] {
        [&self.tcp, &self.unix]
    }

    /// Where the Unix socket is.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("graphpiped.sock")
    }

    /// What `/metrics` says now.
    pub fn metrics(&self) -> Metrics {
        Metrics::read(&self.tcp).expect("it has room for one connection more")
    }

    /// Reads the metrics until they are as wished. A daemon that has no room is asked again.
    pub fn metrics_until(&self, what: &str, wish: impl Fn(&Metrics) -> bool) -> Metrics {
        let begin = std::time::Instant::now();
        loop {
            match Metrics::read(&self.tcp) {
                Some(metrics) if wish(&metrics) => return metrics,
                answer => {
                    let text = answer.as_ref().map_or("no answer", Metrics::text);
                    assert!(begin.elapsed() < PATIENCE, "never {what}:\n{text}");
                }
            }
            std::thread::yield_now();
        }
    }

    /// Bytes of memory that the daemon's process holds.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("the kernel says so");
        let kibibytes: u64 = line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number");
        kibibytes * 1024
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the daemon runs");
    }

    /// Waits for its end; returns how it ended and everything that it logged.
    pub fn wait(mut self) -> (ExitStatus, String) {
        while self.next_line().is_some() {}
        let status = self.child.wait().expect("it is our child");
        (status, std::mem::take(&mut self.log))
    }

    /// Asks it to finish, and expects that it does so with nothing to complain about.
    pub fn stop(self) {
        self.signal(Signal::TERM);
        let (status, log) = self.wait();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(!log.contains("WARN") && !log.contains("ERROR") && !log.contains("panicked"), "{log}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It fails when the daemon has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            self.log.extend(self.lines.try_iter().flat_map(|line| [line, "\n".to_owned()]));
            eprintln!("--- the daemon's log\n{}---", self.log);
        }
    }
}

/// The lines of a stream, read on a thread of their own so that one can wait for them with a deadline.
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

/// The root of the source tree.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
