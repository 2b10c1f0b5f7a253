//! What goes in: `value_info.json`, in which the model zoo says what a predict_net leaves out.
//!
//! An object: the name of each input, with the number of its type in Caffe2's `TensorProto.DataType` and its shape, as
//! in `{"data": [1, [1, 3, 227, 227]]}`. A size of -1 is any size.

use crate::kinds;
use crate::shape::AXES_MAX;
use graphpiped_onnx_proto::DataType;
use std::collections::BTreeMap;

/// An input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Declared {
    /// The blob that it becomes.
    pub name: String,
    /// What its elements are.
    pub kind: DataType,
    /// Its shape; `None` is any size.
    pub dims: Vec<Option<i64>>,
}

/// The inputs that a file declares.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Declared>, String> {
    let example = "write it as in {\"data\": [1, [1, 3, 227, 227]]}: the number of the type, then the shape";
    let entries: BTreeMap<String, (i64, Vec<i64>)> =
        serde_json::from_slice(bytes).map_err(|error| format!("does not say what goes in: {error}; {example}"))?;
    if entries.is_empty() {
        return Err(format!("names no input; {example}"));
    }
    let declared = |(name, (number, sizes)): (String, (i64, Vec<i64>))| {
        let failed = |cause: String| format!("input {name}: {cause}; {example}");
        let kind = kinds::of_caffe2(number).map_err(failed)?;
        if sizes.len() > AXES_MAX {
            return Err(failed(format!("{} axes are more than {AXES_MAX}", sizes.len())));
        }
        if let Some(size) = sizes.iter().find(|&&size| size < -1 || size == 0) {
            return Err(failed(format!("{size} is no size")));
        }
        let dims = sizes.iter().map(|&size| (size > 0).then_some(size)).collect();
        Ok(Declared { name, kind, dims })
    };
    entries.into_iter().map(declared).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_has_a_type_and_a_shape() {
        let found = read(br#"{"data": [1, [1, 3, 227, 227]], "ids": [10, [-1]], "x": [13, []]}"#);
        let expected = [
            ("data", DataType::Float, vec![Some(1), Some(3), Some(227), Some(227)]),
            ("ids", DataType::Int64, vec![None]),
            ("x", DataType::Double, vec![]),
        ];
        let expected = expected.map(|(name, kind, dims)| Declared { name: name.into(), kind, dims });
        assert_eq!(found, Ok(expected.to_vec()));
    }

    #[test]
    fn what_says_something_else_is_refused_with_an_example() {
        let long = format!("{{\"x\": [1, [{}]]}}", vec!["1"; 17].join(","));
        let cases =
            ["", "[]", "{}", r#"{"x": 1}"#, r#"{"x": [11, [1]]}"#, r#"{"x": [1, [0]]}"#, r#"{"x": [1, [-2]]}"#, &long];
        for text in cases {
            let error = read(text.as_bytes()).expect_err(text);
            assert!(error.contains("; write it as in {\"data\": [1, [1, 3, 227, 227]]}"), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
