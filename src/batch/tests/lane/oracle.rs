//! Random histories of a lane, step by step beside the plain model.

use crate::Scene;
use crate::model::{Model, Taken};
use graphpiped_batch::{Claim, Sealed, Verdict};
use proptest::prelude::*;
use proptest::sample::Index;

#[derive(Clone, Debug)]
enum Step {
    Claim(usize),
    Commit(Index),
    Void(Index),
    /// Rows at most, and what is said of the requests, by their numbers.
    Take(usize, [Verdict; 4]),
    Complete(Index),
    Drop(Index),
    Halve(Index),
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![6 => Just(Verdict::Take), 1 => Just(Verdict::Reject), 1 => Just(Verdict::Leave)]
}

fn step(rows: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..=rows + 1).prop_map(Step::Claim),
        6 => any::<Index>().prop_map(Step::Commit),
        1 => any::<Index>().prop_map(Step::Void),
        4 => (0..=rows + 1, prop::array::uniform4(verdict())).prop_map(|(max, verdicts)| Step::Take(max, verdicts)),
        2 => any::<Index>().prop_map(Step::Complete),
        1 => any::<Index>().prop_map(Step::Drop),
        1 => any::<Index>().prop_map(Step::Halve),
    ]
}

fn history() -> impl Strategy<Value = (usize, usize, Vec<Step>)> {
    (1..=4_usize, 1..=9_usize).prop_flat_map(|(arenas, rows)| {
        let steps = prop::collection::vec(step(rows), 0..if cfg!(miri) { 40 } else { 200 });
        (Just(arenas), Just(rows), steps)
    })
}

/// A batch, and what the model says is in it: requests and their rows.
type Batch = (Sealed<crate::Request>, Vec<(usize, usize)>);

/// The lane and its model, and what is out of both.
struct Pair {
    scene: Scene,
    model: Model,
    claims: Vec<(usize, Claim)>,
    batches: Vec<Batch>,
    committed: Vec<usize>,
}

impl Pair {
    fn new(arenas: usize, rows: usize) -> Pair {
        let scene = Scene::new(arenas, rows, &[3, 0, 130]);
        Pair { scene, model: Model::new(arenas, rows), claims: vec![], batches: vec![], committed: vec![] }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Claim(rows) => {
                let claim = self.scene.claim(rows);
                let id = claim.as_ref().map_or(usize::MAX, |(id, _)| *id);
                assert_eq!(claim.is_some(), self.model.claim(id, rows), "whether there is room for {rows}");
                self.claims.extend(claim);
            }
            Step::Commit(index) => {
                if let Some((id, claim)) = pick(&mut self.claims, index) {
                    self.scene.commit(id, claim);
                    self.model.commit(id);
                    self.committed.push(id);
                }
            }
            Step::Void(index) => {
                if let Some((id, claim)) = pick(&mut self.claims, index) {
                    drop(claim);
                    self.model.void(id);
                }
            }
            Step::Take(rows_max, verdicts) => self.take(rows_max, |id| verdicts[id % verdicts.len()]),
            Step::Complete(index) => {
                if let Some(batch) = pick(&mut self.batches, index) {
                    self.complete(batch);
                }
            }
            Step::Drop(index) => {
                if let Some((batch, expected)) = pick(&mut self.batches, index) {
                    drop(batch);
                    self.model.end(expected.iter().map(|request| request.0));
                }
            }
            Step::Halve(index) => {
                if let Some(batch) = pick(&mut self.batches, index) {
                    self.halve(batch);
                }
            }
        }
        assert_eq!(self.scene.lane.pending_rows(), self.model.pending_rows());
        assert_eq!(self.scene.lane.free_arenas(), self.model.free_arenas());
        assert_eq!(self.scene.lane.has_committed(), self.model.has_committed());
    }

    fn take(&mut self, rows_max: usize, judge: impl Fn(usize) -> Verdict) {
        let mut rejected = Vec::new();
        let batch = self.scene.lane.take(rows_max, |request, _| judge(request.id), |request| rejected.push(request.id));
        let expected = self.model.take(rows_max, judge);
        let found = Taken { batch: batch.as_ref().map_or(vec![], |batch| self.requests(batch)), rejected };
        assert_eq!(found, expected);
        self.batches.extend(batch.map(|batch| (batch, expected.batch)));
    }

    fn complete(&mut self, (batch, expected): Batch) {
        // Once more: what else has happened since it was taken has changed nothing in it.
        assert_eq!(self.requests(&batch), expected);
        let mut answered = Vec::new();
        batch.complete(|request, rows| answered.push((request.id, rows.len())));
        assert_eq!(answered, expected);
        self.model.end(expected.iter().map(|request| request.0));
    }

    fn halve(&mut self, (batch, expected): Batch) {
        let (first, second) = batch.halves();
        let middle = expected.len().div_ceil(2);
        assert_eq!(self.requests(&first), expected[..middle]);
        assert_eq!(second.as_ref().map_or(vec![], |second| self.requests(second)), expected[middle..]);
        self.batches.push((first, expected[..middle].to_vec()));
        self.batches.extend(second.map(|second| (second, expected[middle..].to_vec())));
    }

    /// The requests of a batch and how many rows they have.
    fn requests(&self, batch: &Sealed<crate::Request>) -> Vec<(usize, usize)> {
        self.scene.look(batch).into_iter().map(|(id, rows)| (id, rows.len())).collect()
    }

    /// Lets everything that is out go its way to the end.
    fn end(mut self) {
        for (id, claim) in std::mem::take(&mut self.claims) {
            drop(claim);
            self.model.void(id);
        }
        loop {
            for batch in std::mem::take(&mut self.batches) {
                self.complete(batch);
            }
            self.take(4, |_| Verdict::Take);
            if self.batches.is_empty() {
                break;
            }
        }
        for id in self.committed {
            assert_eq!(self.scene.drops_of(id), 1, "request {id} comes back once");
        }
        self.scene.assert_idle();
    }
}

fn pick<E>(list: &mut Vec<E>, index: Index) -> Option<E> {
    (!list.is_empty()).then(|| list.swap_remove(index.index(list.len())))
}

proptest! {
    // A failure is printed with the history that it needs; nothing is kept in files.
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 8 } else { 512 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_lane_does_what_the_plain_model_does((arenas, rows, steps) in history()) {
        let mut pair = Pair::new(arenas, rows);
        for step in steps {
            pair.step(&step);
        }
        pair.end();
    }
}
