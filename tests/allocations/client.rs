//! A client that calls no allocator while it asks: what it sends and receives has its place before.

use super::Load;
use super::daemon::Running;
use graphpipe_schema::DType;
use graphpipe_schema::frame::{HEADER_BYTES, Header};
use graphpipe_schema::reader::{Read as Message, Seen, Window, read_request};
use graphpipe_schema::writer::{self, Content};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

/// How the daemon is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Frames over a Unix socket.
    Unix,
    /// Frames over TCP.
    Tcp,
    /// HTTP, one request at a time.
    Http,
}

impl Door {
    /// All of them.
    pub const ALL: [Door; 3] = [Door::Unix, Door::Tcp, Door::Http];
}

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// A client that has everything it needs.
pub struct Client {
    stream: Box<dyn Stream>,
    requests: Vec<u8>,
    replies: Vec<u8>,
    /// The first reply: the others are as long, and begin in the same way but for an id.
    first: Vec<u8>,
}

impl Client {
    /// Connects, and learns from the first reply what replies are.
    pub fn new(running: &Running, load: &Load<'_>) -> Client {
        let mut stream: Box<dyn Stream> = match load.door {
            Door::Unix => Box::new(UnixStream::connect(&running.socket).unwrap()),
            Door::Tcp | Door::Http => {
                let stream = TcpStream::connect(running.address).unwrap();
                stream.set_nodelay(true).unwrap();
                Box::new(stream)
            }
        };
        let (message, head) = message(load);
        let (request, first) = match load.door {
            Door::Http => {
                let request = posted(&message);
                stream.write_all(&request).unwrap();
                (request, page(&mut *stream))
            }
            Door::Unix | Door::Tcp => {
                let request = frame(&message, head, 0);
                stream.write_all(&request).unwrap();
                (request, framed(&mut *stream))
            }
        };
        let requests = match load.door {
            Door::Http => request,
            Door::Unix | Door::Tcp => (0..load.at_once as u64).flat_map(|id| frame(&message, head, id)).collect(),
        };
        Client { stream, requests, replies: vec![0; load.at_once * first.len()], first }
    }

    /// Sends all requests and receives their replies, each of which is as the first one was.
    pub fn round(&mut self) {
        self.stream.write_all(&self.requests).unwrap();
        self.stream.read_exact(&mut self.replies).unwrap();
        for reply in self.replies.chunks_exact(self.first.len()) {
            assert_eq!(reply[..BEGINNING], self.first[..BEGINNING]);
        }
    }
}

/// Of a frame, what stands before the id says how long it is and that it is no error; of HTTP, the status does.
const BEGINNING: usize = 16;

/// An inference, and where its payload begins.
fn message(load: &Load<'_>) -> (Vec<u8>, u32) {
    let payload = vec![0_u8; (load.shape[0] * load.shape[1] * 4) as usize];
    let tensor =
        writer::Tensor { dtype: DType::Float32, shape: &load.shape, content: Content::Payload(payload.len() as u32) };
    let mut message = Vec::new();
    let request = writer::InferRequest {
        inputs: &[tensor],
        output_names: &[load.output.as_bytes()],
        ..writer::InferRequest::default()
    };
    writer::infer_request(&mut message, &request).unwrap();
    message.extend(payload);
    let Message::Infer(request) = read_request(Window::whole(&message)).unwrap() else { panic!("an inference") };
    let Seen::Is(tensor) = request.input(0) else { panic!("it is all there") };
    let Seen::Is(payload) = tensor.payload() else { panic!("it is all there") };
    let head = payload.start;
    (message, head)
}

fn frame(message: &[u8], head: u32, id: u64) -> Vec<u8> {
    [&Header { length: message.len() as u32, head, flags: 0, id }.write()[..], message].concat()
}

fn framed(stream: &mut dyn Stream) -> Vec<u8> {
    let mut reply = vec![0; HEADER_BYTES];
    stream.read_exact(&mut reply).unwrap();
    let header = Header::read(reply[..].try_into().unwrap()).unwrap();
    assert_eq!(header.flags, 0, "no error");
    reply.resize(HEADER_BYTES + header.length as usize, 0);
    stream.read_exact(&mut reply[HEADER_BYTES..]).unwrap();
    reply
}

fn posted(message: &[u8]) -> Vec<u8> {
    let head = format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", message.len());
    [head.as_bytes(), message].concat()
}

fn page(stream: &mut dyn Stream) -> Vec<u8> {
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        reply.extend(byte);
    }
    let head = String::from_utf8(reply.clone()).unwrap().to_lowercase();
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    let length = head.split_once("content-length: ").unwrap().1;
    let length: usize = length[..length.find('\r').unwrap()].parse().unwrap();
    let begin = reply.len();
    reply.resize(begin + length, 0);
    stream.read_exact(&mut reply[begin..]).unwrap();
    reply
}
