//! ONNX's messages, as `onnx.proto` of ONNX 1.23 (IR version 14) has them: all of their fields, under their own names.
//!
//! Whoever changes a model decodes it, changes it and encodes it, and whatever is not touched stays: a field is here
//! even if nobody here asks for it. Fields that come after IR version 14 are lost on that way, which is why a model
//! that says it is newer ([`IR_VERSION`]) is to be left as it is. Repeated numbers are packed or not as the schema
//! says, so that bytes come back as they were if another library has written them.
//!
//! `model` holds graphs and what they are made of, `tensor` values and types, `device` how a graph is spread over
//! devices; [`DataType`] and [`AttributeType`] name the numbers. What never will be here: what an operator means, and a
//! check whether a model is sound.
//!
//! Decoding allocates in proportion to the bytes that it gets, at most about 2,500 times as much (attributes of two bytes in a
//! list that has just grown), and refuses messages that are nested deeper than 100. Bytes of strangers need a limit on what
//! they take before: `size_of` of each message and string in them.
#![forbid(unsafe_code)]

mod device;
mod model;
mod tensor;

pub use device::{
    DeviceConfigurationProto, IntIntListEntryProto, NodeDeviceConfigurationProto, ShardedDimProto, ShardingSpecProto,
    SimpleShardedDimProto, simple_sharded_dim_proto,
};
pub use model::{
    AttributeProto, AttributeType, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorAnnotation, TrainingInfoProto, ValueInfoProto,
};
pub use prost::{DecodeError, Message};
pub use tensor::{
    DataLocation, DataType, SparseTensorProto, TensorProto, TensorShapeProto, TypeProto, tensor_proto,
    tensor_shape_proto, type_proto,
};

/// The version of the representation that the messages here are complete for.
pub const IR_VERSION: i64 = 14;

#[cfg(test)]
mod tests;
