//! Lanes that are made on request, by a thread and without one.

use super::*;
use crate::cli::Options;
use crate::service::tests::batched::{Batched, Setup, answered, request};
use crate::service::tests::bench::Asked;
use crate::settings::Machine;
use graphpipe_schema::Shape;
use graphpiped_backend_api::{Instance, OpenError, Signature};
use smallvec::SmallVec;

/// A daemon whose model's rows may have any width, and who makes lanes for them.
fn start() -> (Batched, LaneMaker) {
    let bench = Setup { widths: &[], memory: 16 << 20, ..Setup::default() }.start();
    let entry = &bench.daemon.registry.entries()[0];
    let of_model = model_rows(&entry.served, batching(&bench));
    let maker = LaneMaker {
        wishes: bench.daemon.wishes.clone(),
        models: vec![entry.served.clone()],
        queues: vec![entry.queue.clone()],
        pool: bench.daemon.pool.clone(),
        plan: MemoryPlan::new(16 << 20, 1, &[of_model]),
        reactors: 1,
    };
    (bench, maker)
}

fn batching(bench: &Batched) -> &Batching {
    bench.served().batching.as_ref().unwrap()
}

fn wish(width: i64) -> Wish {
    Wish { model: 0, shapes: SmallVec::from_iter([Shape::new(&[1, width]).unwrap()]) }
}

/// A request of two rows so wide.
fn message(width: i64) -> Vec<u8> {
    request(&Asked { outputs: &[b"sum"], ..Asked::default() }, &[&[10, 20]], width)
}

/// The widths for which there are lanes, in the order in which they were made.
fn widths(bench: &Batched) -> Vec<i64> {
    batching(bench).sets.load().iter().map(|set| set.rows.inputs[0].inner.dims()[0]).collect()
}

#[test]
fn a_wish_becomes_a_lane_and_the_next_requests_are_run_together() {
    let (mut bench, maker) = start();
    for width in [2, 5, 2] {
        bench.send(0, &message(width));
    }
    assert_eq!((bench.settle().len(), bench.runs()), (3, vec![2, 2, 2]), "alone");
    while let Some(wish) = maker.wishes.take() {
        maker.fulfil(&wish, 0);
    }
    assert_eq!(widths(&bench), [2, 5], "once each, though one was wished for twice");
    for (id, width) in [5, 2, 5, 2].into_iter().enumerate() {
        bench.send(id as u64, &message(width));
    }
    let replies = bench.settle();
    assert!(replies.len() == 4 && replies.iter().all(|(_, reply)| answered(reply) == [11, 21]));
    assert_eq!(bench.runs(), [4, 4], "two lanes, each with what is its");
    assert!(maker.wishes.take().is_none());
}

#[test]
fn a_lane_is_made_while_others_are_served() {
    let (mut bench, maker) = start();
    let thread = std::thread::spawn(move || maker.run());
    bench.send(1, &message(3));
    let asked = Instant::now();
    while widths(&bench).is_empty() {
        assert!(asked.elapsed().as_secs() < 60, "it is never made");
        std::thread::yield_now();
    }
    bench.daemon.wishes.close();
    thread.join().unwrap();
    assert_eq!((widths(&bench), bench.settle().len()), (vec![3], 1));
}

#[test]
fn the_number_of_lanes_has_a_bound_and_those_in_use_stay() {
    let (bench, maker) = start();
    let most = LANES_MAX as i64;
    for width in 1..=most + 1 {
        maker.fulfil(&wish(width), 5);
    }
    assert_eq!(widths(&bench), (1..=most).collect::<Vec<_>>(), "all are in use");
    maker.fulfil(&wish(most + 1), 5 + IN_USE_SECONDS - 1);
    assert_eq!(widths(&bench).len(), LANES_MAX, "they still are");
}

