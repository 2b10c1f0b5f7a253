//! Runs in another process: what is copied, what is kept, and what a framework's faults are.

use crate::subjects::{Mxnet, Onnx, Tensorflow, Torch};
use crate::support::{
    Bounded, DOUBLE, KEEP, KEEP_AND_REFUSE, LEND, LET_GO, Memory, PANIC, REFUSE, floats, open, program, run, told,
    until,
};
use graphpipe_schema::DType;
use graphpiped_backend_api::{Elements, Input, Inputs, Model, Options, OutputSlot, Produced, RunError};
use graphpiped_backend_conformance::{Kind, Subject};
use graphpiped_backend_isolated::Isolated;
use memmap2::MmapRaw;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use std::any::Any;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An arena that a model's processes read, with these bytes at 512 from its beginning.
struct Arena {
    memory: MmapRaw,
    length: usize,
    shared: Option<Box<dyn Send + Sync>>,
}

impl Arena {
    fn of(model: &Isolated, bytes: &[u8]) -> Arena {
        let descriptor = memfd_create("arena", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).expect("a memfd");
        ftruncate(&descriptor, 1 << 20).expect("memory");
        rustix::io::pwrite(&descriptor, bytes, 512).expect("it fits");
        let memory = MmapRaw::map_raw(&descriptor).expect("it can be mapped");
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE;
        fcntl_add_seals(&descriptor, seals).expect("nobody has sealed it");
        let shared = Some(model.share(descriptor, memory.as_ptr().addr(), memory.len()));
        Arena { memory, length: bytes.len(), shared }
    }

    fn bytes(&self) -> &[u8] {
        let start = self.memory.as_ptr().wrapping_add(512);
        // SAFETY: the mapping is longer, and nobody writes it any more.
        unsafe { std::slice::from_raw_parts(start, self.length) }
    }
}

#[test]
fn inputs_in_an_arena_are_read_there_and_others_are_copied_and_counted() {
    let model = told();
    let mut instance = model.instance().expect("it has instances");
    let numbers: Vec<f32> = (0..10_000).map(|number| DOUBLE + number as f32).collect();
    let (bytes, doubled) = (floats(&numbers), floats(&numbers.iter().map(|number| 2.0 * number).collect::<Vec<_>>()));
    let mut copied = {
        let mut before = 0;
        let model = &model;
        move || {
            let now = model.copied_bytes();
            let since = now - before;
            before = now;
            since
        }
    };
    let memory = Memory::default();
    assert!(run(&mut *instance, &memory, &bytes, true).expect("a run") == doubled);
    assert_eq!(copied(), 80_000, "in, and out");
    let mut arena = Arena::of(&model, &bytes);
    assert!(run(&mut *instance, &memory, arena.bytes(), true).expect("a run") == doubled);
    assert_eq!(copied(), 40_000, "out alone");
    // What the framework lends is copied by the process, and by the daemon.
    assert!(run(&mut *instance, &memory, arena.bytes(), false).expect("a run") == doubled);
    assert_eq!(copied(), 80_000);
    // Also where it was expected elsewhere; it is there then.
    let (mut lend, mut lent) = (bytes.clone(), doubled.clone());
    lend[..4].copy_from_slice(&floats(&[LEND]));
    lent[..4].copy_from_slice(&floats(&[2.0 * LEND]));
    assert!(run(&mut *instance, &memory, &lend, true).expect("a run") == lent);
    assert_eq!(copied(), 120_000);
    // Arenas come and go while instances are there.
    arena.shared = None;
    assert!(run(&mut *instance, &memory, arena.bytes(), true).expect("a run") == doubled);
    assert_eq!(copied(), 80_000, "it is not shared any more");
    let other = Arena::of(&model, &bytes[..400]);
    assert!(run(&mut *instance, &memory, other.bytes(), true).expect("a run") == doubled[..400]);
    assert_eq!(copied(), 400);
    assert_eq!(memory.references(), 0);
}

/// Which the suite that every backend passes cannot show: its inputs lie in memory that no process sees.
#[test]
fn inputs_in_an_arena_are_copied_for_no_framework() {
    // A model that gives back its input. These name the very bytes that they have read,
    for (produced, copied) in [identity(&Tensorflow), identity(&Torch)] {
        assert!(matches!(produced, Produced::OfInput { position: 0, start: 0, .. }), "{produced:?}");
        assert_eq!(copied, 0);
    }
    // and these have outputs of their own, which are copied on their way out.
    for (produced, copied) in [identity(&Onnx), identity(&Mxnet)] {
        let Produced::Lent { owner, .. } = produced else { panic!("{produced:?}") };
        assert_eq!(((*owner).as_ref(), copied), (&*floats(&[1.0, 2.0, 3.0, 4.0]), 2 * 16));
    }
}

