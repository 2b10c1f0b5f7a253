//! Every model in every format: the frameworks agree on what it gives.

use super::*;
use crate::framework::Framework;

/// What a model gives for rows of these numbers.
fn outputs(kind: Kind, model: &Model, rows: usize, numbers: &[f32]) -> Vec<f32> {
    let mut bare = Framework::open(kind, &model.path, 1).unwrap().rows(rows).unwrap();
    bare.set_input(numbers);
    bare.once().unwrap();
    bare.output(0).chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

/// Finite numbers, and not all the same.
fn are_alive(numbers: &[f32]) {
    assert!(numbers.iter().all(|number| number.is_finite() && number.abs() < 1e4), "{:?}", &numbers[..10]);
    let spread = numbers.iter().copied().fold(0_f32, f32::max) - numbers.iter().copied().fold(0_f32, f32::min);
    assert!(spread > 1e-3, "{:?}", &numbers[..10]);
}

/// Sums of f32 that were added up in another order.
fn are_close(found: &[f32], expected: &[f32], what: Kind) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-3 * expected.abs().max(1.0), "{what:?}: {found} and not {expected}");
    }
}

#[test]
fn a_perceptron_is_the_same_in_every_format() {
    let numbers: Vec<f32> = (0..3 * 784).map(|index| (index % 17) as f32 / 16.0).collect();
    let expected = outputs(Kind::Onnx, &perceptron(Kind::Onnx).unwrap(), 3, &numbers);
    are_alive(&expected);
    for kind in [Kind::Tensorflow, Kind::Torch] {
        are_close(&outputs(kind, &perceptron(kind).unwrap(), 3, &numbers), &expected, kind);
    }
}

#[test]
fn a_resnet_is_the_same_in_every_format() {
    const PIXELS: usize = 224 * 224;
    let value = |channel: usize, pixel: usize| ((channel * 7 + pixel * 13) % 17) as f32 / 16.0;
    let channels_first: Vec<f32> = (0..3 * PIXELS).map(|at| value(at / PIXELS, at % PIXELS)).collect();
    let channels_last: Vec<f32> = (0..3 * PIXELS).map(|at| value(at % 3, at / 3)).collect();
    let expected = outputs(Kind::Onnx, &resnet(Kind::Onnx).unwrap(), 1, &channels_first);
    are_alive(&expected);
    for (kind, numbers) in [(Kind::Tensorflow, channels_last), (Kind::Torch, channels_first)] {
        are_close(&outputs(kind, &resnet(kind).unwrap(), 1, &numbers), &expected, kind);
    }
}

/// 25,557,032 weights in torchvision's ResNet-50, of which 53,120 are the normalisations': they become 26,560 biases.
#[test]
fn the_large_model_has_the_weights_of_resnet_50() {
    let model = layers::resnet(onnx::Graph::default());
    let weights = (25_557_032 - 53_120 + 26_560) * 4;
    let rest = model.len() - weights;
    assert!(rest < 32 << 10, "{rest} bytes besides the weights");
}
