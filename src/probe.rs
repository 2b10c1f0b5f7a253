//! Whether rows of several requests may be run together, found out when a model is opened; and what its runs cost.
//!
//! Mixing strangers' rows wrongly would be the worst that a server could do, so a model has to show that it does not.
//! Its signature must claim it (`claims`): the same dynamic first axis everywhere. Then it is run (`trial`) on random
//! rows: each alone, and together with others (`beside`). Every output must have a row for each row of input, and it
//! must be the one that the row got alone, within the rounding of its type (`compare`); and not a bit of it may change
//! when the rows around it do. No batch is ever longer than the longest run that has shown this.
//!
//! In doubt a model is not batched, and one line says why. The chance in it is seeded: the same file gets the same
//! verdict every time, if the machine is quick enough for the same runs. What never will be here: requests, memory of
//! the pool, and a clock, which is an argument.

mod beside;
mod claims;
mod compare;
mod trial;

use crate::cli::BatchMode;
use beside::{SHORT, Trial};
use fastrand::Rng;
use graphpipe_schema::Shape;
use graphpiped_backend_api::{Dim, Model, Signature, TensorSpec};
use std::time::{Duration, Instant};
use trial::{Batch, Made, Runner};

/// What was found out about a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// Whether rows of several requests are run together.
    pub verdict: Verdict,
    /// The most rows that were run together, each of which was as it is alone; 0 if the model is not batched. More must
    /// not be run together: nobody knows what it would do then.
    pub rows_compared: usize,
    /// How long runs of so many rows took; empty if the model is not batched.
    pub costs: Vec<(usize, Duration)>,
    /// The shape of a row of each output, without the first axis, where it is the same for all rows that the model
    /// takes; empty if the model is not batched.
    pub row_outputs: Vec<Option<Shape>>,
}

impl Probed {
    /// Of a model that is not batched, in words that go on after "is not batched: ".
    pub fn not(why: String) -> Probed {
        Probed { verdict: Verdict::Not { why }, rows_compared: 0, costs: Vec::new(), row_outputs: Vec::new() }
    }
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

/// How long the batches may become that are tried.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Rows of the longest.
    pub rows_max: usize,
    /// Whether somebody has said so, and will wait for it.
    pub is_said: bool,
}

/// Finds out whether a model may be batched, and what its runs cost. A model that is slow, or has large rows, is tried with fewer
/// rows than are wanted.
///
/// An error is a model that somebody wants to be batched ([`BatchMode::On`]) and that cannot be. Where nothing has
/// shown that rows see each other, but nothing that they do not either, that wish decides.
pub fn probe(model: &dyn Model, mode: BatchMode, wanted: Wanted, now: impl Fn() -> Instant) -> Result<Probed, String> {
    if mode == BatchMode::Off {
        return Ok(Probed::not("batch is off".into()));
    }
    match (examine(model, wanted, &now), mode) {
        (Ok((probed, None)), _) | (Ok((probed, Some(_))), BatchMode::On) => Ok(probed),
        (Err(why), BatchMode::On) => {
            Err(format!("batch is on, but this model cannot be batched: {why}; say batch = auto or off"))
        }
        (Ok((_, Some(why))) | Err(why), _) => Ok(Probed::not(why)),
    }
}

/// Any number would do; this one makes every start alike.
const SEED: u64 = 0x0067_7261_7068_7069;

/// Runs the model. An error is a reason why it cannot be batched, a doubt is one why nobody knows.
fn examine(model: &dyn Model, wanted: Wanted, now: &impl Fn() -> Instant) -> Result<(Probed, Option<String>), String> {
    let signature = model.signature();
    claims::check(signature)?;
    let mut runner = Runner::new(model);
    let mut rng = Rng::with_seed(SEED);
    let shapes = trial::find_shapes(&mut runner, &mut rng)?;
    let mut trial = Trial::new(model, runner, &shapes, &mut rng)?;
    trial.with_a_loud_one()?;
    let rows_compared = longest(&mut trial, wanted, &mut rng, now)?;
    let costs = costs(&mut trial, rows_compared.min(wanted.rows_max), &mut rng, now)?;
    let row_outputs = row_outputs(signature, &trial.alone[0]);
    let probed = Probed { verdict: Verdict::Batched, rows_compared, costs, row_outputs };
    Ok((probed, doubt(signature, &trial.alone)))
}

/// What the longer ones of the runs that are compared may take together,
const COMPARING_MAX: Duration = Duration::from_secs(3);
/// and where somebody has said how long batches are to be.
const COMPARING_SAID_MAX: Duration = Duration::from_mins(1);
/// About how many times as many rows are tried next. Frameworks do different things for few and for many rows, and each
/// step tells how long the next one will take.
const GROWTH: usize = 4;

