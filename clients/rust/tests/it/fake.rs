//! A server in a thread: reads and writes frames with the schema's reader and writer, and otherwise does what a test says.

use graphpipe_client::{Client, Options};
use graphpipe_schema::frame::{FLAG_ERROR, HEADER_BYTES, Header};
use graphpipe_schema::reader::{InferRequest, Read, Seen, Tensor, Window, read_request};
use graphpipe_schema::writer::{self, Content};
use graphpipe_schema::{Code, DType};
use std::io::{self, Read as _, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::thread::{self, JoinHandle};
use tempfile::TempDir;

/// What a test lets the server's side of one connection do.
trait Socket: io::Read + io::Write + Send {}
impl<T: io::Read + io::Write + Send> Socket for T {}

/// A server of one connection.
pub struct Server {
    address: String,
    thread: JoinHandle<()>,
    /// Where its Unix socket is.
    _folder: Option<TempDir>,
}

impl Server {
    pub fn tcp(script: impl FnOnce(Connection) + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        let thread = thread::spawn(move || script(Connection(Box::new(listener.accept().unwrap().0))));
        Server { address, thread, _folder: None }
    }

    pub fn unix(script: impl FnOnce(Connection) + Send + 'static) -> Server {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let address = format!("unix:{}", path.display());
        let thread = thread::spawn(move || script(Connection(Box::new(listener.accept().unwrap().0))));
        Server { address, thread, _folder: Some(folder) }
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.address).unwrap()
    }

    pub fn client_with(&self, options: &Options) -> Client {
        options.connect(&self.address).unwrap()
    }

    /// Waits for the script to end. What it panicked with is the test's panic.
    pub fn finish(self) {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
}

/// Both kinds of server with the same script.
pub fn both(script: impl Fn(Connection) + Clone + Send + 'static) -> [Server; 2] {
    let other = script.clone();
    [Server::tcp(script), Server::unix(other)]
}

/// Answers each request with its inputs, until the client leaves.
pub fn echo(mut connection: Connection) {
    while let Some((header, message)) = connection.read() {
        connection.write(&echoed(header.id, &message));
    }
}

/// The server's side of a connection.
pub struct Connection(Box<dyn Socket>);

impl Connection {
    /// The next frame; `None` when the client has left.
    pub fn read(&mut self) -> Option<(Header, Vec<u8>)> {
        let header = self.read_header()?;
        let mut message = vec![0; header.length as usize];
        self.0.read_exact(&mut message).unwrap();
        Some((header, message))
    }

    pub fn read_header(&mut self) -> Option<Header> {
        let mut header = [0; HEADER_BYTES];
        let started = self.0.read(&mut header).unwrap();
        if started == 0 {
            return None;
        }
        self.0.read_exact(&mut header[started..]).unwrap();
        Some(Header::read(&header).unwrap())
    }

    pub fn read_bytes(&mut self, bytes: usize) {
        let mut part = (&mut self.0).take(bytes as u64);
        assert_eq!(io::copy(&mut part, &mut io::sink()).unwrap(), bytes as u64);
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// Like `write`, to a client that may leave before it has everything.
    pub fn write_if_wanted(&mut self, bytes: &[u8]) {
        match self.0.write_all(bytes) {
            Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {}
            outcome => outcome.unwrap(),
        }
    }
}

/// The frame of a message.
pub fn frame(id: u64, flags: u32, message: &[u8]) -> Vec<u8> {
    let header = Header { length: message.len() as u32, head: 0, flags, id };
    [&header.write(), message].concat()
}

/// The frame of a reply with one tensor.
pub fn reply(id: u64, dtype: DType, shape: &[i64], payload: &[u8]) -> Vec<u8> {
    let tensor = writer::Tensor { dtype, shape, content: Content::Payload(payload.len() as u32) };
    frame(id, 0, &response(&[tensor], &[payload]))
}

/// The frame of a reply with an error.
pub fn refusal(id: u64, code: Code, text: &str) -> Vec<u8> {
    let mut message = Vec::new();
    writer::error_response(&mut message, code, text);
    frame(id, FLAG_ERROR, &message)
}

/// The frame of a reply with the inputs of a request.
pub fn echoed(id: u64, message: &[u8]) -> Vec<u8> {
    let request = infer(message);
    let inputs: Vec<Tensor<'_>> = (0..is(request.inputs_count())).map(|index| is(request.input(index))).collect();
    let shapes: Vec<_> = inputs.iter().map(|input| is(input.shape())).collect();
    let strings: Vec<Vec<&[u8]>> = inputs.iter().map(|input| input.strings().collect()).collect();
    let payloads: Vec<&[u8]> = inputs.iter().map(|input| payload(message, input)).collect();
    let outputs: Vec<_> = (0..inputs.len())
        .map(|index| writer::Tensor {
            dtype: inputs[index].dtype(),
            shape: &shapes[index],
            content: match inputs[index].dtype() {
                DType::String => Content::Strings(&strings[index]),
                _ => Content::Payload(payloads[index].len() as u32),
            },
        })
        .collect();
    frame(id, 0, &response(&outputs, &payloads))
}

pub fn infer(message: &[u8]) -> InferRequest<'_> {
    match read_request(Window::whole(message)) {
        Ok(Read::Infer(request)) => request,
        other => panic!("not an inference: {other:?}"),
    }
}

pub fn payload<'m>(message: &'m [u8], tensor: &Tensor<'_>) -> &'m [u8] {
    let range = is(tensor.payload());
    &message[range.start as usize..range.end as usize]
}

pub fn is<T: std::fmt::Debug>(seen: Seen<T>) -> T {
    match seen {
        Seen::Is(value) => value,
        Seen::NotYet => panic!("a part of a whole message is not seen"),
    }
}

fn response(outputs: &[writer::Tensor<'_>], payloads: &[&[u8]]) -> Vec<u8> {
    let mut message = Vec::new();
    let layout = writer::infer_response(&mut message, outputs).unwrap();
    let mut previous: Option<&[u8]> = None;
    for payload in payloads.iter().filter(|payload| !payload.is_empty()) {
        if let Some(previous) = previous {
            message.write_all(writer::gap(previous.len() as u32, payload.len() as u32).as_ref()).unwrap();
        }
        message.write_all(payload).unwrap();
        previous = Some(payload);
    }
    assert_eq!(message.len(), layout.length as usize);
    message
}
