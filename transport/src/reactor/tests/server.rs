//! A reactor with the echo behind it, on listeners of its own, and clients that block.

use crate::counters::Counters;
use crate::fake::random::Random;
use crate::fake::samples::{Message, Sample, read_reply};
use crate::fake::talk::Talk;
use crate::fake::{Fake, rows};
use crate::limits::Limits;
use crate::mailbox::Mailbox;
use crate::reactor::{Control, Listener, ListenerKind, Reactor};
use crate::service::{Reply, Ticket};
use graphpipe_schema::frame::{HEADER_BYTES, Header};
use graphpiped_batch::Lane;
use graphpiped_memory::Pool;
use rustix::net::{AddressFamily, SocketType};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longer than anything here takes on the slowest machine.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// Where replies are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replies {
    /// On the reactor.
    Inline,
    /// On the reactor, in the service's turns.
    InTurn,
    /// On a thread that mixes up their order.
    Elsewhere,
    /// By the test: see [`Server::pending`].
    ByTheTest,
}

/// A reactor on its thread.
pub(super) struct Server {
    pub pool: Pool,
    pub counters: Arc<Counters>,
    pub control: Arc<Control>,
    pub mailbox: Arc<Mailbox>,
    /// Replies that the test is to deliver.
    pub pending: Option<Receiver<(Ticket, Reply)>>,
    pub talk: Arc<Talk>,
    /// Where requests get rows, if they do.
    pub lane: Option<Arc<Lane<()>>>,
    tcp: SocketAddr,
    unix: UnixAddr,
    reactor: Option<JoinHandle<io::Result<()>>>,
}

impl Server {
    pub(super) fn start(limits: Limits, replies: Replies) -> Server {
        Server::start_with(limits, replies, None)
    }

    /// One whose requests are received into rows.
    pub(super) fn start_with_rows(limits: Limits, replies: Replies) -> Server {
        Server::start_with(limits, replies, Some(rows::lane()))
    }

    fn start_with(limits: Limits, replies: Replies, lane: Option<Arc<Lane<()>>>) -> Server {
        static NAMES: AtomicU32 = AtomicU32::new(0);
        let name = format!("graphpiped-{}-{}", std::process::id(), NAMES.fetch_add(1, Ordering::Relaxed));
        let unix = UnixAddr::from_abstract_name(name).unwrap();
        let tcp_listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = tcp_listener.local_addr().unwrap();
        let unix_listener = UnixListener::bind_addr(&unix).unwrap();
        let pool = Pool::new(1 << 30);
        let counters = Arc::new(Counters::default());
        let mailbox = Mailbox::new(1 << 17).unwrap();
        let control = Control::new(vec![Arc::clone(&mailbox)]);
        let (sender, receiver) = channel();
        let talk = Arc::<Talk>::default();
        let parts = (pool.clone(), Arc::clone(&counters), Arc::clone(&control), Arc::clone(&mailbox));
        let seam = (Arc::clone(&talk), lane.clone());
        let reactor = std::thread::spawn(move || {
            let (pool, counters, control, mailbox) = parts;
            let mut service = match replies {
                Replies::Inline => Fake::inline(&pool),
                Replies::InTurn => Fake::in_turn(&pool),
                // Nobody who waits for it any more is no reason to fail.
                _ => Fake::later(&pool, move |ticket, reply| drop(sender.send((ticket, reply)))),
            };
            (service.talk, service.lane) = seam;
            let listeners = vec![
                Listener { fd: tcp_listener.into(), kind: ListenerKind::Tcp },
                Listener { fd: unix_listener.into(), kind: ListenerKind::Unix },
            ];
            Reactor::new(&limits, listeners, mailbox, counters, control, service).unwrap().run()
        });
        let pending = match replies {
            Replies::Elsewhere => {
                let mailbox = Arc::clone(&mailbox);
                std::thread::spawn(move || mix(&receiver, &mailbox));
                None
            }
            Replies::Inline | Replies::InTurn | Replies::ByTheTest => Some(receiver),
        };
        Server { pool, counters, control, mailbox, pending, talk, lane, tcp, unix, reactor: Some(reactor) }
    }

    pub(super) fn tcp(&self) -> Client {
        Server::client(TcpStream::connect(self.tcp).unwrap())
    }

