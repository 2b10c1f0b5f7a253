//! What each operator of Caffe2 is in ONNX. One function for each kind of operator; the table is [`translate`].
//!
//! An operator that is not in the table is refused by its name, as is an argument that would change what it computes
//! and that ONNX cannot say. Arguments that only tell how it is computed (`engine`, `shared_buffer`, `ws_nbytes_limit`)
//! are passed over.

mod convolution;
mod dense;
mod elementwise;
mod layout;
mod normalization;
mod pooling;
mod window;

use crate::arguments::Arguments;
use crate::attributes::{float, int};
use crate::graph::{Graph, Value};
use crate::kinds;
use crate::proto::OperatorDef;
use crate::shape::{Dim, Shape, axis};
use graphpiped_onnx_proto::{AttributeProto, DataType};
use std::rc::Rc;

/// An operator that is being translated.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// The operator.
    pub operator: &'a OperatorDef,
    /// Its arguments.
    pub arguments: Arguments<'a>,
    /// What it reads.
    inputs: Vec<Value>,
    /// The graph that it becomes a part of.
    pub graph: &'a mut Graph,
    /// Which of its outputs have been written.
    written: Vec<bool>,
    /// Whether it fixes the number of rows, such as a `Reshape` to sizes that leave no room for another one.
    pub fixes_the_batch: bool,
}

impl<'a> Call<'a> {
    /// Begins with an operator: looks up what it reads.
    pub fn begin(operator: &'a OperatorDef, graph: &'a mut Graph) -> Result<Call<'a>, String> {
        let inputs = operator.input.iter().map(|blob| graph.read(blob)).collect::<Result<_, _>>()?;
        let written = vec![false; operator.output.len()];
        Ok(Call { operator, arguments: Arguments(&operator.arg), inputs, graph, written, fixes_the_batch: false })
    }

    /// Ends with it: what it writes and has no translation is not to be read. Tells whether it fixes the number of
    /// rows.
    pub fn end(self) -> bool {
        let operator: Rc<str> = self.operator.shown().into();
        for (blob, _) in self.operator.output.iter().zip(&self.written).filter(|(_, is_written)| !**is_written) {
            self.graph.forget(blob, &operator);
        }
        self.fixes_the_batch
    }

    /// An input.
    pub fn input(&self, index: usize) -> Result<Value, String> {
        let missing = || format!("has {} inputs, and needs {} at least", self.inputs.len(), index + 1);
        self.inputs.get(index).cloned().ok_or_else(missing)
    }

    /// All inputs.
    pub fn inputs(&self) -> &[Value] {
        &self.inputs
    }

    /// Writes an output, with elements like those of the first input.
    pub fn output(&mut self, index: usize, shape: Shape) -> Result<String, String> {
        let kind = self.input(0)?.kind;
        self.output_of(index, kind, shape)
    }

    /// Writes an output.
    pub fn output_of(&mut self, index: usize, kind: DataType, shape: Shape) -> Result<String, String> {
        let missing = || format!("has {} outputs, and needs {} at least", self.operator.output.len(), index + 1);
        let blob = self.operator.output.get(index).ok_or_else(missing)?;
        if let Some(is_written) = self.written.get_mut(index) {
            *is_written = true;
        }
        Ok(self.graph.write(blob, kind, shape).name)
    }

    /// A node that makes the first output, with elements like those of the first input.
    pub fn emit(
        &mut self,
        kind: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
        shape: Shape,
    ) -> Result<(), String> {
        let output = self.output(0, shape)?;
        self.graph.node(kind, inputs, attributes, &[&output]);
        Ok(())
    }

    /// A node that makes a value for another node.
    pub fn between(&mut self, kind: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let output = self.operator.output.first().map_or("", String::as_str);
        let name = self.graph.fresh(&output[..output.floor_char_boundary(STEM_BYTES)]);
        self.graph.node(kind, inputs, attributes, &[&name]);
        name
    }
}

/// Bytes of an output's name that the names of values between begin with, for people to see whose they are. An operator may
/// need as many of them as it has inputs.
const STEM_BYTES: usize = 32;

