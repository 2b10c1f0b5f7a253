//! Nothing on the way of a request allocates: not the reader, whatever it reads, and not the writer in a used buffer.

use super::vectors;
use graphpipe_schema::reader::{Read, ReadResponse, Window, read_request, read_response};
use graphpipe_schema::writer::{self, Content, Tensor};
use graphpipe_schema::{Code, DType};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

/// The system's allocator, with a count of its calls by thread.
struct Counting;

thread_local!(static CALLS: Cell<u64> = const { Cell::new(0) });

// SAFETY: all is left to `System`; beside that, each method adds to a thread-local number, which neither allocates (it is
// initialised in a constant) nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's promises about `layout` are the ones that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` above, and so from `System`, with this `layout`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: `pointer` came from `alloc` above, and so from `System`, with this `layout`; `bytes` is passed on.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(run: impl FnOnce()) -> u64 {
    let before = CALLS.get();
    run();
    CALLS.get() - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(black_box(Box::new(1_u8)))), 1);
}

#[test]
fn reading_allocates_nothing() {
    let mut messages: Vec<_> = vectors::all().into_iter().map(|vector| vector.bytes).collect();
    // And what claims to be large: a count of 2^32 - 1 in the place of every word.
    for mut bytes in messages.clone() {
        for at in (0..bytes.len().saturating_sub(3)).step_by(4) {
            let word = bytes[at..at + 4].to_vec();
            bytes[at..at + 4].fill(0xFF);
            messages.push(bytes.clone());
            bytes[at..at + 4].copy_from_slice(&word);
        }
    }
    let count = allocations(|| {
        for message in &messages {
            if let Ok(Read::Infer(request)) = read_request(Window::whole(message)) {
                let inputs = (0..request.inputs_count().get().unwrap()).filter_map(|index| request.input(index).get());
                for input in inputs {
                    assert!(input.shape().get().is_some());
                    assert_eq!(Some(input.strings().count()), input.strings_count().get());
                }
            }
            if let Ok(ReadResponse::Infer(reply)) = read_response(Window::whole(message)) {
                assert_eq!(reply.outputs().count(), reply.outputs_count());
            }
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn writing_allocates_nothing_in_a_buffer_that_was_used_before() {
    let tensors = [
        Tensor { dtype: DType::Float32, shape: &[2, 3], content: Content::Payload(24) },
        Tensor { dtype: DType::String, shape: &[2], content: Content::Strings(&[b"one", b"two"]) },
        Tensor { dtype: DType::Uint8, shape: &[0], content: Content::Payload(0) },
        Tensor { dtype: DType::Int8, shape: &[7], content: Content::Payload(7) },
    ];
    let request = writer::InferRequest {
        inputs: &tensors,
        input_names: &[b"a", b"b", b"c", b"d"],
        model: b"digits",
        deadline_us: 1000,
        ..writer::InferRequest::default()
    };
    let mut out = Vec::new();
    let mut write = || {
        out.clear();
        writer::infer_request(&mut out, &request).unwrap();
        writer::infer_response(&mut out, &tensors).unwrap();
        writer::error_response(&mut out, Code::Busy, "no memory is left for a request of 77 MB");
        assert_eq!(writer::gap(24, 7).as_ref().len(), 40);
    };
    assert!(allocations(&mut write) > 0);
    assert_eq!(allocations(&mut write), 0);
}
