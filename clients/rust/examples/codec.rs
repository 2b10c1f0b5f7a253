//! How long requests and replies take to be written and read: a line of JSON with the seconds of each repetition.
//!
//! `cargo run --release -p graphpipe-client --example codec -- REPEATS ROWS,… [request|response]`, as in
//! `codec -- 5 128,224,224,3 request`.
//!
//! What is timed is what the client does besides sending and receiving: writing the head of a message, whose payload is
//! sent from where it lies, and finding the numbers in one that has arrived, where they lie. `joined` also copies head and
//! payload into one new buffer, as encodings do that know no other way. The numbers are compared before anything is timed.

use graphpipe_schema::DType;
use graphpipe_schema::reader::{self, Read, ReadResponse, Window};
use graphpipe_schema::writer::{self, Content, InferRequest, Tensor};
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

/// A kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Request,
    Response,
}

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [repeats, shape, kind] = &arguments[..] else {
        return Err("usage: codec REPEATS N,N,… request|response".into());
    };
    let repeats: usize = repeats.parse()?;
    let shape = shape.split(',').map(str::parse).collect::<Result<Vec<i64>, _>>()?;
    let kind = match kind.as_str() {
        "request" => Kind::Request,
        "response" => Kind::Response,
        other => return Err(format!("{other:?} is neither request nor response").into()),
    };
    let numbers = usize::try_from(shape.iter().product::<i64>())?;
    let tensor: Vec<f32> = (0..numbers).map(|index| (index % 251) as f32 / 251.0).collect();

    let message = joined(kind, &shape, &tensor)?;
    if read(kind, &message)? != tensor {
        return Err("what is read is not what was written".into());
    }
    let head = time(repeats, || head(kind, black_box(&shape), &tensor).map(|head| head.len()))?;
    let whole = time(repeats, || joined(kind, &shape, &tensor).map(|message| message.len()))?;
    let reads = time(repeats, || read(kind, black_box(&message)).map(<[f32]>::len))?;
    println!(r#"{{"bytes": {}, "serialise": {head:?}, "joined": {whole:?}, "deserialise": {reads:?}}}"#, message.len());
    Ok(())
}

/// The seconds of each repetition; the first one is not counted.
fn time(repeats: usize, mut work: impl FnMut() -> Outcome<usize>) -> Outcome<Vec<f64>> {
    black_box(work()?);
    let mut seconds = Vec::with_capacity(repeats);
    for _ in 0..repeats {
        let began = Instant::now();
        black_box(work()?);
        seconds.push(began.elapsed().as_secs_f64());
    }
    Ok(seconds)
}

/// All of a message but the payload.
fn head(kind: Kind, shape: &[i64], tensor: &[f32]) -> Outcome<Vec<u8>> {
    let mut out = Vec::new();
    let payload = u32::try_from(size_of_val(tensor))?;
    let tensors = [Tensor { dtype: DType::Float32, shape, content: Content::Payload(payload) }];
    match kind {
        Kind::Request => {
            writer::infer_request(&mut out, &InferRequest { inputs: &tensors, ..InferRequest::default() })?
        }
        Kind::Response => writer::infer_response(&mut out, &tensors)?,
    };
    Ok(out)
}

/// All of a message.
fn joined(kind: Kind, shape: &[i64], tensor: &[f32]) -> Outcome<Vec<u8>> {
    let head = head(kind, shape, tensor)?;
    let payload: &[u8] = bytemuck::cast_slice(tensor);
    let mut message = Vec::with_capacity(head.len() + payload.len());
    message.extend_from_slice(&head);
    message.extend_from_slice(payload);
    Ok(message)
}

/// The numbers of the only tensor, in place.
fn read(kind: Kind, message: &[u8]) -> Outcome<&[f32]> {
    let window = Window::whole(message);
    let tensor = match kind {
        Kind::Request => match reader::read_request(window)? {
            Read::Infer(request) if request.inputs_count().get() == Some(1) => request.input(0).get(),
            Read::Infer(_) | Read::Need(_) | Read::Metadata(_) => None,
        },
        Kind::Response => match reader::read_response(window)? {
            ReadResponse::Infer(reply) => reply.outputs().next(),
            ReadResponse::Need(_) => None,
        },
    };
    let tensor = tensor.ok_or("a message without tensors")?;
    let shape = tensor.shape().get().ok_or("a message without a shape")?;
    let payload = tensor.payload().get().ok_or("a message without its payload")?;
    let bytes = &message[payload.start as usize..payload.end as usize];
    if tensor.dtype() != DType::Float32 || shape.bytes(DType::Float32) != Some(bytes.len() as u64) {
        return Err("the payload does not fit its shape".into());
    }
    bytemuck::try_cast_slice(bytes).map_err(|error| format!("the payload is not aligned: {error}").into())
}
