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
//!
//! The grammar is that of [`graphpiped_model_description`]; here is what MXNet cannot be told in it.
#![forbid(unsafe_code)]

use crate::types;
use graphpiped_backend_api::Dim;
use graphpiped_model_description::{self as description, Described, Description, Framework};
use std::path::Path;

const MXNET: Framework = Framework { name: "MXNet", has: |dtype| types::to_number(dtype).is_some() };

/// Reads a description, which need not be there. Otherwise: what is the matter, to follow the path.
pub(crate) fn read(path: &Path) -> Result<Description, String> {
    told(description::read(path, MXNET)?.unwrap_or_default())
}

/// The same of its text.
pub(crate) fn parse(text: &str) -> Result<Description, String> {
    told(description::parse(text, MXNET)?)
}

fn told(description: Description) -> Result<Description, String> {
    description.inputs.iter().chain(&description.outputs).try_for_each(can_be_told)?;
    Ok(description)
}

/// To MXNet an axis of size 0 is one of unknown size, and a shape without axes an unknown shape; and its sizes have 32 bits.
fn can_be_told(described: &Described) -> Result<(), String> {
    let Described { name, dims: Some(dims), line, .. } = described else { return Ok(()) };
    let cause = if dims.is_empty() {
        "a shape has one axis at least".to_string()
    } else if dims.contains(&Dim::Fixed(0)) {
        "an axis has a size, a name, or \"?\", and not 0".to_string()
    } else if let Some(size) = dims.iter().find(|dim| matches!(dim, Dim::Fixed(size) if *size > u32::MAX.into())) {
        format!("an axis of size {size} is longer than MXNet can make one")
    } else {
        return Ok(());
    };
    Err(format!("line {line}: {name}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use graphpipe_schema::DType;

    fn of(text: &str) -> Result<Description, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("m-symbol.toml");
        std::fs::write(&path, text).expect("a description");
        read(&path)
    }

    #[test]
    fn types_and_shapes_are_read_or_left_out() {
        let text =
            "[[inputs]]\nname = \"a\"\ndtype = \"int64\"\nshape = [\"N\", 3, \"?\"]\n[[outputs]]\nname = \"b\"\n";
        let description = of(text).expect("a description");
        let (a, b) = (&description.inputs[0], &description.outputs[0]);
        assert_eq!((a.name.as_str(), b.name.as_str()), ("a", "b"));
        assert_eq!((a.dtype, b.dtype), (Some(DType::Int64), None));
        assert_eq!(a.dims, Some(vec![Dim::Symbol("N".into()), Dim::Fixed(3), Dim::Any]));
        assert_eq!(b.dims, None);
        assert_eq!(of(""), Ok(Description::default()));
        assert_eq!(read(Path::new("/no/such.toml")), Ok(Description::default()));
    }

    #[test]
    fn what_mxnet_cannot_be_told_is_refused_with_its_place() {
        let cases = [
            ("[[inputs]]\nname = \"a\"\nshape = [0]\n", "line 1: a: an axis has a size, a name, or \"?\", and not 0"),
            ("[[inputs]]\nname = \"a\"\nshape = []\n", "line 1: a: a shape has one axis at least"),
            (
                "\n[[outputs]]\nname = \"a\"\nshape = [4294967296]\n",
                "line 2: a: an axis of size 4294967296 is longer than MXNet can make one",
            ),
            ("[[inputs]]\nname = \"a\"\ndtype = \"float\"\n", "line 3: MXNet has no type \"float\"; it has uint8, "),
            ("[[inputs]]\nname = \"a\"\ndtype = \"bool\"\n", "line 3: MXNet has no type \"bool\"; it has uint8, "),
            ("[[inputs]]\nname = \"a\"\nshape = [-1]\n", "line 3: "),
        ];
        for (text, expected) in cases {
            let message = of(text).expect_err(expected);
            assert!(message.starts_with(expected) && !message.contains('\n'), "{text}: {message}");
        }
        assert!(of("[[inputs]]\nname = \"a\"\nshape = [4294967295]\n").is_ok());
    }
}
