//! Makes lanes: those of models whose rows have one size before anything is served, the others when requests ask for them.
//!
//! This is control plane: it maps memory and touches all of it, which takes milliseconds, on a thread of its own.

use crate::batching::{BatchCounters, Batching, Urgent, Wish, Wishes};
use crate::cli::InlineMode;
use crate::cost::{Cost, Learner};
use crate::isolation::ArenaMemory;
use crate::lanes::{LaneSet, ModelLane, NoLane, RowSignature};
use crate::model::Served;
use crate::plan::{LANES_MAX, Lanes, MemoryPlan, ModelRows, ROWS_MAX_DEFAULT};
use crate::probe::Probed;
use crate::queue::{ModelQueue, Unpark};
use crate::settings::{ModelSettings, Settings};
use arc_swap::ArcSwap;
use graphpiped_backend_api::Model;
use graphpiped_memory::Pool;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tracing::debug;

/// A model that may be batched, before it has lanes.
#[derive(Debug)]
pub struct Candidate {
    cost: Arc<Cost>,
    /// What all its rows look like, if they look alike.
    rows: Option<Arc<RowSignature>>,
    /// The most rows that may be in a batch, for all that is known.
    rows_compared: usize,
    /// Whether reactors may run it.
    inline: bool,
}

impl Candidate {
    /// What a trial has shown of a model that may be batched.
    pub fn new(settings: &Settings, served: &ModelSettings, model: &dyn Model, probed: &Probed) -> Candidate {
        let cost = Arc::<Cost>::default();
        let mut learner = Learner::new(Arc::clone(&cost));
        for &(rows, took) in &probed.costs {
            learner.observe(rows, took);
        }
        let inline = match settings.inline {
            // A reactor waits for nobody, and least of all for a process that is about to end.
            _ if model.may_block() => false,
            InlineMode::Always => true,
            InlineMode::Never => false,
            InlineMode::Auto => {
                served.linger.is_zero() && cost.predict(1).is_some_and(|one| one <= settings.inline_time_max)
            }
        };
        let rows = RowSignature::fixed(model.signature(), &probed.row_outputs).map(Arc::new);
        Candidate { cost, rows, rows_compared: probed.rows_compared, inline }
    }

    /// What the memory plan has to know of it.
    pub fn model_rows<'a>(&self, settings: &'a ModelSettings) -> ModelRows<'a> {
        ModelRows {
            name: &settings.name,
            row: self.rows.as_ref().map(|rows| rows.bytes()),
            max_batch: settings.max_batch,
            rows_compared: self.rows_compared,
            queue_max: settings.queue_max,
            inline: self.inline,
        }
    }

    /// Its batching, with the lanes that it has from the start. `None` if there is no memory for any.
    pub fn batching<'m>(
        self,
        memory: impl Into<ArenaMemory<'m>>,
        settings: &ModelSettings,
        lanes: Option<Lanes>,
        reactors: usize,
    ) -> Result<Option<Batching>, NoLane> {
        let mut sets = Vec::new();
        let mut rows_max = settings.max_batch.unwrap_or(ROWS_MAX_DEFAULT).min(self.rows_compared);
        let has_shapes = self.rows.is_none();
        if let Some(rows) = &self.rows {
            let Some(plan) = lanes.and_then(|lanes| lanes.shared) else { return Ok(None) };
            rows_max = plan.rows_max;
            sets.push(Arc::new(make(memory.into(), rows, lanes.unwrap_or_default(), reactors, 0)?));
        }
        let (linger, cost) = (settings.linger, self.cost);
        let (sets, counters) = (ArcSwap::from_pointee(sets), BatchCounters::default());
        Ok(Some(Batching {
            rows_max,
            sets,
            cost,
            linger,
            urgent: Urgent::default(),
            has_shapes,
            full_until: AtomicU64::new(0),
            inline: self.inline,
            counters,
        }))
    }
}

fn make(
    memory: ArenaMemory<'_>,
    rows: &Arc<RowSignature>,
    lanes: Lanes,
    reactors: usize,
    second: u64,
) -> Result<LaneSet, NoLane> {
    let shared = lanes.shared.map(|plan| ModelLane::new(memory, rows, &plan, None)).transpose()?;
    let inline = lanes.inline.map(|plan| {
        (0..reactors).map(|reactor| ModelLane::new(memory, rows, &plan, Some(reactor))).collect::<Result<Vec<_>, _>>()
    });
    Ok(LaneSet::new(Arc::clone(rows), shared, inline.transpose()?.unwrap_or_default(), second))
}

/// Seconds since its last use before which a set of lanes is not given up for another.
const IN_USE_SECONDS: u64 = 10;

/// For how long nobody asks for lanes of a model after there was no place for one: every request would ask.
const RETRY_SECONDS: u64 = 2;

