//! Which requests wait for a reply, and the replies that have arrived before they were asked for.

use crate::client::Id;
use crate::error::{Broken, Error, ServerError};
use crate::inbound::{Frame, Inbound};
use crate::response::{self, Response};
use crate::stream::Stream;
use graphpipe_schema::frame::FLAG_ERROR;
use graphpipe_schema::metadata::Metadata;
use std::collections::{HashMap, VecDeque};

/// What a request asked for, and with it what its reply is: the message does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Outputs,
    Metadata,
    /// The caller has given up waiting; the reply is dropped when it comes.
    Nothing,
}

/// A reply.
#[derive(Debug)]
pub(crate) enum Reply {
    Outputs(Response),
    Metadata(Metadata),
    Refused(ServerError),
}

/// The receiving half of a client.
///
/// A request is in exactly one place from its send to its reply's way to the caller: `waiting`, then `ready`.
#[derive(Debug)]
pub(crate) struct Replies {
    inbound: Inbound,
    waiting: HashMap<u64, Asked>,
    /// How many of `waiting` have asked for nothing.
    abandoned: usize,
    ready: VecDeque<(Id, Reply)>,
    closed: bool,
}

impl Replies {
    pub(crate) fn new(reply_bytes_max: u32) -> Replies {
        Replies {
            inbound: Inbound::new(reply_bytes_max),
            waiting: HashMap::new(),
            abandoned: 0,
            ready: VecDeque::new(),
            closed: false,
        }
    }

    /// Requests whose replies the caller has still to receive.
    pub(crate) fn in_flight(&self) -> usize {
        self.held() - self.abandoned
    }

    /// Requests that are kept account of: those in flight, and those that were given up.
    pub(crate) fn held(&self) -> usize {
        self.waiting.len() + self.ready.len()
    }

    /// Whether an earlier error has made the connection useless.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Makes the connection useless: a frame was sent in part.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// A request is about to be sent.
    pub(crate) fn expect(&mut self, id: Id, asked: Asked) {
        self.waiting.insert(id.0, asked);
    }

    /// A request was not sent. Returns whether its reply has arrived nevertheless: servers may refuse a request when they
    /// have seen only its head.
    pub(crate) fn forget(&mut self, id: Id) -> bool {
        self.waiting.remove(&id.0).is_none()
    }

    /// Nobody will ask for this reply any more.
    pub(crate) fn abandon(&mut self, id: Id) {
        if let Some(asked) = self.waiting.get_mut(&id.0) {
            *asked = Asked::Nothing;
            self.abandoned += 1;
        }
    }

    /// Takes in everything that has arrived, without waiting.
    pub(crate) fn pump(&mut self, stream: &Stream) -> Result<(), Error> {
        while let Some(reply) = self.arrival(stream, false)? {
            self.ready.push_back(reply);
        }
        Ok(())
    }

    /// The next reply in the order of arrival.
    pub(crate) fn next(&mut self, stream: &Stream, wait: bool) -> Result<Option<(Id, Reply)>, Error> {
        match self.ready.pop_front() {
            Some(reply) => Ok(Some(reply)),
            None => self.arrival(stream, wait),
        }
    }

    /// Waits for the reply to one request; those to others are kept for later.
    pub(crate) fn wait_for(&mut self, stream: &Stream, id: Id) -> Result<Reply, Error> {
        if let Some(index) = self.ready.iter().position(|(ready, _)| *ready == id) {
            let (_, reply) = self.ready.remove(index).expect("it was just found there");
            return Ok(reply);
        }
        loop {
            match self.arrival(stream, true)? {
                Some((arrived, reply)) if arrived == id => return Ok(reply),
                Some(other) => self.ready.push_back(other),
                None => {}
            }
        }
    }

    /// The next reply that somebody waits for.
    fn arrival(&mut self, stream: &Stream, wait: bool) -> Result<Option<(Id, Reply)>, Error> {
        if self.closed {
            return Err(Error::Closed("an earlier error has ended it"));
        }
        let outcome = self.receive(stream, wait);
        // A timeout leaves everything as it was; after any other error nobody knows where the next frame begins.
        self.closed = outcome.as_ref().is_err_and(|error| !matches!(error, Error::Timeout(_)));
        outcome
    }

    fn receive(&mut self, stream: &Stream, wait: bool) -> Result<Option<(Id, Reply)>, Error> {
        while let Some(frame) = self.inbound.next(stream, wait)? {
            let id = Id(frame.header.id);
            match self.waiting.remove(&id.0) {
                Some(Asked::Nothing) => self.abandoned -= 1,
                Some(asked) => return Ok(Some((id, read(frame, asked)?))),
                // No request has the id 0: the error is about the connection.
                None if id.0 == 0 && frame.header.flags & FLAG_ERROR != 0 => {
                    return Err(response::read_error(frame.message.as_slice())?.into());
                }
                None => return Err(Broken::UnknownId { id: id.0 }.into()),
            }
        }
        Ok(None)
    }
}

fn read(frame: Frame, asked: Asked) -> Result<Reply, Error> {
    if frame.header.flags & FLAG_ERROR != 0 {
        return Ok(Reply::Refused(response::read_error(frame.message.as_slice())?));
    }
    if asked == Asked::Metadata {
        return Ok(Reply::Metadata(Metadata::read(frame.message.as_slice())?));
    }
    Ok(match Response::read(frame.message)? {
        Ok(response) => Reply::Outputs(response),
        Err(refused) => Reply::Refused(refused),
    })
}
