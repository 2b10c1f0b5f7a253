//! Whether replies are right: equal to what was sent, to a file, or to the first reply. A fast wrong answer is no answer.
//! What is expected is laid out before the first request; a check reads a reply, and compares. No reply is waited for here.

mod compare;
mod golden;
#[cfg(test)]
mod tests;

use crate::inputs::Request;
use crate::protocol::{Dialect, Outcome, Protocol, Reply};
use crate::signature::Signature;
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
                golden::expected(path, signature, requests)
                    .map_err(|problem| crate::inputs::refusal(&problem, signature))?,
            ),
        };
        Ok(Checker { dialect: dialect.clone(), signature: signature.clone(), tolerance, expected })
    }

    /// Whether the reply to the `request`-th request is right. The error is a sentence.
    pub fn check(&self, request: usize, reply: &Reply<'_>) -> Result<(), String> {
        if reply.outcome != Outcome::Outputs {
            return Err(format!("the reply is a refusal: {:?}", reply.outcome));
        }
        self.judge(request, self.dialect.read_outputs(&self.signature, reply)?)
    }

    /// Whether these outputs of the `request`-th request are right.
    fn judge(&self, request: usize, outputs: Vec<Tensor>) -> Result<(), String> {
        match &self.expected {
            Expected::All(expected) => self.same_count(&outputs, &expected[request])?.each(outputs, &expected[request]),
            Expected::Some(expected) => self.each(outputs, &expected[request]),
            Expected::First(first) => match first[request].set(outputs) {
                Ok(()) => Ok(()),
                Err(outputs) => {
                    let expected = first[request].get().expect("it was set, or this reply would be in it");
                    self.same_count(&outputs, expected)?.each(outputs, expected)
                }
            },
        }
    }

    fn same_count(&self, outputs: &[Tensor], expected: &[Tensor]) -> Result<&Checker, String> {
        if outputs.len() == expected.len() {
            return Ok(self);
        }
        let s = if outputs.len() == 1 { "" } else { "s" };
        Err(format!("the reply has {} output{s}, expected {}", outputs.len(), expected.len()))
    }

    /// Holds each expected tensor against its output: the one of its name, or of its place if it has no name.
    fn each(&self, mut outputs: Vec<Tensor>, expected: &[Tensor]) -> Result<(), String> {
        // Some protocols have no name for an output that is the only one.
        let alone = outputs.len() == 1 && expected.len() == 1 && outputs[0].name.is_empty();
        for (at, expected) in expected.iter().enumerate() {
            let found = if expected.name.is_empty() || alone {
                outputs.get_mut(at)
            } else {
                outputs.iter_mut().find(|output| output.name == expected.name)
            };
            let Some(output) = found else {
                return Err(match expected.name.as_str() {
                    "" => format!("the reply has no output {at}"),
                    name => format!("the reply has no output \"{name}\""),
                });
            };
            let title = title(output, expected, at);
            if self.dialect.protocol == Protocol::Raw {
                dress(output, expected);
            }
            compare(&title, output, expected, self.tolerance)?;
        }
        Ok(())
    }
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
