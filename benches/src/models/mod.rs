//! The models that programs make for themselves, with weights by chance from a fixed seed: they mean nothing, and their
//! arithmetic is that of real ones. They are written beside what Cargo builds.

mod graph_def;
mod layers;
mod onnx;
mod protobuf;
mod torch_script;

use crate::framework::Kind;
use anyhow::{Context, Result};
use fastrand::Rng;
use graph_def::GraphDef;
use layers::{Graph, INPUT, SEED, by_chance, he};
use std::path::{Path, PathBuf};
use torch_script::TorchScript;

/// A model on disk.
#[derive(Clone, Debug)]
pub struct Model {
    /// Its name.
    pub name: &'static str,
    /// Its file.
    pub path: PathBuf,
    /// The shape of a row of its input, of f32.
    pub row: Vec<u64>,
}

impl Model {
    /// Numbers in a row.
    pub fn row_numbers(&self) -> usize {
        self.row.iter().product::<u64>() as usize
    }

    /// As the daemon's `--model` takes it.
    pub fn argument(&self) -> String {
        format!("{}={}", self.name, self.path.display())
    }

    /// Of a model from rows to rows, which a file tells of itself unless it is PyTorch's.
    fn save(name: &'static str, kind: Kind, row: &[u64], out: &[u64], model: &[u8]) -> Result<Model> {
        let program = std::env::current_exe().context("where this program lies")?;
        let folder = program.parent().and_then(Path::parent).context("it lies in a folder of Cargo's")?.join("models");
        let path = save(&folder, &format!("{name}.{}", kind.ending()), model)?;
        if kind == Kind::Torch {
            save(&folder, &format!("{name}.toml"), torch_script::description(row, out).as_bytes())?;
        }
        Ok(Model { name, path, row: row.to_vec() })
    }
}

/// 784 → 128 → 10: as small as a model is that does something.
pub fn mlp() -> Result<Model> {
    dense("mlp", Kind::Onnx, &[784, 128, 10])
}

/// 784 → 512 → 512 → 10: of a size that is used.
pub fn perceptron(kind: Kind) -> Result<Model> {
    dense("perceptron", kind, &[784, 512, 512, 10])
}

/// 12288 → 16: rows of 48 KiB, and hardly anything to calculate.
pub fn wide() -> Result<Model> {
    dense("wide", Kind::Onnx, &[12288, 16])
}

fn dense(name: &'static str, kind: Kind, sizes: &[u64]) -> Result<Model> {
    let model = match kind {
        Kind::Onnx => layers::dense(onnx::Graph::default(), sizes),
        Kind::Tensorflow => layers::dense(GraphDef::default(), sizes),
        Kind::Torch => layers::dense(TorchScript::default(), sizes),
    };
    Model::save(name, kind, &sizes[..1], &sizes[sizes.len() - 1..], &model)
}

/// The shape of ResNet-50: a picture of 224 × 224 in three colours → 1000, 25.5 million weights, its normalisations folded
/// into the convolutions.
pub fn resnet(kind: Kind) -> Result<Model> {
    let (row, model) = match kind {
        Kind::Onnx => (layers::picture::<onnx::Graph>(), layers::resnet(onnx::Graph::default())),
        Kind::Tensorflow => (layers::picture::<GraphDef>(), layers::resnet(GraphDef::default())),
        Kind::Torch => (layers::picture::<TorchScript>(), layers::resnet(TorchScript::default())),
    };
    Model::save("resnet", kind, &row, &[1000], &model)
}

/// A model whose rows have 512 bytes and each cost as much as any other, alone or with others: a row becomes a matrix of
/// 128 × 128, goes through so many layers of as many weights, which stay in the cache, and becomes a row again.
pub fn costly(layers: usize) -> Result<Model> {
    const SIZE: u64 = 128;
    let mut rng = Rng::with_seed(SEED);
    let mut graph = onnx::Graph::default();
    let widen = graph.weight(&[1, SIZE], &by_chance(&mut rng, SIZE, 1.0));
    let mut last = graph.node("MatMul", &[INPUT, &widen], &[]);
    for _ in 0..layers {
        let weight = graph.weight(&[SIZE, SIZE], &by_chance(&mut rng, SIZE * SIZE, he(SIZE)));
        let product = graph.node("MatMul", &[&last, &weight], &[]);
        last = graph.node("Relu", &[&product], &[]);
    }
    let narrow = graph.weight(&[SIZE, 1], &by_chance(&mut rng, SIZE, he(SIZE)));
    let last = graph.node("MatMul", &[&last, &narrow], &[]);
    let shape = [SIZE, 1];
    Model::save("costly", Kind::Onnx, &shape, &shape, &graph.finish(&last, &shape, &shape))
}

/// Writes a file into a folder, whole or not at all: an interrupted run must not leave half of one.
fn save(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let path = folder.join(name);
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let begun = tempfile::NamedTempFile::new_in(folder)?;
        std::fs::write(begun.path(), bytes)?;
        begun.persist(&path)?;
        Ok(())
    };
    write().with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

#[cfg(test)]
mod tests;
