//! Servers that misbehave as a test wants: HTTP by hand, a thread for each connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A server on a free port. It lives as long as the test's process; what it does is up to its handler.
pub struct Server {
    pub address: SocketAddr,
    answered: Arc<AtomicUsize>,
}

/// One connection, as the server sees it.
pub struct Connection {
    reader: BufReader<TcpStream>,
    stream: TcpStream,
    /// Which connection it is, from 0 on.
    pub number: usize,
}

/// A request that has arrived whole.
pub struct Request {
    /// `POST /path`.
    pub line: String,
    pub body: Vec<u8>,
}

impl Server {
    /// Calls `handle` for each connection, each on a thread of its own.
    pub fn start(handle: impl Fn(Connection) + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let handle = Arc::new(handle);
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().flatten().enumerate() {
                let handle = Arc::clone(&handle);
                std::thread::spawn(move || handle(Connection::new(stream, number)));
            }
        });
        Server { address, answered: Arc::default() }
    }

    /// Answers every request of every connection with `answer`.
    pub fn answering(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Server {
        let answered = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&answered);
        let server = Server::start(move |mut connection| {
            while let Some(request) = connection.request() {
                counter.fetch_add(1, Ordering::Relaxed);
                if connection.send(&answer(&request)).is_err() {
                    return;
                }
            }
        });
        Server { answered, ..server }
    }

    /// Waits until so many requests have come to a server of [`Server::answering`].
    pub fn wait_for_requests(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.answered.load(Ordering::Relaxed) < count {
            assert!(Instant::now() < deadline, "{count} requests come");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends every body back.
    pub fn echo() -> Server {
        Server::answering(|request| ok(&request.body))
    }

    /// Sends every body back, but for the first half of each second, in which it answers nobody.
    pub fn freezing() -> Server {
        let began = Instant::now();
        Server::answering(move |request| {
            let phase = began.elapsed().as_micros() % 1_000_000;
            let freeze = Duration::from_micros(500_000_u64.saturating_sub(phase as u64));
            std::thread::sleep(freeze);
            ok(&request.body)
        })
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

impl Connection {
    fn new(stream: TcpStream, number: usize) -> Connection {
        stream.set_nodelay(true).expect("a TCP socket");
        Connection { reader: BufReader::new(stream.try_clone().expect("a descriptor")), stream, number }
    }

    /// The next request; `None` if there is none any more.
    pub fn request(&mut self) -> Option<Request> {
        let mut line = String::new();
        self.reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
        let mut length = 0;
        loop {
            let mut field = String::new();
            self.reader.read_line(&mut field).ok()?;
            let field = field.trim().to_ascii_lowercase();
            if field.is_empty() {
                break;
            }
            if let Some(number) = field.strip_prefix("content-length:") {
                length = number.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).ok()?;
        let line = line.trim().trim_end_matches(" HTTP/1.1").to_owned();
        Some(Request { line, body })
    }

    /// Waits until so many bytes have come, and leaves them where they are.
    pub fn has_come(&mut self, bytes: usize) -> bool {
        self.reader.fill_buf().is_ok_and(|there| there.len() >= bytes)
    }

    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }
}

/// A reply with outputs.
pub fn ok(body: &[u8]) -> Vec<u8> {
    reply("200 OK", body)
}

/// A reply.
pub fn reply(status: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
