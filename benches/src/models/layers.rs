//! What models are made of, and the models that are made of it: layers with weights by chance from a fixed seed. What a layer
//! is called, and how a file says it, is each format's own affair.

use fastrand::Rng;

/// Where the weights of every model begin.
pub const SEED: u64 = 20;
/// What a residual branch adds to its trunk, as a part: without it the values of fifty layers would grow out of bounds.
const BRANCH: f32 = 0.25;

/// A model that is being made, layer by layer, in one format. Values have the names that each layer returns; the first is
/// [`INPUT`]. Pictures are as the format has them: [`Graph::ARE_CHANNELS_LAST`].
pub trait Graph {
    /// Whether a picture is [height, width, channels], and not [channels, height, width].
    const ARE_CHANNELS_LAST: bool;

    /// `last` · weights + bias, of weights [before, after].
    fn dense(&mut self, last: &str, sizes: [u64; 2], weights: &[f32], bias: &[f32]) -> String;
    /// A convolution with weights [after, before, size, size] and a bias.
    fn convolution(&mut self, last: &str, window: Window, weights: &[f32], bias: &[f32]) -> String;
    /// What is negative becomes 0.
    fn relu(&mut self, last: &str) -> String;
    /// The sum of two.
    fn sum(&mut self, one: &str, other: &str) -> String;
    /// The largest within a window.
    fn maximum(&mut self, last: &str, window: Window) -> String;
    /// The mean of each channel's picture.
    fn mean(&mut self, last: &str) -> String;
    /// Ends with the value `last`: the file of a model from `x` [N, row] to `y` [N, out].
    fn finish(self, last: &str, row: &[u64], out: &[u64]) -> Vec<u8>;
}

/// The name of every model's input, which is where every graph begins.
pub const INPUT: &str = "x";
/// The name of its output.
pub const OUTPUT: &str = "y";

/// A square window that moves over a picture, beyond its edges by half of its size, so that a picture keeps its own size but
/// for the stride.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Channels before it,
    pub before: u64,
    /// and behind it.
    pub after: u64,
    /// Its side.
    pub size: u64,
    /// How far it moves.
    pub stride: u64,
}

impl Window {
    /// How far it reaches over an edge.
    pub fn padding(self) -> u64 {
        self.size / 2
    }
}

/// Fully connected layers with a ReLU between two.
pub fn dense<G: Graph>(mut graph: G, sizes: &[u64]) -> Vec<u8> {
    let mut rng = Rng::with_seed(SEED);
    let mut last = INPUT.to_owned();
    for (index, pair) in sizes.windows(2).enumerate() {
        if index > 0 {
            last = graph.relu(&last);
        }
        last = fully_connected(&mut graph, &mut rng, &last, [pair[0], pair[1]]);
    }
    graph.finish(&last, &sizes[..1], &sizes[sizes.len() - 1..])
}

fn fully_connected<G: Graph>(graph: &mut G, rng: &mut Rng, last: &str, sizes: [u64; 2]) -> String {
    let [before, after] = sizes;
    let weights = by_chance(rng, before * after, he(before));
    let bias = by_chance(rng, after, 0.01);
    graph.dense(last, sizes, &weights, &bias)
}

/// What ResNet-50 takes, if it is made in this format.
pub fn picture<G: Graph>() -> [u64; 3] {
    if G::ARE_CHANNELS_LAST { [224, 224, 3] } else { [3, 224, 224] }
}

/// The shape of ResNet-50: a picture of 224 × 224 in three colours → 1000, 25.5 million weights, its normalisations folded
/// into the convolutions.
pub fn resnet<G: Graph>(graph: G) -> Vec<u8> {
    Resnet { rng: Rng::with_seed(SEED), graph }.made()
}

/// ResNet-50, block by block.
struct Resnet<G> {
    rng: Rng,
    graph: G,
}

impl<G: Graph> Resnet<G> {
    /// For each stage: the channels within a block, how many blocks, and the stride of the first.
    const STAGES: [(u64, usize, u64); 4] = [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)];
    /// A block gives so many times the channels that it has within.
    const EXPANSION: u64 = 4;
    /// What it tells apart.
    const CLASSES: u64 = 1000;

    fn made(mut self) -> Vec<u8> {
        let mut channels = 64;
        let first = self.convolution(INPUT, Window { before: 3, after: channels, size: 7, stride: 2 }, 1.0);
        let first = self.graph.relu(&first);
        let mut last = self.graph.maximum(&first, Window { before: channels, after: channels, size: 3, stride: 2 });
        for (within, blocks, stride) in Self::STAGES {
            for block in 0..blocks {
                last = self.block(&last, channels, within, if block == 0 { stride } else { 1 });
                channels = within * Self::EXPANSION;
            }
        }
        let pooled = self.graph.mean(&last);
        let last = fully_connected(&mut self.graph, &mut self.rng, &pooled, [channels, Self::CLASSES]);
        self.graph.finish(&last, &picture::<G>(), &[Self::CLASSES])
    }

    /// Narrow, look around, widen; and the trunk, which is widened where the block is.
    fn block(&mut self, last: &str, channels: u64, within: u64, stride: u64) -> String {
        let out = within * Self::EXPANSION;
        let narrow = self.convolution(last, Window { before: channels, after: within, size: 1, stride: 1 }, 1.0);
        let narrow = self.graph.relu(&narrow);
        let middle = self.convolution(&narrow, Window { before: within, after: within, size: 3, stride }, 1.0);
        let middle = self.graph.relu(&middle);
        let branch = self.convolution(&middle, Window { before: within, after: out, size: 1, stride: 1 }, BRANCH);
        let is_same = channels == out && stride == 1;
        let widened = Window { before: channels, after: out, size: 1, stride };
        let trunk = if is_same { last.to_owned() } else { self.convolution(last, widened, 1.0) };
        let sum = self.graph.sum(&branch, &trunk);
        self.graph.relu(&sum)
    }

    fn convolution(&mut self, last: &str, window: Window, scale: f32) -> String {
        let fan_in = window.before * window.size * window.size;
        let weights = by_chance(&mut self.rng, window.after * fan_in, scale * he(fan_in));
        let bias = by_chance(&mut self.rng, window.after, 0.01);
        self.graph.convolution(last, window, &weights, &bias)
    }
}

/// The standard deviation of weights whose layer neither swells nor fades.
pub fn he(fan_in: u64) -> f32 {
    (2.0 / fan_in as f32).sqrt()
}

/// Values of this standard deviation around zero: of a sum of two that are equally likely everywhere, which has no far tail.
pub fn by_chance(rng: &mut Rng, count: u64, deviation: f32) -> Vec<f32> {
    // That of the sum of two between -1/2 and 1/2 is the root of a sixth.
    let scale = deviation * 6_f32.sqrt();
    (0..count).map(|_| (rng.f32() + rng.f32() - 1.0) * scale).collect()
}

/// Numbers as files have them.
pub fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_by_chance_have_the_deviation_that_was_asked_for() {
        let values = by_chance(&mut Rng::with_seed(SEED), 100_000, 2.0);
        let mean = values.iter().sum::<f32>() / 1e5;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / 1e5;
        assert!(mean.abs() < 0.05 && (variance.sqrt() - 2.0).abs() < 0.05, "{mean} and {variance}, seed {SEED}");
    }
}
