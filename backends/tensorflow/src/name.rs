//! Names of tensors in a graph: an operation, and which of its tensors, as in `dense/Relu:0`.

use std::fmt::{Display, Formatter};

/// The name of a tensor. `:0` may be left out, and is where it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TensorName {
    /// The operation.
    pub operation: String,
    /// Which of its tensors.
    pub index: usize,
}

impl TensorName {
    /// What a text names. What stands behind a colon and is no number belongs to the operation, which will not be found.
    pub fn parse(text: &str) -> TensorName {
        let split = text.rsplit_once(':').and_then(|(operation, index)| Some((operation, index.parse().ok()?)));
        let (operation, index) = split.unwrap_or((text, 0));
        TensorName { operation: operation.to_string(), index }
    }
}

impl Display for TensorName {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self.index {
            0 => f.write_str(&self.operation),
            index => write!(f, "{}:{index}", self.operation),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_tensor_needs_no_number() {
        for (text, operation, index, shown) in [
            ("x", "x", 0, "x"),
            ("x:0", "x", 0, "x"),
            ("dense/Relu:0", "dense/Relu", 0, "dense/Relu"),
            ("split:1", "split", 1, "split:1"),
            ("split:one", "split:one", 0, "split:one"),
            ("split:-1", "split:-1", 0, "split:-1"),
            ("", "", 0, ""),
        ] {
            let name = TensorName::parse(text);
            assert_eq!((name.operation.as_str(), name.index), (operation, index), "{text}");
            assert_eq!(name.to_string(), shown);
        }
    }
}
