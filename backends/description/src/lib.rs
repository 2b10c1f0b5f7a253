//! The file beside a model that says what the model's own file does not: names, types and shapes of what goes in and out.
//!
//! Beside `model.pt` stands `model.toml`, and beside `model-symbol.json` stands `model-symbol.toml`:
//!
//! ```toml
//! # The names are what clients say.
//! [[inputs]]
//! name = "image"
//! # uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 float32 float64 bfloat16 bool string, if the framework has it
//! dtype = "float32"
//! # A size; a name, for any size that is the same wherever the name stands; or "?", for any size. The first axis of every
//! # input and output has to have one name, or "?", for requests to be batched.
//! shape = ["N", 64]
//!
//! [[outputs]]
//! name = "probabilities"
//! dtype = "float32"
//! shape = ["N", 10]
//! ```
//!
//! Keys that are not above are errors: a slip of the pen should not become a shape that is not checked. What may be left out,
//! and what that means, is for the framework's backend to say, and so is whether the model agrees. What never will be here:
//! models, and frameworks but for the names of their types.
#![forbid(unsafe_code)]

mod size;

use graphpipe_schema::DType;
use graphpipe_schema::shape::RANK_MAX;
use graphpiped_backend_api::{Dim, one_line};
use graphpiped_model_format::{Unread, content};
use serde::Deserialize;
use size::Size;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// What is said of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Its inputs. No two have one name.
    pub inputs: Vec<Described>,
    /// Its outputs, of which the same is true.
    pub outputs: Vec<Described>,
}

/// What is said of an input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name, of one character at least.
    pub name: String,
    /// Its type, which the framework has.
    pub dtype: Option<DType>,
    /// Its dimensions, no more than GraphPipe can carry.
    pub dims: Option<Vec<Dim>>,
    /// The line that it begins in, counted from 1.
    pub line: usize,
}

/// A framework, as far as its models can be described.
#[derive(Clone, Copy, Debug)]
pub struct Framework {
    /// Its name.
    pub name: &'static str,
    /// Whether it has a type.
    pub has: fn(DType) -> bool,
}

impl Framework {
    /// The names of the types that it has.
    pub fn dtype_names(&self) -> String {
        let names = DType::ALL.into_iter().filter(|dtype| (self.has)(*dtype)).map(DType::name);
        names.collect::<Vec<_>>().join(", ")
    }

    fn dtype(&self, name: &str) -> Result<DType, String> {
        let found = DType::ALL.into_iter().find(|dtype| dtype.name() == name && (self.has)(*dtype));
        found.ok_or_else(|| format!("{} has no type {name:?}; it has {}", self.name, self.dtype_names()))
    }
}

/// Where the description of a model is.
pub fn path_of(model: &Path) -> PathBuf {
    model.with_extension("toml")
}

/// The description in a file; `None` if there is no file. Otherwise: one line to follow the path, with the cause.
pub fn read(path: &Path, framework: Framework) -> Result<Option<Description>, String> {
    let bytes = match content(path, BYTES_MAX) {
        Err(Unread::Absent) => return Ok(None),
        Err(unread @ Unread::Long(_)) => return Err(format!("{unread}; say no more in it than what goes in and out")),
        Err(unread) => return Err(unread.to_string()),
        Ok(bytes) => bytes,
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| "is not text in UTF-8; save it as such".to_string())?;
    parse(text, framework).map(Some)
}

/// A thousand tensors; nobody describes as many by hand.
const BYTES_MAX: u64 = 64 << 10;

/// What a description says. Otherwise: the line, if it is one's fault, and the cause.
pub fn parse(text: &str, framework: Framework) -> Result<Description, String> {
    let lines = Lines(text);
    let file: File = toml::from_str(text).map_err(|error| {
        let place = error.span().map(|span| lines.place(span.start)).unwrap_or_default();
        format!("{place}{}", one_line(error.message()))
    })?;
    let all = |side, tensors| described(side, tensors, lines, framework);
    Ok(Description { inputs: all("input", file.inputs)?, outputs: all("output", file.outputs)? })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    inputs: Vec<Spanned<Tensor>>,
    #[serde(default)]
    outputs: Vec<Spanned<Tensor>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tensor {
    name: String,
    dtype: Option<Spanned<String>>,
    shape: Option<Vec<Size>>,
}

fn described(
    side: &str,
    tensors: Vec<Spanned<Tensor>>,
    lines: Lines<'_>,
    framework: Framework,
) -> Result<Vec<Described>, String> {
    check(side, tensors.iter().map(Spanned::get_ref))?;
    let described = |tensor: Spanned<Tensor>| {
        let line = lines.line(tensor.span().start);
        let Tensor { name, dtype, shape } = tensor.into_inner();
        let known = |word: Spanned<String>| {
            framework.dtype(word.get_ref()).map_err(|cause| format!("{}{cause}", lines.place(word.span().start)))
        };
        let dims = shape.map(|shape| shape.into_iter().map(|size| size.0).collect());
        Ok(Described { name, dtype: dtype.map(known).transpose()?, dims, line })
    };
    tensors.into_iter().map(described).collect()
}

/// Whether each of the inputs or outputs has a name of its own, and a rank that can be carried.
fn check<'a>(side: &str, tensors: impl Iterator<Item = &'a Tensor>) -> Result<(), String> {
    let mut names = HashSet::new();
    for Tensor { name, shape, .. } in tensors {
        if name.is_empty() || name.contains(char::is_control) {
            return Err(format!(
                "an {side} has the name {name:?}; a name has at least one character, and no control characters"
            ));
        }
        if !names.insert(name) {
            return Err(format!("two {side}s have the name {name:?}; describe each of them once, by its own name"));
        }
        if shape.as_ref().is_some_and(|shape| shape.len() > RANK_MAX) {
            return Err(format!("{side} {name} has more than {RANK_MAX} axes, which GraphPipe cannot carry"));
        }
    }
    Ok(())
}

/// A text, of which the lines are counted from 1.
#[derive(Clone, Copy)]
struct Lines<'a>(&'a str);

impl Lines<'_> {
    /// The line of the byte at this offset.
    fn line(self, offset: usize) -> usize {
        self.0.as_bytes().iter().take(offset).filter(|&&byte| byte == b'\n').count() + 1
    }

    /// The same, to be followed by a cause.
    fn place(self, offset: usize) -> String {
        format!("line {}: ", self.line(offset))
    }
}

#[cfg(test)]
mod tests;
