//! Whether rows of several requests may be run together, found out when a model is opened; and what its runs cost.
//!
//! Mixing strangers' rows wrongly would be the worst that a server could do, so a model has to show that it does not. Its
//! signature must claim it (`claims`): the same dynamic first axis everywhere. Then it is run (`trial`) on random rows:
//! each alone, and several of them together in different orders. Every output must have a row for each row of input, and
//! it must be the one that the row got alone, within the rounding of its type (`compare`). A row that is run twice alone
//! must give the same twice, or nothing of all this would mean anything.
//!
//! In doubt a model is not batched, and one line says why. The chance in it is seeded: the same file gets the same
//! verdict every time. What never will be here: requests, memory of the pool, and a clock, which is an argument.

mod claims;
mod compare;
mod trial;

use crate::cli::BatchMode;
use crate::plan;
use fastrand::Rng;
use graphpipe_schema::Shape;
use graphpiped_backend_api::{Model, Signature};
use std::time::{Duration, Instant};
use trial::{Made, Rows, Runner};

/// What was found out about a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// Whether rows of several requests are run together.
    pub verdict: Verdict,
    /// How long runs of so many rows took; empty if the model is not batched.
    pub costs: Vec<(usize, Duration)>,
    /// The shape of a row of each output, without the first axis, where it is the same for all rows that the model takes;
    /// empty if the model is not batched.
    pub row_outputs: Vec<Option<Shape>>,
}

/// Whether rows of several requests are run together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They are.
    Batched,
    /// Each request runs alone.
    Not {
        /// Why, in words that go on after "is not batched: ".
        why: String,
    },
}

/// Finds out whether a model may be batched, and what its runs cost. `rows_max` is the number of rows that its batches
/// would have.
///
/// An error is a model that somebody wants to be batched ([`BatchMode::On`]) and that cannot be. Where nothing has shown
/// that rows see each other, but nothing that they do not either, that wish decides.
pub fn probe(model: &dyn Model, mode: BatchMode, rows_max: usize, now: impl Fn() -> Instant) -> Result<Probed, String> {
    let not = |why| Probed { verdict: Verdict::Not { why }, costs: Vec::new(), row_outputs: Vec::new() };
    if mode == BatchMode::Off {
        return Ok(not("batch is off".into()));
    }
    match (examine(model, rows_max, &now), mode) {
        (Ok((probed, None)), _) | (Ok((probed, Some(_))), BatchMode::On) => Ok(probed),
        (Err(why), BatchMode::On) => {
            Err(format!("batch is on, but this model cannot be batched: {why}; say batch = auto or off"))
        }
        (Ok((_, Some(why))) | Err(why), _) => Ok(not(why)),
    }
}

/// Rows that are run alone and together.
const ROWS: usize = 5;
/// The orders in which they are run together: all of them, and some of them in another order.
const ORDERS: [&[usize]; 2] = [&[0, 1, 2, 3, 4], &[2, 0, 4]];
/// What floating-point inputs are at most, in each trial: of the size that most models expect, and larger, where functions
/// saturate. The others are tried only while no output tells rows apart.
const SCALES: [f64; 4] = [1.0, 8.0, 64.0, 1.0 / 64.0];
/// Trials that are made in any case.
const TRIALS_MIN: usize = 2;
/// Any number would do; this one makes every start alike.
const SEED: u64 = 0x0067_7261_7068_7069;

/// Runs the model. An error is a reason why it cannot be batched, a doubt is one why nobody knows.
fn examine(model: &dyn Model, rows_max: usize, now: &impl Fn() -> Instant) -> Result<(Probed, Option<String>), String> {
    let signature = model.signature();
    claims::check(signature)?;
    let mut runner = Runner::new(model);
    let mut rng = Rng::with_seed(SEED);
    let shapes = trial::find_shapes(&mut runner, &mut rng)?;
    let mut evidence = Evidence::new(signature);
    let mut last = None;
    for (number, scale) in SCALES.into_iter().enumerate() {
        if number >= TRIALS_MIN && evidence.doubt(signature).is_none() {
            break;
        }
        let rows = Rows::random(signature, &shapes, ROWS, scale, &mut rng);
        let alone = alone(&mut runner, &rows)?;
        for order in ORDERS {
            together(&mut runner, &rows, &alone, order)?;
        }
        evidence.add(&alone);
        last = Some((rows, alone));
    }
    let (rows, alone) = last.expect("at least two trials were made");
    let costs = costs(&mut runner, &rows, &alone, rows_max, now)?;
    let probed = Probed { verdict: Verdict::Batched, costs, row_outputs: row_outputs(signature, &alone[0]) };
    Ok((probed, evidence.doubt(signature)))
}

/// What each row gives alone.
fn alone(runner: &mut Runner<'_>, rows: &Rows) -> Result<Vec<Vec<Made>>, String> {
    let mut alone: Vec<Vec<Made>> = Vec::with_capacity(ROWS);
    for row in 0..ROWS {
        let made = runner.run(&rows.pick(&[row])).map_err(|why| format!("one row alone fails: {why}"))?;
        let first = alone.first().unwrap_or(&made);
        for (output, (made, first)) in made.iter().zip(first).enumerate() {
            check_shape(runner.name(output), made, 1, first)?;
        }
        alone.push(made);
    }
    let again = runner.run(&rows.pick(&[0])).map_err(|why| format!("a row that ran before fails: {why}"))?;
    for (output, (again, first)) in again.iter().zip(&alone[0]).enumerate() {
        let name = runner.name(output);
        check_shape(name, again, 1, first)?;
        if !compare::are_alike(first.dtype, &first.bytes, &again.bytes) {
            return Err(format!("output {name} of the same row differs from run to run"));
        }
    }
    Ok(alone)
}

