//! Where requests of one reactor are batched: in lanes that the reactor runs itself, or in those that executors take from.
//!
//! Waking a thread that sleeps costs more than a small model takes, so what is cheap is run where it arrives; what is
//! costly would keep the sockets waiting. Which it is, is asked once per turn of the reactor, of what runs have cost.

use crate::batching::Batching;
use crate::cli::InlineMode;
use crate::lanes::{LaneSet, ModelLane};
use graphpipe_schema::Shape;
use graphpiped_batch::Claim;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The decision: whether a reactor runs batches of a model itself. `rows` is how many lately came in one turn, `cost` what
/// a batch of them takes, if that is known.
pub fn is_inline(mode: InlineMode, threshold: Duration, cost: Option<Duration>, linger: Duration) -> bool {
    match mode {
        InlineMode::Always => true,
        InlineMode::Never => false,
        // A reactor does not wait for rows to come: that is what it would be there to receive.
        InlineMode::Auto => linger.is_zero() && cost.is_some_and(|cost| cost <= threshold),
    }
}

/// What became of a claim.
#[derive(Debug)]
pub enum Claimed {
    /// Rows of a lane.
    Rows(Arc<ModelLane>, Claim),
    /// No rows for this request: it has none, or too many for a batch.
    NoRows,
    /// There is no room for its rows now.
    NoRoom,
    /// There is no lane for such rows.
    NoLane,
}

/// The placement of one reactor.
#[derive(Debug)]
pub struct Placement {
    reactor: usize,
    mode: InlineMode,
    threshold: Duration,
    models: Vec<Model>,
    /// The second since the start, for the lanes' last use.
    second: u64,
    started: Instant,
    /// Whether a request has found no rows free since this was asked.
    is_short: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Model {
    is_inline: bool,
    /// Rows that were committed in this turn.
    rows_now: u32,
    /// Rows per turn that had any, lately.
    rows_lately: f32,
}

/// Which part of `--inline-us` a request that runs alone may take: about what waking an executor would cost.
const ALONE_SHARE: u32 = 4;
/// How much the latest turn counts in the number of rows per turn.
const LATEST: f32 = 0.125;

impl Placement {
    /// The placement of a reactor for so many models.
    pub fn new(reactor: usize, models: usize, mode: InlineMode, threshold: Duration) -> Placement {
        let models = vec![Model { is_inline: mode == InlineMode::Always, ..Model::default() }; models];
        Placement { reactor, mode, threshold, models, second: 0, started: Instant::now(), is_short: false }
    }

    /// Claims rows for a request with inputs of these indices and shapes.
    pub fn claim<'a>(
        &mut self,
        model: usize,
        batching: &Batching,
        rows: usize,
        shapes: &(impl ExactSizeIterator<Item = (u16, &'a Shape)> + Clone),
    ) -> Claimed {
        let sets = batching.sets.load();
        match sets.iter().find(|set| set.rows.fits(shapes.clone())) {
            Some(set) => self.claim_in(set, model, rows),
            None => Claimed::NoLane,
        }
    }

    /// Claims rows for the only input of a request, which has so many bytes, of a model whose rows have one size.
    pub fn claim_bytes(&mut self, model: usize, batching: &Batching, bytes: usize) -> Claimed {
        let sets = batching.sets.load();
        let Some(set) = sets.first().filter(|_| !batching.has_shapes) else { return Claimed::NoLane };
        let [row] = set.rows.inputs.as_slice() else { return Claimed::NoRows };
        match bytes.checked_div(row.bytes) {
            Some(rows) if rows * row.bytes == bytes => self.claim_in(set, model, rows),
            _ => Claimed::NoRows,
        }
    }

    fn claim_in(&mut self, set: &LaneSet, model: usize, rows: usize) -> Claimed {
        set.touch(self.second);
        let mut fits = false;
        // If a burst has filled the rows that this reactor runs, executors may help.
        for lane in set.lanes_of(self.reactor, self.models[model].is_inline) {
            if !(1..=lane.rows_max).contains(&rows) {
                continue;
            }
            fits = true;
            if let Some(claim) = lane.core.claim(rows) {
                return Claimed::Rows(Arc::clone(lane), claim);
            }
        }
        if fits {
            self.is_short = true;
            return Claimed::NoRoom;
        }
        Claimed::NoRows
    }

    /// Notes that rows of a model were committed.
    pub fn committed(&mut self, model: usize, rows: usize) {
        self.models[model].rows_now = self.models[model].rows_now.saturating_add(rows as u32);
    }

    /// Begins a turn.
    pub fn begin(&mut self, now: Instant) {
        self.second = now.saturating_duration_since(self.started).as_secs();
    }

    /// Whether this reactor runs a request alone, at once, of which it is believed to take so long. Several may come in one
    /// turn, and nothing bounds how many, so each has to cost much less than a batch may.
    pub fn runs_alone(&self, cost: Option<Duration>) -> bool {
        is_inline(self.mode, self.threshold / ALONE_SHARE, cost, Duration::ZERO)
    }

    /// Decides anew for a model, if rows of it were committed in this turn.
    pub fn decide(&mut self, model: usize, batching: &Batching) {
        let (mode, threshold) = (self.mode, self.threshold);
        let model = &mut self.models[model];
        if model.rows_now > 0 {
            model.rows_lately += LATEST * (model.rows_now as f32 - model.rows_lately);
            model.rows_now = 0;
        }
        let rows = (model.rows_lately.round() as usize).clamp(1, batching.rows_max);
        model.is_inline = is_inline(mode, threshold, batching.cost.predict(rows), batching.linger);
    }

    /// Whether a request has found no rows free since this was asked.
    pub fn take_shortage(&mut self) -> bool {
        std::mem::take(&mut self.is_short)
    }

    /// Whether lanes for rows of another shape of a model may be asked for.
    pub fn may_wish(&self, batching: &Batching) -> bool {
        self.second >= batching.full_until.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Duration = Duration::from_micros(1);

    #[test]
    fn what_is_cheap_runs_where_it_arrives() {
        let auto = |cost: Option<u32>| is_inline(InlineMode::Auto, 200 * US, cost.map(|us| us * US), Duration::ZERO);
        assert!(auto(Some(200)) && !auto(Some(201)));
        assert!(!auto(None), "what nobody knows may take for ever");
        assert!(!is_inline(InlineMode::Auto, 200 * US, Some(US), US), "whoever waits for rows cannot receive them");
        assert!(is_inline(InlineMode::Always, US, Some(2 * US), US) && !is_inline(InlineMode::Never, US, None, US));
    }
}