/// How often, and how long apart, is looked whether a list that was replaced is still in somebody's hands.
const LOOKS_MAX: usize = 20;
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Makes lanes for rows of shapes that come up while the daemon serves.
#[derive(Debug)]
pub struct LaneMaker {
    /// What reactors ask for.
    pub wishes: Arc<Wishes<Unpark>>,
    /// The models, in the order of the registry.
    pub models: Vec<Arc<Served>>,
    /// Their queues.
    pub queues: Vec<Arc<ModelQueue>>,
    /// Where the memory comes from.
    pub pool: Pool,
    /// How much of it a lane gets.
    pub plan: MemoryPlan,
    /// How many reactors there are.
    pub reactors: usize,
}

impl LaneMaker {
    /// Fulfils wishes until no more come.
    pub fn run(self) {
        let started = Instant::now();
        let place = self.wishes.gate().bell(0);
        place.is_this_thread();
        loop {
            while let Some(wish) = self.wishes.take() {
                self.fulfil(&wish, started.elapsed().as_secs());
            }
            let asleep = self.wishes.gate().fall_asleep(0);
            if self.wishes.is_closed() {
                return;
            }
            if self.wishes.is_empty() {
                std::thread::park();
            }
            drop(asleep);
        }
    }

    fn fulfil(&self, wish: &Wish, second: u64) {
        let served = &self.models[wish.model];
        let Some(batching) = &served.batching else { return };
        let Some(rows) = RowSignature::of(served.signature(), &wish.shapes).map(Arc::new) else { return };
        let shapes = wish.shapes.iter().enumerate().map(|(index, shape)| (index as u16, shape));
        if batching.sets.load().iter().any(|set| set.rows.fits(shapes.clone())) {
            // Several requests asked before there was an answer.
            return;
        }
        let lanes = self.plan.later(&model_rows(served, batching), &rows.bytes());
        if lanes.shared.is_none() && lanes.inline.is_none() {
            // Rows so large that no lane has room for two batches of one.
            return;
        }
        if batching.sets.load().len() >= LANES_MAX && !give_up_one(batching, &self.queues[wish.model], second) {
            // All of them are needed; rows of this shape run alone, and nobody asks again for a while.
            return batching.full_until.store(second + RETRY_SECONDS, Ordering::Relaxed);
        }
        let memory = ArenaMemory { pool: &self.pool, isolated: served.isolated.as_deref() };
        match make(memory, &rows, lanes, self.reactors, second) {
            Ok(set) => {
                let mut sets: Vec<_> = batching.sets.load().iter().cloned().collect();
                let shapes: Vec<_> = rows.inputs.iter().map(|spec| spec.inner.to_string()).collect();
                debug!(model = served.name(), rows = %shapes.join(", "), lanes = sets.len() + 1, "lane made");
                sets.push(Arc::new(set));
                batching.sets.store(Arc::new(sets));
            }
            // Peers choose the shapes, and must not choose how much is logged.
            Err(why) => {
                debug!(model = served.name(), %why, "no lane for rows of a new shape; they run alone");
                batching.full_until.store(second + RETRY_SECONDS, Ordering::Relaxed);
            }
        }
    }
}

/// Gives up the set that was used least recently, if none of its rows is in use and it has not been used for a while.
fn give_up_one(batching: &Batching, queue: &ModelQueue, second: u64) -> bool {
    let is_free = |set: &LaneSet| set.lanes().all(|lane| lane.core.pending_rows() == 0);
    let all = batching.sets.load_full();
    let idle = all.iter().filter(|set| is_free(set) && set.used() + IN_USE_SECONDS <= second);
    let Some(mut oldest) = idle.min_by_key(|set| set.used()).cloned() else { return false };
    let mut others: Vec<_> = all.iter().filter(|set| !Arc::ptr_eq(set, &oldest)).cloned().collect();
    drop(all);
    // Whoever has found it before claims while the list or the set is in its hands; nobody finds it now.
    let before = batching.sets.swap(Arc::new(others.clone()));
    if is_let_go(before) && is_let_go_of(&mut oldest) && is_free(&oldest) {
        return true;
    }
    others.push(oldest);
    batching.sets.store(Arc::new(others));
    // Who was told of rows in it meanwhile has looked for them in vain.
    queue.announce(1);
    false
}

/// Waits until nobody else has a list in hand, then drops it; `false` if that takes long.
fn is_let_go<T>(mut list: Arc<T>) -> bool {
    is_let_go_of(&mut list)
}

/// Waits until nobody else has this in hand; `false` if that takes long. It is microseconds, or as long as an executor
/// lingers.
fn is_let_go_of<T>(thing: &mut Arc<T>) -> bool {
    (0..LOOKS_MAX).any(|look| {
        if look > 0 {
            std::thread::sleep(LOOK_EVERY);
        }
        Arc::get_mut(thing).is_some()
    })
}

/// What the memory plan has to know of a model whose rows differ in shape.
fn model_rows<'a>(served: &'a Served, batching: &Batching) -> ModelRows<'a> {
    let ModelSettings { max_batch, queue_max, .. } = served.settings;
    let (rows_compared, inline) = (batching.rows_max, batching.inline);
    ModelRows { name: served.name(), row: None, max_batch, rows_compared, queue_max, inline }
}

#[cfg(test)]
mod tests;
