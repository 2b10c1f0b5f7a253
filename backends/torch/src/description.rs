//! The file beside a model that says what PyTorch's own file does not: the names, types and shapes of what goes in and out.
//!
//! Beside `model.pt` (or `model.pt2`) stands `model.toml`:
//!
//! ```toml
//! # Each argument of `forward`, in its order. The names are what clients say; they need not be those of the arguments.
//! [[inputs]]
//! name = "image"
//! # uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 float32 float64 bfloat16 bool
//! dtype = "float32"
//! # A size; a name, for any size that is the same wherever the name stands; or "?", for any size. Without a shape, anything
//! # is taken. The first axis of every input and output has to have one name, or "?", for requests to be batched.
//! shape = ["N", 64]
//!
//! # What `forward` gives: a tensor, or each element of a tuple or list in its order; of a dictionary, the entries of these names.
//! [[outputs]]
//! name = "probabilities"
//! dtype = "float32"
//! shape = ["N", 10]
//! ```
//!
//! What is said here is checked against the model as far as it can tell (the number of arguments), and against what each run
//! gives. Keys that are not above are errors: a slip of the pen should not become a shape that is not checked.

use graphpipe_schema::DType;
use graphpipe_schema::shape::RANK_MAX;
use graphpiped_backend_api::{Dim, Signature, TensorSpec, one_line};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use std::collections::HashSet;
use std::fmt::Formatter;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Where the description of a model is.
pub(crate) fn path_of(model: &Path) -> PathBuf {
    model.with_extension("toml")
}

/// The description of a model, read. On failure: one line with the path, the cause and the remedy.
pub(crate) fn read(model: &Path) -> Result<Signature, String> {
    let path = path_of(model);
    let shown = path.display();
    let text = text_of(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!(
            "{}: what it takes and gives has to be described in {shown}, which is not there; `graphpiped check {}` prints a \
             template",
            model.display(),
            model.display()
        ),
        _ => format!("{shown}: cannot be read: {error}"),
    })?;
    parse(&text).map_err(|cause| format!("{shown}: {cause}"))
}

fn text_of(path: &Path) -> std::io::Result<String> {
    let too_long = || std::io::Error::other(format!("it is longer than {DESCRIPTION_BYTES_MAX} bytes"));
    let metadata = path.metadata()?;
    if !metadata.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    File::open(path)?.take(DESCRIPTION_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > DESCRIPTION_BYTES_MAX { Err(too_long()) } else { Ok(text) }
}

/// A thousand tensors; nobody describes as many by hand.
const DESCRIPTION_BYTES_MAX: u64 = 64 << 10;

/// What a description says. Otherwise: the line, if it is one's fault, and the cause.
fn parse(text: &str) -> Result<Signature, String> {
    let described: Described = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        format!("{place}{}", one_line(error.message()))
    })?;
    let inputs = specs("input", described.inputs)?;
    let outputs = specs("output", described.outputs)?;
    if outputs.is_empty() {
        return Err("it has no output; describe at least one".into());
    }
    Ok(Signature { inputs, outputs, variadic: false })
}

