//! Requests as clients send them, and replies as they read them: tensors with known content, in the order that our own
//! clients write and in the order that the old ones do.

use super::REFUSED_MODEL;
use super::random::Random;
use flatbuffers::{FlatBufferBuilder, WIPOffset};
use graphpipe_schema::frame::{HEADER_BYTES, Header};
use graphpipe_schema::reader::{ReadResponse, Window, read_response};
use graphpipe_schema::{DType, generated as fb, writer};

/// A tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub dtype: DType,
    pub shape: Vec<i64>,
    pub data: Data,
}

/// Its elements.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Data {
    Bytes(Vec<u8>),
    Strings(Vec<Vec<u8>>),
}

impl std::fmt::Debug for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Data::Bytes(bytes) => write!(f, "{} bytes {:02x?}…", bytes.len(), &bytes[..bytes.len().min(8)]),
            Data::Strings(strings) => write!(f, "{} strings", strings.len()),
        }
    }
}

impl Sample {
    /// A tensor of some type, of about `bytes` bytes.
    pub(crate) fn any(random: &mut Random, bytes: usize) -> Sample {
        let dtype = random.pick(&[DType::Float32, DType::Int64, DType::Uint8, DType::Float64, DType::Int16]);
        let size = dtype.size().expect("none of these is a string");
        let elements = (bytes / size).max(usize::from(bytes > 0));
        let columns = if elements.is_multiple_of(3) { 3 } else { 1 };
        let shape = vec![(elements / columns) as i64, columns as i64];
        Sample { dtype, shape, data: Data::Bytes(random.bytes(elements * size)) }
    }

    /// A tensor of strings.
    pub(crate) fn strings(random: &mut Random, count: usize, bytes_max: usize) -> Sample {
        let text = |random: &mut Random| {
            let mut bytes = Vec::new();
            bytes.resize(random.length(bytes_max), b'a' + random.within(0..26) as u8);
            bytes
        };
        let strings = (0..count).map(|_| text(random)).collect();
        Sample { dtype: DType::String, shape: vec![count as i64], data: Data::Strings(strings) }
    }

    fn bytes_count(&self) -> usize {
        match &self.data {
            Data::Bytes(bytes) => bytes.len(),
            Data::Strings(_) => 0,
        }
    }
}

/// A message, and how many of its bytes precede the first payload.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub bytes: Vec<u8>,
    pub head: u32,
}

impl Message {
    /// In a native frame.
    pub(crate) fn frame(&self, id: u64) -> Vec<u8> {
        let mut frame = Header { length: self.bytes.len() as u32, head: self.head, flags: 0, id }.write().to_vec();
        frame.extend_from_slice(&self.bytes);
        frame
    }
}

/// An inference in the order of our own clients: payloads last.
pub(crate) fn stream_ready(samples: &[Sample], is_refused: bool) -> Message {
    let strings: Vec<Vec<&[u8]>> = samples
        .iter()
        .map(|sample| match &sample.data {
            Data::Strings(strings) => strings.iter().map(Vec::as_slice).collect(),
            Data::Bytes(_) => Vec::new(),
        })
        .collect();
    let inputs: Vec<writer::Tensor<'_>> = samples
        .iter()
        .zip(&strings)
        .map(|(sample, strings)| writer::Tensor {
            dtype: sample.dtype,
            shape: &sample.shape,
            content: match &sample.data {
                Data::Bytes(bytes) => writer::Content::Payload(bytes.len() as u32),
                Data::Strings(_) => writer::Content::Strings(strings),
            },
        })
        .collect();
    let model: &[u8] = if is_refused { REFUSED_MODEL.as_bytes() } else { b"" };
    let request = writer::InferRequest { inputs: &inputs, model, ..writer::InferRequest::default() };
    let mut bytes = Vec::new();
    let layout = writer::infer_request(&mut bytes, &request).expect("samples are small");
    let mut previous = None;
    for sample in samples.iter().filter(|sample| sample.bytes_count() > 0) {
        let Data::Bytes(payload) = &sample.data else { continue };
        if let Some(previous) = previous.replace(payload.len() as u32) {
            bytes.extend_from_slice(writer::gap(previous, payload.len() as u32).as_ref());
        }
        bytes.extend_from_slice(payload);
    }
    assert_eq!(bytes.len(), layout.length as usize, "the payloads fill the layout");
    Message { bytes, head: layout.head }
}

