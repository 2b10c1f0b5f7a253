//! The tensors that are sent: generated from the signature, or read from files. Nothing is sent here.
//!
//! An option names its input (`NAME=…`), or leaves the name out where there is one input. A server that says nothing of
//! its inputs has those that the options name, float32 unless they say otherwise; if they name none, one without a name.
//!
//! Rows are the first dimension where the signature leaves it open: `--rows`, else as many as the files have, else what
//! a `--shape` says, else 1; where two of these say different things, they are refused. A file with more rows than
//! `--rows` makes a request of each `--rows` of them, in order and as often as they fit; rows that are left over are not
//! sent. Without `--rows` a file is one request.
//!
//! Generated values come from the seed: floats are even in 0..1 (float16 in steps of 2^-11 and bfloat16 of 2^-8, which
//! they can all say exactly), integers are 0 to 9, so that they suit as classes and tokens of any model, strings are
//! `text-0000` to `text-9999`.

mod archive;
mod build;
mod fit;
mod generate;
mod npy;
mod options;
mod picture;
mod source;
#[cfg(test)]
mod tests;

use crate::signature::Signature;
use crate::tensor::Tensor;

pub use archive::arrays;

/// What the command line says of the inputs.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// `--shape NAME=DIMS` (`image=1,784`; `NAME=` is a scalar), or `DIMS` alone where there is one input; `NAME` may be
    /// unknown to an empty signature.
    pub shapes: Vec<String>,
    /// `--dtype NAME=TYPE` or `TYPE`: for servers that do not say it.
    pub dtypes: Vec<String>,
    /// `--input NAME=FILE` or `FILE`: `.npy`, `.npz` (a tensor for each name), `.png`, `.jpg` (several are rows).
    pub files: Vec<String>,
    /// `--rows`: the first dimension, where the signature leaves it open (default 1).
    pub rows: Option<u32>,
    /// `--seed` of generated values.
    pub seed: u64,
    /// How many different requests there are to be at most, so that no cache answers.
    pub distinct: usize,
}

/// One request's inputs, in the signature's order, and how many rows they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The inputs.
    pub inputs: Vec<Tensor>,
    /// `--rows`, else the first dimension where the signature leaves it open; 1 where it is open in no input.
    pub rows: u64,
    /// Which rows of its file it is; `None` if it was not cut out of one.
    pub cut: Option<Cut>,
}

/// Rows of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The first of them, counted from 0.
    pub first: u64,
    /// How many they are.
    pub rows: u64,
    /// How many the file has.
    pub of: u64,
}

/// Makes the requests. The error is a sentence that ends with the model's signature.
pub fn requests(signature: &Signature, wanted: &Wanted) -> Result<Vec<Request>, String> {
    build::requests(signature, wanted).map_err(|problem| refusal(&problem, signature))
}

/// A sentence that ends with the model's signature.
pub fn refusal(problem: &str, signature: &Signature) -> String {
    if signature.inputs.is_empty() && signature.outputs.is_empty() {
        return format!("{problem}; the server does not say what the model takes");
    }
    format!("{problem}; the model is {signature}")
}

/// The most bytes of one request, and of one file: what the lengths of frames and of FlatBuffers can say.
const BYTES_MAX: u64 = i32::MAX as u64;
/// The most bytes of all requests: more than any cache of a processor has, and little beside what servers take.
const ALL_BYTES_MAX: u64 = 64 << 20;
/// What a short string takes in memory, for the two bounds above: its place in a list and an allocation of its own.
const STRING_BYTES: u64 = 48;
