//! One question, asked on a connection of its own, with all the time in the world: for what is not measured.

use crate::protocol::{Dialect, Reply};
use crate::target::Endpoint;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Whom to ask, and how the answer is read.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Where it listens.
    pub endpoint: &'a Endpoint,
    /// How replies are found.
    pub dialect: &'a Dialect,
    /// How long connecting, sending and receiving may each stand still.
    pub timeout: Duration,
}

/// Sends `request` and reads the reply with `read`. The error is a sentence that names the server.
pub fn ask<T>(question: &Question<'_>, request: &[u8], read: impl Fn(&Reply<'_>) -> T) -> Result<T, String> {
    let endpoint = question.endpoint;
    let mut stream =
        connect(endpoint, question.timeout).map_err(|error| format!("cannot connect to {endpoint}: {error}"))?;
    stream.write_all(request).map_err(|error| format!("{endpoint} does not take a request: {error}"))?;
    let mut replies = question.dialect.replies(true);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = match stream.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(format!("{endpoint} gives no answer within {:?}", question.timeout));
            }
            Err(error) => return Err(format!("{endpoint} ended the connection: {error}")),
        };
        if count == 0 {
            return match replies.end() {
                Ok(Some(reply)) => Ok(read(&reply)),
                Ok(None) => Err(format!("{endpoint} closed the connection without an answer")),
                Err(violation) => Err(format!("{endpoint} closed the connection: {violation}")),
            };
        }
        let mut received = &buffer[..count];
        while !received.is_empty() {
            match replies.next(&mut received) {
                Ok(Some(reply)) => return Ok(read(&reply)),
                Ok(None) => {}
                Err(violation) => return Err(format!("{endpoint} speaks another protocol: {violation}")),
            }
        }
    }
}

trait Stream: Read + Write {}
impl Stream for TcpStream {}
impl Stream for UnixStream {}

fn connect(endpoint: &Endpoint, timeout: Duration) -> io::Result<Box<dyn Stream>> {
    // A timeout of zero would be none.
    let timeout = timeout.max(Duration::from_millis(1));
    match endpoint {
        Endpoint::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, timeout)?;
            stream.set_read_timeout(Some(timeout))?;
            stream.set_write_timeout(Some(timeout))?;
            Ok(Box::new(stream))
        }
        Endpoint::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(timeout))?;
            stream.set_write_timeout(Some(timeout))?;
            Ok(Box::new(stream))
        }
    }
}
