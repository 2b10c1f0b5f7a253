//! Replies as callers see them: the outputs, checked once at arrival, then looked at in place.

use crate::element::Element;
use crate::error::{Broken, Error, OutputError, ServerError};
use crate::memory::Message;
use graphpipe_schema::reader::{self, InferResponse, ReadResponse, Seen, Window};
use graphpipe_schema::{DType, Shape};
use std::ops::Range;

/// The outputs of one request. Owns the memory that they were received into, and gives it back to its client for the next
/// reply when it is dropped; it may outlive the client.
#[derive(Debug)]
pub struct Response {
    message: Message,
    outputs: Vec<Parsed>,
}

/// What is known of an output since its arrival.
#[derive(Debug)]
struct Parsed {
    dtype: DType,
    shape: Shape,
    /// Where its elements lie in the message; empty for strings, which lie here and there.
    payload: Range<usize>,
}

impl Response {
    /// Reads a reply to an inference: outputs, or the server's error.
    pub(crate) fn read(message: Message) -> Result<Result<Response, ServerError>, Error> {
        let bytes = message.as_slice();
        let reply = view(bytes)?;
        if let Some(error) = server_error(&reply) {
            return Ok(Err(error));
        }
        let outputs = (0..reply.outputs_count()).map(|index| parse(&reply.output(index), index));
        let outputs = outputs.collect::<Result<Vec<Parsed>, Broken>>()?;
        Ok(Ok(Response { message, outputs }))
    }

    /// How many outputs there are.
    pub fn len(&self) -> usize {
        self.outputs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty()
    }

    /// The `index`-th output, in the order in which they were asked for.
    pub fn output(&self, index: usize) -> Result<Output<'_>, OutputError> {
        let missing = OutputError::Index { index, count: self.len() };
        self.outputs.get(index).map(|parsed| self.show(index, parsed)).ok_or(missing)
    }

    /// All outputs, in order.
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = Output<'_>> {
        self.outputs.iter().enumerate().map(|(index, parsed)| self.show(index, parsed))
    }

    fn show<'r>(&'r self, index: usize, parsed: &'r Parsed) -> Output<'r> {
        Output { index, parsed, message: self.message.as_slice() }
    }
}

/// One output of a [`Response`].
#[derive(Clone, Copy)]
pub struct Output<'r> {
    index: usize,
    parsed: &'r Parsed,
    message: &'r [u8],
}

impl<'r> Output<'r> {
    /// The type of its elements.
    pub fn dtype(&self) -> DType {
        self.parsed.dtype
    }

    /// Its dimensions; none for a single element.
    pub fn shape(&self) -> &'r [i64] {
        self.parsed.shape.dims()
    }

    /// Its elements as little-endian bytes, row-major; empty for strings.
    pub fn bytes(&self) -> &'r [u8] {
        &self.message[self.parsed.payload.clone()]
    }

    /// Its elements, in place: nothing is copied. Servers that write stream-ready messages align them as this needs it;
    /// from others, [`Output::to_vec`] always works.
    pub fn as_slice<T: Element>(&self) -> Result<&'r [T], OutputError> {
        let bytes = self.typed_bytes::<T>()?;
        if bytes.is_empty() {
            // Nothing is aligned anyhow, and servers do not align it.
            return Ok(&[]);
        }
        bytemuck::try_cast_slice(bytes).map_err(|_| OutputError::Unaligned { wanted: T::DTYPE })
    }

    /// A copy of its elements.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>, OutputError> {
        let bytes = self.typed_bytes::<T>()?;
        Ok(bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect())
    }

    /// Its elements, if they are strings.
    pub fn strings(&self) -> Result<impl Iterator<Item = &'r [u8]> + use<'r>, OutputError> {
        if self.dtype() != DType::String {
            return Err(OutputError::Type { wanted: DType::String, found: self.dtype() });
        }
        let reply = view(self.message).expect("a response is read when it arrives, and is not written since");
        Ok(reply.output(self.index).strings())
    }

    fn typed_bytes<T: Element>(&self) -> Result<&'r [u8], OutputError> {
        if self.dtype() != T::DTYPE {
            return Err(OutputError::Type { wanted: T::DTYPE, found: self.dtype() });
        }
        Ok(self.bytes())
    }
}

impl std::fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("dtype", &self.dtype()).field("shape", &self.shape()).finish_non_exhaustive()
    }
}

/// Reads a reply that carries an error, whatever was asked.
pub(crate) fn read_error(message: &[u8]) -> Result<ServerError, Broken> {
    server_error(&view(message)?).ok_or(Broken::NoError)
}

fn view(message: &[u8]) -> Result<InferResponse<'_>, Broken> {
    match reader::read_response(Window::whole(message))? {
        ReadResponse::Infer(reply) => Ok(reply),
        ReadResponse::Need(_) => Err(Broken::Short),
    }
}

fn server_error(reply: &InferResponse<'_>) -> Option<ServerError> {
    let (number, message) = reply.error()?;
    Some(ServerError { number, message: String::from_utf8_lossy(message).into_owned() })
}

/// Checks an output against its own type and shape, and finds its elements.
fn parse(tensor: &reader::Tensor<'_>, index: usize) -> Result<Parsed, Broken> {
    let dtype = tensor.dtype();
    let shape = seen(tensor.shape())?;
    let elements = shape.elements().ok_or(Broken::Shape { index })?;
    let payload = seen(tensor.payload())?;
    let payload = payload.start as usize..payload.end as usize;
    let (expected, found) = match shape.bytes(dtype) {
        Some(bytes) => (bytes, payload.len()),
        None => (elements, seen(tensor.strings_count())?),
    };
    if found as u64 != expected {
        return Err(Broken::Length { index, expected, found: found as u64 });
    }
    Ok(Parsed { dtype, shape, payload })
}

fn seen<T>(field: Seen<T>) -> Result<T, Broken> {
    match field {
        Seen::Is(value) => Ok(value),
        Seen::NotYet => Err(Broken::Short),
    }
}
