//! What a reactor runs itself, without a hand-over: the batches of cheap models, where what one turn has brought in is a
//! batch; and requests of cheap models that are not batched, one by one.

use crate::batching::Batching;
use crate::cli::InlineMode;
use crate::cost::Learner;
use crate::daemon::Daemon;
use crate::lanes::ModelLane;
use crate::registry::Entry;
use crate::request::{Request, in_time, late};
use crate::run::{Runner, Work, note_run, run_alone, run_batch};
use crate::seal::take;
use graphpiped_backend_api::{Instance, OpenError};
use graphpiped_transport::service::{Reply, Ticket};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a reactor needs to run a model.
struct Desk {
    instance: Option<Box<dyn Instance>>,
    learner: Learner,
}

/// The batches that wait for one reactor.
pub struct InlineBatches {
    /// By model; none for those that cost nothing, or whose runs may wait for others, which a reactor does not.
    desks: Vec<Option<Desk>>,
    /// Lanes in which something has been committed, each once, and their models.
    waiting: VecDeque<(usize, Arc<ModelLane>)>,
}

impl InlineBatches {
    /// An instance and a learner for each model that costs anything.
    pub fn new(daemon: &Daemon) -> Result<InlineBatches, OpenError> {
        let desk = |entry: &Entry| {
            if entry.served.model.is_cheap() || entry.served.model.may_block() {
                return Ok(None);
            }
            let instance = Some(entry.served.model.instance()?);
            Ok(Some(Desk { instance, learner: Learner::new(Arc::clone(&entry.served.cost)) }))
        };
        let desks = daemon.registry.entries().iter().map(desk).collect::<Result<Vec<_>, _>>()?;
        // As many as a reactor can have lanes, or nearly: it grows once if there are more.
        Ok(InlineBatches { waiting: VecDeque::with_capacity(desks.len() * crate::plan::LANES_MAX), desks })
    }

    /// Notes that something has been committed in a lane of this reactor.
    pub fn committed(&mut self, model: usize, lane: &Arc<ModelLane>) {
        if !self.waiting.iter().any(|(_, other)| Arc::ptr_eq(other, lane)) {
            self.waiting.push_back((model, Arc::clone(lane)));
        }
    }

    /// Runs one batch of the lane that has waited longest. Returns whether others wait.
    pub fn run_one(&mut self, daemon: &Daemon, replies: &mut dyn FnMut(Ticket, Reply)) -> bool {
        let Some((model, lane)) = self.waiting.pop_front() else { return false };
        let served = &daemon.registry.entries()[model].served;
        let (Some(batching), Some(desk)) = (&served.batching, &mut self.desks[model]) else {
            unreachable!("rows belong to models that are batched")
        };
        let mut answer = |request: Request, reply| request.answer_here(reply, replies);
        let rows_max = rows_of_a_turn(daemon.inline, batching.cost.rows_within(daemon.inline_time_max), lane.rows_max);
        if let Some((sealed, seal)) = take(served, batching, &lane, rows_max, &mut answer) {
            batching.counters.sealed(sealed.rows(), seal);
            batching.counters.inline.add(1);
            let Desk { instance, learner } = desk;
            let mut runner = Runner { served, batching, lane: &lane, instance, learner, pool: &daemon.pool };
            run_batch(&mut runner, sealed, &mut answer);
        }
        if lane.core.has_committed() {
            self.waiting.push_back((model, lane));
        }
        !self.waiting.is_empty()
    }

    /// Runs a request of a model that is not batched, at once.
    pub fn run_alone(
        &mut self,
        daemon: &Daemon,
        model: usize,
        work: &Work,
        deadline: Option<Instant>,
        outputs: &[u16],
    ) -> Reply {
        let served = &daemon.registry.entries()[model].served;
        let Some(Desk { instance, learner }) = &mut self.desks[model] else {
            unreachable!("what costs nothing runs in its commit, and what may wait for others on executors")
        };
        // The clock is dear beside a cheap run, so it is only asked for those who have a deadline.
        let now = deadline.map(|_| Instant::now());
        if let Some(refusal) = now.and_then(|now| late(served, deadline, now)) {
            return Reply::Refused(refusal);
        }
        // Models that are not batched have no slices.
        let (reply, took) = run_alone(served, instance, &daemon.pool, work, outputs, &mut |_| Ok(()));
        note_run(served, learner, work, &reply, took);
        in_time(served, deadline, reply)
    }

    /// What a full batch of the model that takes longest takes.
    pub fn longest(daemon: &Daemon) -> Option<Duration> {
        let batchings = daemon.registry.entries().iter().filter_map(|entry| entry.served.batching.as_ref());
        batchings.filter_map(|batching: &Batching| batching.cost.predict(batching.rows_max)).max()
    }
}

/// How many rows a reactor runs in one turn: with `auto` no more than it has time for, because the sockets wait meanwhile.
/// The rest is for its next turn.
fn rows_of_a_turn(mode: InlineMode, rows_in_time: usize, rows_max: usize) -> usize {
    match mode {
        InlineMode::Auto => rows_in_time.clamp(1, rows_max),
        InlineMode::Always | InlineMode::Never => rows_max,
    }
}

impl std::fmt::Debug for InlineBatches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InlineBatches").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reactor_runs_no_more_rows_in_a_turn_than_it_has_time_for() {
        assert_eq!(rows_of_a_turn(InlineMode::Auto, 4, 128), 4);
        assert_eq!(rows_of_a_turn(InlineMode::Auto, 0, 128), 1, "what is there has to be run");
        assert_eq!(rows_of_a_turn(InlineMode::Auto, usize::MAX, 128), 128);
        assert_eq!(rows_of_a_turn(InlineMode::Always, 4, 128), 128);
    }
}
