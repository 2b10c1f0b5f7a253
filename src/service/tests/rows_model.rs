//! A model that is batched and does to the bytes of each row what can be told from its first byte.

use super::super::*;
use graphpipe_schema::{DType, Shape};
use graphpiped_backend_api::{
    Dim, Elements, Input, Inputs, Kept, Model, OutputSlot, Prepared, Produced, RunError, Signature, TensorSpec,
};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What the model has seen, and what it is told.
#[derive(Default)]
pub(crate) struct Told {
    /// The rows of each run.
    pub(crate) runs: Mutex<Vec<usize>>,
    /// Instances that were made.
    pub(crate) instances: AtomicUsize,
    /// No run ends before this.
    pub(crate) until: Mutex<Option<Instant>>,
    /// Where the daemon counts what runs, and the most that a run has found there.
    pub(crate) running: Mutex<(Arc<AtomicUsize>, usize)>,
    /// References to inputs that the model has kept.
    pub(crate) kept: Mutex<Vec<Kept>>,
    /// Whether the model says that it copies.
    pub(crate) copies: AtomicBool,
}

/// `sum` is each byte of a row of `x` plus one, plus the first byte of the same row of `y`, if there is a `y`. A run with a
/// row that begins with 7 fails, with 9 it panics. The other outputs are what frameworks may do otherwise.
pub(crate) struct RowsModel {
    pub(super) signature: Signature,
    pub(super) told: Arc<Told>,
}

struct RowsInstance(Arc<Told>);

impl RowsModel {
    pub(crate) fn new(width: Dim, has_two: bool) -> RowsModel {
        let n = || Dim::Symbol("N".into());
        let spec = |name: &str, dtype, inner| TensorSpec { name: name.into(), dtype, dims: Some(vec![n(), inner]) };
        let mut inputs = vec![spec("x", DType::Float32, width.clone())];
        if has_two {
            inputs.push(spec("y", DType::Float64, Dim::Fixed(3)));
        }
        let outputs = vec![
            spec("sum", DType::Float32, width.clone()),
            spec("first", DType::Uint8, Dim::Any),
            spec("passed", DType::Float32, width.clone()),
            spec("short", DType::Uint8, Dim::Any),
            spec("lent", DType::Float32, width),
            spec("nothing", DType::Float32, Dim::Fixed(0)),
            spec("kept", DType::Uint8, Dim::Any),
            spec("part", DType::Uint8, Dim::Any),
        ];
        RowsModel { signature: Signature { inputs, outputs, variadic: false }, told: Arc::default() }
    }
}

impl Model for RowsModel {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn effective_options(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn copies(&self) -> bool {
        self.told.copies.load(Ordering::Relaxed)
    }

    fn instance(&self) -> Result<Box<dyn Instance>, OpenError> {
        self.told.instances.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(RowsInstance(self.told.clone())))
    }
}

impl Instance for RowsInstance {
    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut [OutputSlot<'_>]) -> Result<(), RunError> {
        let rows = inputs[0].shape[0] as usize;
        self.0.runs.lock().unwrap().push(rows);
        let mut running = self.0.running.lock().unwrap();
        running.1 = running.1.max(running.0.load(Ordering::Relaxed));
        drop(running);
        let until = *self.0.until.lock().unwrap();
        while until.is_some_and(|until| Instant::now() < until) {
            std::thread::yield_now();
        }
        let x: Vec<&[u8]> = bytes_of(&inputs[0]).chunks_exact(inputs[0].shape[1] as usize * 4).collect();
        assert_eq!(x.len(), rows);
        if x.iter().any(|row| row[0] == 7) {
            return Err(RunError::Model("seven".into()));
        }
        assert!(x.iter().all(|row| row[0] != 9), "nine");
        let y = |row: usize| inputs.get(1).map_or(0, |y| bytes_of(y)[row * 24]);
        let sums = || {
            let sum = |(row, bytes): (usize, &&[u8])| bytes.iter().map(|b| b + 1 + y(row)).collect::<Vec<u8>>();
            x.iter().enumerate().flat_map(sum).collect::<Vec<u8>>()
        };
        for slot in outputs {
            slot.produced = Some(match (slot.index, &mut slot.prepared) {
                (0, Some(Prepared { bytes, .. })) => {
                    bytes.copy_from_slice(&sums());
                    Produced::InPlace
                }
                (1, _) => lent(&[rows as i64, 1], DType::Uint8, x.iter().map(|row| row[0]).collect()),
                (2, _) => Produced::SameAsInput(0),
                (3, _) => lent(&[rows as i64 - 1, 1], DType::Uint8, vec![1; rows - 1]),
                (4, _) => lent(inputs[0].shape, DType::Float32, sums()),
                (5, Some(_)) => Produced::InPlace,
                // As a framework does that has put its input into a variable.
                (6, _) => {
                    self.0.kept.lock().unwrap().push(inputs.keep());
                    lent(&[rows as i64, 1], DType::Uint8, x.iter().map(|row| row[0]).collect())
                }
                // The whole input, as a framework does that looks at it as something else.
                (7, _) => {
                    let shape = Shape::new(&[rows as i64, x[0].len() as i64]).unwrap();
                    Produced::OfInput { position: 0, start: 0, shape, dtype: DType::Uint8 }
                }
                other => panic!("an output that is not prepared: {other:?}"),
            });
        }
        Ok(())
    }
}

fn bytes_of<'a>(input: &Input<'a>) -> &'a [u8] {
    let Elements::Bytes(bytes) = input.elements else { panic!("strings") };
    assert!(bytes.is_empty() || bytes.as_ptr().addr().is_multiple_of(input.dtype.size().unwrap()), "misaligned");
    bytes
}

fn lent(dims: &[i64], dtype: DType, bytes: Vec<u8>) -> Produced {
    Produced::Lent { shape: Shape::new(dims).unwrap(), dtype, owner: Arc::new(bytes) }
}
