//! Requests into bytes: writes the head of a message, then sends head and payloads from where they lie.

use crate::error::Error;
use crate::request::Request;
use crate::stream::Stream;
use graphpipe_schema::frame::{HEADER_BYTES, Header};
use graphpipe_schema::writer::{self, Content, Gap};
use std::io::{self, IoSlice};

/// The sending side of a connection: what is written for a request, in memory that the next one uses again.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    /// The header of the frame and the head of the message, or all of the message.
    head: Vec<u8>,
    /// What stands between two payloads.
    gaps: Vec<Gap>,
}

impl Outbound {
    /// Writes all of a request but its payloads.
    pub(crate) fn write(&mut self, id: u64, request: &Request<'_>) -> Result<(), Error> {
        self.begin();
        let layout = writer::infer_request(&mut self.head, &request.message())?;
        let payloads = request.inputs.iter().filter_map(|tensor| match tensor.content {
            Content::Payload(bytes) if bytes > 0 => Some(bytes),
            _ => None,
        });
        let pairs = payloads.clone().zip(payloads.skip(1));
        self.gaps.extend(pairs.map(|(previous, next)| writer::gap(previous, next)));
        self.end(Header { length: layout.length, head: layout.head, flags: 0, id });
        Ok(())
    }

    /// Writes a message without payloads.
    pub(crate) fn write_message(&mut self, id: u64, message: &[u8]) {
        self.begin();
        self.head.extend_from_slice(message);
        let length = message.len() as u32;
        self.end(Header { length, head: length, flags: 0, id });
    }

    /// Sends what was written, with these payloads. While the socket takes no more, calls `receive` whenever replies have
    /// arrived: a server that cannot get rid of its replies may well stop reading requests.
    pub(crate) fn send(
        &self,
        stream: &Stream,
        payloads: &[&[u8]],
        mut receive: impl FnMut() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut parts = self.parts(payloads);
        let mut parts = &mut parts[..];
        while !parts.is_empty() {
            match stream.send(parts) {
                Ok(bytes) => IoSlice::advance_slices(&mut parts, bytes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match stream.wait_to_send()? {
                    Some(true) => receive()?,
                    Some(false) => {}
                    None => return Err(Error::Timeout("sending a request")),
                },
                Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
                    // The server may have said why before it closed.
                    receive()?;
                    return Err(Error::Closed("the server has closed it"));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn begin(&mut self) {
        self.head.clear();
        self.gaps.clear();
        self.head.extend_from_slice(&[0; HEADER_BYTES]);
    }

    fn end(&mut self, header: Header) {
        self.head[..HEADER_BYTES].copy_from_slice(&header.write());
    }

    /// All of the frame, in order. Empty payloads are part of the head.
    fn parts<'p>(&'p self, payloads: &[&'p [u8]]) -> Vec<IoSlice<'p>> {
        let mut parts = Vec::with_capacity(2 * payloads.len() + 1);
        parts.push(IoSlice::new(&self.head));
        let mut gaps = self.gaps.iter();
        for payload in payloads.iter().filter(|payload| !payload.is_empty()) {
            if parts.len() > 1 {
                let gap = gaps.next().expect("there is one between any two payloads");
                parts.push(IoSlice::new(gap.as_ref()));
            }
            parts.push(IoSlice::new(payload));
        }
        parts
    }
}
