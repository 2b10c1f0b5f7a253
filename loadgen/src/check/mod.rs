//! Whether replies are right: equal to what was sent, to a file, or to the first reply. A fast wrong answer is no answer.
//! What is expected is laid out before the first request; a check reads a reply, and compares. No reply is waited for here.

mod compare;
mod first;
mod golden;
#[cfg(test)]
mod tests;

use crate::inputs::Request;
use crate::protocol::{Dialect, Outcome, Protocol, Reply};
use crate::signature::{Io, Signature};
use crate::tensor::{Data, Tensor};
use compare::compare;
use graphpipe_schema::DType;
use std::sync::OnceLock;

/// What `--verify` says: `echo`, `first`, or `FILE.npy`/`FILE.npz`.
#[derive(Clone, Debug, PartialEq)]
pub enum Expect {
    /// The outputs are the inputs, in their order.
    Echo,
    /// All replies to one request are equal.
    First,
    /// The outputs are what a file says: a `.npz` by name, a `.npy` of the first.
    Golden(std::path::PathBuf),
}

/// What was done with a reply that is not wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It was compared with what is expected.
    Compared,
    /// It is the first one, with which others will be compared.
    Kept,
}

/// Why a reply is no answer. Each is a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It cannot be read as outputs.
    Unreadable(String),
    /// Its outputs are not the right ones.
    Wrong(String),
}

/// Compares replies; shared by all threads of a run.
#[derive(Debug)]
pub struct Checker {
    dialect: Dialect,
    signature: Signature,
    tolerance: f64,
    expected: Expected,
}

/// What the replies to each request are held against.
#[derive(Debug)]
enum Expected {
    /// These tensors and no other.
    All(Vec<Vec<Tensor>>),
    /// These tensors, and others that are not looked at.
    Some(Vec<Vec<Tensor>>),
    /// The first reply, once it is there.
    First(Vec<OnceLock<Vec<Tensor>>>),
}

impl Checker {
    /// `tolerance`: the most that floats may differ by, relative and absolute (`|a-b| <= t + t*|b|`); 0 = bit for bit.
    /// NaN is equal to NaN, whichever bits it has. The error is a sentence that ends with the model's signature.
    pub fn new(
        expect: &Expect,
        tolerance: f64,
        dialect: &Dialect,
        signature: &Signature,
        requests: &[Request],
    ) -> Result<Checker, String> {
        if !(tolerance >= 0.0 && tolerance.is_finite()) {
            let problem = format!("a tolerance of {tolerance} is impossible: it is a number from 0");
            return Err(crate::inputs::refusal(&problem, signature));
        }
        let expected = match expect {
            Expect::Echo => Expected::All(requests.iter().map(echo).collect()),
            Expect::First => Expected::First(requests.iter().map(|_| OnceLock::new()).collect()),
            Expect::Golden(path) => Expected::Some(
                golden::expected(path, dialect.protocol, signature, requests)
                    .map_err(|problem| crate::inputs::refusal(&problem, signature))?,
            ),
        };
        let signature = match &expected {
            Expected::All(all) | Expected::Some(all) if dialect.protocol == Protocol::TfsJson => {
                typed(signature, all.first().map_or(&[], Vec::as_slice))
            }
            _ => signature.clone(),
        };
        Ok(Checker { dialect: dialect.clone(), signature, tolerance, expected })
    }

    /// Whether the reply to the `request`-th request is right.
    pub fn check(&self, request: usize, reply: &Reply<'_>) -> Result<Checked, Problem> {
        if reply.outcome != Outcome::Outputs {
            return Err(Problem::Wrong(format!("the reply is a refusal: {:?}", reply.outcome)));
        }
        let outputs = self.dialect.read_outputs(&self.signature, reply).map_err(Problem::Unreadable)?;
        self.judge(request, outputs).map_err(Problem::Wrong)
    }

