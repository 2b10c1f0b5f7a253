//! The client: one connection, requests out, replies in.

use crate::address::Address;
use crate::error::{Error, ServerError};
use crate::options::Options;
use crate::outbound::Outbound;
use crate::replies::{Asked, Replies, Reply};
use crate::request::Request;
use crate::response::Response;
use crate::stream::Stream;
use graphpipe_schema::metadata::{Metadata, metadata_request};
use std::os::fd::{AsFd, BorrowedFd};

/// Names a request of a client from its send to its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub(crate) u64);

/// What the server answered to one request.
pub type Answer = Result<Response, ServerError>;

/// A connection to a server. One thread uses it at a time; programs with more open one each.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    outbound: Outbound,
    replies: Replies,
    id_last: u64,
    in_flight_max: usize,
}

impl Client {
    /// Connects to `address`, `tcp://HOST:PORT` or `unix:PATH`, with the default [`Options`].
    pub fn connect(address: &str) -> Result<Client, Error> {
        Options::new().connect(address)
    }

    pub(crate) fn open(address: &Address, options: &Options) -> Result<Client, Error> {
        let stream = Stream::connect(address, options)
            .map_err(|source| Error::Connect { address: address.to_string(), source })?;
        Ok(Client {
            stream,
            outbound: Outbound::default(),
            replies: Replies::new(options.reply_bytes_max),
            id_last: 0,
            in_flight_max: options.in_flight_max,
        })
    }

    /// Sends a request and waits for its reply. Replies to other requests that arrive meanwhile are kept for
    /// [`Client::receive`].
    ///
    /// After a timeout the request is given up: its reply is dropped when it comes, and the connection goes on.
    pub fn infer(&mut self, request: &Request<'_>) -> Result<Response, Error> {
        let id = self.send(request)?;
        match self.wait_for(id)? {
            Reply::Outputs(response) => Ok(response),
            Reply::Refused(error) => Err(error.into()),
            Reply::Metadata(_) => unreachable!("replies are read as what was asked for, which was outputs"),
        }
    }

    /// Asks what a model takes and gives; an empty name asks for the server's default model.
    pub fn metadata(&mut self, model: &str) -> Result<Metadata, Error> {
        let id = self.admit(Asked::Metadata)?;
        self.outbound.write_message(id.0, &metadata_request(model, ""));
        self.transmit(id, &[])?;
        match self.wait_for(id)? {
            Reply::Metadata(metadata) => Ok(metadata),
            Reply::Refused(error) => Err(error.into()),
            Reply::Outputs(_) => unreachable!("replies are read as what was asked for, which was metadata"),
        }
    }

    /// Sends a request without waiting for its reply, which [`Client::receive`] will return under this id.
    ///
    /// The caller's slices are sent from where they lie, and are free when this returns. While the socket takes no more,
    /// replies that arrive are taken in and kept, so a program may send any number of requests before it receives: neither
    /// side can come to wait for the other. What is kept is bounded by [`Options::in_flight_max`].
    pub fn send(&mut self, request: &Request<'_>) -> Result<Id, Error> {
        let id = self.admit(Asked::Outputs)?;
        if let Err(error) = self.outbound.write(id.0, request) {
            // Nothing was sent.
            self.replies.forget(id);
            return Err(error);
        }
        self.transmit(id, &request.payloads)?;
        Ok(id)
    }

    /// Waits for the next reply, in whatever order the server finishes them. The outer error is the connection's, the
    /// inner one the server's answer to this request.
    pub fn receive(&mut self) -> Result<(Id, Answer), Error> {
        self.next(true)?.ok_or(Error::NothingInFlight)
    }

    /// The next reply if one has arrived; never waits. To wait for several connections at once, poll them by
    /// [`AsFd`] once this returns `None`.
    pub fn try_receive(&mut self) -> Result<Option<(Id, Answer)>, Error> {
        self.next(false)
    }

    /// Requests that were sent and whose replies have still to be received.
    pub fn in_flight(&self) -> usize {
        self.replies.in_flight()
    }

    /// The next reply; `None` if there is none now, or if none can come.
    fn next(&mut self, wait: bool) -> Result<Option<(Id, Answer)>, Error> {
        if self.in_flight() == 0 {
            return Ok(None);
        }
        Ok(self.replies.next(&self.stream, wait)?.map(|(id, reply)| match reply {
            Reply::Outputs(response) => (id, Ok(response)),
            Reply::Refused(error) => (id, Err(error)),
            Reply::Metadata(_) => unreachable!("metadata is waited for by the call that asks for it"),
        }))
    }

    /// A new id, if there may be one more request.
    fn admit(&mut self, asked: Asked) -> Result<Id, Error> {
        if self.replies.is_closed() {
            return Err(Error::Closed("an earlier error has ended it"));
        }
        if self.replies.held() >= self.in_flight_max {
            return Err(Error::InFlight { limit: self.in_flight_max });
        }
        // From 1: the id 0 is for errors that belong to no request.
        self.id_last += 1;
        let id = Id(self.id_last);
        self.replies.expect(id, asked);
        Ok(id)
    }

    /// Sends what was written. A request that was answered before all of it was sent counts as sent.
    fn transmit(&mut self, id: Id, payloads: &[&[u8]]) -> Result<(), Error> {
        let (stream, replies) = (&self.stream, &mut self.replies);
        let outcome = self.outbound.send(stream, payloads, || replies.pump(stream));
        let Err(error) = outcome else { return Ok(()) };
        // The frame may be half-way out, and nothing can follow it.
        self.replies.close();
        if self.replies.forget(id) { Ok(()) } else { Err(error) }
    }

    fn wait_for(&mut self, id: Id) -> Result<Reply, Error> {
        let outcome = self.replies.wait_for(&self.stream, id);
        if outcome.is_err() {
            self.replies.abandon(id);
        }
        outcome
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
