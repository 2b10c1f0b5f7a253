//! Models made up for one trait each; real ones are in [`onnx`].

mod conditions;
mod onnx;
mod signatures;

use super::beside::check_shape;
use super::trial::Rows;
use super::*;
use graphpipe_schema::DType;
use graphpiped_backend_api::{Dim, Elements, Inputs, Instance, OpenError, OutputSlot, Produced, RunError, TensorSpec};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// What a made-up model does with its rows of two numbers.
type Work = dyn Fn(&[[f32; 2]]) -> Result<Vec<[f32; 2]>, RunError> + Send + Sync;

/// A model of one input and one output, each `float32 [N, 2]`, that takes time of a clock of its own.
#[derive(Clone)]
struct Fake {
    signature: Arc<Signature>,
    work: Arc<Work>,
    /// What it does where memory is prepared, if that is not the same.
    work_in_place: Option<Arc<Work>>,
    clock: Arc<AtomicU64>,
    /// Nanoseconds of a run, and of each row in it.
    cost: (u64, u64),
    /// How many instances have been made.
    instances: Arc<AtomicU64>,
    /// The rows of each run.
    runs: Arc<Mutex<Vec<usize>>>,
}

impl Fake {
    fn new(work: impl Fn(&[[f32; 2]]) -> Result<Vec<[f32; 2]>, RunError> + Send + Sync + 'static) -> Fake {
        let spec = |name: &str| TensorSpec {
            name: name.into(),
            dtype: DType::Float32,
            dims: Some(vec![Dim::Symbol("N".into()), Dim::Fixed(2)]),
        };
        let signature = Signature { inputs: vec![spec("x")], outputs: vec![spec("y")], variadic: false };
        Fake {
            signature: Arc::new(signature),
            work: Arc::new(work),
            work_in_place: None,
            clock: Arc::default(),
            cost: (0, 0),
            instances: Arc::default(),
            runs: Arc::default(),
        }
    }

    fn probe(&self, mode: BatchMode, rows_max: usize) -> Result<Probed, String> {
        self.probe_for(mode, Wanted { rows_max, is_said: false })
    }

    fn probe_for(&self, mode: BatchMode, wanted: Wanted) -> Result<Probed, String> {
        let (clock, start) = (self.clock.clone(), Instant::now());
        probe(self, mode, wanted, move || start + Duration::from_nanos(clock.load(Ordering::Relaxed)))
    }

    fn verdict(&self) -> Verdict {
        self.probe(BatchMode::Auto, 128).expect("nobody insists").verdict
    }

    /// What is wrong with it.
    fn why(&self) -> String {
        match self.verdict() {
            Verdict::Not { why } => why,
            Verdict::Batched => panic!("it is batched"),
        }
    }
}

impl Model for Fake {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn effective_options(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn instance(&self) -> Result<Box<dyn Instance>, OpenError> {
        self.instances.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(self.clone()))
    }
}

impl Instance for Fake {
    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut [OutputSlot<'_>]) -> Result<(), RunError> {
        let Elements::Bytes(bytes) = inputs[0].elements else { panic!("strings") };
        let number = |at: usize| f32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let rows: Vec<_> = (0..bytes.len() / 8).map(|row| [number(8 * row), number(8 * row + 4)]).collect();
        assert_eq!(inputs[0].shape, [rows.len() as i64, 2]);
        assert_eq!(bytes.as_ptr().align_offset(256), 0, "as run buffers are");
        self.runs.lock().expect("no run panics while it holds this").push(rows.len());
        self.clock.fetch_add(self.cost.0 + self.cost.1 * rows.len() as u64, Ordering::Relaxed);
        let to_bytes = |made: &[[f32; 2]]| made.iter().flatten().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let lent = |made: &[[f32; 2]]| {
            let shape = Shape::new(&[made.len() as i64, 2]).expect("two axes");
            Some(Produced::Lent { shape, dtype: DType::Float32, owner: Arc::new(to_bytes(made)) })
        };
        let (first, others) = outputs.split_first_mut().expect("it has an output");
        first.produced = match (&mut first.prepared, &self.work_in_place) {
            (Some(prepared), Some(work)) => {
                prepared.bytes.copy_from_slice(&to_bytes(&work(&rows)?));
                Some(Produced::InPlace)
            }
            _ => lent(&(self.work)(&rows)?),
        };
        // Any other output says nothing.
        for output in others {
            output.produced = lent(&vec![[1.0, 2.0]; rows.len()]);
        }
        Ok(())
    }
}

