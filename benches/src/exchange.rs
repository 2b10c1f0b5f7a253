//! One request and its reply, as the bytes that go over the wire; of the echo model, unless another one is named. Writing and
//! reading messages is no part of any measurement: the bytes are made once and sent again and again.

use crate::address::Address;
use crate::socket::{self, Wait};
use anyhow::{Context, Result, bail, ensure};
use graphpipe_schema::frame::{HEADER_BYTES, Header};
use graphpipe_schema::reader::{InferResponse, ReadResponse, Seen, Window, read_response};
use graphpipe_schema::writer::{Content, InferRequest, Tensor, infer_request};
use graphpipe_schema::{DType, Shape};
use memmap2::MmapMut;
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// Bytes of a header up to the id: what all replies to one request have in common.
const PREFIX_BYTES: usize = 16;

/// A request, and what its replies look like.
#[derive(Clone, Debug)]
pub struct Exchange {
    request: Rc<MmapMut>,
    reply_bytes: usize,
    /// How every reply begins; a floor's replies begin anyhow.
    prefix: Option<[u8; PREFIX_BYTES]>,
}

impl Exchange {
    /// Asks the daemon once, and checks that what comes back is what was sent.
    pub fn learn(address: &Address, payload_bytes: usize) -> Result<Exchange> {
        ensure!(payload_bytes.is_multiple_of(4) && payload_bytes > 0, "{payload_bytes} bytes are no f32 tensor");
        let (request, payload_at) = write_request("", &[1, (payload_bytes / 4) as i64])?;
        Exchange::ask_once(address, request, |message, request| check_echo(message, &request[payload_at..]))
    }

    /// Asks a model once with a tensor of this shape, and checks that outputs come back.
    pub fn with_model(address: &Address, model: &str, shape: &[i64]) -> Result<Exchange> {
        let (request, _) = write_request(model, shape)?;
        Exchange::ask_once(address, request, |message, _| outputs_of(message).map(drop))
    }

    fn ask_once(
        address: &Address,
        request: MmapMut,
        check: impl FnOnce(&[u8], &[u8]) -> Result<()>,
    ) -> Result<Exchange> {
        let connection = socket::connect(address)?;
        socket::transmit(&connection, &request, Wait::Block)?;
        let mut header = [0; HEADER_BYTES];
        ensure!(socket::receive(&connection, &mut header, Wait::Block)?, "the daemon closed instead of replying");
        let parsed = Header::read(&header)?;
        let mut message = vec![0; parsed.length as usize];
        ensure!(socket::receive(&connection, &mut message, Wait::Block)?, "the daemon closed behind a header");
        check(&message, &request)?;
        let mut prefix = [0; PREFIX_BYTES];
        prefix.copy_from_slice(&header[..PREFIX_BYTES]);
        Ok(Exchange { request: Rc::new(request), reply_bytes: HEADER_BYTES + message.len(), prefix: Some(prefix) })
    }

    /// Any bytes of these sizes, for a floor: more than a header has, because an id is written into each request.
    pub fn of_sizes(request_bytes: usize, reply_bytes: usize) -> Result<Exchange> {
        ensure!(request_bytes > HEADER_BYTES && reply_bytes > HEADER_BYTES, "{request_bytes} and {reply_bytes} bytes");
        Ok(Exchange { request: Rc::new(socket::warm_memory(request_bytes)?), reply_bytes, prefix: None })
    }

    /// The same sizes, with a server that knows nothing but sizes.
    pub fn with_floor(&self) -> Exchange {
        Exchange { prefix: None, ..self.clone() }
    }

    /// The request, frame and all.
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// The message in the request's frame: the body of a POST that asks the same.
    pub fn message(&self) -> &[u8] {
        &self.request[HEADER_BYTES..]
    }

    /// Bytes of a reply, frame and all.
    pub fn reply_bytes(&self) -> usize {
        self.reply_bytes
    }

    /// Bytes that go over the wire, both ways.
    pub fn bytes(&self) -> usize {
        self.request.len() + self.reply_bytes
    }

