//! The bare framework: ONNX Runtime runs a model again and again, in memory that stays where it is. Nothing that serves this
//! model can take less.

use crate::cores;
use crate::npy::npy;
use crate::options::Bench;
use crate::socket::warm_memory;
use crate::spread::quantile;
use anyhow::{Context, Result, bail, ensure};
use graphpipe_schema::{DType, Shape};
use graphpiped_backend_api::{
    Backend, Dim, Elements, Input, Inputs, Instance, Keep, Kept, Model, Options, OutputSlot, Prepared, Produced,
    TensorSpec,
};
use graphpiped_backend_onnx::{Locations, OnnxBackend, WANTED};
use memmap2::MmapMut;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The sample model.
pub const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/digits/digits.onnx");
/// Where the project keeps ONNX Runtime; the daemon finds it there too.
const RUNTIME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../runtime/onnxruntime");

/// How long runs take.
#[derive(Clone, Copy, Debug, Default)]
pub struct Runs {
    /// Runs per second.
    pub rate: f64,
    /// The median of one in microseconds.
    pub p50_us: f64,
    /// The 99th percentile.
    pub p99_us: f64,
}

/// An open model.
pub struct Framework {
    model: Arc<dyn Model>,
}

impl Framework {
    /// Opens a model with so many threads within a run.
    pub fn open(path: &Path, threads: usize) -> Result<Framework> {
        let locations = Locations::new(&WANTED, None, vec![RUNTIME.into()], "get it with `make runtime`");
        let model =
            OnnxBackend::new(locations).open(path, &Options { intra_threads: threads, ..Options::default() })?;
        Ok(Framework { model })
    }

    /// Makes ready to run so many rows at a time; each element of the one input is a number from 0 to 16.
    pub fn rows(&self, rows: usize) -> Result<BareLoop> {
        let signature = self.model.signature();
        let [input] = signature.inputs.as_slice() else {
            bail!("the model has {} inputs, not one", signature.inputs.len());
        };
        ensure!(input.dtype == DType::Float32, "the model's input is {}, not float32", input.dtype);
        let input = Arc::new(Tensor::new(input, rows)?);
        let outputs = signature.outputs.iter().map(|output| Tensor::new(output, rows));
        let mut bare =
            BareLoop { instance: self.model.instance()?, input, outputs: outputs.collect::<Result<Vec<Tensor>>>()? };
        let numbers: Vec<f32> = (0..bare.input.bytes.len() / 4).map(|index| (index % 17) as f32).collect();
        bare.set_input(&numbers);
        Ok(bare)
    }
}

/// A model, ready to run the same rows again and again.
pub struct BareLoop {
    instance: Box<dyn Instance>,
    input: Arc<Tensor>,
    outputs: Vec<Tensor>,
}

impl BareLoop {
    /// Opens the sample model for one row and with one thread, as the daemon does by default.
    pub fn open() -> Result<BareLoop> {
        Framework::open(Path::new(DIGITS), 1)?.rows(1)
    }

    /// The input and what the framework makes of it, as NumPy files: the input, and the first output.
    pub fn golden(&mut self) -> Result<[Vec<u8>; 2]> {
        self.once()?;
        Ok([self.input.npy()?, self.outputs[0].npy()?])
    }

    /// Runs as long as a measurement takes on the server's core, after a tenth of it for warming up.
    pub fn run(&mut self, bench: &Bench) -> Result<Runs> {
        self.run_for(bench, bench.duration)
    }

    /// The same for so long.
    pub fn run_for(&mut self, bench: &Bench, duration: Duration) -> Result<Runs> {
        cores::elsewhere(&[bench.server_core], || {
            self.repeat(duration / 10)?;
            let mut nanoseconds = self.repeat(duration)?;
            let sum = Duration::from_nanos(nanoseconds.iter().sum());
            nanoseconds.sort_unstable();
            let micros = |part| quantile(&nanoseconds, part) as f64 / 1e3;
            let rate = nanoseconds.len() as f64 / sum.as_secs_f64();
            Ok(Runs { rate, p50_us: micros(0.5), p99_us: micros(0.99) })
        })?
    }

    /// Sets all numbers of the input.
    pub fn set_input(&mut self, numbers: &[f32]) {
        let input = Arc::get_mut(&mut self.input).expect("a framework keeps no input of a run that has ended");
        for (bytes, number) in input.bytes.chunks_exact_mut(4).zip(numbers) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
    }

    /// What the last run made.
    #[cfg(test)]
    pub fn output(&self, index: usize) -> &[u8] {
        &self.outputs[index].bytes
    }

    /// Nanoseconds of each run, at least of one.
    fn repeat(&mut self, duration: Duration) -> Result<Vec<u64>> {
        let mut nanoseconds = Vec::with_capacity(duration.as_micros() as usize + 1);
        let mut before = Instant::now();
        let deadline = before + duration;
        while nanoseconds.is_empty() || before < deadline {
            self.once()?;
            let now = Instant::now();
            nanoseconds.push(now.duration_since(before).as_nanos() as u64);
            before = now;
        }
        Ok(nanoseconds)
    }

    /// Runs once.
    pub fn once(&mut self) -> Result<()> {
        let elements = Elements::Bytes(&self.input.bytes[..]);
        let inputs = [Input { index: 0, dtype: DType::Float32, shape: &self.input.shape, elements }];
        let slots = self.outputs.iter_mut().enumerate().map(|(index, output)| {
            let prepared = Some(Prepared { shape: output.shape, bytes: &mut output.bytes });
            OutputSlot { index, prepared, produced: None }
        });
        let mut outputs: Vec<OutputSlot<'_>> = slots.collect();
        self.instance.run(&Inputs::new(&inputs, &KeptTensor(&self.input)), &mut outputs)?;
        let are_in_place = outputs.iter().all(|slot| matches!(slot.produced, Some(Produced::InPlace)));
        ensure!(are_in_place, "the outputs are not where they were to be");
        Ok(())
    }
}

/// For a framework that refers to its input for longer than a run.
struct KeptTensor<'a>(&'a Arc<Tensor>);

impl Keep for KeptTensor<'_> {
    fn keep(&self) -> Kept {
        let tensor: Arc<Tensor> = Arc::clone(self.0);
        tensor
    }
}

/// Memory of an input or output.
struct Tensor {
    dtype: DType,
    shape: Shape,
    bytes: MmapMut,
}

impl Tensor {
    /// Of so many rows of what a model says.
    fn new(spec: &TensorSpec, rows: usize) -> Result<Tensor> {
        let dims = spec.dims.as_deref().with_context(|| format!("{spec} is of unknown rank"))?;
        let mut shape = Shape::SCALAR;
        for (axis, dim) in dims.iter().enumerate() {
            let size = match dim {
                Dim::Fixed(size) => *size,
                Dim::Symbol(_) | Dim::Any if axis == 0 => rows as u64,
                Dim::Symbol(_) | Dim::Any => bail!("{spec} is open in another dimension than the first"),
            };
            shape.push(i64::try_from(size)?).with_context(|| format!("{spec} has too many dimensions"))?;
        }
        let bytes = shape.bytes(spec.dtype).with_context(|| format!("{spec} has no size"))?;
        Ok(Tensor { dtype: spec.dtype, shape, bytes: warm_memory(usize::try_from(bytes)?)? })
    }

    /// As a NumPy file, of float32.
    fn npy(&self) -> Result<Vec<u8>> {
        ensure!(self.dtype == DType::Float32, "{} is not float32", self.dtype);
        Ok(npy("<f4", &self.shape.iter().map(|size| *size as usize).collect::<Vec<usize>>(), &self.bytes))
    }
}