#[test]
fn the_lanes_that_were_used_least_recently_go_first() {
    let (bench, maker) = start();
    let most = LANES_MAX as i64;
    for width in 1..=most {
        maker.fulfil(&wish(width), 5);
    }
    batching(&bench).sets.load()[0].touch(6);
    batching(&bench).sets.load()[1].touch(8);
    for width in 100..100 + most - 2 {
        maker.fulfil(&wish(width), 5 + IN_USE_SECONDS);
    }
    let rest: Vec<i64> = (100..100 + most - 2).collect();
    assert_eq!(widths(&bench), [vec![1, 2], rest.clone()].concat());
    maker.fulfil(&wish(200), 6 + IN_USE_SECONDS);
    assert_eq!(widths(&bench), [vec![2], rest, vec![200]].concat());
    let sets = batching(&bench).sets.load_full();
    let lanes = sets.iter().flat_map(|set| set.lanes()).map(|lane| &lane.core);
    let bytes =
        lanes.map(|lane| lane.arena_count() * lane.layout().arena_bytes().next_multiple_of(4096)).sum::<usize>();
    assert_eq!(maker.pool.stats().set_aside_bytes, bytes as u64, "the memory of those that went came back");
}

#[test]
fn lanes_with_rows_that_are_still_arriving_stay() {
    let (mut bench, maker) = start();
    let most = LANES_MAX as i64;
    for width in 1..=most {
        maker.fulfil(&wish(width), 0);
    }
    let slow = message(1);
    let claim = bench.claim(&slow);
    maker.fulfil(&wish(100), 1000);
    let expected: Vec<i64> = std::iter::once(1).chain(3..=most).chain([100]).collect();
    assert_eq!(widths(&bench), expected, "the second went in place of the first");
    assert!(bench.commit(1, &slow, claim).is_none());
    assert_eq!(answered(&bench.settle()[0].1), [11, 21]);
}

#[test]
fn lanes_that_somebody_has_found_and_may_claim_rows_of_stay() {
    let (bench, maker) = start();
    let most = LANES_MAX as i64;
    (1..=most).for_each(|width| maker.fulfil(&wish(width), 0));
    let has_first = || widths(&bench).contains(&1);
    let list = batching(&bench).sets.load();
    maker.fulfil(&wish(100), 1000);
    assert!(has_first(), "somebody looks through the list");
    let first = list.iter().find(|set| set.rows.inputs[0].inner.dims()[0] == 1).unwrap().clone();
    drop(list);
    maker.fulfil(&wish(100), 2000);
    assert!(has_first(), "somebody has found it");
    drop(first);
    maker.fulfil(&wish(100), 3000);
    assert_eq!(widths(&bench).len(), LANES_MAX);
    assert!(widths(&bench).contains(&100));
}

#[test]
fn a_shape_that_no_rows_can_have_gets_no_lane() {
    let (bench, maker) = start();
    for dims in [&[][..], &[1, i64::MAX], &[1, 2, 3]] {
        let shapes = SmallVec::from_iter([Shape::new(dims).unwrap_or(Shape::SCALAR)]);
        maker.fulfil(&Wish { model: 0, shapes }, 0);
    }
    // As wide as all of the memory.
    maker.fulfil(&wish(4 << 20), 0);
    let made: Vec<_> = batching(&bench).sets.load().iter().map(|set| set.rows.inputs[0].inner).collect();
    assert!(made.iter().all(|inner| inner.dims() == [2, 3]), "{made:?}");
}

#[test]
fn batches_are_no_longer_than_what_a_trial_has_compared() {
    let (bench, maker) = start();
    let candidate = Candidate { cost: Arc::default(), rows: None, rows_compared: 20, inline: false };
    let batching = candidate.batching(&maker.pool, &bench.served().settings, None, 1).unwrap().unwrap();
    assert_eq!(batching.rows_max, 20);
    assert_eq!(model_rows(bench.served(), &batching).rows_compared, 20, "nor are those of lanes that are made later");
}

/// A model whose runs may wait for others.
struct Blocks(Arc<dyn Model>);

impl Model for Blocks {
    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn effective_options(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn may_block(&self) -> bool {
        true
    }

    fn instance(&self) -> Result<Box<dyn Instance>, OpenError> {
        self.0.instance()
    }
}

#[test]
fn reactors_have_no_lanes_of_what_may_wait_for_others() {
    let model = start().0.served().model.clone();
    let (names, inline) = (vec!["rows=m.onnx".parse().unwrap()], Some(InlineMode::Always));
    let options = Options { model: names, inline, ..Options::default() };
    let settings = Settings::resolve(options, None, &Machine { cores: 4, memory_bytes: 64 << 20 }).unwrap();
    let probed = Probed::not("nobody has tried".into());
    let is_inline = |model: &dyn Model| Candidate::new(&settings, &settings.models[0], model, &probed).inline;
    assert!(is_inline(&*model));
    assert!(!is_inline(&Blocks(model)));
}