    /// Checks the beginning of a reply: the daemon's must all be outputs, and of the size that was learnt.
    pub fn check(&self, reply: &[u8]) -> Result<()> {
        let Some(prefix) = &self.prefix else { return Ok(()) };
        ensure!(reply.starts_with(prefix), "a reply begins with {:02x?}, not {prefix:02x?}", &reply[..PREFIX_BYTES]);
        Ok(())
    }
}

/// A client that sends one request after the other.
#[derive(Debug)]
pub struct Caller {
    socket: OwnedFd,
    exchange: Exchange,
    reply: MmapMut,
    wait: Wait,
}

impl Caller {
    /// Connects.
    pub fn connect(address: &Address, exchange: &Exchange, wait: Wait) -> Result<Caller> {
        Caller::over(socket::connect(address)?, exchange, wait)
    }

    /// Takes a connection that is there.
    pub fn over(socket: OwnedFd, exchange: &Exchange, wait: Wait) -> Result<Caller> {
        let reply = socket::warm_memory(exchange.reply_bytes)?;
        Ok(Caller { socket, exchange: exchange.clone(), reply, wait })
    }

    /// Sends the request and receives the reply.
    pub fn ask(&mut self) -> Result<()> {
        socket::transmit(&self.socket, self.exchange.request(), self.wait)?;
        ensure!(socket::receive(&self.socket, &mut self.reply, self.wait)?, "the server closed instead of replying");
        self.exchange.check(&self.reply)
    }

    /// The same with the echo, and checks that it has sent back what it got.
    pub fn ask_and_check(&mut self) -> Result<()> {
        self.ask()?;
        let header = Header::read(&self.exchange.request[..HEADER_BYTES].try_into()?)?;
        let payload_at = HEADER_BYTES + header.head as usize;
        check_echo(&self.reply[HEADER_BYTES..], &self.exchange.request[payload_at..])
    }

    /// The connection alone, without the memory for replies.
    pub fn into_socket(self) -> OwnedFd {
        self.socket
    }
}

/// A frame to a model (or the default one) with one f32 tensor of this shape, and where in it the payload begins.
pub fn write_request(model: &str, shape: &[i64]) -> Result<(MmapMut, usize)> {
    let payload_bytes = Shape::new(shape).and_then(|shape| shape.bytes(DType::Float32)).context("a shape")? as usize;
    let content = Content::Payload(u32::try_from(payload_bytes).context("the size of the payload")?);
    let inputs = [Tensor { dtype: DType::Float32, shape, content }];
    let mut head = Vec::new();
    let request = InferRequest { inputs: &inputs, model: model.as_bytes(), ..InferRequest::default() };
    let layout = infer_request(&mut head, &request)?;
    let header = Header { length: layout.length, head: layout.head, flags: 0, id: 1 };
    let payload_at = HEADER_BYTES + head.len();
    let mut frame = socket::warm_memory(payload_at + payload_bytes)?;
    frame[..HEADER_BYTES].copy_from_slice(&header.write());
    frame[HEADER_BYTES..payload_at].copy_from_slice(&head);
    // Numbers that differ, so that a reply of the right size with the wrong bytes is noticed.
    for (index, element) in frame[payload_at..].chunks_exact_mut(4).enumerate() {
        element.copy_from_slice(&(index as f32 + 0.5).to_le_bytes());
    }
    Ok((frame, payload_at))
}

/// A reply that is whole and no error.
fn outputs_of(message: &[u8]) -> Result<InferResponse<'_>> {
    let ReadResponse::Infer(reply) = read_response(Window::whole(message))? else { bail!("the reply is not whole") };
    if let Some((code, text)) = reply.error() {
        bail!("the daemon answered with error {code}: {}", String::from_utf8_lossy(text));
    }
    Ok(reply)
}

fn check_echo(message: &[u8], payload: &[u8]) -> Result<()> {
    let reply = outputs_of(message)?;
    ensure!(reply.outputs_count() == 1, "the reply has {} outputs", reply.outputs_count());
    let Seen::Is(range) = reply.output(0).payload() else { bail!("the reply's payload is not whole") };
    ensure!(message[range.start as usize..range.end as usize] == *payload, "the reply is not what was sent");
    Ok(())
}
