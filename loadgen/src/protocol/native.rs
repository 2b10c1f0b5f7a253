//! Native frames: a header of 32 bytes and a GraphPipe message. What is in the message is [`super::graphpipe`]'s.

use super::body::Body;
use super::replies::looks;
use super::{Encoded, Outcome, REFUSAL_BYTES_MAX, Reply, Violation, graphpipe};
use crate::tensor::Tensor;
use graphpipe_schema::frame::{BadFrame, FLAG_ERROR, HEADER_BYTES, Header, MAGIC};
use graphpipe_schema::metadata::metadata_request;

/// Where the id stands in a header.
const ID_AT: usize = 16;

/// The frame that asks for a model's metadata.
pub(super) fn signature_request(model: &str) -> Vec<u8> {
    let message = metadata_request(model, "");
    // A name from the command line is far below 4 GiB.
    let length = message.len() as u32;
    let mut frame = Header { length, head: length, flags: 0, id: 0 }.write().to_vec();
    frame.extend_from_slice(&message);
    frame
}

/// The frame with an inference.
pub(super) fn encode(model: &str, inputs: &[Tensor], outputs: &[String]) -> Result<Encoded, String> {
    let mut bytes = vec![0; HEADER_BYTES];
    let layout = graphpipe::write(&mut bytes, model, inputs, outputs)?;
    let header = Header { length: layout.length, head: layout.head, flags: 0, id: 0 };
    bytes[..HEADER_BYTES].copy_from_slice(&header.write());
    Ok(Encoded { bytes, id_at: Some(ID_AT) })
}

/// Finds replies in a stream of frames.
#[derive(Debug)]
pub(super) struct Frames {
    keep_bodies: bool,
    /// The first `header_bytes` bytes of a header that has come in pieces.
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    /// The frame whose message is being received, and how many bytes of it are still to come.
    frame: Option<Header>,
    left: u64,
    body: Body,
}

impl Frames {
    pub fn new(keep_bodies: bool) -> Frames {
        Frames { keep_bodies, header: [0; HEADER_BYTES], header_bytes: 0, frame: None, left: 0, body: Body::default() }
    }

    pub fn next(&mut self, received: &mut &[u8]) -> Result<Option<Reply<'_>>, Violation> {
        if self.frame.is_none() {
            let Some(header) = self.take_header(received)? else { return Ok(None) };
            self.begin(header)?;
        }
        self.body.take(received, &mut self.left);
        if self.left != 0 {
            return Ok(None);
        }
        match self.frame.take() {
            Some(header) => self.reply(header).map(Some),
            None => Ok(None),
        }
    }

    /// The peer has closed.
    pub fn end(&mut self) -> Result<(), Violation> {
        match &self.frame {
            Some(header) => Err(Violation(format!(
                "the server closed in the middle of a reply, after {} of {} bytes of its message",
                self.body.bytes(),
                header.length
            ))),
            None if self.header_bytes != 0 => Err(Violation(format!(
                "the server closed in the middle of a frame's header, after {} of 32 bytes: {}",
                self.header_bytes,
                looks(&self.header[..self.header_bytes])
            ))),
            None => Ok(()),
        }
    }

    /// Takes the rest of a header, if all of it is there.
    fn take_header(&mut self, received: &mut &[u8]) -> Result<Option<Header>, Violation> {
        let count = received.len().min(HEADER_BYTES - self.header_bytes);
        let (bytes, rest) = received.split_at(count);
        self.header[self.header_bytes..self.header_bytes + count].copy_from_slice(bytes);
        self.header_bytes += count;
        *received = rest;
        if self.header_bytes < HEADER_BYTES {
            // Who does not speak this protocol need not send 32 bytes of another one before it waits.
            let wrong = self.header_bytes >= MAGIC.len() && self.header[..MAGIC.len()] != MAGIC;
            return if wrong { Err(not_a_frame(&self.header)) } else { Ok(None) };
        }
        self.header_bytes = 0;
        match Header::read(&self.header) {
            Ok(header) => Ok(Some(header)),
            Err(BadFrame::Magic { .. }) => Err(not_a_frame(&self.header)),
            Err(bad) => Err(Violation(format!("not a native frame: {bad}"))),
        }
    }

    fn begin(&mut self, header: Header) -> Result<(), Violation> {
        let refusal = header.flags & FLAG_ERROR != 0;
        if refusal && header.length as usize > REFUSAL_BYTES_MAX {
            return Err(Violation(format!("an error of {} bytes; {REFUSAL_BYTES_MAX} are the most", header.length)));
        }
        self.body.begin(if refusal || self.keep_bodies { header.length as usize } else { 0 }, None);
        self.left = u64::from(header.length);
        self.frame = Some(header);
        Ok(())
    }

    fn reply(&self, header: Header) -> Result<Reply<'_>, Violation> {
        let outcome = if header.flags & FLAG_ERROR == 0 {
            Outcome::Outputs
        } else {
            match graphpipe::error(self.body.kept()) {
                Some((code, _)) => Outcome::Code(code),
                None => return Err(Violation("a frame says that it carries an error, and carries none".to_owned())),
            }
        };
        Ok(Reply { id: Some(header.id), outcome, closes: false, json_bytes: None, body: self.body.kept() })
    }
}

fn not_a_frame(header: &[u8; HEADER_BYTES]) -> Violation {
    Violation(format!("not a native frame: bytes 0-3 are {}", looks(&header[..MAGIC.len()])))
}