/// Translates an operator.
pub(crate) fn translate(call: &mut Call<'_>) -> Result<(), String> {
    match call.operator.kind() {
        "Conv" | "Conv1D" | "Conv2D" | "Conv3D" => convolution::convolution(call),
        "ConvTranspose" => convolution::transposed(call),
        "MaxPool" | "MaxPool1D" | "MaxPool2D" | "MaxPool3D" => pooling::maximum(call),
        "AveragePool" | "AveragePool1D" | "AveragePool2D" | "AveragePool3D" => pooling::average(call),
        "FC" => dense::fully_connected(call, true),
        "FCTransposed" => dense::fully_connected(call, false),
        "MatMul" => dense::product(call),
        "SpatialBN" => normalization::batch(call),
        "LRN" => normalization::local_response(call),
        "Softmax" => normalization::softmax(call),
        "PRelu" => elementwise::parametric_relu(call),
        "Add" | "Sub" | "Mul" | "Div" => elementwise::binary(call),
        "Sum" => elementwise::sum(call),
        "Scale" => elementwise::scale(call),
        "Clip" => elementwise::clip(call),
        "Concat" => layout::concat(call),
        "Split" => layout::split(call),
        "Reshape" => layout::reshape(call),
        "Flatten" => layout::flatten(call),
        "FlattenToVec" => layout::flatten_to_vector(call),
        "Transpose" => layout::transpose(call),
        "Slice" => layout::slice(call),
        "Squeeze" => layout::squeeze(call),
        "ExpandDims" => layout::expand_dims(call),
        "ChannelShuffle" => layout::channel_shuffle(call),
        "ArgMax" => arg_max(call),
        "Cast" => cast(call),
        "Dropout" => dropout(call),
        "Copy" | "StopGradient" | "Alias" => unary(call, "Identity", vec![]),
        kind @ ("Relu" | "Sigmoid" | "Tanh" | "Softplus" | "Softsign" | "Exp" | "Log" | "Sqrt" | "Abs" | "Floor"
        | "Ceil") => unary(call, kind, vec![]),
        "Negative" => unary(call, "Neg", vec![]),
        "LeakyRelu" => {
            let alpha = call.arguments.float("alpha", 0.01)?;
            unary(call, "LeakyRelu", vec![float("alpha", alpha)])
        }
        "Elu" => {
            let alpha = call.arguments.float("alpha", 1.0)?;
            unary(call, "Elu", vec![float("alpha", alpha)])
        }
        _ => Err("is an operator that is not translated; export the net to ONNX".into()),
    }
}

/// One input, and one output of its shape.
fn unary(call: &mut Call<'_>, kind: &str, attributes: Vec<AttributeProto>) -> Result<(), String> {
    let x = call.input(0)?;
    call.emit(kind, &[&x.name], attributes, x.shape)
}

/// It does nothing to a net that is not being trained; the mask is never read then.
fn dropout(call: &mut Call<'_>) -> Result<(), String> {
    only_for_tests(call)?;
    unary(call, "Identity", vec![])
}

/// Refuses an operator that does another thing in a net that is being trained, if it is set for that.
fn only_for_tests(call: &Call<'_>) -> Result<(), String> {
    if call.arguments.flag("is_test", false)? {
        return Ok(());
    }
    Err("is set for training (is_test is not 1); export the net for inference".into())
}

fn arg_max(call: &mut Call<'_>) -> Result<(), String> {
    let x = call.input(0)?;
    let keeps = call.arguments.flag("keepdims", true)?;
    let which = call.arguments.int("axis", -1)?;
    let shape = match &x.shape {
        Some(dims) => {
            let axis = axis(which, &x.shape)?;
            let mut dims = dims.clone();
            dims[axis] = Dim::Fixed(1);
            if !keeps {
                dims.remove(axis);
            }
            Some(dims)
        }
        None => None,
    };
    let output = call.output_of(0, DataType::Int64, shape)?;
    let attributes = vec![int("axis", which), int("keepdims", keeps.into())];
    call.graph.node("ArgMax", &[&x.name], attributes, &[&output]);
    Ok(())
}

fn cast(call: &mut Call<'_>) -> Result<(), String> {
    let x = call.input(0)?;
    let to = match call.arguments.get("to").and_then(|argument| argument.i) {
        Some(number) => kinds::of_caffe2(number)?,
        None => return Err("has no type to cast to (its argument to is no number)".into()),
    };
    let output = call.output_of(0, to, x.shape)?;
    call.graph.node("Cast", &[&x.name], vec![int("to", to as i64)], &[&output]);
    Ok(())
}
