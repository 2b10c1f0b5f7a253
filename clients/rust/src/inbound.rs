//! Bytes into messages: finds frames in what arrives, and has the system write their messages where they will be read.
//!
//! Each receive has two destinations: the rest of the message that is arriving, if there is one, and behind it a small
//! inbox for what follows. So a large message lies where it belongs, but for a beginning that shared a receive with what
//! came before it (at most the inbox), and a hundred small replies take one system call.

use crate::error::Error;
use crate::memory::{Message, Spares};
use crate::stream::Stream;
use graphpipe_schema::frame::{HEADER_BYTES, Header};
use std::io::{self, IoSliceMut};
use std::sync::Arc;

/// Holds about a hundred small replies. A larger one would only be copied from more.
const INBOX_BYTES: usize = 16 << 10;

/// A frame that has arrived.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) header: Header,
    pub(crate) message: Message,
}

/// The receiving side of a connection.
#[derive(Debug)]
pub(crate) struct Inbound {
    /// `inbox[begin..end]` has arrived and is not looked at. While a message is arriving, that is nothing.
    inbox: Box<[u8]>,
    begin: usize,
    end: usize,
    arriving: Option<Arriving>,
    spares: Arc<Spares>,
    message_bytes_max: u32,
}

/// A frame of which `filled` bytes of its message have arrived.
#[derive(Debug)]
struct Arriving {
    frame: Frame,
    filled: usize,
}

impl Inbound {
    pub(crate) fn new(message_bytes_max: u32) -> Inbound {
        Inbound {
            inbox: vec![0; INBOX_BYTES].into_boxed_slice(),
            begin: 0,
            end: 0,
            arriving: None,
            spares: Arc::default(),
            message_bytes_max,
        }
    }

    /// The next frame. If it is not all there, waits for it, or returns `None`.
    pub(crate) fn next(&mut self, stream: &Stream, wait: bool) -> Result<Option<Frame>, Error> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(Some(frame));
            }
            match self.fill(stream, wait) {
                Ok(0) => return Err(Error::Closed("the server has closed it")),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && wait => {
                    return Err(Error::Timeout("waiting for a reply"));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Err(Error::Closed("the server has reset it"));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes the next frame, if all of it has arrived.
    fn take(&mut self) -> Result<Option<Frame>, Error> {
        let arriving = match self.arriving.take() {
            Some(arriving) => arriving,
            None => match self.begin_frame()? {
                Some(arriving) => arriving,
                None => return Ok(None),
            },
        };
        let arriving = self.arriving.insert(arriving);
        let rest = &mut arriving.frame.message.as_mut_slice()[arriving.filled..];
        let bytes = rest.len().min(self.end - self.begin);
        rest[..bytes].copy_from_slice(&self.inbox[self.begin..self.begin + bytes]);
        let complete = bytes == rest.len();
        arriving.filled += bytes;
        self.begin += bytes;
        Ok(self.arriving.take_if(|_| complete).map(|arriving| arriving.frame))
    }

    /// Reads the header of a frame, if all of it has arrived, and makes room for its message.
    fn begin_frame(&mut self) -> Result<Option<Arriving>, Error> {
        let Some(bytes) = self.inbox[self.begin..self.end].first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let header = Header::read(bytes)?;
        if header.length > self.message_bytes_max {
            return Err(Error::ReplyTooLarge { bytes: header.length, limit: self.message_bytes_max });
        }
        self.begin += HEADER_BYTES;
        let message = self.spares.message(header.length as usize);
        Ok(Some(Arriving { frame: Frame { header, message }, filled: 0 }))
    }

    /// Receives once.
    fn fill(&mut self, stream: &Stream, wait: bool) -> io::Result<usize> {
        // What is left is less than a header: the message that is arriving has taken the rest.
        self.inbox.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        self.begin = 0;
        let inbox = IoSliceMut::new(&mut self.inbox[self.end..]);
        let Some(arriving) = &mut self.arriving else {
            let bytes = stream.receive(&mut [inbox], wait)?;
            self.end += bytes;
            return Ok(bytes);
        };
        let rest = &mut arriving.frame.message.as_mut_slice()[arriving.filled..];
        let rest_bytes = rest.len();
        let bytes = stream.receive(&mut [IoSliceMut::new(rest), inbox], wait)?;
        arriving.filled += bytes.min(rest_bytes);
        self.end += bytes.saturating_sub(rest_bytes);
        Ok(bytes)
    }
}
