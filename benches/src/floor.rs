//! What the daemon is compared with: a process that knows nothing but the sizes of a request and of its reply. It receives
//! so many bytes into warm memory, sends so many back, and does not look at them. No server can do less.
//!
//! It is this program again, started with arguments of its own, so that both sides are processes, as with the daemon.

use crate::address::{Address, Family};
use crate::companion;
use crate::cores;
use crate::exchange::Exchange;
use crate::options::Bench;
use crate::socket::{self, Wait};
use anyhow::{Context, Result, bail, ensure};
use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The first argument of this program when it is to be a floor.
const COMMAND: &str = "floor-server";
/// Bytes of one receive when there are many connections.
const SHARED_BYTES: usize = 64 << 10;

/// How a floor serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One connection, by plain receives and sends of exactly the sizes.
    One(Wait),
    /// Any number of connections, by epoll: one receive takes what there is, one send answers all of it.
    Many,
}

impl Shape {
    const ALL: [(Shape, &str); 3] =
        [(Shape::One(Wait::Block), "one-blocking"), (Shape::One(Wait::Spin), "one-spinning"), (Shape::Many, "many")];
}

/// A running floor. Dropping it ends it.
#[derive(Debug)]
pub struct Floor {
    child: Child,
    address: Address,
    /// Where its Unix socket is.
    _folder: TempDir,
}

impl Floor {
    /// Starts one with the sizes of an exchange, on the core of the server.
    pub fn start(bench: &Bench, shape: Shape, family: Family, exchange: &Exchange) -> Result<Floor> {
        Floor::start_within(None, bench, shape, family, exchange)
    }

