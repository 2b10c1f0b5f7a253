//! What the operator says about a model, in a small TOML file beside its symbol: `NAME-symbol.toml`.
//!
//! ```toml
//! [[inputs]]
//! name = "data"
//! dtype = "float32"            # may be left out: as the symbol says, or float32
//! shape = ["N", 3, 224, 224]   # a number, a name (the same size wherever it stands), or "?" for any size
//!
//! [[outputs]]                   # may be left out: all that the model gives
//! name = "softmax"
//! shape = ["N", 1000]          # may be left out: MXNet knows it
//! ```
#![forbid(unsafe_code)]

use graphpipe_schema::DType;
use graphpipe_schema::shape::RANK_MAX;
use graphpiped_backend_api::Dim;
use serde::Deserialize;
use std::collections::HashSet;

/// The most bytes of a manifest.
pub(crate) const BYTES_MAX: u64 = 1 << 20;

/// A manifest.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// Inputs, by their names.
    #[serde(default)]
    pub inputs: Vec<Outlet>,
    /// Outputs, in the order in which they are to be served.
    #[serde(default)]
    pub outputs: Vec<Outlet>,
}

/// An input or output.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outlet {
    /// Its name.
    pub name: String,
    dtype: Option<String>,
    shape: Option<Vec<Axis>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Axis {
    Size(u32),
    Name(String),
}

impl Manifest {
    /// Reads a manifest. Otherwise: what is the matter, in one line.
    pub fn read(bytes: &[u8]) -> Result<Manifest, String> {
        // Keys and names that are wrong are shown as they are, and may have any character in them.
        Manifest::parse(bytes).map_err(|cause| cause.replace(char::is_control, " "))
    }

    fn parse(bytes: &[u8]) -> Result<Manifest, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "is not text".to_string())?;
        let manifest: Manifest = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            format!("line {}: {}", before.matches('\n').count() + 1, error.message())
        })?;
        for (key, outlets) in [("inputs", &manifest.inputs), ("outputs", &manifest.outputs)] {
            if let Some(name) = twice(outlets.iter().map(|outlet| &outlet.name)) {
                return Err(format!("{key}: {name:?} is there twice; say what it is once"));
            }
        }
        for outlet in manifest.inputs.iter().chain(&manifest.outputs) {
            outlet.dtype()?;
            outlet.dims()?;
        }
        Ok(manifest)
    }
}

/// The first name that was there before.
pub(crate) fn twice<'a>(names: impl IntoIterator<Item = &'a String>) -> Option<&'a String> {
    let mut before = HashSet::new();
    names.into_iter().find(|name| !before.insert(*name))
}

impl Outlet {
    /// Its type, if it is said.
    pub fn dtype(&self) -> Result<Option<DType>, String> {
        let Some(word) = &self.dtype else { return Ok(None) };
        let dtype = DType::ALL.into_iter().find(|dtype| dtype.name() == word);
        dtype.map(Some).ok_or_else(|| format!("{}: there is no dtype {word:?}; write float32, or another", self.name))
    }

    /// Its dimensions, if they are said.
    pub fn dims(&self) -> Result<Option<Vec<Dim>>, String> {
        let Some(shape) = &self.shape else { return Ok(None) };
        if shape.is_empty() || shape.len() > RANK_MAX {
            return Err(format!("{}: a shape has 1 to {RANK_MAX} axes", self.name));
        }
        let dim = |axis: &Axis| match axis {
            Axis::Size(0) => Err(format!("{}: an axis has a size, a name, or \"?\", and not 0", self.name)),
            Axis::Size(size) => Ok(Dim::Fixed(u64::from(*size))),
            Axis::Name(name) if name == "?" => Ok(Dim::Any),
            Axis::Name(name) => Ok(Dim::Symbol(name.as_str().into())),
        };
        shape.iter().map(dim).collect::<Result<_, _>>().map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_shapes_are_read_or_left_out() {
        let text =
            "[[inputs]]\nname = \"a\"\ndtype = \"int64\"\nshape = [\"N\", 3, \"?\"]\n[[outputs]]\nname = \"b\"\n";
        let manifest = Manifest::read(text.as_bytes()).expect("a manifest");
        let (a, b) = (&manifest.inputs[0], &manifest.outputs[0]);
        assert_eq!((a.name.as_str(), b.name.as_str()), ("a", "b"));
        assert_eq!((a.dtype(), b.dtype()), (Ok(Some(DType::Int64)), Ok(None)));
        assert_eq!(a.dims(), Ok(Some(vec![Dim::Symbol("N".into()), Dim::Fixed(3), Dim::Any])));
        assert_eq!(b.dims(), Ok(None));
        assert!(Manifest::read(b"").is_ok_and(|manifest| manifest.inputs.is_empty() && manifest.outputs.is_empty()));
    }

    #[test]
    fn what_it_cannot_say_is_refused_in_one_line_with_its_place() {
        let cases = [
            ("[[inputs]]\nshape = [1]\n", "line 1: missing field `name`"),
            ("[[inputs]]\nname = \"a\"\nshapes = [1]\n", "line 3: unknown field `shapes`"),
            ("[[inputs]]\nname = \"a\"\nshape = [-1]\n", "line 3: "),
            ("[[inputs]]\nname = \"a\"\nshape = [0]\n", "a: an axis has a size, a name, or \"?\", and not 0"),
            ("[[inputs]]\nname = \"a\"\nshape = []\n", "a: a shape has 1 to 16 axes"),
            ("[[inputs]]\nname = \"a\"\ndtype = \"float\"\n", "a: there is no dtype \"float\""),
            ("[[inputs]\n", "line 1: "),
            ("inputs = [{ name = \"a\" }, { name = \"a\" }]", "inputs: \"a\" is there twice; say what it is once"),
            ("outputs = [{ name = \"b\" }, { name = \"b\" }]", "outputs: \"b\" is there twice; say what it is once"),
            ("\"a\\u001b[31m\\r\" = 1", "line 1: unknown field `a [31m `"),
            ("[[inputs]]\nname = \"a\\nb\"\nshape = []\n", "a b: a shape has 1 to 16 axes"),
        ];
        for (text, expected) in cases {
            let message = Manifest::read(text.as_bytes()).expect_err(expected);
            assert!(message.starts_with(expected) && !message.contains(char::is_control), "{text}: {message:?}");
        }
        assert!(Manifest::read(b"\xff").is_err());
    }
}
