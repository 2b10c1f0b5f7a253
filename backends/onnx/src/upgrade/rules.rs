//! What is done with each operator, from `Changelog.md` of ONNX: which opset has changed it, and what is the same in other words.
//!
//! ```text
//! Same           nothing has changed since opset 1
//! InPlace        `consumed_inputs`, a hint which memory may be reused, is gone since 6
//! Broadcast      `broadcast` and `axis` are gone since 7: the second tensor is spread from the last axis; and InPlace
//! Gemm           `broadcast` is gone since 7: a bias is always spread
//! BatchNorm      `is_test` is gone since 7: it never trains; and InPlace
//! Dropout        the same, and what trains draws lots
//! Reshape        `shape` is an input since 5; and InPlace
//! PRelu          slopes for each channel are spread from the last axis since 7; and InPlace
//! Cast           `to` is a number since 6, and no name
//! Concat         `axis` has no default since 4; it was 1
//! Pad            `paddings` are `pads` since 2
//! Split          sizes are no input since 2
//! Selu           its defaults have more digits since 6; and InPlace
//! ```

use super::{Names, Ranks, ints};
use graphpiped_onnx_proto::{AttributeProto, AttributeType, DataType, NodeProto, TensorProto};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Same,
    InPlace,
    Broadcast,
    Gemm,
    BatchNorm,
    Dropout,
    Reshape,
    PRelu,
    Cast,
    Concat,
    Pad,
    Split,
    Selu,
}

fn rule(operator: &str) -> Option<Rule> {
    Some(match operator {
        "ArgMax" | "ArgMin" | "AveragePool" | "Constant" | "Conv" | "ConvTranspose" | "DepthToSpace" | "Flatten"
        | "Gather" | "GlobalAveragePool" | "GlobalMaxPool" | "Hardmax" | "Identity" | "LRN" | "LogSoftmax"
        | "LpNormalization" | "MatMul" | "MaxPool" | "MaxRoiPool" | "Not" | "ReduceL1" | "ReduceL2"
        | "ReduceLogSum" | "ReduceLogSumExp" | "ReduceMax" | "ReduceMean" | "ReduceMin" | "ReduceProd"
        | "ReduceSum" | "ReduceSumSquare" | "Shape" | "Size" | "Slice" | "Softmax" | "Softplus" | "Softsign"
        | "SpaceToDepth" | "Squeeze" | "TopK" | "Transpose" | "Unsqueeze" => Rule::Same,
        "Abs"
        | "Ceil"
        | "Clip"
        | "Elu"
        | "Exp"
        | "Floor"
        | "HardSigmoid"
        | "InstanceNormalization"
        | "LeakyRelu"
        | "Log"
        | "Max"
        | "Mean"
        | "Min"
        | "Neg"
        | "Reciprocal"
        | "Relu"
        | "Sigmoid"
        | "Sqrt"
        | "Sum"
        | "Tanh" => Rule::InPlace,
        "Add" | "And" | "Div" | "Equal" | "Greater" | "Less" | "Mul" | "Or" | "Pow" | "Sub" | "Xor" => Rule::Broadcast,
        "Gemm" => Rule::Gemm,
        "BatchNormalization" => Rule::BatchNorm,
        "Dropout" => Rule::Dropout,
        "Reshape" => Rule::Reshape,
        "PRelu" => Rule::PRelu,
        "Cast" => Rule::Cast,
        "Concat" => Rule::Concat,
        "Pad" => Rule::Pad,
        "Split" => Rule::Split,
        "Selu" => Rule::Selu,
        _ => return None,
    })
}