    /// The same, within a command that watches it, if there is one; that one ends with this process.
    pub fn start_within(
        watcher: Option<Command>,
        bench: &Bench,
        shape: Shape,
        family: Family,
        exchange: &Exchange,
    ) -> Result<Floor> {
        let folder = tempfile::tempdir().context("a temporary folder")?;
        let path = folder.path().join("floor.sock");
        let (_, name) = Shape::ALL.iter().find(|(known, _)| *known == shape).context("all shapes have a name")?;
        let program = std::env::current_exe().context("where this program lies")?;
        let mut command = match watcher {
            None => companion::command(program)?,
            Some(mut watcher) => {
                watcher.arg(program);
                watcher
            }
        };
        command
            .args([COMMAND, name, &family.to_string()])
            .arg(&path)
            .args([exchange.request().len().to_string(), exchange.reply_bytes().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = cores::elsewhere(&[bench.server_core], || command.spawn())?.context("starting a floor")?;
        let mut line = String::new();
        // It has listened before it writes; and it writes once.
        BufReader::new(child.stdout.take().context("it is piped")?).read_line(&mut line)?;
        let address = match family {
            Family::Unix => Address::Unix(path),
            Family::Tcp => Address::Tcp(line.trim().parse().with_context(|| format!("the floor said {line:?}"))?),
        };
        Ok(Floor { child, address, _folder: folder })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        // Both fail when it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a floor was asked to be.
#[derive(Debug)]
pub struct Plan {
    shape: Shape,
    family: Family,
    path: PathBuf,
    request_bytes: usize,
    reply_bytes: usize,
}

/// The plan, if this process was started to be a floor.
pub fn asked_for(arguments: impl Iterator<Item = String>) -> Option<Result<Plan>> {
    let mut arguments = arguments.skip(1);
    (arguments.next()? == COMMAND).then(|| {
        let rest: Vec<String> = arguments.collect();
        let [shape, family, path, request_bytes, reply_bytes] = rest.as_slice() else {
            bail!("{COMMAND} is for this program's own use");
        };
        let (shape, _) = Shape::ALL.into_iter().find(|(_, name)| name == shape).context("no such shape")?;
        let family = Family::ALL.into_iter().find(|known| known.to_string() == *family).context("no such family")?;
        let (request_bytes, reply_bytes) = (request_bytes.parse()?, reply_bytes.parse()?);
        ensure!(request_bytes > 0 && reply_bytes > 0, "both sizes are positive");
        Ok(Plan { shape, family, path: path.into(), request_bytes, reply_bytes })
    })
}

impl Plan {
    /// Serves until the connections are closed, or until whoever started it ends, as all companions do.
    pub fn serve(&self) -> Result<()> {
        let listener = self.listen()?;
        match self.shape {
            Shape::One(wait) => self.serve_one(&listener, wait),
            Shape::Many => self.serve_many(&listener),
        }
    }

    fn listen(&self) -> Result<Listener> {
        match self.family {
            Family::Unix => {
                let listener = UnixListener::bind(&self.path).context("listening")?;
                println!();
                Ok(Listener::Unix(listener))
            }
            Family::Tcp => {
                let listener = TcpListener::bind(("127.0.0.1", 0)).context("listening")?;
                println!("{}", listener.local_addr()?);
                Ok(Listener::Tcp(listener))
            }
        }
    }

    fn serve_one(&self, listener: &Listener, wait: Wait) -> Result<()> {
        let mut memory = socket::warm_memory(self.request_bytes.max(self.reply_bytes))?;
        let connection = listener.accept()?;
        while socket::receive(&connection, &mut memory[..self.request_bytes], wait)? {
            socket::transmit(&connection, &memory[..self.reply_bytes], wait)?;
        }
        Ok(())
    }

    fn serve_many(&self, listener: &Listener) -> Result<()> {
        const LISTENER: u64 = u64::MAX;
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&poll, listener.as_fd(), epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
        let mut received = vec![0; SHARED_BYTES];
        let replies = vec![0; self.reply_bytes * (SHARED_BYTES / self.request_bytes + 1)];
        let mut connections: HashMap<u64, Connection> = HashMap::new();
        let mut events = Vec::with_capacity(256);
        loop {
            events.clear();
            match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None) {
                // Whoever counts its instructions interrupts it for that.
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("epoll"),
            }
            for event in &events {
                let key = event.data.u64();
                if key == LISTENER {
                    let socket = listener.accept()?;
                    let key = socket.as_raw_fd() as u64;
                    epoll::add(&poll, &socket, epoll::EventData::new_u64(key), epoll::EventFlags::IN)?;
                    connections.insert(key, Connection { socket, pending: 0 });
                    continue;
                }
                let connection = connections.get_mut(&key).context("events come from open connections")?;
                if !self.answer(connection, &mut received, &replies)? {
                    connections.remove(&key);
                }
            }
        }
    }

    /// Takes what there is and answers what is whole. False: closed.
    fn answer(&self, connection: &mut Connection, received: &mut [u8], replies: &[u8]) -> Result<bool> {
        match recv(&connection.socket, &mut *received, RecvFlags::DONTWAIT) {
            Ok((0, _)) | Err(Errno::CONNRESET) => return Ok(false),
            Ok((bytes, _)) => connection.pending += bytes,
            Err(Errno::AGAIN) => {}
            Err(error) => return Err(error).context("receiving"),
        }
        let whole = connection.pending / self.request_bytes;
        connection.pending %= self.request_bytes;
        if whole > 0 && socket::transmit(&connection.socket, &replies[..whole * self.reply_bytes], Wait::Block).is_err()
        {
            // A client that leaves in the middle, as they all do at the end of a measurement.
            return Ok(false);
        }
        Ok(true)
    }
}

/// A connection of a floor, and how much of a request has come.
#[derive(Debug)]
struct Connection {
    socket: OwnedFd,
    pending: usize,
}

/// A listening socket.
#[derive(Debug)]
enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    fn accept(&self) -> Result<OwnedFd> {
        let (socket, is_tcp) = match self {
            Listener::Unix(listener) => (OwnedFd::from(listener.accept()?.0), false),
            Listener::Tcp(listener) => (OwnedFd::from(listener.accept()?.0), true),
        };
        socket::prepare(&socket, is_tcp)?;
        Ok(socket)
    }

    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        use std::os::fd::AsFd;
        match self {
            Listener::Unix(listener) => listener.as_fd(),
            Listener::Tcp(listener) => listener.as_fd(),
        }
    }
}