/// Compares rows in runs that become longer, up to this number. Gives the number of rows that were compared at last.
fn longest(trial: &mut Trial<'_>, wanted: Wanted, rng: &mut Rng, now: &impl Fn() -> Instant) -> Result<usize, String> {
    let (mut count, mut left) = (SHORT, if wanted.is_said { COMPARING_SAID_MAX } else { COMPARING_MAX });
    let wanted = wanted.rows_max.min(trial.rows.most(&trial.alone[0]));
    loop {
        let before = now();
        trial.at_random(count, rng)?;
        let took = now().duration_since(before);
        if count > SHORT {
            left = left.saturating_sub(took);
        }
        // As if rows cost nothing less together.
        let in_time = left.as_nanos() * count as u128 / took.as_nanos().max(1);
        let in_time = usize::try_from(in_time).unwrap_or(usize::MAX);
        // An odd number, so that there are rows left over where a framework takes several at a time.
        let next = wanted.min(in_time).min(GROWTH * count - 1);
        // A few rows more are not worth the time, unless they are the last ones.
        if next <= count || (next < wanted && next < 2 * count) {
            return Ok(count);
        }
        count = next;
    }
}

/// Why nothing is proved by what rows gave alone, if it is not. An output without a number shows nothing, and one that
/// does not tell any two rows apart would not show if they came back in another order.
fn doubt(signature: &Signature, alone: &[Vec<Made>]) -> Option<String> {
    signature.outputs.iter().enumerate().find_map(|(output, spec)| {
        let mut all = alone.iter().map(|row| &row[output]);
        let first = &alone[0][output].bytes;
        if !all.clone().any(|made| compare::is_any_finite(made.dtype, &made.bytes)) {
            return Some(format!("output {} has no finite number for any row that was tried", spec.name));
        }
        let is_distinct = all.any(|made| !compare::are_alike(made.dtype, first, &made.bytes, 1.0));
        (!is_distinct).then(|| format!("output {} is the same for all rows that were tried", spec.name))
    })
}

/// What all timed runs may take together: a start is not to be held up by them.
const TIMING_MAX: Duration = Duration::from_secs(1);
/// Rows of the longer run, beyond which a line is as good as it gets.
const TIMED_ROWS_MAX: usize = 64;
/// Runs of each size of which the fastest counts: the others were interrupted.
const TIMED_RUNS: u32 = 3;

/// Times runs of one row, and of as many as a batch has.
fn costs(
    trial: &mut Trial<'_>,
    rows_max: usize,
    rng: &mut Rng,
    now: &impl Fn() -> Instant,
) -> Result<Vec<(usize, Duration)>, String> {
    let start = now();
    let one = trial.rows.pick(&[0]);
    let mut costs = vec![(1, time(trial, &one, start, now)?)];
    // A run to warm up and one to be timed have to fit into the time that is left, if rows cost nothing less together.
    let left = TIMING_MAX.saturating_sub(now().duration_since(start));
    let in_time = left.as_nanos() / (2 * costs[0].1.as_nanos().max(1));
    let in_time = usize::try_from(in_time).unwrap_or(usize::MAX);
    let count = rows_max.min(TIMED_ROWS_MAX).min(in_time);
    if count > 1 {
        let batch = trial.rows.pick(&beside::random_order(count, rng));
        trial.runner.run(&batch, None).map_err(|why| format!("{count} rows together fail: {why}"))?;
        costs.push((count, time(trial, &batch, start, now)?));
    }
    Ok(costs)
}

/// The fastest of some runs into prepared memory; of one, if time is up.
fn time(trial: &mut Trial<'_>, batch: &Batch, start: Instant, now: &impl Fn() -> Instant) -> Result<Duration, String> {
    let mut memory = trial.runner.prepare(batch, Some(&trial.alone[0]));
    let mut fastest = Duration::MAX;
    for _ in 0..TIMED_RUNS {
        let before = now();
        trial.runner.call(batch, &mut memory).map_err(|why| format!("a run that succeeded before fails: {why}"))?;
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
    let is_fixed = signature.inputs.iter().all(|spec| row_shape(spec).is_some());
    let row = |made: &Made| Shape::new(made.shape.get(1..)?);
    let outputs = signature.outputs.iter().zip(one);
    outputs.map(|(spec, made)| if is_fixed { row(made) } else { row_shape(spec) }).collect()
}

/// The shape of a row, without the first axis; `None` if the signature does not tell, or there is no first axis.
fn row_shape(spec: &TensorSpec) -> Option<Shape> {
    let mut shape = Shape::SCALAR;
    for dim in spec.dims.as_deref()?.get(1..)? {
        let Dim::Fixed(size) = dim else { return None };
        shape.push(i64::try_from(*size).ok()?)?;
    }
    Some(shape)
}

#[cfg(test)]
mod tests;
