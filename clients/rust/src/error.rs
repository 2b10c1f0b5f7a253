//! What can go wrong, told apart by whose fault it is and by what the caller can do about it.

use crate::address::BadAddress;
use graphpipe_schema::Code;
use graphpipe_schema::frame::BadFrame;
use graphpipe_schema::reader::Malformed;
use graphpipe_schema::writer::Unwritable;
use std::io;

/// Why a call failed.
///
/// After [`Error::Connect`] there is no connection. After [`Error::Closed`], [`Error::Protocol`],
/// [`Error::ReplyTooLarge`] and a timeout in the middle of a send, the connection is of no further use (what has already
/// arrived can still be received): connect again. After all others it goes on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's: the address cannot be read.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// Nobody answers at the address.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The address.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The server has closed the connection, or an earlier error has.
    #[error("the connection is closed: {0}")]
    Closed(&'static str),
    /// The system reports an error on the connection.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// Nothing moved for as long as the timeout says.
    #[error("no progress within the timeout while {0}")]
    Timeout(&'static str),
    /// The server's: it sent something that is not a reply.
    #[error("the server broke the protocol: {0}")]
    Protocol(Broken),
    /// The reply is over the limit that [`Options::reply_bytes_max`](crate::Options::reply_bytes_max) sets.
    #[error("the server announces a reply of {bytes} bytes; at most {limit} are accepted (Options::reply_bytes_max)")]
    ReplyTooLarge {
        /// The reply's length.
        bytes: u32,
        /// The limit.
        limit: u32,
    },
    /// The server answered with an error.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The caller's: the request cannot be written as a message.
    #[error("the request cannot be sent: {0}")]
    Unwritable(#[from] Unwritable),
    /// The caller's: too many requests are waiting for their replies to be received.
    #[error("{limit} requests are in flight, as many as are allowed (Options::in_flight_max); receive replies first")]
    InFlight {
        /// The limit.
        limit: usize,
    },
    /// The caller's: a reply was to be received, and no request is waiting for one.
    #[error("no request is in flight")]
    NothingInFlight,
    /// The caller's: the reply has no such output, or the output is of another type.
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl Error {
    /// Whether the same request may succeed later, on this connection or on another.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Connect { .. } | Error::Closed(_) | Error::Io(_) | Error::Timeout(_) | Error::InFlight { .. } => {
                true
            }
            Error::Server(error) => error.is_transient(),
            _ => false,
        }
    }
}

/// An error that the server sent as its reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server answered with error {number}: {message}")]
pub struct ServerError {
    /// The code on the wire.
    pub number: i64,
    /// What happened, in the server's words.
    pub message: String,
}

impl ServerError {
    /// The code, if it is one that the protocol defines.
    pub fn code(&self) -> Option<Code> {
        Code::from_wire(self.number)
    }

    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self.code(), Some(Code::Busy | Code::ShuttingDown))
    }
}

/// How a server broke the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The bytes where a frame should begin are not the header of one.
    #[error("{0}")]
    Frame(#[from] BadFrame),
    /// The message is not a reply.
    #[error("{0}")]
    Message(#[from] Malformed),
    /// A reply to a request that is not waiting for one.
    #[error("a reply carries the id {id}, which no request waits for")]
    UnknownId {
        /// The id.
        id: u64,
    },
    /// The flag of an error on a reply that carries none.
    #[error("a reply has the flag of an error and carries none")]
    NoError,
    /// A reply that ends before all of it is there.
    #[error("a reply points behind its end")]
    Short,
    /// Elements that do not fit the shape.
    #[error("output {index} of a reply has {found} where its type and shape make {expected}")]
    Length {
        /// Which output.
        index: usize,
        /// Bytes, or strings, that its type and shape make.
        expected: u64,
        /// Bytes, or strings, that it has.
        found: u64,
    },
    /// A shape with a negative dimension, or with more elements than can be counted.
    #[error("output {index} of a reply has an impossible shape")]
    Shape {
        /// Which output.
        index: usize,
    },
}

/// Whatever is a breach of the protocol is the server's fault, wherever it is found.
impl<T: Into<Broken>> From<T> for Error {
    fn from(broken: T) -> Error {
        Error::Protocol(broken.into())
    }
}

/// Why an output cannot be looked at as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// There is no such output.
    #[error("there is no output {index}; the reply has {count}")]
    Index {
        /// The index that was asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// Its elements are of another type.
    #[error("the output's elements are {found}, not {wanted}")]
    Type {
        /// The type that was asked for.
        wanted: graphpipe_schema::DType,
        /// The type that it has.
        found: graphpipe_schema::DType,
    },
    /// It does not lie where a slice of this type could begin; a copy is to be had.
    #[error("the server did not align the output for a slice of {wanted}; copy it with to_vec")]
    Unaligned {
        /// The type that was asked for.
        wanted: graphpipe_schema::DType,
    },
}
