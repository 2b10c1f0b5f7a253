//! What must hold for any bytes at all: entry points for fuzzers, and for tests that feed them from elsewhere.
//!
//! Each function panics if a promise of the reader or of the frame is broken. None of them is called by the daemon.

use crate::frame::{HEADER_BYTES, Header};
use crate::metadata::Metadata;
use crate::reader::{InferRequest, Read, ReadResponse, Seen, Tensor, Window, read_request, read_response};
use crate::{MESSAGE_BYTES_MAX, TENSORS_MAX};
use std::fmt::Debug;

/// A message of any kind: every reader, on all of it and on parts of it.
pub fn fuzz_reader(message: &[u8]) {
    request_as_it_arrives(message);
    response_as_it_arrives(message);
    if let Ok(metadata) = Metadata::read(message) {
        // Replaced bytes of texts are up to three times as long as they were.
        let texts = metadata.name.len() + metadata.version.len() + metadata.server.len() + metadata.description.len();
        assert!(texts <= 3 * message.len());
        assert!(metadata.inputs.len() + metadata.outputs.len() + metadata.models.len() <= message.len() / 4);
    }
    // A few prefixes that nobody asked for, spread over the message, the ends included.
    for part in 0..=8 {
        request_prefix(message, message.len() * part / 8);
    }
}

/// The header of a frame.
pub fn fuzz_frame(bytes: &[u8]) {
    let Some(bytes) = bytes.first_chunk::<HEADER_BYTES>() else { return };
    if let Ok(header) = Header::read(bytes) {
        assert_eq!(header.write(), *bytes);
        assert!(header.length <= MESSAGE_BYTES_MAX && header.head <= header.length);
    }
}

/// A request of which only the first `have` bytes are there says nothing that the whole one does not say.
pub fn request_prefix(message: &[u8], have: usize) {
    let whole = read_request(Window::whole(message));
    match read_request(Window::split(&message[..have], &[], message.len() as u32)) {
        Ok(Read::Need(bytes)) => assert!(have < bytes as usize && bytes as usize <= message.len(), "{bytes} of {have}"),
        Ok(Read::Infer(part)) => match whole {
            Ok(Read::Infer(whole)) => infer_agrees(&part, &whole),
            Ok(other) => panic!("an inference became {other:?}"),
            // What had not been seen is wrong.
            Err(_) => assert!(have < message.len()),
        },
        Ok(Read::Metadata(part)) => match whole {
            Ok(Read::Metadata(whole)) => {
                assert_eq!((part.model(), part.version()), (whole.model(), whole.version()));
            }
            other => panic!("a metadata request became {other:?}"),
        },
        Err(malformed) => {
            assert!(malformed.at as usize <= message.len());
            assert!(whole.is_err(), "{malformed}, but not in the end: {whole:?}");
        }
    }
}

/// A request that arrives exactly as it is asked for, and then without its first payload.
fn request_as_it_arrives(message: &[u8]) {
    let length = message.len() as u32;
    let whole = read_request(Window::whole(message));
    if let Ok(Read::Infer(whole)) = &whole {
        assert!(whole.is_complete());
        infer_agrees(whole, whole);
    }
    let mut have = 0;
    loop {
        request_prefix(message, have);
        match read_request(Window::split(&message[..have], &[], length)) {
            Ok(Read::Need(bytes)) => have = bytes as usize,
            Ok(Read::Infer(part)) => return request_without_payload(message, &part),
            Ok(Read::Metadata(_)) | Err(_) => return,
        }
    }
}

