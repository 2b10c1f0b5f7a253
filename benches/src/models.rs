//! The models that programs make for themselves, with weights by chance from a fixed seed: they mean nothing, and their
//! arithmetic is that of real ones. They are written beside what Cargo builds.

use crate::onnx::{self, Attribute, Graph, INPUT};
use anyhow::{Context, Result};
use fastrand::Rng;
use std::path::PathBuf;

/// Where the weights of every model begin.
const SEED: u64 = 20;
/// What a residual branch adds to its trunk, as a part: without it the values of fifty layers would grow out of bounds.
const BRANCH: f32 = 0.25;

/// A model on disk.
#[derive(Clone, Debug)]
pub struct Model {
    /// Its name.
    pub name: &'static str,
    /// Its file.
    pub path: PathBuf,
    /// Numbers of f32 in a row of its input.
    pub row_numbers: usize,
}

impl Model {
    /// As the daemon's `--model` takes it.
    pub fn argument(&self) -> String {
        format!("{}={}", self.name, self.path.display())
    }

    fn save(name: &'static str, row: &[u64], model: &[u8]) -> Result<Model> {
        let program = std::env::current_exe().context("where this program lies")?;
        let built = program.parent().and_then(std::path::Path::parent).context("it lies in a folder of Cargo's")?;
        let path = onnx::save(&built.join("models"), name, model)?;
        Ok(Model { name, path, row_numbers: row.iter().product::<u64>() as usize })
    }
}

/// 784 → 128 → 10: as small as a model is that does something.
pub fn mlp() -> Result<Model> {
    Model::save("mlp", &[784], &dense(&[784, 128, 10]))
}

/// 12288 → 16: rows of 48 KiB, and hardly anything to calculate.
pub fn wide() -> Result<Model> {
    Model::save("wide", &[12288], &dense(&[12288, 16]))
}

/// A model whose rows have 512 bytes and each cost as much as any other, alone or with others: a row becomes a matrix of
/// 128 × 128, goes through so many layers of as many weights, which stay in the cache, and becomes a row again.
pub fn costly(layers: usize) -> Result<Model> {
    const SIZE: u64 = 128;
    let mut rng = Rng::with_seed(SEED);
    let mut graph = Graph::default();
    let widen = graph.weight(&[1, SIZE], &by_chance(&mut rng, SIZE, 1.0));
    let mut last = graph.node("MatMul", &[INPUT, &widen], &[]);
    for _ in 0..layers {
        let weight = graph.weight(&[SIZE, SIZE], &by_chance(&mut rng, SIZE * SIZE, he(SIZE)));
        let product = graph.node("MatMul", &[&last, &weight], &[]);
        last = graph.node("Relu", &[&product], &[]);
    }
    let narrow = graph.weight(&[SIZE, 1], &by_chance(&mut rng, SIZE, he(SIZE)));
    let last = graph.node("MatMul", &[&last, &narrow], &[]);
    Model::save("costly", &[SIZE, 1], &graph.finish(&last, &[SIZE, 1], &[SIZE, 1]))
}

/// The shape of ResNet-50: [3, 224, 224] → 1000, 25.5 million weights, its normalisations folded into the convolutions.
pub fn resnet() -> Result<Model> {
    Model::save("resnet", &[3, 224, 224], &Resnet::default().made())
}

/// Fully connected layers with a ReLU between two.
fn dense(sizes: &[u64]) -> Vec<u8> {
    let mut rng = Rng::with_seed(SEED);
    let mut graph = Graph::default();
    let mut last = INPUT.to_owned();
    for (index, pair) in sizes.windows(2).enumerate() {
        if index > 0 {
            last = graph.node("Relu", &[&last], &[]);
        }
        let weight = graph.weight(pair, &by_chance(&mut rng, pair[0] * pair[1], he(pair[0])));
        let bias = graph.weight(&pair[1..], &by_chance(&mut rng, pair[1], he(pair[1])));
        last = graph.node("Gemm", &[&last, &weight, &bias], &[]);
    }
    graph.finish(&last, &sizes[..1], &sizes[sizes.len() - 1..])
}

/// ResNet-50, block by block.
struct Resnet {
    rng: Rng,
    graph: Graph,
}

impl Default for Resnet {
    fn default() -> Resnet {
        Resnet { rng: Rng::with_seed(SEED), graph: Graph::default() }
    }
}