/// Rewrites a node for opset 7; gives nodes that come before it. Otherwise: what is the matter, to follow the node's name.
pub(super) fn apply(
    node: &mut NodeProto,
    opset: i64,
    ranks: &Ranks,
    names: &mut Names,
) -> Result<Vec<NodeProto>, String> {
    let operator = node.op_type.as_deref().unwrap_or_default();
    let rule = rule(operator).ok_or("is not one of the operators whose change is one of words")?;
    if !matches!(rule, Rule::Same | Rule::Concat | Rule::Pad | Rule::Split | Rule::Cast) {
        take(node, "consumed_inputs");
    }
    match rule {
        Rule::Split if node.input.len() > 1 => Err("has sizes that are computed".to_string()),
        Rule::Same | Rule::InPlace | Rule::Split => Ok(Vec::new()),
        Rule::Broadcast => broadcast(node, ranks, names),
        Rule::Gemm => {
            take(node, "broadcast");
            Ok(Vec::new())
        }
        Rule::BatchNorm | Rule::Dropout => does_not_train(node).map(|()| Vec::new()),
        Rule::Reshape => reshape(node, opset, names),
        Rule::PRelu => slopes(node, ranks, names),
        Rule::Cast => cast(node, opset).map(|()| Vec::new()),
        Rule::Concat => {
            if opset < 4 && !node.attribute.iter().any(|attribute| is_called(attribute, "axis")) {
                node.attribute.push(int("axis", 1));
            }
            Ok(Vec::new())
        }
        Rule::Pad => {
            if let Some(paddings) = take(node, "paddings") {
                node.attribute.push(ints("pads", paddings.ints));
            }
            Ok(Vec::new())
        }
        Rule::Selu => {
            if opset < 6 {
                for (name, default) in [("alpha", 1.6732_f32), ("gamma", 1.0507)] {
                    if !node.attribute.iter().any(|attribute| is_called(attribute, name)) {
                        node.attribute.push(float(name, default));
                    }
                }
            }
            Ok(Vec::new())
        }
    }
}

/// Puts axes of size 1 behind the second tensor, so that it is spread from where the first has the axis that was named.
fn broadcast(node: &mut NodeProto, ranks: &Ranks, names: &mut Names) -> Result<Vec<NodeProto>, String> {
    let is_spread = take(node, "broadcast").and_then(|attribute| attribute.i).unwrap_or(0) != 0;
    let axis = take(node, "axis").and_then(|attribute| attribute.i);
    let (true, Some(axis)) = (is_spread, axis) else { return Ok(Vec::new()) };
    let [first, second] = &node.input[..] else { return Err("does not have two inputs".to_string()) };
    if ranks.is_one_element(second) {
        return Ok(Vec::new());
    }
    let unknown =
        |name: &str| format!("spreads a tensor from axis {axis}, and nothing says how many axes {name:?} has");
    let left = ranks.get(first).ok_or_else(|| unknown(first))?;
    let right = ranks.get(second).ok_or_else(|| unknown(second))?;
    let axis = if axis < 0 { axis + left as i64 } else { axis };
    let behind = usize::try_from(axis).ok().and_then(|axis| left.checked_sub(axis)?.checked_sub(right));
    let behind =
        behind.ok_or_else(|| format!("spreads {right} axes from axis {axis} over {left}, which does not fit"))?;
    Ok(unsqueeze(node, 1, right, behind, names))
}

/// Gives slopes of one axis, one for each channel, the shape in which they are spread over axis 1.
fn slopes(node: &mut NodeProto, ranks: &Ranks, names: &mut Names) -> Result<Vec<NodeProto>, String> {
    let [first, slope] = &node.input[..] else { return Err("does not have two inputs".to_string()) };
    if ranks.is_one_element(slope) {
        return Ok(Vec::new());
    }
    let unknown = |name: &str| format!("has slopes for each channel, and nothing says how many axes {name:?} has");
    let left = ranks.get(first).ok_or_else(|| unknown(first))?;
    match ranks.get(slope).ok_or_else(|| unknown(slope))? {
        1 if left >= 2 => Ok(unsqueeze(node, 1, 1, left - 2, names)),
        rank => Err(format!("has slopes of {rank} axes for a tensor of {left}")),
    }
}

/// Puts so many axes of size 1 behind those of an input, by a node of its own.
fn unsqueeze(node: &mut NodeProto, input: usize, rank: usize, behind: usize, names: &mut Names) -> Vec<NodeProto> {
    if behind == 0 {
        return Vec::new();
    }
    let name = names.fresh(&node.input[input]);
    let axes = (rank..rank + behind).map(|axis| axis as i64).collect();
    let before = NodeProto {
        op_type: Some("Unsqueeze".into()),
        input: vec![std::mem::replace(&mut node.input[input], name.clone())],
        output: vec![name],
        attribute: vec![ints("axes", axes)],
        ..NodeProto::default()
    };
    vec![before]
}

