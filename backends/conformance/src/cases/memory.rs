//! Memory: who reads it where, and for how long.

use crate::memory::{Aligned, Watched};
use crate::scene::{Asked, Scene, watched};
use crate::{InputProof, Kind, Subject};
use graphpipe_schema::DType;
use graphpiped_backend_api::{Elements, Input, Inputs, Instance, OutputSlot, Produced};
use std::time::{Duration, Instant};

/// A model that gives back its input gives back the input's own address.
pub fn inputs_are_read_where_they_lie(subject: &impl Subject) {
    let scene = Scene::open(subject, Kind::Identity(DType::Float32));
    let found = scene.run(&[Asked::floats(0, &[4], &[1.0, 2.0, 3.0, 4.0])], &[0]);
    let is_the_input = matches!(
        found[0].how,
        Produced::OfInput { position: 0, start: 0, dtype: DType::Float32, .. } | Produced::SameAsInput(0)
    );
    match subject.capabilities().input {
        InputProof::SameAddress => assert!(is_the_input || is_time_the_same(subject), "{:?}", found[0].how),
        InputProof::Copies => assert!(scene.model.copies(), "it copies, and does not say so"),
    }
    assert_eq!(found[0].numbers(), [1.0, 2.0, 3.0, 4.0]);
}

/// References end with the outputs, and not before.
pub fn no_input_is_kept_longer_than_somebody_refers_to_it(subject: &impl Subject) {
    // An identity need not take more than one axis.
    for (kind, shape) in [(Kind::Identity(DType::Float32), &[4][..]), (Kind::Double, &[1, 4])] {
        let scene = Scene::open(subject, kind);
        let mut instance = scene.instance();
        let inputs = [Asked::floats(0, shape, &[1.0, 2.0, 3.0, 4.0])];
        for _ in 0..3 {
            let memory = watched(&inputs);
            let mut slots = [OutputSlot { index: 0, prepared: None, produced: None }];
            let found = scene.run_in(&mut *instance, &memory, &inputs, &mut slots);
            drop(found.expect("it runs"));
            assert_eq!(memory.references(), 0, "{}: somebody refers to the input still", kind.name());
        }
    }
}

/// The first of many numbers costs what the first of few costs.
pub fn what_a_run_costs_does_not_follow_the_size_of_its_input(subject: &impl Subject) {
    if subject.capabilities().input == InputProof::Copies {
        let scene = Scene::open(subject, Kind::First);
        assert!(scene.model.copies(), "it copies, and does not say so");
        return;
    }
    assert!(is_time_the_same(subject), "a run that looks at one of many numbers takes as long as a copy of them all");
}

/// Bytes of the long input: a copy of it takes milliseconds, a run over one element microseconds.
const MANY_BYTES: usize = 128 << 20;

/// Whether a run that looks at one number of many takes far less than to copy them.
fn is_time_the_same(subject: &impl Subject) -> bool {
    let scene = Scene::open(subject, Kind::First);
    let mut instance = scene.instance();
    let memory = Watched::new(vec![Aligned::zeros(MANY_BYTES)]);
    let mut copy = vec![1_u8; MANY_BYTES];
    let copying = least(|| copy.copy_from_slice(std::hint::black_box(memory.piece(0))));
    let running = least(|| first(&mut *instance, &memory));
    running < copying / 10
}

fn first(instance: &mut dyn Instance, memory: &Watched) {
    let shape = [(MANY_BYTES / 4) as i64];
    let elements = Elements::Bytes(memory.piece(0));
    let inputs = [Input { index: 0, dtype: DType::Float32, shape: &shape, elements }];
    let mut slots = [OutputSlot { index: 0, prepared: None, produced: None }];
    instance.run(&Inputs::new(&inputs, memory), &mut slots).expect("it runs");
}

/// The shortest of several times: what others do on the machine only makes it longer.
fn least(mut work: impl FnMut()) -> Duration {
    let time = |_| {
        let started = Instant::now();
        work();
        started.elapsed()
    };
    (0..7).map(time).min().unwrap_or_default()
}