fn doubled(rows: &[[f32; 2]]) -> Vec<[f32; 2]> {
    rows.iter().map(|row| row.map(|number| 2.0 * number)).collect()
}

#[test]
fn a_model_that_treats_each_row_by_itself_is_batched() {
    let fake = Fake::new(|rows| Ok(doubled(rows)));
    let probed = fake.probe(BatchMode::On, 128).expect("it can be");
    assert_eq!(probed.verdict, Verdict::Batched);
    assert_eq!(probed.row_outputs, [Shape::new(&[2])]);
    let runs = fake.runs.lock().unwrap().clone();
    assert!(runs.contains(&1) && runs.contains(&3) && runs.contains(&5) && runs.contains(&128), "{runs:?}");
    assert_eq!(probed.rows_compared, 128);
}

#[test]
fn a_model_that_must_not_be_batched_is_not_even_run() {
    let fake = Fake::new(|_| panic!("it is run"));
    let probed = fake.probe(BatchMode::Off, 128).expect("nothing is asked for");
    assert_eq!(probed.verdict, Verdict::Not { why: "batch is off".into() });
    assert_eq!(fake.runs.lock().unwrap().len(), 0);
}

#[test]
fn a_model_that_cannot_be_batched_is_refused_if_somebody_insists() {
    let fake = Fake::new(|rows| Ok(doubled(rows).into_iter().rev().collect()));
    let why = "output y of a row is another one when other rows are run beside it";
    assert_eq!(fake.verdict(), Verdict::Not { why: why.into() });
    let message = fake.probe(BatchMode::On, 128).expect_err("it mixes rows up");
    let expected = format!("batch is on, but this model cannot be batched: {why}; say batch = auto or off");
    assert_eq!(message, expected);
}

#[test]
fn where_nothing_is_proved_the_operator_decides() {
    let fake = Fake::new(|rows| Ok(vec![[1.0, 2.0]; rows.len()]));
    assert_eq!(fake.why(), "output y is the same for all rows that were tried");
    assert_eq!(fake.probe(BatchMode::On, 8).expect("nothing speaks against it").verdict, Verdict::Batched);
    let fake = Fake::new(|rows| Ok(vec![[f32::NAN; 2]; rows.len()]));
    assert_eq!(fake.why(), "output y has no finite number for any row that was tried");
}

#[test]
fn larger_and_smaller_numbers_are_tried_where_the_first_ones_tell_no_rows_apart() {
    let fake = Fake::new(|rows| Ok(rows.iter().map(|row| row.map(|x| (x / 40.0).trunc())).collect()));
    assert_eq!(fake.verdict(), Verdict::Batched);
}

#[test]
fn a_five_thousandth_of_a_neighbour_shows() {
    // 0.02 % of the first row, where rounding is 0.01 % of the own one.
    let fake = Fake::new(|rows| {
        let first = rows[0];
        Ok(rows.iter().map(|row| [row[0] + 2e-4 * first[0], row[1]]).collect())
    });
    assert!(fake.why().contains("output y of a row is another one"), "{}", fake.why());
}

#[test]
fn too_many_or_too_few_rows_are_named() {
    let fake = Fake::new(|rows| Ok(doubled(&rows[..1])));
    assert_eq!(fake.why(), "output y has the shape [1, 2] for 5 rows");
    let fake = Fake::new(|rows| Ok(doubled(&[rows, rows].concat())));
    assert_eq!(fake.why(), "output y has the shape [2, 2] for 1 row");
}

#[test]
fn a_model_that_remembers_earlier_runs_is_not_batched() {
    let runs = AtomicU64::new(0);
    let fake = Fake::new(move |rows| {
        let run = runs.fetch_add(1, Ordering::Relaxed) as f32;
        Ok(rows.iter().map(|row| [row[0] + run, row[1]]).collect())
    });
    assert_eq!(fake.why(), "output y of the same row differs from run to run");
}

#[test]
fn what_a_framework_says_is_passed_on() {
    let refuses = |fails: fn(usize) -> bool| {
        Fake::new(
            move |rows| {
                if fails(rows.len()) { Err(RunError::Model("I will not".into())) } else { Ok(doubled(rows)) }
            },
        )
    };
    assert_eq!(refuses(|_| true).why(), "no trial run succeeded (3 rows of [2]: I will not)");
    assert_eq!(refuses(|rows| rows == 1).why(), "one row alone fails: I will not");
    assert_eq!(refuses(|rows| rows == 5).why(), "5 rows together fail: I will not");
    assert_eq!(refuses(|rows| rows > 5).why(), "19 rows together fail: I will not");
}