/// Takes a node for what it is when nothing is trained.
fn does_not_train(node: &mut NodeProto) -> Result<(), String> {
    if take(node, "is_test").and_then(|attribute| attribute.i).unwrap_or(0) == 0 {
        return Err("is set to train (is_test is 0), when what it gives is not the model's".to_string());
    }
    // What it gives besides only when it trains; nobody may have asked for that.
    while node.output.len() > 1 && node.output.last().is_some_and(String::is_empty) {
        node.output.pop();
    }
    match node.output.len() {
        1 => Ok(()),
        outputs => Err(format!("has {outputs} outputs, of which it gives one when it does not train")),
    }
}

/// Makes the target an input, which a constant gives.
fn reshape(node: &mut NodeProto, opset: i64, names: &mut Names) -> Result<Vec<NodeProto>, String> {
    if opset >= 5 {
        return Ok(Vec::new());
    }
    let shape = take(node, "shape").ok_or("has no shape")?.ints;
    let (Some(data), 1) = (node.input.first(), node.input.len()) else {
        return Err("does not have one input".to_string());
    };
    let name = names.fresh(&format!("{data}_shape"));
    node.input.push(name.clone());
    let target = TensorProto {
        dims: vec![shape.len() as i64],
        data_type: Some(DataType::Int64 as i32),
        int64_data: shape,
        ..TensorProto::default()
    };
    let value = AttributeProto {
        name: Some("value".into()),
        r#type: Some(AttributeType::Tensor as i32),
        t: Some(target),
        ..AttributeProto::default()
    };
    let constant = NodeProto {
        op_type: Some("Constant".into()),
        output: vec![name],
        attribute: vec![value],
        ..NodeProto::default()
    };
    Ok(vec![constant])
}

/// Says the type by its number.
fn cast(node: &mut NodeProto, opset: i64) -> Result<(), String> {
    if opset >= 6 {
        return Ok(());
    }
    let word = take(node, "to").and_then(|attribute| attribute.s).ok_or("does not say a type")?;
    let word = String::from_utf8_lossy(&word).to_uppercase();
    let (_, dtype) = TYPES.into_iter().find(|(name, _)| *name == word).ok_or_else(|| format!("casts to {word:?}"))?;
    node.attribute.push(int("to", (dtype as i32).into()));
    Ok(())
}

/// The names that types had in attributes.
const TYPES: [(&str, DataType); 13] = [
    ("FLOAT", DataType::Float),
    ("UINT8", DataType::Uint8),
    ("INT8", DataType::Int8),
    ("UINT16", DataType::Uint16),
    ("INT16", DataType::Int16),
    ("INT32", DataType::Int32),
    ("INT64", DataType::Int64),
    ("STRING", DataType::String),
    ("BOOL", DataType::Bool),
    ("FLOAT16", DataType::Float16),
    ("DOUBLE", DataType::Double),
    ("UINT32", DataType::Uint32),
    ("UINT64", DataType::Uint64),
];

fn is_called(attribute: &AttributeProto, name: &str) -> bool {
    attribute.name.as_deref() == Some(name)
}

/// Removes an attribute.
fn take(node: &mut NodeProto, name: &str) -> Option<AttributeProto> {
    let position = node.attribute.iter().position(|attribute| is_called(attribute, name))?;
    Some(node.attribute.remove(position))
}

fn int(name: &str, value: i64) -> AttributeProto {
    let kind = Some(AttributeType::Int as i32);
    AttributeProto { name: Some(name.into()), r#type: kind, i: Some(value), ..AttributeProto::default() }
}

fn float(name: &str, value: f32) -> AttributeProto {
    let kind = Some(AttributeType::Float as i32);
    AttributeProto { name: Some(name.into()), r#type: kind, f: Some(value), ..AttributeProto::default() }
}
