//! How much memory the batches of each model get: rows per batch, rows per arena, arenas per lane, out of one budget.
//!
//! Pure arithmetic over bytes and counts; no clock, and no memory is taken here. Half of the budget at least is left for
//! requests that are received into buffers of their own, and for outputs:
//!
//! ```text
//! budget = lanes at start (≤ 1/4) + lanes made later (≤ 1/4) + requests of their own and outputs (the rest, ≥ 1/2)
//! ```
//!
//! Lanes at start are those of models whose rows have one size, which is known when they are opened. They share their
//! quarter evenly, but that no lane gets more than it can use. Lanes made later are those of models whose rows differ in
//! shape from request to request: a bounded number, each with the same bound of bytes, so that one that is given up makes
//! room for any other.

use crate::units::ByteSize;
use graphpiped_batch::{Layout, ROWS_MAX as ARENA_ROWS_MAX};
use std::fmt::{Display, Formatter};

/// Lanes of one model that are made on demand, a row shape each.
pub const LANES_MAX: usize = 8;
/// Bytes of one lane: sixteen batches of four megabytes, beyond which more rows in waiting only wait longer.
const LANE_BYTES_MAX: u64 = 64 << 20;
/// Arenas of a shared lane: one that runs, one that is filled, one that is still being received into ...
const ARENAS_MIN: usize = 3;
/// ... and so few that looking through all of them costs nothing.
pub const ARENAS_MAX: usize = 16;
/// Arenas of a lane that one reactor fills and runs by itself: while what a turn brought in is run, the next may come.
const ARENAS_INLINE: usize = 2;
/// Without two arenas nothing could be received while a batch runs.
const ARENAS_LEAST: usize = 2;
/// Rows of a batch, if nobody says otherwise: where most models on a CPU have reached their full speed.
pub const ROWS_MAX_DEFAULT: usize = 128;
/// Bytes of the inputs and outputs of a batch, if nobody says otherwise: what last-level caches hold.
const BATCH_BYTES_MAX: u64 = 16 << 20;
/// An arena that holds several batches makes fewer batches end early at its end. How many, if their inputs have at most
/// so many bytes.
const BATCHES_PER_ARENA: [(usize, u64); 3] = [(4, 4 << 20), (2, 32 << 20), (1, u64::MAX)];
/// What the memory of an arena is a multiple of: it is mapped.
const PAGE_BYTES: u64 = 4096;

/// Bytes of one row of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowBytes {
    /// Of each input.
    pub inputs: Vec<usize>,
    /// Of all outputs together, as far as they are known.
    pub outputs: usize,
}

impl RowBytes {
    fn input_bytes(&self, rows: usize) -> u64 {
        self.inputs.iter().fold(0, |sum, &bytes| (bytes as u64).saturating_mul(rows as u64).saturating_add(sum))
    }

    /// Bytes of an arena of so many rows; more than there can be, if that is no arena.
    fn arena_bytes(&self, rows: usize) -> u64 {
        let bytes = Layout::new(rows, &self.inputs).map(|layout| (layout.arena_bytes() as u64).max(1));
        bytes.and_then(|bytes| bytes.checked_next_multiple_of(PAGE_BYTES)).unwrap_or(u64::MAX)
    }

    /// Rows of a batch, if there is memory: what was said, or the largest power of two up to [`ROWS_MAX_DEFAULT`] whose
    /// inputs and outputs have at most [`BATCH_BYTES_MAX`]. At least 1.
    fn rows_wanted(&self, said: Option<usize>) -> usize {
        if let Some(rows) = said {
            return rows.clamp(1, ARENA_ROWS_MAX);
        }
        let row = self.input_bytes(1).saturating_add(self.outputs as u64).max(1);
        let rows = (BATCH_BYTES_MAX / row).clamp(1, ROWS_MAX_DEFAULT as u64) as usize;
        1 << rows.ilog2()
    }
}

/// The memory of one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LanePlan {
    /// Rows of a batch.
    pub rows_max: usize,
    /// Rows of an arena, at least as many.
    pub arena_rows: usize,
    /// Bytes of an arena, a multiple of a page.
    pub arena_bytes: u64,
    /// How many there are, at least two.
    pub arenas: usize,
}

impl LanePlan {
    /// Bytes of the lane.
    pub fn bytes(&self) -> u64 {
        self.arena_bytes.saturating_mul(self.arenas as u64)
    }

    /// Rows that it has room for.
    pub fn rows(&self) -> usize {
        self.arena_rows * self.arenas
    }
}

/// Who fills a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// All reactors; so many rows may wait in it.
    Shared { queue_max: usize },
    /// One reactor.
    Inline,
}