    /// Whether these outputs of the `request`-th request are right.
    fn judge(&self, request: usize, outputs: Vec<Tensor>) -> Result<Checked, String> {
        match &self.expected {
            Expected::All(expected) => {
                same_count(outputs.len(), expected[request].len())?;
                self.each(outputs, &expected[request])?;
            }
            Expected::Some(expected) => self.each(outputs, &expected[request])?,
            Expected::First(first) => {
                if first[request].get().is_none() {
                    first::fits(&outputs, &self.signature)?;
                }
                // Another thread may have been faster.
                let Err(outputs) = first[request].set(outputs) else { return Ok(Checked::Kept) };
                let expected = first[request].get().expect("it was set, or this reply would be in it");
                same_count(outputs.len(), expected.len())?;
                self.each(outputs, expected)?;
            }
        }
        Ok(Checked::Compared)
    }

    /// Holds each expected tensor against an output of its own: the one of its name, or of its place if it has no name.
    fn each(&self, mut outputs: Vec<Tensor>, expected: &[Tensor]) -> Result<(), String> {
        // Some protocols have no name for an output that is the only one.
        let alone = outputs.len() == 1 && expected.len() == 1 && outputs[0].name.is_empty();
        let mut used = vec![false; outputs.len()];
        for (at, expected) in expected.iter().enumerate() {
            let found = if expected.name.is_empty() || alone {
                (at < outputs.len() && !used[at]).then_some(at)
            } else {
                (0..outputs.len()).find(|&other| !used[other] && outputs[other].name == expected.name)
            };
            let Some(found) = found else {
                return Err(match expected.name.as_str() {
                    "" => format!("the reply has no output {at}"),
                    name => format!("the reply has no output \"{name}\""),
                });
            };
            used[found] = true;
            let output = &mut outputs[found];
            if self.dialect.protocol == Protocol::Raw {
                dress(output, expected);
            }
            let output = &outputs[found];
            compare(|| title(output, expected, at), output, expected, self.tolerance)?;
        }
        // What nobody asked about may be anything, but for a second answer to what was.
        let mut left = outputs.iter().zip(&used).filter(|(_, used)| !**used).map(|(output, _)| &output.name);
        match left.find(|name| !name.is_empty() && expected.iter().any(|expected| expected.name == **name)) {
            Some(name) => Err(format!("the reply has output \"{name}\" twice")),
            None => Ok(()),
        }
    }
}

fn same_count(has: usize, expected: usize) -> Result<(), String> {
    if has == expected {
        return Ok(());
    }
    let s = if has == 1 { "" } else { "s" };
    Err(format!("the reply has {has} output{s}, expected {expected}"))
}

/// A signature whose outputs have the types that are expected, where the server has not said them: for the protocol in
/// which replies do not say them either.
fn typed(signature: &Signature, expected: &[Tensor]) -> Signature {
    let mut typed = signature.clone();
    if typed.outputs.is_empty() {
        let unknown = |tensor: &Tensor| Io { name: tensor.name.clone(), dtype: None, shape: None };
        typed.outputs = expected.iter().map(unknown).collect();
    }
    for (at, io) in typed.outputs.iter_mut().enumerate() {
        let named = expected.iter().find(|tensor| !tensor.name.is_empty() && tensor.name == io.name);
        let placed = expected.get(at).filter(|tensor| tensor.name.is_empty());
        io.dtype = io.dtype.or(named.or(placed).map(|tensor| tensor.dtype));
    }
    typed
}

/// What an echo replies: the inputs in their order, under whatever names.
fn echo(request: &Request) -> Vec<Tensor> {
    request.inputs.iter().map(|input| Tensor { name: String::new(), ..input.clone() }).collect()
}

/// How a message names an output.
fn title(output: &Tensor, expected: &Tensor, at: usize) -> String {
    match [&output.name, &expected.name].into_iter().find(|name| !name.is_empty()) {
        Some(name) => format!("output \"{name}\""),
        None => format!("output {at}"),
    }
}

/// Bytes say neither type nor shape: they get those that are expected, if they are as many.
fn dress(output: &mut Tensor, expected: &Tensor) {
    let Data::Bytes(bytes) = &output.data else { return };
    if output.dtype != DType::Uint8 || bytes.len() != expected.bytes() {
        return;
    }
    if let Data::Strings(strings) = &expected.data {
        let mut rest = bytes.as_slice();
        let mut parts = Vec::new();
        for string in strings {
            let (part, after) = rest.split_at(string.len());
            parts.push(part.to_vec());
            rest = after;
        }
        output.data = Data::Strings(parts);
    }
    output.dtype = expected.dtype;
    output.shape.clone_from(&expected.shape);
}