#[test]
fn a_panic_in_a_framework_is_a_failed_run() {
    let fake = Fake::new(|rows| if rows.len() == 5 { panic!("five!") } else { Ok(doubled(rows)) });
    assert_eq!(fake.why(), "5 rows together fail: the framework panicked: five!");
}

#[test]
fn an_instance_that_panicked_is_not_used_again() {
    let runs = AtomicU64::new(0);
    let fake = Fake::new(move |rows| match runs.fetch_add(1, Ordering::Relaxed) {
        1 => panic!("the second run"),
        _ => Ok(doubled(rows)),
    });
    let rows = Rows::random(&fake.signature, &[Shape::new(&[2]).unwrap()], &[1.0], &mut Rng::with_seed(SEED));
    let mut runner = Runner::new(&fake);
    let results = [(); 4].map(|()| runner.run(&rows.pick(&[0]), None).map(|made| made.len()));
    assert_eq!(results, [Ok(1), Err("the framework panicked: the second run".into()), Ok(1), Ok(1)]);
    assert_eq!(fake.instances.load(Ordering::Relaxed), 2);
}

#[test]
fn a_row_that_changes_its_shape_or_type_is_named() {
    let made = |dtype, dims: &[i64]| {
        let shape = Shape::new(dims).unwrap();
        Made { dtype, shape, bytes: vec![0; shape.bytes(dtype).unwrap() as usize] }
    };
    let one = made(DType::Float32, &[1, 2, 3]);
    assert_eq!(check_shape("y", &made(DType::Float32, &[5, 2, 3]), 5, &one), Ok(()));
    let why = |other| check_shape("y", &other, 5, &one).expect_err("it is another one");
    assert_eq!(
        why(made(DType::Float32, &[5, 3, 2])),
        "output y changes its shape from run to run ([1, 2, 3] and [5, 3, 2])"
    );
    assert_eq!(why(made(DType::Int32, &[5, 2, 3])), "output y changes its type from run to run (float32 and int32)");
    assert_eq!(why(made(DType::Float32, &[])), "output y has the shape [] for 5 rows");
}

#[test]
fn runs_are_timed_by_the_clock_that_is_given() {
    let fake = Fake { cost: (10_000, 2_000), ..Fake::new(|rows| Ok(doubled(rows))) };
    let costs = |rows_max| fake.probe(BatchMode::Auto, rows_max).expect("nobody insists").costs;
    let microseconds = Duration::from_micros;
    assert_eq!(costs(1000), [(1, microseconds(12)), (64, microseconds(138))]);
    assert_eq!(costs(16), [(1, microseconds(12)), (16, microseconds(42))]);
    assert_eq!(costs(1), [(1, microseconds(12))]);
}

#[test]
fn a_slow_model_is_tried_and_timed_with_fewer_rows_and_fewer_times() {
    let slow = |milliseconds: u64| {
        let fake = Fake { cost: (0, milliseconds * 1_000_000), ..Fake::new(|rows| Ok(doubled(rows))) };
        let probed = fake.probe(BatchMode::Auto, 128).expect("nobody insists");
        assert_eq!(probed.verdict, Verdict::Batched);
        let runs = fake.runs.lock().unwrap().clone();
        (probed.rows_compared, probed.costs.iter().map(|(rows, _)| *rows).collect::<Vec<_>>(), runs)
    };
    // 3 · 5 rows, then three seconds for three runs of 19 rows. Then 3 · 50 ms, and 850 ms for two runs of 8 rows, of
    // which one is to warm up.
    let (rows_compared, sizes, runs) = slow(50);
    assert_eq!((rows_compared, &sizes[..]), (19, &[1, 8][..]));
    assert_eq!(runs[runs.len() - 11..], [5, 5, 5, 19, 19, 19, 1, 1, 1, 8, 8]);
    // Whoever has said how long batches are to be waits for it.
    let fake = Fake { cost: (0, 50_000_000), ..Fake::new(|rows| Ok(doubled(rows))) };
    let probed = fake.probe_for(BatchMode::Auto, Wanted { rows_max: 128, is_said: true }).expect("nobody insists");
    assert_eq!(probed.rows_compared, 128);
    // Three runs of 5 rows take 9 s. One of the timed ones takes 600 ms, and nothing fits into the rest.
    let (rows_compared, sizes, runs) = slow(600);
    assert_eq!((rows_compared, &sizes[..]), (5, &[1][..]));
    assert_eq!(runs[runs.len() - 4..], [5, 5, 5, 1], "one run is timed, behind the last comparison");
}