/// A request whose first payload was received elsewhere is the same request, or one with metadata in its payload.
fn request_without_payload(message: &[u8], part: &InferRequest<'_>) {
    let Seen::Is(count) = part.inputs_count() else { panic!("the list of tensors was not asked for") };
    let payloads = (0..count).filter_map(|index| part.input(index).get()?.payload().get());
    let Some(first) = payloads.filter(|payload| !payload.is_empty()).min_by_key(|payload| payload.start) else {
        return;
    };
    let (prefix, tail) = (&message[..first.start as usize], &message[first.end as usize..]);
    let whole = read_request(Window::whole(message));
    match read_request(Window::split(prefix, tail, message.len() as u32)) {
        Ok(Read::Infer(split)) => {
            assert!(split.is_complete() || tail.is_empty());
            if let Ok(Read::Infer(whole)) = whole {
                infer_agrees(&split, &whole);
            }
        }
        Ok(other) => assert!(tail.is_empty(), "an inference became {other:?}"),
        Err(malformed) => assert!(whole.is_err() || malformed.what == "metadata inside of a payload", "{malformed}"),
    }
}

/// A reply that arrives exactly as it is asked for.
fn response_as_it_arrives(message: &[u8]) {
    let length = message.len() as u32;
    let whole = read_response(Window::whole(message));
    let mut have = 0;
    let part = loop {
        match read_response(Window::split(&message[..have], &[], length)) {
            Ok(ReadResponse::Need(bytes)) => {
                assert!(have < bytes as usize && bytes <= length);
                have = bytes as usize;
            }
            Ok(ReadResponse::Infer(part)) => break part,
            Err(malformed) => return assert!(whole.is_err(), "{malformed}, but not in the end: {whole:?}"),
        }
    };
    let Ok(whole) = whole else { return };
    let ReadResponse::Infer(whole) = whole else { panic!("a whole reply needs more: {whole:?}") };
    assert_eq!(part.outputs_count(), whole.outputs_count());
    assert_eq!(part.error(), whole.error());
    assert!(whole.outputs_count() <= TENSORS_MAX);
    for (part, whole) in part.outputs().zip(whole.outputs()) {
        tensor_agrees(&part, &whole);
    }
}

/// What `part` has seen is what `whole` says.
fn infer_agrees(part: &InferRequest<'_>, whole: &InferRequest<'_>) {
    agrees(part.config(), whole.config());
    agrees(part.model(), whole.model());
    agrees(part.version(), whole.version());
    agrees(part.trace_id(), whole.trace_id());
    assert_eq!((part.deadline_us(), part.priority()), (whole.deadline_us(), whole.priority()));
    agrees(part.input_names_count(), whole.input_names_count());
    agrees(part.output_names_count(), whole.output_names_count());
    agrees(part.inputs_count(), whole.inputs_count());
    for index in 0..=TENSORS_MAX {
        agrees(part.input_name(index), whole.input_name(index));
        agrees(part.output_name(index), whole.output_name(index));
        if let Seen::Is(tensor) = part.input(index) {
            let Seen::Is(whole) = whole.input(index) else { panic!("tensor {index} is no longer there") };
            tensor_agrees(&tensor, &whole);
        } else {
            assert!(!part.is_complete() || part.inputs_count().get() <= Some(index));
        }
    }
}

fn tensor_agrees(part: &Tensor<'_>, whole: &Tensor<'_>) {
    assert_eq!(part.dtype(), whole.dtype());
    agrees(part.shape(), whole.shape());
    agrees(part.strings_count(), whole.strings_count());
    if part.strings_count() != Seen::NotYet {
        assert_eq!(Seen::Is(part.strings().count()), part.strings_count());
        assert!(part.strings().eq(whole.strings()));
    }
    if part.payload() == whole.payload() {
        return;
    }
    // A length that followed from the shape may turn out to be another; a shape is then not right, and never unseen.
    let (Seen::Is(inferred), Seen::Is(found)) = (part.payload(), whole.payload()) else {
        return assert_eq!(part.payload(), Seen::NotYet);
    };
    let Seen::Is(shape) = part.shape() else { panic!("a length that follows from nothing") };
    assert_eq!(inferred.start, found.start);
    assert_eq!(shape.bytes(part.dtype()), Some(inferred.len() as u64));
}

fn agrees<T: Copy + PartialEq + Debug>(part: Seen<T>, whole: Seen<T>) {
    if part != Seen::NotYet {
        assert_eq!(part, whole);
    }
}
