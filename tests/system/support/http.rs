//! HTTP by hand: requests for inference, and replies with all that is said in their heads.

use super::native::{Address, Reply, Stream};
use graphpipe_schema::frame::Header;
use std::io::{Read, Write};

/// A request for inference, as one piece. It keeps the connection alive.
pub fn post(message: &[u8]) -> Vec<u8> {
    let head = format!("POST / HTTP/1.1\r\nHost: here\r\nContent-Length: {}\r\n\r\n", message.len());
    [head.as_bytes(), message].concat()
}

/// A connection that speaks HTTP.
pub struct HttpConnection {
    /// The socket.
    pub stream: Stream,
    /// What has been read beyond the last reply.
    behind: Vec<u8>,
}

/// A reply.
pub struct HttpReply {
    /// The status.
    pub status: u16,
    /// The head, up to the empty line.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpConnection {
    /// Connects.
    pub fn to(address: &Address) -> HttpConnection {
        HttpConnection { stream: address.connect(), behind: Vec::new() }
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the daemon reads");
    }

    /// Reads one reply.
    pub fn reply(&mut self) -> HttpReply {
        let end = loop {
            match self.behind.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => self.read_more(),
            }
        };
        let head = String::from_utf8(self.behind[..end].to_vec()).expect("a head is text");
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).expect("a length");
        let whole = end + length.parse::<usize>().expect("a number");
        while self.behind.len() < whole {
            self.read_more();
        }
        let body = self.behind[end..whole].to_vec();
        self.behind.drain(..whole);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        HttpReply { status, head, body }
    }

    fn read_more(&mut self) {
        let mut bytes = [0; 16384];
        let count = self.stream.read(&mut bytes).expect("the daemon answers");
        assert!(count > 0, "the daemon ended the connection behind {:?}", String::from_utf8_lossy(&self.behind));
        self.behind.extend_from_slice(&bytes[..count]);
    }
}

impl HttpReply {
    /// A good reply, as it would be in a frame.
    pub fn into_reply(self) -> Reply {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        let header = Header { length: self.body.len() as u32, head: 0, flags: 0, id: 0 };
        Reply { header, message: self.body }
    }
}