/// The largest lane that is of use and has at most so many bytes. `None` if not even two arenas of one row fit.
///
/// Rows per batch are halved until two arenas of a batch fit. Then, of the allowed numbers of batches per arena, the one
/// with the most room for rows is taken, and among equals the one with the longest arenas that are not too few.
fn lane(row: &RowBytes, said: Option<usize>, kind: Kind, bytes_max: u64) -> Option<LanePlan> {
    let mut rows_max = row.rows_wanted(said);
    let fits = |rows| row.arena_bytes(rows).saturating_mul(ARENAS_LEAST as u64) <= bytes_max;
    while !fits(rows_max) {
        rows_max = Some(rows_max / 2).filter(|rows| *rows > 0)?;
    }
    let plans = BATCHES_PER_ARENA.into_iter().filter_map(|(batches, bytes_most)| {
        let arena_rows = if batches == 1 { rows_max } else { (rows_max * batches).min(ARENA_ROWS_MAX) };
        let arena_bytes = row.arena_bytes(arena_rows);
        let wanted = match kind {
            Kind::Shared { queue_max } => queue_max.div_ceil(arena_rows).clamp(ARENAS_MIN, ARENAS_MAX),
            Kind::Inline => ARENAS_INLINE,
        };
        let arenas = wanted.min(usize::try_from(bytes_max / arena_bytes).unwrap_or(usize::MAX));
        let is_allowed = arenas >= ARENAS_LEAST && row.input_bytes(arena_rows) <= bytes_most;
        is_allowed.then_some(LanePlan { rows_max, arena_rows, arena_bytes, arenas })
    });
    plans.max_by_key(|plan| (plan.rows(), plan.arenas >= ARENAS_MIN, plan.arena_rows))
}

/// What the plan has to know of a model that is batched.
#[derive(Clone, Debug)]
pub struct ModelRows<'a> {
    /// What clients call it.
    pub name: &'a str,
    /// Bytes of a row; `None` if they differ from request to request.
    pub row: Option<RowBytes>,
    /// `--max-batch`.
    pub max_batch: Option<usize>,
    /// The most rows that a trial has found to be the same together as alone: no batch has more.
    pub rows_compared: usize,
    /// `--queue-max`.
    pub queue_max: usize,
    /// Whether reactors may run it (`--inline`).
    pub inline: bool,
}

/// The lanes of one row shape of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lanes {
    /// The lane that executors take from; `None` if there is too little memory for one.
    pub shared: Option<LanePlan>,
    /// The lane that each reactor has for itself; `None` also if reactors do not run the model.
    pub inline: Option<LanePlan>,
}

/// What each part of the budget is for. The sum of its lines is the budget.
#[derive(Clone, Debug)]
pub struct MemoryPlan {
    budget: u64,
    lines: Vec<Line>,
    at_start: Vec<Option<Lanes>>,
    lane_bytes_later: u64,
}

/// One line of the sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it adds to the sum.
    pub bytes: u64,
    /// What it is for, and how it is made up.
    pub why: String,
}

impl MemoryPlan {
    /// Divides the budget among these models, which are served by so many reactors.
    pub fn new(budget: u64, reactors: usize, models: &[ModelRows<'_>]) -> MemoryPlan {
        let level = level(budget / 4, &demands(models, reactors));
        let mut lines = Vec::new();
        let at_start: Vec<_> =
            models.iter().map(|model| model.row.as_ref().map(|row| model.lanes(row, level))).collect();
        for (model, lanes) in models.iter().zip(&at_start) {
            lines.extend(lanes.iter().flat_map(|lanes| model.lines(lanes, reactors)));
        }
        let later = models.iter().filter(|model| model.row.is_none());
        let lanes_later: usize = later.map(|model| LANES_MAX.saturating_mul(model.lanes_per_shape(reactors))).sum();
        let lane_bytes_later = (budget / 4).checked_div(lanes_later as u64).unwrap_or(0).min(LANE_BYTES_MAX);
        if lanes_later > 0 {
            let bytes = lane_bytes_later * lanes_later as u64;
            let each = ByteSize(lane_bytes_later);
            lines.push(Line {
                bytes,
                why: format!("lanes made later ({lanes_later} of {each}, {LANES_MAX} row shapes)"),
            });
        }
        let taken: u64 = lines.iter().map(|line| line.bytes).sum();
        lines.push(Line { bytes: budget - taken, why: "requests of their own and outputs".into() });
        MemoryPlan { budget, lines, at_start, lane_bytes_later }
    }

    /// The parts of the budget.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The lanes that this model has from the start, by its position among the models; `None` if its row shapes are not
    /// known yet.
    pub fn at_start(&self, model: usize) -> Option<Lanes> {
        self.at_start[model]
    }

    /// The lanes of a row shape that has only now become known.
    pub fn later(&self, model: &ModelRows<'_>, row: &RowBytes) -> Lanes {
        model.lanes(row, self.lane_bytes_later)
    }
}

/// As in `memory 6 GiB = 512 KiB rows of digits (4 arenas of 512 rows of 256 B) + ...`.
impl Display for MemoryPlan {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "memory {}", ByteSize(self.budget))?;
        for (position, Line { bytes, why }) in self.lines.iter().enumerate() {
            write!(f, " {} {} {why}", if position == 0 { '=' } else { '+' }, ByteSize(*bytes))?;
        }
        Ok(())
    }
}

