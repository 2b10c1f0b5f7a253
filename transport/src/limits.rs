//! The bounds of a reactor: what a peer may have of it. The daemon sets them from its command line.

use std::time::Duration;

/// Bounds, per reactor where nothing else is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at a time. One more is accepted and closed at once, and counted.
    pub connections_max: usize,
    /// Bytes of a message; a longer one is answered with "too large".
    pub message_bytes_max: u32,
    /// Requests of one connection that wait for their reply. Of a connection that has as many no more is received than
    /// the first bytes of the next one.
    pub in_flight_max: usize,
    /// The sum of the weights ([`crate::service::Claim::weight`]) of one connection's requests that wait for their
    /// reply. A connection that has as much gets no more in flight, so this is what others may have to wait behind.
    pub weight_max: u32,
    /// Bytes that all connections together may hold outside of run buffers (requests that wait, metadata, replies that
    /// are not read), each beyond [`HELD_BYTES_FREE`]. A connection that takes more then is closed, and counted.
    pub backlog_bytes_max: usize,
    /// How long a frame or an HTTP head that has begun may take to be complete.
    pub head_timeout: Duration,
    /// How long a connection may be without any request.
    pub idle_timeout: Duration,
    /// How long a payload may take for [`PROGRESS_BYTES_MIN`], and a reply to make any progress at all.
    pub progress_timeout: Duration,
    /// How long a refused or draining connection may take to end.
    pub drain_timeout: Duration,
    /// How long to poll for the next completion before sleeping; zero never polls.
    pub spin: Duration,
    /// Payloads with as many bytes are sent without a copy to peers on other machines; [`usize::MAX`]: none are.
    pub zero_copy_send_bytes_min: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            // 10,000 idle connections cost a few megabytes; a box that needs more says so.
            connections_max: 10_000,
            // FlatBuffers' own bound.
            message_bytes_max: graphpipe_schema::MESSAGE_BYTES_MAX,
            // Deep enough to hide any wake-up, small enough that one peer's backlog stays below a megabyte.
            in_flight_max: 1024,
            // Whoever gives weights says how much is too much.
            weight_max: u32::MAX,
            // Eight connections that send as fast as they can and read nothing, or 10,000 with 6 KiB more than is free.
            backlog_bytes_max: 64 << 20,
            head_timeout: Duration::from_secs(10),
            // Longer than the pool of any HTTP client keeps a connection.
            idle_timeout: Duration::from_mins(5),
            progress_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
            // Two wake-ups of a sleeping core on a virtual machine.
            spin: Duration::from_micros(50),
            // It pays with network cards that gather what they send, and costs everywhere else.
            zero_copy_send_bytes_min: usize::MAX,
        }
    }
}

/// Payloads up to this many bytes arrive in the shared receive buffers and are copied once: a receive of their own
/// would cost more than the copy (measured: the two meet at 4 KiB on Unix sockets, at 8-16 KiB on TCP).
pub const SMALL_BYTES_MAX: usize = 4096;
/// Fewer bytes of a message that is arriving are no progress: whoever sends them one by one holds memory for hours.
pub const PROGRESS_BYTES_MIN: usize = 4096;
/// Bytes of one operation on a payload: long enough to be free of per-operation cost, short enough that a reactor is
/// never held up for more than about 0.2 ms by one of them.
pub const CHUNK_BYTES: usize = 256 * 1024;
/// Bytes of one operation that lends a payload to the kernel: four chunks. A loan costs for the operation and its
/// notification, which comes on its own, and little for each byte.
pub const LENT_BYTES_MAX: usize = 1 << 20;
/// Metadata of one message that is kept aside while its payload goes elsewhere. Names, shapes and tables of
/// [`graphpipe_schema::TENSORS_MAX`] tensors fit many times.
pub const ASIDE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of the receive buffers that all connections of a reactor share: 256 of 16 KiB.
pub const RECEIVE_RING_BYTES: usize = 4 << 20;
/// How often a reactor looks whether more has completed before it goes on with its turn: those who came first must not
/// wait for ever for those who keep coming.
pub const DRAINS_MAX: usize = 4;
/// The most bytes that one request in shared rows may have received to be moved to memory of its own: all others of its
/// reactor wait for the copy, which is as long as that of a few [`CHUNK_BYTES`].
pub const SET_APART_BYTES_MAX: usize = 1 << 20;
/// Bytes that the strings of one reply may take: they are copied into it, and so are part of the backlog until they are
/// sent.
pub const STRING_BYTES_MAX: usize = 32 << 20;
/// What a connection may hold outside of run buffers without being counted: a reply or two, half a request. Without it,
/// a backlog that others have caused would close connections that do nothing unusual.
pub const HELD_BYTES_FREE: usize = 16 * 1024;
/// Bytes that are still read and thrown away after a refusal, so that the peer gets to read the reply.
pub const DISCARD_BYTES_MAX: u64 = 1024 * 1024;
