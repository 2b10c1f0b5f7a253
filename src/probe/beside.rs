//! Rows alone, and the same rows beside others.
//!
//! Two things are asked of each row, and neither could be left out:
//!
//! - Beside others it gives what it gives alone. A framework may compute one row by other instructions than many, so
//!   this can only be asked within the rounding of the type (`compare`), and what is small beside a large number of the
//!   same row goes under in that.
//! - At the same place of a run of the same length it gives the same to the last bit, whoever its neighbours are. The
//!   same instructions compute it in both runs, so that there is nothing for which to make allowance.
//!
//! The first finds rows that are mixed up or depend on how many there are, the second the faintest trace of a
//! neighbour. What never will be here: time, and verdicts.

use super::compare;
use super::trial::{Made, Rows, Runner};
use fastrand::Rng;
use graphpipe_schema::Shape;
use graphpiped_backend_api::Model;

/// What floating-point inputs are at most, in the rows by turns: of the size that most models expect; larger, where
/// functions saturate; loud, as the numbers of a picture are, of which the smallest leak shows in the others; and
/// quiet.
const SCALES: [f64; 4] = [1.0, 8.0, LOUD, 1.0 / 64.0];
const LOUD: f64 = 256.0;
/// How many there are, each of which is run alone.
const ROWS: usize = 3 * SCALES.len();
/// Rows of a short run. Every model has to do these, however long they take.
pub(super) const SHORT: usize = 5;
/// A short run of rows that are not loud, and the same with a loud one among them.
const QUIET: [usize; SHORT] = [0, 4, 8, 3, 5];
const WITH_LOUD: [usize; SHORT] = [0, 4, 2, 3, 5];

/// Who writes the outputs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outputs {
    /// The framework, into its own memory: it tells the shape.
    Lent,
    /// The framework, into memory that was prepared for them, as batches are run.
    Prepared,
}

/// A model, and what its rows give alone.
pub(super) struct Trial<'m> {
    pub runner: Runner<'m>,
    pub rows: Rows,
    /// The outputs of each row.
    pub alone: Vec<Vec<Made>>,
}

impl<'m> Trial<'m> {
    /// Runs random rows of these shapes, each alone.
    pub fn new(model: &'m dyn Model, runner: Runner<'m>, shapes: &[Shape], rng: &mut Rng) -> Result<Self, String> {
        let scales: Vec<_> = SCALES.into_iter().cycle().take(ROWS).collect();
        let rows = Rows::random(model.signature(), shapes, &scales, rng);
        let mut trial = Trial { runner, rows, alone: Vec::with_capacity(ROWS) };
        for row in 0..ROWS {
            let made = trial.runner.run(&trial.rows.pick(&[row]), None);
            let made = made.map_err(|why| format!("one row alone fails: {why}"))?;
            for (output, (made, first)) in made.iter().zip(trial.alone.first().unwrap_or(&made)).enumerate() {
                check_shape(trial.runner.name(output), made, 1, first)?;
            }
            trial.alone.push(made);
        }
        for outputs in [Outputs::Lent, Outputs::Prepared] {
            trial.again(outputs)?;
        }
        Ok(trial)
    }

    /// Runs the first row once more. If it did not give the same, nothing of all this would mean anything.
    fn again(&mut self, outputs: Outputs) -> Result<(), String> {
        let made = self.run(&[0], outputs).map_err(|why| format!("a row that ran before fails: {why}"))?;
        for (output, (again, first)) in made.iter().zip(&self.alone[0]).enumerate() {
            let name = self.runner.name(output);
            check_shape(name, again, 1, first)?;
            if !compare::are_alike(first.dtype, &first.bytes, &again.bytes, 1.0) {
                return Err(format!("output {name} of the same row differs from run to run"));
            }
        }
        Ok(())
    }

    fn run(&mut self, order: &[usize], outputs: Outputs) -> Result<Vec<Made>, String> {
        let one = (outputs == Outputs::Prepared).then_some(&self.alone[0][..]);
        self.runner.run(&self.rows.pick(order), one)
    }

    /// Short runs, with and without a loud row.
    pub fn with_a_loud_one(&mut self) -> Result<(), String> {
        let quiet = self.together(&QUIET, Outputs::Lent)?;
        let with_loud = self.together(&WITH_LOUD, Outputs::Lent)?;
        self.check_neighbours((&QUIET, &quiet), (&WITH_LOUD, &with_loud))
    }

    /// Runs so many rows in random order; and twice more, with others in the places of a random half of them, and then
    /// of the other half.
    pub fn at_random(&mut self, count: usize, rng: &mut Rng) -> Result<(), String> {
        let first = random_order(count, rng);
        let made = self.together(&first, Outputs::Prepared)?;
        let in_half: Vec<bool> = (0..count).map(|_| rng.bool()).collect();
        for replaced in [true, false] {
            let mut other = first.clone();
            for (row, _) in other.iter_mut().zip(&in_half).filter(|(_, in_half)| **in_half == replaced) {
                *row = (*row + rng.usize(1..ROWS)) % ROWS;
            }
            let made_beside_others = self.together(&other, Outputs::Prepared)?;
            self.check_neighbours((&first, &made), (&other, &made_beside_others))?;
        }
        Ok(())
    }

    /// Runs rows together, and compares each with what it gave alone.
    fn together(&mut self, order: &[usize], outputs: Outputs) -> Result<Vec<Made>, String> {
        let count = order.len();
        let made = self.run(order, outputs).map_err(|why| format!("{count} rows together fail: {why}"))?;
        for (output, made) in made.iter().enumerate() {
            check_shape(self.runner.name(output), made, count, &self.alone[0][output])?;
            for (position, &row) in order.iter().enumerate() {
                let alone = &self.alone[row][output].bytes;
                if !compare::are_alike(made.dtype, alone, made.row(position, count), slack(row)) {
                    return Err(self.sees_others(output));
                }
            }
        }
        Ok(made)
    }

    /// Compares, to the last bit, the rows that are at the same places of two runs.
    fn check_neighbours(&self, one: (&[usize], &[Made]), other: (&[usize], &[Made])) -> Result<(), String> {
        let count = one.0.len();
        let stayed: Vec<_> = (0..count).filter(|&position| one.0[position] == other.0[position]).collect();
        for (output, (one, other)) in one.1.iter().zip(other.1).enumerate() {
            if stayed.iter().any(|&position| one.row(position, count) != other.row(position, count)) {
                return Err(self.sees_others(output));
            }
        }
        Ok(())
    }

    fn sees_others(&self, output: usize) -> String {
        format!("output {} of a row is another one when other rows are run beside it", self.runner.name(output))
    }
}

/// Random rows. A pattern that came back would hide rows that are all shifted by its length.
pub(super) fn random_order(count: usize, rng: &mut Rng) -> Vec<usize> {
    (0..count).map(|_| rng.usize(..ROWS)).collect()
}

/// By how much more a row may differ from what it gives alone than others. What rounding does to a loud row is as much
/// larger, and where an exponential function follows it does not become smaller by comparison.
fn slack(row: usize) -> f64 {
    let scale = SCALES[row % SCALES.len()];
    if scale < LOUD { 1.0 } else { LOUD / 8.0 }
}

/// Checks that an output has so many rows, each of the type and shape of this one.
pub(super) fn check_shape(name: &str, made: &Made, rows: usize, one: &Made) -> Result<(), String> {
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
