//! The messages of a model: what their fields are, and what they take in memory; numbers from `onnx.proto`.

use graphpiped_onnx_proto::{
    AttributeProto, DeviceConfigurationProto, FunctionProto, GraphProto, IntIntListEntryProto, ModelProto,
    NodeDeviceConfigurationProto, NodeProto, OperatorSetIdProto, ShardedDimProto, ShardingSpecProto,
    SimpleShardedDimProto, SparseTensorProto, StringStringEntryProto, TensorAnnotation, TensorProto, TensorShapeProto,
    TrainingInfoProto, TypeProto, ValueInfoProto, tensor_proto, tensor_shape_proto, type_proto,
};

/// Messages, by what they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Model,
    /// The model's own; those of its functions count for nothing.
    Opset,
    OpsetOfFunction,
    Graph,
    Node,
    Attribute,
    Tensor,
    Segment,
    /// Of a tensor's external data.
    Entry,
    /// Every other pair of strings.
    Property,
    Sparse,
    Function,
    Training,
    Value,
    Annotation,
    Type,
    TypeOfTensor,
    Sequence,
    Map,
    Optional,
    Opaque,
    Shape,
    Dimension,
    Devices,
    NodeDevices,
    Sharding,
    IntegerList,
    ShardedAxis,
    SimpleShardedAxis,
}

impl Kind {
    /// What kind of message a field is, if it is one.
    pub fn of_field(self, field: u64) -> Option<Kind> {
        Some(match (self, field) {
            (Kind::Model, 7) | (Kind::Attribute, 6 | 11) | (Kind::Training, 1 | 2) => Kind::Graph,
            (Kind::Model, 8) => Kind::Opset,
            (Kind::Model, 20) => Kind::Training,
            (Kind::Model, 25) => Kind::Function,
            (Kind::Model, 26) => Kind::Devices,
            (Kind::Graph, 1) | (Kind::Function, 7) => Kind::Node,
            (Kind::Graph, 11..=13) | (Kind::Function, 12) => Kind::Value,
            (Kind::Graph, 14) => Kind::Annotation,
            (Kind::Node, 5) | (Kind::Function, 11) => Kind::Attribute,
            (Kind::Node, 10) => Kind::NodeDevices,
            (Kind::Graph, 5) | (Kind::Attribute, 5 | 10) | (Kind::Sparse, 1 | 2) => Kind::Tensor,
            (Kind::Graph, 15) | (Kind::Attribute, 22 | 23) => Kind::Sparse,
            (Kind::Tensor, 3) => Kind::Segment,
            (Kind::Tensor, 13) => Kind::Entry,
            (Kind::Function, 9) => Kind::OpsetOfFunction,
            (Kind::Model | Kind::Function, 14)
            | (Kind::Graph | Kind::Tensor, 16)
            | (Kind::Node, 9)
            | (Kind::Value, 4)
            | (Kind::Annotation, 2)
            | (Kind::Training, 3 | 4) => Kind::Property,
            (Kind::Value | Kind::Map, 2) | (Kind::Attribute, 14 | 15) | (Kind::Sequence | Kind::Optional, 1) => {
                Kind::Type
            }
            (Kind::Type, 1 | 8) => Kind::TypeOfTensor,
            (Kind::Type, 4) => Kind::Sequence,
            (Kind::Type, 5) => Kind::Map,
            (Kind::Type, 7) => Kind::Opaque,
            (Kind::Type, 9) => Kind::Optional,
            (Kind::TypeOfTensor, 2) => Kind::Shape,
            (Kind::Shape, 1) => Kind::Dimension,
            (Kind::NodeDevices, 2) => Kind::Sharding,
            (Kind::Sharding, 3) => Kind::IntegerList,
            (Kind::Sharding, 4) => Kind::ShardedAxis,
            (Kind::ShardedAxis, 2) => Kind::SimpleShardedAxis,
            _ => return None,
        })
    }

    /// Bytes that such a message takes when it is decoded, without what it points to.
    pub fn size(self) -> u64 {
        let size = match self {
            Kind::Model => size_of::<ModelProto>(),
            Kind::Opset | Kind::OpsetOfFunction => size_of::<OperatorSetIdProto>(),
            Kind::Graph => size_of::<GraphProto>(),
            Kind::Node => size_of::<NodeProto>(),
            Kind::Attribute => size_of::<AttributeProto>(),
            Kind::Tensor => size_of::<TensorProto>(),
            Kind::Segment => size_of::<tensor_proto::Segment>(),
            Kind::Entry | Kind::Property => size_of::<StringStringEntryProto>(),
            Kind::Sparse => size_of::<SparseTensorProto>(),
            Kind::Function => size_of::<FunctionProto>(),
            Kind::Training => size_of::<TrainingInfoProto>(),
            Kind::Value => size_of::<ValueInfoProto>(),
            Kind::Annotation => size_of::<TensorAnnotation>(),
            Kind::Type => size_of::<TypeProto>(),
            Kind::TypeOfTensor => size_of::<type_proto::Tensor>(),
            Kind::Sequence => size_of::<type_proto::Sequence>(),
            Kind::Map => size_of::<type_proto::Map>(),
            Kind::Optional => size_of::<type_proto::Optional>(),
            Kind::Opaque => size_of::<type_proto::Opaque>(),
            Kind::Shape => size_of::<TensorShapeProto>(),
            Kind::Dimension => size_of::<tensor_shape_proto::Dimension>(),
            Kind::Devices => size_of::<DeviceConfigurationProto>(),
            Kind::NodeDevices => size_of::<NodeDeviceConfigurationProto>(),
            Kind::Sharding => size_of::<ShardingSpecProto>(),
            Kind::IntegerList => size_of::<IntIntListEntryProto>(),
            Kind::ShardedAxis => size_of::<ShardedDimProto>(),
            Kind::SimpleShardedAxis => size_of::<SimpleShardedDimProto>(),
        };
        (size + ALLOCATION) as u64
    }

    /// Bytes that any other field of a length takes besides its content: a string, or a list of numbers, each of which is larger
    /// than the one byte that it may have in the file.
    pub fn size_of_field(self, field: u64, length: u64) -> u64 {
        let times = match (self, field) {
            (Kind::Tensor, 1 | 7 | 11)
            | (Kind::Attribute, 8)
            | (Kind::Sparse, 3)
            | (Kind::Sharding | Kind::IntegerList, 2) => 8,
            (Kind::Tensor, 5) => 4,
            _ => 0,
        };
        length.saturating_mul(times).saturating_add((size_of::<String>() + ALLOCATION) as u64)
    }
}

/// The least that an allocator takes for anything.
const ALLOCATION: usize = 32;
/// The most bytes of a number.
pub(super) const NUMBER: u64 = 8;