    /// One from another address of the loopback interface, who is taken for somebody on another machine.
    pub(super) fn tcp_from_elsewhere(&self) -> Client {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 2], 0))).unwrap();
        rustix::net::connect(&socket, &self.tcp).unwrap();
        Server::client(socket.into())
    }

    fn client(stream: TcpStream) -> Client {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client::Tcp(stream)
    }

    pub(super) fn unix(&self) -> Client {
        let stream = UnixStream::connect_addr(&self.unix).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client::Unix(stream)
    }

    /// One client of each kind, the second one connected when the first is done with.
    pub(super) fn both(&self) -> impl Iterator<Item = Client> {
        let kinds: [fn(&Server) -> Client; 2] = [Server::tcp, Server::unix];
        kinds.into_iter().map(|connect| connect(self))
    }

    /// The next reply that the test is to deliver.
    pub(super) fn next_pending(&self) -> (Ticket, Reply) {
        self.pending.as_ref().unwrap().recv_timeout(PATIENCE).unwrap()
    }

    /// Waits for the reactor's own end.
    pub(super) fn join(&mut self) {
        if let Some(reactor) = self.reactor.take() {
            reactor.join().unwrap().unwrap();
        }
    }

    /// Waits until all connections are closed and all memory is back.
    pub(super) fn assert_nothing_is_held(&self) {
        until("all connections are closed", || self.control.connections() == 0);
        until("all memory is back", || self.pool.in_use_bytes() == 0);
        until("all rows are given up", || self.rows_out() == 0);
    }

    /// Rows that requests have.
    pub(super) fn rows_out(&self) -> usize {
        self.lane.as_ref().map_or(0, |lane| lane.pending_rows())
    }

    /// Waits until the reactor has done so much for somebody else that it has seen what was there before.
    pub(super) fn let_it_look(&self) {
        let mut other = self.unix();
        for _ in 0..20 {
            other.send(b"GET /x HTTP/1.1\r\n\r\n").unwrap();
            other.read_response();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.control.stop();
        if std::thread::panicking() {
            return;
        }
        self.join();
        assert_eq!(self.pool.in_use_bytes(), 0, "memory outlives its reactor");
    }
}

/// Delivers replies in another order than that in which they were made.
fn mix(replies: &Receiver<(Ticket, Reply)>, mailbox: &Mailbox) {
    let mut random = Random::new(1);
    let mut held = Vec::new();
    loop {
        let next =
            if held.is_empty() { replies.recv().map_err(|_| TryRecvError::Disconnected) } else { replies.try_recv() };
        let is_alone = next.is_err();
        match next {
            Ok(reply) => held.push(reply),
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => {}
        }
        if is_alone || held.len() > 50 {
            let (ticket, reply) = held.swap_remove(random.within(0..held.len()));
            mailbox.deliver(ticket, reply);
        }
    }
}

/// Waits until something is so.
pub(super) fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never came to be: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A client.
pub(super) enum Client {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Client {
    pub(super) fn again(&self) -> Client {
        match self {
            Client::Tcp(stream) => Client::Tcp(stream.try_clone().unwrap()),
            Client::Unix(stream) => Client::Unix(stream.try_clone().unwrap()),
        }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Client::Tcp(stream) => stream.write_all(bytes),
            Client::Unix(stream) => stream.write_all(bytes),
        }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Client::Tcp(stream) => stream.read(buffer),
            Client::Unix(stream) => stream.read(buffer),
        }
    }

    pub(super) fn read_bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        match self {
            Client::Tcp(stream) => stream.read_exact(&mut bytes).unwrap(),
            Client::Unix(stream) => stream.read_exact(&mut bytes).unwrap(),
        }
        bytes
    }

    /// The next frame's id, and what it says.
    pub(super) fn read_reply(&mut self) -> (u64, Result<Vec<Sample>, i64>) {
        let header = self.read_bytes(HEADER_BYTES);
        let header = Header::read(header.first_chunk().unwrap()).unwrap();
        (header.id, read_reply(&self.read_bytes(header.length as usize)))
    }

    /// Sends a request and checks that it is echoed.
    pub(super) fn call(&mut self, id: u64, message: &Message, samples: &[Sample]) {
        self.send(&message.frame(id)).unwrap();
        let (got, reply) = self.read_reply();
        assert_eq!(got, id);
        assert!(reply.as_deref() == Ok(samples), "{reply:?}");
    }

    /// Reads an HTTP response; returns its status line and its body.
    pub(super) fn read_response(&mut self) -> (String, Vec<u8>) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(self.read_bytes(1));
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap().parse().unwrap();
        (head.lines().next().unwrap().to_owned(), self.read_bytes(length))
    }

    /// Whether the next thing to be read is the server's end of the stream (or that it is gone).
    pub(super) fn is_ended(&mut self) -> bool {
        match self.read(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    pub(super) fn end_sending(&self) {
        match self {
            Client::Tcp(stream) => stream.shutdown(std::net::Shutdown::Write).unwrap(),
            Client::Unix(stream) => stream.shutdown(std::net::Shutdown::Write).unwrap(),
        }
    }

    /// Goes away without a word: TCP sends a reset.
    pub(super) fn reset(self) {
        if let Client::Tcp(stream) = &self {
            rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).unwrap();
        }
    }
}