/// Runs rows together, and compares each with what it gave alone.
fn together(runner: &mut Runner<'_>, rows: &Rows, alone: &[Vec<Made>], order: &[usize]) -> Result<(), String> {
    let count = order.len();
    let made = runner.run(&rows.pick(order)).map_err(|why| format!("{count} rows together fail: {why}"))?;
    for (output, made) in made.iter().enumerate() {
        let name = runner.name(output);
        check_shape(name, made, count, &alone[0][output])?;
        for (position, &row) in order.iter().enumerate() {
            if !compare::are_alike(made.dtype, &alone[row][output].bytes, made.row(position, count)) {
                return Err(format!("output {name} of a row is another one when other rows are run beside it"));
            }
        }
    }
    Ok(())
}

/// Checks that an output has so many rows, each of the type and shape of this one.
fn check_shape(name: &str, made: &Made, rows: usize, one: &Made) -> Result<(), String> {
    let (first, inner) = made.shape.split_first().unzip();
    if first != Some(&(rows as i64)) {
        let plural = if rows == 1 { "" } else { "s" };
        return Err(format!("output {name} has the shape {} for {rows} row{plural}", made.shape));
    }
    if made.dtype != one.dtype {
        return Err(format!("output {name} changes its type from run to run ({} and {})", one.dtype, made.dtype));
    }
    if inner != one.shape.get(1..) {
        return Err(format!("output {name} changes its shape from run to run ({} and {})", one.shape, made.shape));
    }
    Ok(())
}

/// What the outputs of rows that ran alone have to say.
struct Evidence {
    /// Of each output: whether anything in it was a finite number.
    is_finite: Vec<bool>,
    /// Whether any output tells any two rows apart. If none does, rows could come back in another order unseen.
    is_distinct: bool,
}

impl Evidence {
    fn new(signature: &Signature) -> Evidence {
        Evidence { is_finite: vec![false; signature.outputs.len()], is_distinct: false }
    }

    fn add(&mut self, alone: &[Vec<Made>]) {
        for row in alone {
            for (output, made) in row.iter().enumerate() {
                self.is_finite[output] |= compare::is_any_finite(made.dtype, &made.bytes);
                self.is_distinct |= !compare::are_alike(made.dtype, &alone[0][output].bytes, &made.bytes);
            }
        }
    }

    /// Why nothing is proved, if it is not.
    fn doubt(&self, signature: &Signature) -> Option<String> {
        let outputs = self.is_finite.iter().zip(&signature.outputs);
        if let Some((_, spec)) = outputs.into_iter().find(|(is_finite, _)| !**is_finite) {
            return Some(format!("output {} has no finite number for any row that was tried", spec.name));
        }
        (!self.is_distinct).then(|| "the outputs are the same for all rows that were tried".into())
    }
}

/// What all timed runs may take together: a start is not to be held up by them.
const TIMING_MAX: Duration = Duration::from_secs(1);
/// Rows of the longer run, beyond which a line is as good as it gets.
const TIMED_ROWS_MAX: usize = 64;
/// Runs of each size of which the fastest counts: the others were interrupted.
const TIMED_RUNS: u32 = 3;

/// Times runs of one row, and of as many as a batch has. Those together are compared, too.
fn costs(
    runner: &mut Runner<'_>,
    rows: &Rows,
    alone: &[Vec<Made>],
    rows_max: usize,
    now: &impl Fn() -> Instant,
) -> Result<Vec<(usize, Duration)>, String> {
    let start = now();
    let mut costs = vec![(1, time(runner, &rows.pick(&[0]), start, now)?)];
    // A run to warm up and one to be timed have to fit into the time that is left, if rows cost nothing less together.
    let left = TIMING_MAX.saturating_sub(now().duration_since(start));
    let in_time = left.as_nanos() / (2 * costs[0].1.as_nanos().max(1));
    let in_time = usize::try_from(in_time).unwrap_or(usize::MAX);
    let count = rows_max.min(TIMED_ROWS_MAX).min(in_time).min(rows.count_within(trial::RUN_BYTES_MAX));
    if count > 1 {
        let order: Vec<_> = (0..count).map(|position| position % ROWS).collect();
        together(runner, rows, alone, &order)?;
        costs.push((count, time(runner, &rows.pick(&order), start, now)?));
    }
    Ok(costs)
}

/// The fastest of some runs; of one, if time is up.
fn time(
    runner: &mut Runner<'_>,
    batch: &trial::Batch,
    start: Instant,
    now: &impl Fn() -> Instant,
) -> Result<Duration, String> {
    let mut fastest = Duration::MAX;
    for _ in 0..TIMED_RUNS {
        let before = now();
        runner.call(batch).map_err(|why| format!("a run that succeeded before fails: {why}"))?;
        let after = now();
        fastest = fastest.min(after.duration_since(before));
        // Half of the time is for runs of each size.
        if after.duration_since(start) > TIMING_MAX / 2 {
            break;
        }
    }
    Ok(fastest)
}

/// The shape of a row of each output where nothing but the number of rows can change it, or the signature tells it.
fn row_outputs(signature: &Signature, one: &[Made]) -> Vec<Option<Shape>> {
    let is_fixed = signature.inputs.iter().all(|spec| plan::row_shape(spec).is_some());
    let row = |made: &Made| Shape::new(made.shape.get(1..)?);
    let outputs = signature.outputs.iter().zip(one);
    outputs.map(|(spec, made)| if is_fixed { row(made) } else { plan::row_shape(spec) }).collect()
}

#[cfg(test)]
mod tests;