impl Resnet {
    /// For each stage: the channels within a block, how many blocks, and the stride of the first.
    const STAGES: [(u64, usize, u64); 4] = [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)];
    /// A block gives so many times the channels that it has within.
    const EXPANSION: u64 = 4;

    fn made(mut self) -> Vec<u8> {
        let first = self.convolution(INPUT, [3, 64], 7, 2, 1.0);
        let first = self.graph.node("Relu", &[&first], &[]);
        let pooling = [
            ("kernel_shape", Attribute::Ints(&[3, 3])),
            ("strides", Attribute::Ints(&[2, 2])),
            ("pads", Attribute::Ints(&[1, 1, 1, 1])),
        ];
        let mut last = self.graph.node("MaxPool", &[&first], &pooling);
        let mut channels = 64;
        for (within, blocks, stride) in Resnet::STAGES {
            for block in 0..blocks {
                last = self.block(&last, channels, within, if block == 0 { stride } else { 1 });
                channels = within * Resnet::EXPANSION;
            }
        }
        let pooled = self.graph.node("GlobalAveragePool", &[&last], &[]);
        let flat = self.graph.node("Flatten", &[&pooled], &[("axis", Attribute::Int(1))]);
        let weight = self.graph.weight(&[channels, 1000], &by_chance(&mut self.rng, channels * 1000, he(channels)));
        let last = self.graph.node("MatMul", &[&flat, &weight], &[]);
        self.graph.finish(&last, &[3, 224, 224], &[1000])
    }

    /// Narrow, look around, widen; and the trunk, which is widened where the block is.
    fn block(&mut self, last: &str, channels: u64, within: u64, stride: u64) -> String {
        let out = within * Resnet::EXPANSION;
        let narrow = self.convolution(last, [channels, within], 1, 1, 1.0);
        let narrow = self.graph.node("Relu", &[&narrow], &[]);
        let middle = self.convolution(&narrow, [within, within], 3, stride, 1.0);
        let middle = self.graph.node("Relu", &[&middle], &[]);
        let branch = self.convolution(&middle, [within, out], 1, 1, BRANCH);
        let is_same = channels == out && stride == 1;
        let trunk = if is_same { last.to_owned() } else { self.convolution(last, [channels, out], 1, stride, 1.0) };
        let sum = self.graph.node("Add", &[&branch, &trunk], &[]);
        self.graph.node("Relu", &[&sum], &[])
    }

    /// A convolution from so many channels to so many, with a window that keeps the picture's size but for the stride.
    fn convolution(&mut self, last: &str, channels: [u64; 2], size: u64, stride: u64, scale: f32) -> String {
        let [before, after] = channels;
        let fan_in = before * size * size;
        let values = by_chance(&mut self.rng, after * fan_in, scale * he(fan_in));
        let weight = self.graph.weight(&[after, before, size, size], &values);
        let bias = self.graph.weight(&[after], &by_chance(&mut self.rng, after, 0.01));
        let attributes = [("strides", Attribute::Ints(&[stride; 2])), ("pads", Attribute::Ints(&[size / 2; 4]))];
        self.graph.node("Conv", &[last, &weight, &bias], &attributes)
    }
}

/// The standard deviation of weights whose layer neither swells nor fades.
fn he(fan_in: u64) -> f32 {
    (2.0 / fan_in as f32).sqrt()
}

/// Values of this standard deviation around zero: of a sum of two that are equally likely everywhere, which has no far tail.
fn by_chance(rng: &mut Rng, count: u64, deviation: f32) -> Vec<f32> {
    // That of the sum of two between -1/2 and 1/2 is the root of a sixth.
    let scale = deviation * 6_f32.sqrt();
    (0..count).map(|_| (rng.f32() + rng.f32() - 1.0) * scale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framework::Framework;

    /// Rows of a model's first output are finite, and not all the same.
    fn is_alive(model: &[u8], rows: usize) {
        let folder = tempfile::tempdir().unwrap();
        let path = onnx::save(folder.path(), "model", model).unwrap();
        let mut bare = Framework::open(&path, 1).unwrap().rows(rows).unwrap();
        bare.once().unwrap();
        let numbers: Vec<f32> =
            bare.output(0).chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
        assert!(numbers.iter().all(|number| number.is_finite() && number.abs() < 1e4), "{:?}", &numbers[..10]);
        let spread = numbers.iter().copied().fold(0_f32, f32::max) - numbers.iter().copied().fold(0_f32, f32::min);
        assert!(spread > 1e-3, "{:?}", &numbers[..10]);
    }

    #[test]
    fn fully_connected_layers_run() {
        is_alive(&dense(&[784, 128, 10]), 3);
    }

    /// 25,557,032 weights in torchvision's ResNet-50, of which 53,120 are the normalisations': they become 26,560 biases.
    /// The 1000 biases of the last layer are left out.
    #[test]
    fn the_large_model_has_the_weights_of_resnet_50() {
        let model = Resnet::default().made();
        let weights = (25_557_032 - 53_120 + 26_560 - 1000) * 4;
        let rest = model.len() - weights;
        assert!(rest < 32 << 10, "{rest} bytes besides the weights");
        is_alive(&model, 1);
    }

    #[test]
    fn values_by_chance_have_the_deviation_that_was_asked_for() {
        let values = by_chance(&mut Rng::with_seed(SEED), 100_000, 2.0);
        let mean = values.iter().sum::<f32>() / 1e5;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / 1e5;
        assert!(mean.abs() < 0.05 && (variance.sqrt() - 2.0).abs() < 0.05, "{mean} and {variance}, seed {SEED}");
    }
}
