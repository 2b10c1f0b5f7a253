//! The work of one reading is bounded by the bytes of the message, whatever these bytes claim.
//!
//! Work is the number of accesses to a window, counted by the window itself in this build.

use super::{Read, Window, read_request};
use crate::writer::{self, Content, Tensor};
use crate::{DType, Malformed};

/// Counts accesses to windows, by thread.
pub(super) mod work {
    use std::cell::Cell;

    thread_local!(static COUNT: Cell<u64> = const { Cell::new(0) });

    /// One access more.
    pub fn count() {
        COUNT.set(COUNT.get() + 1);
    }

    /// The accesses that a function makes, and what it returns.
    pub fn of<T>(function: impl FnOnce() -> T) -> (u64, T) {
        let before = COUNT.get();
        let result = function();
        (COUNT.get() - before, result)
    }
}

/// What a message of any length may cost: 64 tensors of 16 dimensions and 128 names, read twice.
const WORK_MAX: u64 = 8192;

fn read_within_bounds(message: &[u8]) -> Result<Read<'_>, Malformed> {
    let (accesses, read) = work::of(|| read_request(Window::whole(message)));
    let bound = WORK_MAX + message.len() as u64;
    assert!(accesses <= bound, "{accesses} accesses to {} bytes", message.len());
    read
}

/// A request laid out by hand: a `Request`, an `InferRequest` that has only tensors, and these tensors behind it.
fn request_with(tensors: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    // Root, vtable of the request; the request: vtable, content, tag.
    for word in [12_u32, 0x000c_0008, 0x0004_000b, 8, 20, 0x0100_0000] {
        message.extend_from_slice(&word.to_le_bytes());
    }
    // Vtable of the inference: 10 bytes, table of 8, field 2 at 4; two bytes to spare; the inference.
    for half in [10_u16, 8, 0, 0, 4, 0] {
        message.extend_from_slice(&half.to_le_bytes());
    }
    for word in [12_u32, 4] {
        message.extend_from_slice(&word.to_le_bytes());
    }
    message.extend_from_slice(tensors);
    message
}

fn words(words: impl IntoIterator<Item = u32>) -> Vec<u8> {
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

#[test]
fn a_large_payload_costs_no_more_than_a_small_one() {
    let cost = |bytes: u32| {
        let mut message = Vec::new();
        let shape = [i64::from(bytes)];
        let tensor = Tensor { dtype: DType::Uint8, shape: &shape, content: Content::Payload(bytes) };
        let request = writer::InferRequest { inputs: &[tensor], ..writer::InferRequest::default() };
        let layout = writer::infer_request(&mut message, &request).expect("a small message");
        message.resize(layout.length as usize, 0);
        let (accesses, read) = work::of(|| read_request(Window::whole(&message)));
        assert!(matches!(read, Ok(Read::Infer(_))), "{read:?}");
        accesses
    };
    assert_eq!(cost(16), cost(16 << 20));
    assert!(cost(16) < 100, "{}", cost(16));
}

#[test]
fn a_million_tensors_are_refused_before_any_is_looked_at() {
    let count = 1_000_000;
    let message = request_with(&words(std::iter::once(count).chain((0..count).map(|index| 4 * (count - index)))));
    let (accesses, read) = work::of(|| read_request(Window::whole(&message)));
    assert_eq!(read.unwrap_err(), Malformed { what: "a list of more than 64 tensors", at: 44 });
    assert!(accesses < 100, "{accesses}");
}

#[test]
fn a_tensor_that_is_its_own_list_ends() {
    // The one entry points to a table right behind it, whose vtable is the message's start, of 12 bytes.
    let message = request_with(&words([1, 4, 52, 0, 0, 0]));
    assert!(read_within_bounds(&message).is_err());
}

/// 64 tensors that share one vector of `count` empty strings, and the string.
fn shared_strings(tensors: u32, count: u32) -> Vec<u8> {
    let list = 44;
    let vtable = list + 4 + 4 * tensors;
    let table = vtable + 12;
    let strings = table + 12;
    let string = strings + 4 + 4 * count;
    let mut bytes = words(std::iter::once(tensors).chain((0..tensors).map(|index| table - (list + 4 + 4 * index))));
    for half in [12_u16, 12, 8, 0, 0, 4] {
        bytes.extend_from_slice(&half.to_le_bytes());
    }
    bytes.extend(words([12, 4 + 4, u32::from(DType::String as u8)]));
    bytes[(table + 4 - list) as usize..][..4].copy_from_slice(&(strings - table - 4).to_le_bytes());
    bytes.extend(words([count]));
    bytes.extend(words((0..count).map(|index| string - (strings + 4 + 4 * index))));
    bytes.extend(words([0]));
    request_with(&bytes)
}

#[test]
fn tensors_that_share_their_strings_cannot_multiply_them() {
    let one = shared_strings(1, 100_000);
    let Ok(Read::Infer(request)) = read_within_bounds(&one) else { panic!("one tensor is well-formed") };
    assert_eq!(request.input(0).get().unwrap().strings().count(), 100_000);

    let many = shared_strings(64, 100_000);
    let malformed = read_within_bounds(&many).unwrap_err();
    assert_eq!(malformed.what, "more strings than the message has room for");
}

#[test]
fn strings_that_arrive_as_they_are_asked_for_are_walked_three_times_and_no_more() {
    let strings: Vec<Vec<u8>> = (0..20_000_usize).map(|index| vec![7; index % 13]).collect();
    let strings: Vec<&[u8]> = strings.iter().map(Vec::as_slice).collect();
    let tensor = Tensor { dtype: DType::String, shape: &[20_000], content: Content::Strings(&strings) };
    let request = writer::InferRequest { inputs: &[tensor, tensor], ..writer::InferRequest::default() };
    let mut message = Vec::new();
    let layout = writer::infer_request(&mut message, &request).expect("a small message");

    let mut have = 0;
    let mut readings = 0;
    let (accesses, ()) = work::of(|| {
        while let Ok(Read::Need(bytes)) = read_request(Window::split(&message[..have], &[], layout.length)) {
            have = bytes as usize;
            readings += 1;
        }
    });
    // The offsets, the last string's length, the last string's bytes, and the reading that finds all of them.
    let strings = 2 * 20_000;
    assert!(accesses <= 4 * (3 * strings) + WORK_MAX * readings, "{accesses} accesses");
    assert!(readings <= 32, "{readings} readings");
}

#[test]
fn bytes_at_random_cost_no_more_than_they_are() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let seed = request_with(&words([1, 4, 52, 0, 0, 0]));
    for _ in 0..20_000 {
        let mut message = seed.clone();
        message.resize(64 + (next() % 512) as usize, 0);
        for _ in 0..=next() % 8 {
            let at = (next() % message.len() as u64) as usize;
            message[at] = next() as u8;
        }
        read_within_bounds(&message).ok();
    }
}
