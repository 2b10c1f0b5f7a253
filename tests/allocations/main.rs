//! After start-up the data path calls no allocator: the whole daemon but its control plane answers requests in frames over a Unix
//! socket and over TCP, and in HTTP, and all calls of the process are counted meanwhile.
//!
//! A binary of its own, because the count is that of the process. The client is a part of it that calls no allocator
//! either. What frameworks allocate with an allocator of their own is not seen: ONNX Runtime's is one of C++.
#![forbid(unsafe_code)]

mod client;
mod daemon;
mod model;

use client::{Client, Door};
use daemon::serve;
use graphpiped::cli::InlineMode::{self, Always, Never};
use graphpiped_backend_api::{Backend, Model, Options};
use graphpiped_backend_onnx::{Locations, OnnxBackend, WANTED};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::path::Path;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What is asked, and how.
struct Load<'a> {
    door: Door,
    output: &'a str,
    /// Rows of a request, and elements of a row.
    shape: [i64; 2],
    /// Requests that are sent at once; so many are answered before the next are sent.
    at_once: usize,
    requests: usize,
}

/// The part of the requests that comes before the count, so that every list, buffer and block has the size that it needs.
const WARM_UP: usize = 5;
/// So many counts, of which the least is the result: threads meet as they like, so something may still find later that it
/// needs more room than ever before. What a request costs would be in every count.
const COUNTS: usize = 4;

/// Calls of the allocator, of whatever kind, while the model answers this.
fn calls(model: Arc<dyn Model>, mode: InlineMode, load: &Load<'_>) -> usize {
    let running = serve(model, mode);
    let mut client = Client::new(&running, load);
    let rounds = load.requests.div_ceil(load.at_once);
    (0..rounds.div_ceil(WARM_UP)).for_each(|_| client.round());
    let mut count = || {
        let region = Region::new(ALLOCATOR);
        (0..rounds).for_each(|_| client.round());
        let change = region.change();
        change.allocations + change.reallocations + change.deallocations
    };
    let mut calls = count();
    for _ in 1..COUNTS {
        if calls > 0 {
            calls = calls.min(count());
        }
    }
    drop(client);
    running.end();
    calls
}

/// A name, a model, the shape of what it is asked, how many requests are sent at once, and how many altogether.
type Case = (&'static str, Arc<dyn Model>, [i64; 2], &'static [usize], usize);

/// All are asked for the first output, which most models have alone: the list of a reply of several is an allocation. So
/// is the list of a send of more than three segments, which only several large replies at once make.
fn cases() -> Vec<Case> {
    let sums = |from, to| -> Arc<dyn Model> { Arc::new(model::Sums::new(from, to)) };
    vec![
        ("small requests", sums(64, 10), [1, 64], &[1, 16][..], 25_000),
        ("requests in many pieces", sums(32 * 1024, 10), [2, 32 * 1024], &[1, 16], 500),
        ("replies that are sent in parts", sums(64, 64 * 1024), [1, 64], &[1], 500),
        ("a model of ONNX Runtime", digits(), [1, 64], &[1, 16], 10_000),
    ]
}

fn digits() -> Arc<dyn Model> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let runtime = root.join("runtime/onnxruntime");
    assert!(runtime.exists(), "{} is missing: run `make runtime`", runtime.display());
    let backend = OnnxBackend::new(Locations::new(&WANTED, Some(runtime), Vec::new(), "run `make runtime`"));
    backend.open(&root.join("models/digits/digits.onnx"), &Options::default()).unwrap()
}

/// One test, because the harness allocates when it begins another one.
#[test]
fn requests_are_answered_without_an_allocation_wherever_they_run_and_however_they_come() {
    let region = Region::new(ALLOCATOR);
    drop(std::hint::black_box(vec![0_u8; 1000]));
    assert!(region.change().allocations > 0, "the count counts");
    let mut wrong = Vec::new();
    for (name, model, shape, at_once, requests) in cases() {
        for (mode, &at_once) in
            [Always, Never].into_iter().flat_map(|mode| at_once.iter().map(move |count| (mode, count)))
        {
            for door in Door::ALL.into_iter().filter(|door| *door != Door::Http || at_once == 1) {
                let load = Load { door, output: &model.signature().outputs[0].name, shape, at_once, requests };
                match calls(model.clone(), mode, &load) {
                    0 => {}
                    calls => {
                        wrong.push(format!(
                            "{name}, {mode:?}, {door:?}, {at_once} at once: {calls} calls for {requests}"
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
