//! How a client connects, waits, and limits itself. Every limit has a default that a program can run with for months.

use crate::Client;
use crate::address::Address;
use crate::error::Error;
use std::time::Duration;

/// Options of a connection; [`Client::connect`] takes them all as they are by default.
///
/// ```no_run
/// use graphpipe_client::Options;
/// use std::time::Duration;
///
/// let client = Options::new().read_timeout(Some(Duration::from_secs(5))).connect("unix:/run/graphpiped/socket")?;
/// # Ok::<(), graphpipe_client::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) connect_timeout: Duration,
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) write_timeout: Option<Duration>,
    pub(crate) reply_bytes_max: u32,
    pub(crate) in_flight_max: usize,
    pub(crate) congestion: Option<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            connect_timeout: Duration::from_secs(10),
            // A model may take any time, so only the caller knows how long is too long.
            read_timeout: None,
            write_timeout: None,
            // Larger than any reply that we know of, and small enough not to end a process that gets one by mistake.
            reply_bytes_max: 1 << 30,
            // Enough to keep any server busy: pipelining gains little beyond a few dozen.
            in_flight_max: 1024,
            congestion: None,
        }
    }
}

impl Options {
    /// The defaults: 10 s to connect, no other timeout, replies of at most 1 GiB, at most 1024 requests in flight.
    pub fn new() -> Options {
        Options::default()
    }

    /// How long connecting may take, for each address that a host name stands for. Zero is taken as 1 ms.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a receive waits without a byte arriving; `None` waits for ever. Zero is taken as 1 ms.
    #[must_use]
    pub fn read_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// How long a send waits without the server taking a byte; `None` waits for ever. Zero is taken as 1 ms.
    #[must_use]
    pub fn write_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// The longest reply that is accepted.
    #[must_use]
    pub fn reply_bytes_max(mut self, bytes: u32) -> Self {
        self.reply_bytes_max = bytes;
        self
    }

    /// The most requests that may wait for their replies to be received by the caller. It bounds the replies that the
    /// client has to keep while it sends: this many times the size of one.
    #[must_use]
    pub fn in_flight_max(mut self, requests: usize) -> Self {
        self.in_flight_max = requests;
        self
    }

    /// The congestion control of a TCP connection, by the system's name for it; without it, the system's default. The
    /// sender's counts: where the default is BBR, its pacing halves the rate of large requests on the loopback interface,
    /// and `cubic` does not.
    #[must_use]
    pub fn congestion(mut self, name: &str) -> Self {
        self.congestion = Some(name.to_owned());
        self
    }

    /// Connects to `address`: `tcp://HOST:PORT` or `unix:PATH`.
    pub fn connect(&self, address: &str) -> Result<Client, Error> {
        Client::open(&address.parse::<Address>()?, self)
    }
}