impl ModelRows<'_> {
    fn lanes(&self, row: &RowBytes, bytes_max: u64) -> Lanes {
        let rows_max = row.rows_wanted(self.max_batch).min(self.rows_compared);
        let lane = |kind| lane(row, Some(rows_max), kind, bytes_max);
        Lanes {
            shared: lane(Kind::Shared { queue_max: self.queue_max }),
            inline: self.inline.then(|| lane(Kind::Inline)).flatten(),
        }
    }

    fn lanes_per_shape(&self, reactors: usize) -> usize {
        if self.inline { reactors.saturating_add(1) } else { 1 }
    }

    fn lines(&self, lanes: &Lanes, reactors: usize) -> Vec<Line> {
        let row: u64 = self.row.as_ref().map_or(0, |row| row.input_bytes(1));
        let line = |count: usize, of: &str, plan: &LanePlan| {
            let LanePlan { arena_rows, arenas, .. } = plan;
            let arenas = arenas * count;
            let why = format!("rows of {}{of} ({arenas} arenas of {arena_rows} rows of {})", self.name, ByteSize(row));
            Line { bytes: plan.bytes().saturating_mul(count as u64), why }
        };
        let shared = lanes.shared.iter().map(|plan| line(1, "", plan));
        shared.chain(lanes.inline.iter().map(|plan| line(reactors, " on reactors", plan))).collect()
    }
}

/// The lanes at start: how many, and what each could use.
fn demands(models: &[ModelRows<'_>], reactors: usize) -> Vec<(usize, u64)> {
    let mut demands = Vec::new();
    for model in models {
        let Some(row) = &model.row else { continue };
        let Lanes { shared, inline } = model.lanes(row, LANE_BYTES_MAX);
        demands.extend(shared.map(|plan| (1, plan.bytes())));
        demands.extend(inline.map(|plan| (reactors, plan.bytes())));
    }
    demands
}

/// The bound of a lane's bytes under which all of them together have at most `budget`: whoever wants less gets that, and
/// the others share the rest evenly.
fn level(budget: u64, demands: &[(usize, u64)]) -> u64 {
    let mut demands = demands.to_vec();
    demands.sort_unstable_by_key(|(_, bytes)| *bytes);
    let mut lanes: u64 = demands.iter().map(|(count, _)| *count as u64).sum();
    let mut left = budget;
    for (count, bytes) in demands {
        let share = left.checked_div(lanes).unwrap_or(0);
        if bytes > share {
            return share;
        }
        left -= bytes * count as u64;
        lanes -= count as u64;
    }
    LANE_BYTES_MAX
}

/// How much of what a connection may have in flight a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    max: u32,
}

/// Rows that a connection may have in flight at least: so many small requests hide any wake-up.
const WEIGHT_MAX_LEAST: u32 = 64;
/// Requests of a connection that may wait for each instance of a model that is not batched: enough that it is never idle,
/// and few enough that somebody else's does not wait for long.
const ALONE_PER_INSTANCE: u32 = 4;

/// Requests of a connection of which nothing is known yet.
const UNKNOWN: u32 = 16;

impl Weights {
    /// The weights, where the batches of the models have so many rows at most.
    ///
    /// A connection may have two batches' worth of rows in flight: one that runs, and one that is filled meanwhile.
    pub fn new(rows_max: impl IntoIterator<Item = usize>) -> Weights {
        let most = rows_max.into_iter().max().unwrap_or(0).min(ARENA_ROWS_MAX) as u32;
        Weights { max: (2 * most).max(WEIGHT_MAX_LEAST) }
    }

    /// The sum that a connection may have.
    pub fn max(self) -> u32 {
        self.max
    }

    /// Of a request to a model that is batched: its rows. More than the sum itself is the sum.
    pub fn of_rows(self, rows: usize) -> u32 {
        u32::try_from(rows).unwrap_or(u32::MAX).clamp(1, self.max)
    }

    /// Of a request to a model that is not batched and has so many instances.
    pub fn alone(self, instances: usize) -> u32 {
        let instances = u32::try_from(instances).unwrap_or(u32::MAX).max(1);
        (self.max / instances.saturating_mul(ALONE_PER_INSTANCE)).max(1)
    }

    /// Of a request of which nothing is known yet: old clients' requests, of which they have one at a time, and messages
    /// that can only be understood as a whole.
    pub fn unknown(self) -> u32 {
        (self.max / UNKNOWN).max(1)
    }

    /// Of a request to a model that costs nothing.
    pub fn free(self) -> u32 {
        1
    }
}

#[cfg(test)]
mod tests;