/// What a framework's model makes of four numbers in an arena, and how many bytes were copied for it.
fn identity(subject: &impl Subject) -> (Produced, u64) {
    let name = subject.backend().name();
    let path = subject.model(Kind::Identity(DType::Float32)).expect("every backend has it");
    let model = open(name, &path, &Options::default()).unwrap_or_else(|error| panic!("{error}"));
    let mut instance = model.instance().unwrap_or_else(|error| panic!("{name}: {error}"));
    let (arena, memory) = (Arena::of(&model, &floats(&[1.0, 2.0, 3.0, 4.0])), Memory::default());
    let elements = Elements::Bytes(arena.bytes());
    let list = [Input { index: 0, dtype: DType::Float32, shape: &[4], elements }];
    let mut slots = [OutputSlot { index: 0, prepared: None, produced: None }];
    let outcome = instance.run(&Inputs::new(&list, &memory), &mut slots);
    outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(memory.references(), 0, "{name} refers to its input still");
    let [OutputSlot { produced, .. }] = slots;
    (produced.expect("a run that succeeds sets every slot"), model.copied_bytes())
}

#[test]
fn runs_of_any_size_follow_each_other() {
    let model = told();
    let mut instance = model.instance().expect("it has instances");
    for length in [1_usize, 0, 3, 100_000, 7, 4_500_000, 20_000] {
        let numbers: Vec<f32> = (0..length).map(|number| DOUBLE + (number % 100) as f32).collect();
        for is_prepared in [true, false] {
            let found = run(&mut *instance, &Memory::default(), &floats(&numbers), is_prepared).expect("a run");
            assert!(found == floats(&numbers.iter().map(|number| 2.0 * number).collect::<Vec<_>>()), "{length}");
        }
    }
}

#[test]
fn what_a_run_needs_beyond_the_budget_is_refused_and_what_it_had_is_given_back() {
    const MIB: usize = 1 << 20;
    let left = Arc::new(AtomicUsize::new(0));
    let budget = Arc::new(Bounded(Arc::clone(&left)));
    let model = Isolated::open("m", "told", Path::new("a model"), &Options::default(), program(), budget);
    let model = model.unwrap_or_else(|error| panic!("{error}"));
    let (mut instance, memory) = (model.instance().expect("it has instances"), Memory::default());
    let numbers = vec![LEND; 5 * MIB];
    // The input, the output that is lent, and its copy.
    for (bytes, refusal) in [
        (19, Some("no memory for the process of the model: 20971520 of 19922944")),
        (39, Some("no memory for the outputs: 20971520 of 19922944")),
        (59, Some("no memory for the outputs: 20971520 of 19922944")),
        (60, None),
    ] {
        let bytes = bytes * MIB;
        left.store(bytes, Ordering::Relaxed);
        let outcome = run(&mut *instance, &memory, &floats(&numbers), false);
        match refusal {
            Some(words) => assert_eq!(outcome, Err(RunError::Machine(words.into()))),
            None => assert!(outcome == Ok(floats(&vec![2.0 * LEND; 5 * MIB]))),
        }
        assert_eq!(left.load(Ordering::Relaxed), bytes, "given back");
    }
    left.store(0, Ordering::Relaxed);
    assert_eq!(run(&mut *instance, &memory, &floats(&[LEND; 100]), false), Ok(floats(&[2.0 * LEND; 100])));
    assert_eq!((model.restarts(), model.is_up()), (0, true));
}

#[test]
fn what_a_framework_keeps_stays_until_it_lets_go() {
    let model = told();
    let mut instance = model.instance().expect("it has instances");
    let memories: Vec<Memory> = (0..20).map(|_| Memory::default()).collect();
    for memory in &memories {
        run(&mut *instance, memory, &floats(&[KEEP, 1.0]), true).expect("a run");
        assert_eq!(memory.references(), 1);
    }
    let refused = Memory::default();
    run(&mut *instance, &refused, &floats(&[KEEP_AND_REFUSE]), true).expect_err("as told");
    assert_eq!(refused.references(), 1, "also of a run that has failed");
    let last = Memory::default();
    let found = run(&mut *instance, &last, &floats(&[DOUBLE]), true).expect("a run");
    assert_eq!(found, floats(&[20.0]));
    assert!(memories.iter().all(|memory| memory.references() == 1) && last.references() == 0);
    run(&mut *instance, &last, &floats(&[LET_GO]), true).expect("a run");
    until("let go", || memories.iter().chain([&refused]).all(|memory| memory.references() == 0));
}

#[test]
fn what_is_kept_ends_with_the_process() {
    let (model, memory) = (told(), Memory::default());
    let mut instance = model.instance().expect("it has instances");
    run(&mut *instance, &memory, &floats(&[KEEP]), true).expect("a run");
    assert_eq!(memory.references(), 1);
    let all: Box<dyn Any> = Box::new((instance, model));
    drop(all);
    until("let go", || memory.references() == 0);
}

#[test]
fn what_a_framework_refuses_and_its_panics_are_errors_and_the_next_run_is_sound() {
    let (model, memory) = (told(), Memory::default());
    let mut instance = model.instance().expect("it has instances");
    for (number, words) in [(REFUSE, "I will not"), (PANIC, "the framework panicked: as told")] {
        let error = run(&mut *instance, &memory, &floats(&[number]), true).expect_err("as told");
        assert_eq!(error, RunError::Model(words.into()));
        let found = run(&mut *instance, &memory, &floats(&[DOUBLE, 7.0]), true).expect("a run");
        assert_eq!(found, floats(&[20.0, 14.0]));
    }
    assert_eq!((model.restarts(), model.is_up()), (0, true));
}
