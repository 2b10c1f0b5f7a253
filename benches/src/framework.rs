//! The bare framework: it runs a model again and again, in memory that stays where it is. Nothing that serves this model with
//! this framework can take less.

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
use graphpiped_backend_onnx::{Locations, OnnxBackend};
use graphpiped_backend_tensorflow::TensorflowBackend;
use graphpiped_backend_torch::TorchBackend;
use memmap2::MmapMut;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The sample model.
pub const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/digits/digits.onnx");
/// Where the project keeps frameworks; the daemon finds them there too.
const RUNTIME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../runtime");

/// Which framework it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ONNX Runtime, with ONNX files.
    Onnx,
    /// TensorFlow, with frozen graphs.
    Tensorflow,
    /// PyTorch, with TorchScript.
    Torch,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::Onnx, Kind::Tensorflow, Kind::Torch];

    /// As people call it.
    pub fn title(self) -> &'static str {
        match self {
            Kind::Onnx => "ONNX Runtime",
            Kind::Tensorflow => "TensorFlow",
            Kind::Torch => "PyTorch",
        }
    }

    /// What the name of a model's file ends in.
    pub fn ending(self) -> &'static str {
        match self {
            Kind::Onnx => "onnx",
            Kind::Tensorflow => "pb",
            Kind::Torch => "pt",
        }
    }

    fn backend(self) -> Box<dyn Backend> {
        use graphpiped_backend_onnx::WANTED as ONNX;
        use graphpiped_backend_tensorflow::WANTED as TENSORFLOW;
        use graphpiped_backend_torch::WANTED as TORCH;
        const REMEDY: &str = "get it with `make runtime torch-plugin`";
        let folder = |name| vec![Path::new(RUNTIME).join(name)];
        match self {
            Kind::Onnx => Box::new(OnnxBackend::new(Locations::new(&ONNX, None, folder("onnxruntime"), REMEDY))),
            Kind::Tensorflow => {
                Box::new(TensorflowBackend::new(Locations::new(&TENSORFLOW, None, folder("tensorflow"), REMEDY)))
            }
            Kind::Torch => Box::new(TorchBackend::new(Locations::new(&TORCH, None, folder("torch"), REMEDY))),
        }
    }
}

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
    pub fn open(kind: Kind, path: &Path, threads: usize) -> Result<Framework> {
        let model = kind.backend().open(path, &Options { intra_threads: threads, ..Options::default() })?;
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
        let outputs = outputs.collect::<Result<Vec<Tensor>>>()?;
        let lent = outputs.iter().map(|_| None).collect();
        let mut bare = BareLoop { instance: self.model.instance()?, input, outputs, lent };
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
    /// Of each output of the last run the framework's own memory, if it is there.
    lent: Vec<Option<Lent>>,
}

/// Memory that a framework lends.
type Lent = Arc<dyn AsRef<[u8]> + Send + Sync>;

impl BareLoop {
    /// Opens the sample model for one row and with one thread, as the daemon does by default.
    pub fn open() -> Result<BareLoop> {
        Framework::open(Kind::Onnx, Path::new(DIGITS), 1)?.rows(1)
    }

    /// The input and what the framework makes of it, as NumPy files: the input, and the first output.
    pub fn golden(&mut self) -> Result<[Vec<u8>; 2]> {
        self.once()?;
        Ok([self.input.npy(&self.input.bytes)?, self.outputs[0].npy(self.output(0))?])
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
    pub fn output(&self, index: usize) -> &[u8] {
        self.lent[index].as_ref().map_or(&self.outputs[index].bytes, |owner| (**owner).as_ref())
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
        // What was lent for the last run can be used for this one.
        self.lent.fill(None);
        let elements = Elements::Bytes(&self.input.bytes[..]);
        let inputs = [Input { index: 0, dtype: DType::Float32, shape: &self.input.shape, elements }];
        let slots = self.outputs.iter_mut().enumerate().map(|(index, output)| {
            let prepared = Some(Prepared { shape: output.shape, bytes: &mut output.bytes });
            OutputSlot { index, prepared, produced: None }
        });
        let mut outputs: Vec<OutputSlot<'_>> = slots.collect();
        self.instance.run(&Inputs::new(&inputs, &KeptTensor(&self.input)), &mut outputs)?;
        let produced: Vec<_> = outputs.into_iter().map(|slot| slot.produced).collect();
        for ((produced, lent), output) in produced.into_iter().zip(&mut self.lent).zip(&self.outputs) {
            *lent = match produced {
                Some(Produced::InPlace) => None,
                Some(Produced::Lent { shape, owner, .. }) if shape == output.shape => Some(owner),
                other => bail!("an output is not what it was to be: {other:?}"),
            };
        }
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

    /// These elements of such a tensor as a NumPy file, of float32.
    fn npy(&self, elements: &[u8]) -> Result<Vec<u8>> {
        ensure!(self.dtype == DType::Float32, "{} is not float32", self.dtype);
        Ok(npy("<f4", &self.shape.iter().map(|size| *size as usize).collect::<Vec<usize>>(), elements))
    }
}
