//! One question, asked on a connection of its own, with all the time in the world: for what is not measured.

use crate::protocol::{Dialect, Reply};
use crate::socket;
use crate::target::Endpoint;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// A receive that is told to wait would wait so long; none is told to.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whom to ask, and how the answer is read.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Where it listens.
    pub endpoint: &'a Endpoint,
    /// How replies are found.
    pub dialect: &'a Dialect,
    /// How long it all may take.
    pub timeout: Duration,
}

/// The most bytes of an answer: a page of metrics, or a signature with thousands of inputs.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Sends `request` and reads the reply with `read`. The error is a sentence that names the server.
pub fn ask<T>(question: &Question<'_>, request: &[u8], read: impl Fn(&Reply<'_>) -> T) -> Result<T, String> {
    let endpoint = question.endpoint;
    let deadline = Instant::now() + question.timeout.max(Duration::from_millis(1));
    let late = || format!("{endpoint} gives no answer within {:?}", question.timeout);
    let socket = connect(endpoint, deadline).map_err(|error| format!("cannot connect to {endpoint}: {error}"))?;
    let mut replies = question.dialect.replies(true);
    let mut buffer = vec![0; 64 << 10];
    let (mut sent, mut taken) = (0, 0);
    loop {
        while sent < request.len() {
            match socket::send(&socket, &[IoSlice::new(&request[sent..])]) {
                Ok(bytes) => sent += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(format!("{endpoint} does not take a request: {error}")),
            }
        }
        let room = if sent < request.len() { PollFlags::OUT } else { PollFlags::empty() };
        if !wait(&socket, PollFlags::IN | room, deadline).map_err(|error| error.to_string())? {
            return Err(late());
        }
        let count = match socket::receive(&socket, &mut buffer, false) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(format!("{endpoint} ended the connection: {error}")),
        };
        if count == 0 {
            return match replies.end() {
                Ok(Some(reply)) => Ok(read(&reply)),
                Ok(None) => Err(format!("{endpoint} closed the connection without an answer")),
                Err(violation) => Err(format!("{endpoint} closed the connection: {violation}")),
            };
        }
        taken += count;
        if taken > ANSWER_BYTES_MAX {
            return Err(format!("{endpoint} answers with more than {ANSWER_BYTES_MAX} bytes"));
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

/// A connection that is made by the deadline. A Unix socket whose backlog is full refuses at once instead of waiting.
fn connect(endpoint: &Endpoint, deadline: Instant) -> io::Result<OwnedFd> {
    let (socket, done) = socket::begin(endpoint, None)?;
    if !done && !wait(&socket, PollFlags::OUT, deadline)? {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"));
    }
    socket::outcome(&socket, PATIENCE)?;
    Ok(socket)
}

/// Waits until the socket is ready, or for an end of it; `false` if the deadline comes first.
fn wait(socket: &OwnedFd, flags: PollFlags, deadline: Instant) -> io::Result<bool> {
    let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now())).ok();
    let mut sockets = [PollFd::new(socket, flags)];
    Ok(retry_on_intr(|| poll(&mut sockets, left.as_ref()))? > 0)
}