fn specs(side: &str, described: Vec<DescribedTensor>) -> Result<Vec<TensorSpec>, String> {
    let mut names = HashSet::new();
    for tensor in &described {
        if tensor.name.is_empty() || tensor.name.contains(char::is_control) {
            return Err(format!(
                "an {side} has the name {:?}; a name has at least one character, and no control characters",
                tensor.name
            ));
        }
        if !names.insert(tensor.name.as_str()) {
            return Err(format!("two {side}s have the name {:?}; give each its own", tensor.name));
        }
        if tensor.shape.as_ref().is_some_and(|shape| shape.len() > RANK_MAX) {
            return Err(format!("{side} {} has more than {RANK_MAX} axes, which GraphPipe cannot carry", tensor.name));
        }
    }
    let spec = |tensor: DescribedTensor| TensorSpec {
        name: tensor.name,
        dtype: tensor.dtype.0,
        dims: tensor.shape.map(|shape| shape.into_iter().map(|size| size.0).collect()),
    };
    Ok(described.into_iter().map(spec).collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    #[serde(default)]
    inputs: Vec<DescribedTensor>,
    outputs: Vec<DescribedTensor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DescribedTensor {
    name: String,
    dtype: Type,
    shape: Option<Vec<Size>>,
}

/// The types that PyTorch has.
pub(crate) fn dtypes() -> impl Iterator<Item = DType> {
    DType::ALL.into_iter().filter(|dtype| *dtype != DType::String)
}

/// The names of these types.
pub(crate) fn dtype_names() -> String {
    dtypes().map(|dtype| dtype.to_string()).collect::<Vec<_>>().join(", ")
}

struct Type(DType);

impl<'de> Deserialize<'de> for Type {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Type, D::Error> {
        let name = String::deserialize(deserializer)?;
        let found = dtypes().find(|dtype| dtype.to_string() == name);
        found.map(Type).ok_or_else(|| Error::custom(format!("PyTorch has no type {name:?}; it has {}", dtype_names())))
    }
}

struct Size(Dim);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("a size, a name such as \"N\", or \"?\"")
    }

    fn visit_i64<E: Error>(self, size: i64) -> Result<Size, E> {
        let size = u64::try_from(size).map_err(|_| E::invalid_value(Unexpected::Signed(size), &self))?;
        Ok(Size(Dim::Fixed(size)))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Size, E> {
        match name {
            "?" => Ok(Size(Dim::Any)),
            // A number in quotes is one that somebody wanted to be a size.
            _ if name.starts_with(|first: char| first.is_alphabetic() || first == '_')
                && !name.contains(char::is_control) =>
            {
                Ok(Size(Dim::Symbol(name.into())))
            }
            _ => Err(E::invalid_value(Unexpected::Str(name), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn refused(text: &str) -> String {
        let message = parse(text).expect_err(text);
        assert!(!message.contains(char::is_control), "{message}");
        message
    }

    #[test]
    fn names_types_and_shapes_are_read_in_their_order() {
        let text = r#"
            [[inputs]]
            name = "image"
            dtype = "float32"
            shape = ["N", 64, "?"]

            [[inputs]]
            name = "mask"
            dtype = "bool"

            [[outputs]]
            name = "digit"
            dtype = "int64"
            shape = []
        "#;
        let signature = parse(text).expect("it is sound");
        let shown: Vec<_> = signature.inputs.iter().chain(&signature.outputs).map(ToString::to_string).collect();
        assert_eq!(shown, ["image float32 [N, 64, ?]", "mask bool […]", "digit int64 []"]);
        assert_eq!((signature.inputs.len(), signature.outputs.len(), signature.variadic), (2, 1, false));
    }

    #[test]
    fn a_key_that_is_unknown_is_named_with_its_line() {
        let message = refused("[[outputs]]\nname = \"y\"\ndtype = \"int8\"\nshapes = [1]\n");
        assert!(message.starts_with("line 4: unknown field `shapes`, expected "), "{message}");
        let message = refused("[[outputs]]\nname = \"y\"\ndtype = \"int8\"\n[model]\n");
        assert!(message.contains("unknown field `model`"), "{message}");
    }

    #[test]
    fn what_is_not_a_description_is_refused_with_its_line() {
        let output = |rest: &str| format!("[[outputs]]\nname = \"y\"\n{rest}\n");
        let cases = [
            (String::new(), "line 1: missing field `outputs`"),
            ("outputs = []".into(), "it has no output; describe at least one"),
            ("[[outputs]".into(), "line 1: "),
            (output("dtype = \"float8\""), "line 3: PyTorch has no type \"float8\"; it has uint8, int8, "),
            (output("dtype = \"string\""), "line 3: PyTorch has no type \"string\"; it has "),
            (output("shape = [1]"), "line 1: missing field `dtype`"),
            (output("dtype = \"int8\"\nshape = [-1]"), "line 4: invalid value: integer `-1`, expected a size, a name"),
            (
                output("dtype = \"int8\"\nshape = [1.5]"),
                "line 4: invalid type: floating point `1.5`, expected a size, a",
            ),
            (
                output("dtype = \"int8\"\nshape = [\"64\"]"),
                "line 4: invalid value: string \"64\", expected a size, a name",
            ),
            (output("dtype = \"int8\"\nshape = [\"\"]"), "line 4: invalid value: string \"\", expected a size, a name"),
            (output("dtype = \"int8\"\nshape = 4"), "line 4: invalid type: integer `4`, expected a sequence"),
            (output("dtype = \"int8\"").repeat(2), "two outputs have the name \"y\"; "),
            ("[[outputs]]\nname = \"\"\ndtype = \"int8\"".into(), "an output has the name \"\"; "),
            ("[[outputs]]\nname = \"a\\u0000b\"\ndtype = \"int8\"".into(), "an output has the name \"a\\0b\"; "),
            ("[[outputs]]\nname = \"a\\nb\"\ndtype = \"int8\"".into(), "an output has the name \"a\\nb\"; "),
            (
                "[[outputs]]\nname = \"a\\u001b[31m\"\ndtype = \"int8\"".into(),
                "an output has the name \"a\\u{1b}[31m\"; ",
            ),
            (
                output("dtype = \"int8\"\nshape = [\"N\\u001b\"]"),
                "line 4: invalid value: string \"N\\u{1b}\", expected a size, a name",
            ),
            (output("\"a\\u001b\" = 1"), "line 3: unknown field `a?`, expected "),
            (output(&format!("dtype = \"int8\"\nshape = {:?}", [1; 17])), "output y has more than 16 axes, "),
        ];
        for (text, expected) in cases {
            let message = refused(&text);
            assert!(message.starts_with(expected), "{text}: {message}");
        }
    }

    #[test]
    fn a_description_that_is_not_there_or_is_endless_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (model, description) = (folder.path().join("m.pt"), folder.path().join("m.toml"));
        assert_eq!(
            read(&model).expect_err("it is not there"),
            format!(
                "{0}: what it takes and gives has to be described in {1}, which is not there; `graphpiped check {0}` prints a \
                 template",
                model.display(),
                description.display()
            )
        );
        fs::write(&description, "#".repeat(70_000)).expect("a file");
        let expected = format!("{}: cannot be read: it is longer than 65536 bytes", description.display());
        assert_eq!(read(&model), Err(expected));
        fs::write(&description, b"\xff\xfe").expect("a file");
        assert!(read(&model).expect_err("it is no text").contains("cannot be read: "));
        fs::remove_file(&description).expect("a file");
        fs::create_dir(&description).expect("a folder");
        let expected = format!("{}: cannot be read: it is not a regular file", description.display());
        assert_eq!(read(&model), Err(expected));
    }
}
