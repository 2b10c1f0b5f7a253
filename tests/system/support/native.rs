//! Native frames by hand: for what the client crate would never send, and to see what it would never show.

use super::PATIENCE;
use graphpipe_schema::frame::{HEADER_BYTES, Header};
use graphpipe_schema::reader::{ReadResponse, Window, read_response};
use graphpipe_schema::{DType, writer};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// Where a daemon listens.
#[derive(Clone, Debug)]
pub enum Address {
    /// Over TCP.
    Tcp(SocketAddr),
    /// On a Unix socket.
    Unix(PathBuf),
}

/// As clients write it.
impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Tcp(address) => write!(f, "tcp://{address}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Address {
    /// A connection.
    pub fn connect(&self) -> Stream {
        self.try_connect().unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }

    /// A connection, if there is a listener.
    pub fn try_connect(&self) -> std::io::Result<Stream> {
        Ok(match self {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Stream::Unix(stream)
            }
        })
    }
}

/// A connected socket of either kind.
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// On a Unix socket.
    Unix(UnixStream),
}

impl Stream {
    /// A second handle of the same connection.
    pub fn second(&self) -> Stream {
        match self {
            Stream::Tcp(stream) => stream.try_clone().map(Stream::Tcp),
            Stream::Unix(stream) => stream.try_clone().map(Stream::Unix),
        }
        .expect("one more handle")
    }

    /// Ends one direction or both.
    pub fn shutdown(&self, how: Shutdown) {
        match self {
            Stream::Tcp(stream) => stream.shutdown(how),
            Stream::Unix(stream) => stream.shutdown(how),
        }
        .expect("it is connected");
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(into),
            Stream::Unix(stream) => stream.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, from: &[u8]) -> std::io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(from),
            Stream::Unix(stream) => stream.write(from),
        }
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// An input or output.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its name, or nothing.
    pub name: &'static str,
    /// The element type.
    pub dtype: DType,
    /// The shape.
    pub shape: Vec<i64>,
    /// The elements.
    pub bytes: Vec<u8>,
}

impl Tensor {
    /// A tensor of zeros.
    pub fn zeros(name: &'static str, dtype: DType, shape: &[i64]) -> Tensor {
        let elements: i64 = shape.iter().product();
        let bytes = vec![0; elements as usize * dtype.size().expect("elements of one size")];
        Tensor { name, dtype, shape: shape.to_vec(), bytes }
    }

    /// A tensor of these numbers.
    pub fn floats(name: &'static str, shape: &[i64], numbers: &[f32]) -> Tensor {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        Tensor { name, dtype: DType::Float32, shape: shape.to_vec(), bytes }
    }

    /// Its numbers, if that is what it has.
    pub fn numbers(&self) -> Vec<f32> {
        assert_eq!(self.dtype, DType::Float32);
        self.bytes.as_chunks().0.iter().map(|number| f32::from_le_bytes(*number)).collect()
    }
}

/// A request as one message, and how many of its bytes are its head.
pub fn message(model: &str, inputs: &[Tensor], outputs: &[&str]) -> (Vec<u8>, u32) {
    message_within(0, model, inputs, outputs)
}

/// A request whose reply is wanted within so many microseconds; 0 is no deadline.
pub fn message_within(deadline_us: u64, model: &str, inputs: &[Tensor], outputs: &[&str]) -> (Vec<u8>, u32) {
    let tensors: Vec<writer::Tensor<'_>> = inputs
        .iter()
        .map(|tensor| writer::Tensor {
            dtype: tensor.dtype,
            shape: &tensor.shape,
            content: writer::Content::Payload(tensor.bytes.len() as u32),
        })
        .collect();
    let input_names: Vec<&[u8]> = inputs.iter().map(|tensor| tensor.name.as_bytes()).collect();
    let output_names: Vec<&[u8]> = outputs.iter().map(|name| name.as_bytes()).collect();
    let mut message = Vec::new();
    let request = writer::InferRequest {
        inputs: &tensors,
        input_names: &input_names,
        output_names: &output_names,
        model: model.as_bytes(),
        deadline_us,
        ..Default::default()
    };
    let layout = writer::infer_request(&mut message, &request).expect("it can be written");
    let mut previous: Option<u32> = None;
    for tensor in inputs.iter().filter(|tensor| !tensor.bytes.is_empty()) {
        let length = tensor.bytes.len() as u32;
        if let Some(previous) = previous {
            message.extend_from_slice(writer::gap(previous, length).as_ref());
        }
        message.extend_from_slice(&tensor.bytes);
        previous = Some(length);
    }
    assert_eq!(message.len(), layout.length as usize);
    (message, layout.head)
}

/// A message in its frame.
pub fn frame(id: u64, (message, head): &(Vec<u8>, u32)) -> Vec<u8> {
    let header = Header { length: message.len() as u32, head: *head, flags: 0, id };
    [header.write().as_slice(), message].concat()
}

/// A connection that speaks frames.
pub struct Connection(pub Stream);

/// A reply: its frame's header and its message.
pub struct Reply {
    /// The header of the frame.
    pub header: Header,
    /// The message.
    pub message: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub fn to(address: &Address) -> Connection {
        Connection(address.connect())
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("the daemon reads");
    }

    /// Reads one reply.
    pub fn reply(&mut self) -> Reply {
        let mut header = [0; HEADER_BYTES];
        self.0.read_exact(&mut header).expect("a frame");
        let header = Header::read(&header).expect("a sound frame");
        let mut message = vec![0; header.length as usize];
        self.0.read_exact(&mut message).expect("a whole message");
        Reply { header, message }
    }

    /// Whether the daemon ended the connection in an orderly way, with nothing more to say.
    pub fn is_at_its_end(&mut self) -> bool {
        match self.0.read(&mut [0]) {
            Ok(bytes) => bytes == 0,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("the daemon neither speaks nor ends the connection: {error}"),
        }
    }
}

impl Reply {
    /// The outputs of a good reply: dtype, shape and elements.
    pub fn outputs(&self) -> Vec<Tensor> {
        assert_eq!(self.header.flags, 0, "{:?}", self.error());
        let Ok(ReadResponse::Infer(reply)) = read_response(Window::whole(&self.message)) else {
            panic!("the reply is whole and sound");
        };
        (0..reply.outputs_count())
            .map(|index| {
                let tensor = reply.output(index);
                let (Some(shape), Some(payload)) = (tensor.shape().get(), tensor.payload().get()) else {
                    panic!("the reply is whole");
                };
                let bytes = self.message[payload.start as usize..payload.end as usize].to_vec();
                Tensor { name: "", dtype: tensor.dtype(), shape: shape.dims().to_vec(), bytes }
            })
            .collect()
    }

    /// The error of a bad reply: its code and its words.
    pub fn error(&self) -> (i64, String) {
        assert_eq!(self.header.flags, 1, "the flag says that this is no error");
        let Ok(ReadResponse::Infer(reply)) = read_response(Window::whole(&self.message)) else {
            panic!("the reply is whole and sound");
        };
        let (code, words) = reply.error().expect("an error, as the flag says");
        (code, String::from_utf8(words.to_vec()).expect("words"))
    }
}