/// An inference as FlatBuffers' builder writes it, back to front: each shape lies behind its data.
pub(crate) fn legacy(samples: &[Sample], is_refused: bool) -> Message {
    let mut builder = FlatBufferBuilder::new();
    let tensors: Vec<WIPOffset<fb::Tensor<'_>>> =
        samples.iter().map(|sample| legacy_tensor(&mut builder, sample)).collect();
    let tensors = builder.create_vector(&tensors);
    let model = is_refused.then(|| builder.create_string(REFUSED_MODEL));
    let arguments = fb::InferRequestArgs { input_tensors: Some(tensors), model, ..fb::InferRequestArgs::default() };
    let infer = fb::InferRequest::create(&mut builder, &arguments);
    let arguments = fb::RequestArgs { req_type: fb::Req::InferRequest, req: Some(infer.as_union_value()) };
    let request = fb::Request::create(&mut builder, &arguments);
    builder.finish(request, None);
    Message { bytes: builder.finished_data().to_vec(), head: 0 }
}

fn legacy_tensor<'b>(builder: &mut FlatBufferBuilder<'b>, sample: &Sample) -> WIPOffset<fb::Tensor<'b>> {
    let shape = Some(builder.create_vector(&sample.shape));
    let (data, string_val) = match &sample.data {
        Data::Bytes(bytes) => (Some(builder.create_vector(bytes)), None),
        Data::Strings(strings) => {
            let strings: Vec<_> =
                strings.iter().map(|text| builder.create_string(std::str::from_utf8(text).expect("letters"))).collect();
            (None, Some(builder.create_vector(&strings)))
        }
    };
    let type_ = fb::Type(sample.dtype as u8);
    fb::Tensor::create(builder, &fb::TensorArgs { type_, shape, data, string_val })
}

/// What a message that answers an inference says: its outputs, or its error code.
pub(crate) fn read_reply(message: &[u8]) -> Result<Vec<Sample>, i64> {
    let ReadResponse::Infer(response) = read_response(Window::whole(message)).expect("a reply is well-formed") else {
        panic!("a reply that is all there needs nothing more");
    };
    if let Some((code, _)) = response.error() {
        return Err(code);
    }
    let sample = |output: graphpipe_schema::reader::Tensor<'_>| {
        let payload = output.payload().get().expect("all there");
        let data = match output.dtype() {
            DType::String => Data::Strings(output.strings().map(<[u8]>::to_vec).collect()),
            _ => Data::Bytes(message[payload.start as usize..payload.end as usize].to_vec()),
        };
        Sample { dtype: output.dtype(), shape: output.shape().get().expect("all there").dims().to_vec(), data }
    };
    Ok(response.outputs().map(sample).collect())
}

/// The frames in `bytes`, and how many bytes behind them are not a whole frame.
pub(crate) fn read_frames(bytes: &[u8]) -> (Vec<(Header, &[u8])>, usize) {
    let (mut frames, mut rest) = (Vec::new(), bytes);
    while let Some(header) = rest.first_chunk::<HEADER_BYTES>() {
        let header = Header::read(header).expect("the server sends frames");
        let Some(message) = rest.get(HEADER_BYTES..HEADER_BYTES + header.length as usize) else { break };
        frames.push((header, message));
        rest = &rest[HEADER_BYTES + header.length as usize..];
    }
    (frames, rest.len())
}
