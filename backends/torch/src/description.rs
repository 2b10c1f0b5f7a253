//! The file beside a model that says what PyTorch's own file does not: the names, types and shapes of what goes in and out.
//!
//! Beside `model.pt` (or `model.pt2`) stands `model.toml`. Its grammar is that of [`graphpiped_model_description`]; to PyTorch
//! it means this:
//!
//! ```toml
//! # Each argument of `forward`, in its order. The names are what clients say; they need not be those of the arguments.
//! [[inputs]]
//! name = "image"
//! # Any but strings.
//! dtype = "float32"
//! # Without a shape, anything is taken.
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
//! gives.

use graphpipe_schema::DType;
use graphpiped_backend_api::{Signature, TensorSpec};
use graphpiped_model_description::{self as description, Described, Description, Framework, path_of};
use std::path::Path;

/// PyTorch, which has all types but strings.
pub(crate) const PYTORCH: Framework = Framework { name: "PyTorch", has: |dtype| dtype != DType::String };

/// The description of a model, read. On failure: one line with the path, the cause and the remedy.
pub(crate) fn read(model: &Path) -> Result<Signature, String> {
    let path = path_of(model);
    let shown = path.display();
    let of_description = |cause: String| format!("{shown}: {cause}");
    let description = description::read(&path, PYTORCH).map_err(of_description)?.ok_or_else(|| {
        format!(
            "{0}: what it takes and gives has to be described in {shown}, which is not there; `graphpiped check {0}` prints a \
             template",
            model.display()
        )
    })?;
    signature(description).map_err(of_description)
}

/// What a description says, if that is enough.
fn signature(description: Description) -> Result<Signature, String> {
    if description.outputs.is_empty() {
        return Err("it has no output; describe at least one".into());
    }
    let specs = |described: Vec<Described>| described.into_iter().map(spec).collect::<Result<_, _>>();
    Ok(Signature { inputs: specs(description.inputs)?, outputs: specs(description.outputs)?, variadic: false })
}

fn spec(described: Described) -> Result<TensorSpec, String> {
    let Described { name, dtype, dims, line } = described;
    match dtype {
        Some(dtype) => Ok(TensorSpec { name, dtype, dims }),
        None => Err(format!("line {line}: missing field `dtype`, without which nobody knows what {name} is")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Signature, String> {
        signature(description::parse(text, PYTORCH).expect(text))
    }

    #[test]
    fn names_types_and_shapes_keep_their_order() {
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
        let signature = of(text).expect("it is sound");
        let shown: Vec<_> = signature.inputs.iter().chain(&signature.outputs).map(ToString::to_string).collect();
        assert_eq!(shown, ["image float32 [N, 64, ?]", "mask bool […]", "digit int64 []"]);
        assert_eq!((signature.inputs.len(), signature.outputs.len(), signature.variadic), (2, 1, false));
    }

    #[test]
    fn what_pytorch_does_not_say_must_not_be_left_out() {
        let cases = [
            ("", "it has no output; describe at least one"),
            ("outputs = []", "it has no output; describe at least one"),
            (
                "[[outputs]]\nname = \"y\"\nshape = [1]\n",
                "line 1: missing field `dtype`, without which nobody knows what y is",
            ),
            (
                "\n[[inputs]]\nname = \"x\"\n[[outputs]]\nname = \"y\"\ndtype = \"int8\"\n",
                "line 2: missing field `dtype`, without which nobody knows what x is",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(of(text), Err(expected.into()), "{text}");
        }
    }

    #[test]
    fn a_description_that_is_not_there_or_says_nothing_is_named() {
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
        let shown = description.display();
        std::fs::write(&description, "#").expect("a file");
        assert_eq!(read(&model), Err(format!("{shown}: it has no output; describe at least one")));
        std::fs::write(&description, "[[outputs]").expect("a file");
        let message = read(&model).expect_err("it is cut off");
        assert!(message.starts_with(&format!("{shown}: line 1: ")), "{message}");
    }
}
