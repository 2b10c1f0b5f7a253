//! The bare framework: ONNX Runtime runs the sample model again and again, on one thread, in memory that stays where it is.
//! Nothing that serves this model can take less.

use crate::cores;
use crate::npy::npy;
use crate::options::Bench;
use crate::socket::warm_memory;
use crate::spread::quantile;
use anyhow::{Context, Result, ensure};
use graphpipe_schema::{DType, Shape};
use graphpiped_backend_api::{Backend, Elements, Input, Instance, Options, OutputSlot, Prepared, Produced};
use graphpiped_backend_onnx::{Locations, OnnxBackend};
use memmap2::MmapMut;
use std::path::Path;
use std::time::{Duration, Instant};

/// The sample model.
pub const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/digits/digits.onnx");
/// Where the project keeps ONNX Runtime; the daemon finds it there too.
const RUNTIME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../runtime/onnxruntime");
/// One picture.
const IMAGE: [i64; 2] = [1, 64];

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

/// The model, ready to run.
pub struct BareLoop {
    instance: Box<dyn Instance>,
    image: MmapMut,
    probabilities: MmapMut,
    digit: MmapMut,
}

impl BareLoop {
    /// Opens the model with one thread, as the daemon does by default.
    pub fn open() -> Result<BareLoop> {
        let locations = Locations::new(None, vec![RUNTIME.into()], "get it with `make runtime`");
        let model = OnnxBackend::new(locations).open(Path::new(DIGITS), &Options { intra_threads: 1 })?;
        let mut image = warm_memory(64 * 4)?;
        for (index, pixel) in image.chunks_exact_mut(4).enumerate() {
            pixel.copy_from_slice(&((index % 17) as f32).to_le_bytes());
        }
        Ok(BareLoop { instance: model.instance()?, image, probabilities: warm_memory(10 * 4)?, digit: warm_memory(8)? })
    }

    /// The picture and what the framework makes of it, as NumPy files: the input, and the first output.
    pub fn golden(&mut self) -> Result<[Vec<u8>; 2]> {
        self.once()?;
        Ok([npy("<f4", &IMAGE.map(|size| size as usize), &self.image), npy("<f4", &[1, 10], &self.probabilities)])
    }

    /// Runs for so long on the server's core, after a tenth of it for warming up.
    pub fn run(&mut self, bench: &Bench) -> Result<Runs> {
        cores::elsewhere(&[bench.server_core], || {
            self.repeat(bench.duration / 10)?;
            let mut nanoseconds = self.repeat(bench.duration)?;
            let sum = Duration::from_nanos(nanoseconds.iter().sum());
            nanoseconds.sort_unstable();
            let micros = |part| quantile(&nanoseconds, part) as f64 / 1e3;
            let rate = nanoseconds.len() as f64 / sum.as_secs_f64();
            Ok(Runs { rate, p50_us: micros(0.5), p99_us: micros(0.99) })
        })?
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

    fn once(&mut self) -> Result<()> {
        let elements = Elements::Bytes(&self.image[..]);
        let inputs = [Input { index: 0, dtype: DType::Float32, shape: &IMAGE, elements }];
        let mut outputs = [slot(0, &[1, 10], &mut self.probabilities)?, slot(1, &[1], &mut self.digit)?];
        self.instance.run(&inputs, &mut outputs)?;
        let are_in_place = outputs.iter().all(|slot| matches!(slot.produced, Some(Produced::InPlace)));
        ensure!(are_in_place, "the outputs are not where they were to be");
        Ok(())
    }
}

fn slot<'a>(index: usize, shape: &[i64], bytes: &'a mut [u8]) -> Result<OutputSlot<'a>> {
    let shape = Shape::new(shape).context("a shape of two dimensions")?;
    Ok(OutputSlot { index, prepared: Some(Prepared { shape, bytes }), produced: None })
}
