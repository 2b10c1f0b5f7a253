//! Values and types.

use crate::model::StringStringEntryProto;

/// A tensor with its elements, or with the file that they are in.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TensorProto {
    /// Its shape.
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    /// What its elements are, one of [`DataType`]; a number, because models are newer than programs.
    #[prost(int32, optional, tag = "2")]
    pub data_type: Option<i32>,
    /// The part of a larger tensor that this is.
    #[prost(message, optional, tag = "3")]
    pub segment: Option<tensor_proto::Segment>,
    /// Elements of float32, and both parts of complex64.
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    /// Elements of the types of 32 bits and less but float32; floats of 16 bits as the bits that they are.
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    /// Strings.
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub string_data: Vec<Vec<u8>>,
    /// Elements of int64.
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    /// Its name.
    #[prost(string, optional, tag = "8")]
    pub name: Option<String>,
    /// Elements of any type but strings, as bytes: little-endian, row-major.
    #[prost(bytes = "vec", optional, tag = "9")]
    pub raw_data: Option<Vec<u8>>,
    /// Elements of float64, and both parts of complex128.
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
    /// Elements of uint32 and uint64.
    #[prost(uint64, repeated, tag = "11")]
    pub uint64_data: Vec<u64>,
    /// For people.
    #[prost(string, optional, tag = "12")]
    pub doc_string: Option<String>,
    /// Which bytes of which file its elements are, if they are not here.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<StringStringEntryProto>,
    /// Whether they are here.
    #[prost(enumeration = "DataLocation", optional, tag = "14")]
    pub data_location: Option<i32>,
    /// Named values that belong to it.
    #[prost(message, repeated, tag = "16")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// What belongs to [`TensorProto`].
pub mod tensor_proto {
    /// A part of a tensor.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Segment {
        /// Its first element.
        #[prost(int64, optional, tag = "1")]
        pub begin: Option<i64>,
        /// The element behind its last one.
        #[prost(int64, optional, tag = "2")]
        pub end: Option<i64>,
    }
}

/// The types of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
#[expect(missing_docs, reason = "the names of the schema say all there is")]
pub enum DataType {
    Undefined = 0,
    Float = 1,
    Uint8 = 2,
    Int8 = 3,
    Uint16 = 4,
    Int16 = 5,
    Int32 = 6,
    Int64 = 7,
    String = 8,
    Bool = 9,
    Float16 = 10,
    Double = 11,
    Uint32 = 12,
    Uint64 = 13,
    Complex64 = 14,
    Complex128 = 15,
    Bfloat16 = 16,
    Float8e4m3fn = 17,
    Float8e4m3fnuz = 18,
    Float8e5m2 = 19,
    Float8e5m2fnuz = 20,
    Uint4 = 21,
    Int4 = 22,
    Float4e2m1 = 23,
    Float8e8m0 = 24,
    Uint2 = 25,
    Int2 = 26,
    Float6e2m3 = 27,
    Float6e3m2 = 28,
}

/// Where the elements of a tensor are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum DataLocation {
    /// In the tensor.
    Default = 0,
    /// In a file beside the model.
    External = 1,
}

/// A tensor that is mostly zeros.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SparseTensorProto {
    /// The elements that are not zero; the name of this one is the tensor's.
    #[prost(message, optional, tag = "1")]
    pub values: Option<TensorProto>,
    /// Where they are.
    #[prost(message, optional, tag = "2")]
    pub indices: Option<TensorProto>,
    /// Its shape.
    #[prost(int64, repeated, packed = "false", tag = "3")]
    pub dims: Vec<i64>,
}

/// A shape that need not be known in all axes.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TensorShapeProto {
    /// The axes.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<tensor_shape_proto::Dimension>,
}

/// What belongs to [`TensorShapeProto`].
pub mod tensor_shape_proto {
    /// An axis.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Dimension {
        /// Its size; of any if there is none.
        #[prost(oneof = "dimension::Value", tags = "1, 2")]
        pub value: Option<dimension::Value>,
        /// What it stands for.
        #[prost(string, optional, tag = "3")]
        pub denotation: Option<String>,
    }

    /// What belongs to [`Dimension`].
    pub mod dimension {
        /// A size, or its symbol.
        #[derive(Clone, PartialEq, prost::Oneof)]
        pub enum Value {
            /// A size.
            #[prost(int64, tag = "1")]
            DimValue(i64),
            /// A symbol: axes with the same one have the same size.
            #[prost(string, tag = "2")]
            DimParam(String),
        }
    }
}

/// A type.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TypeProto {
    /// What it is.
    #[prost(oneof = "type_proto::Value", tags = "1, 4, 5, 7, 8, 9")]
    pub value: Option<type_proto::Value>,
    /// What it stands for.
    #[prost(string, optional, tag = "6")]
    pub denotation: Option<String>,
}

/// What belongs to [`TypeProto`].
pub mod type_proto {
    use super::{TensorShapeProto, TypeProto};

    /// The kinds of types.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Value {
        /// Tensors.
        #[prost(message, tag = "1")]
        TensorType(Tensor),
        /// Sequences.
        #[prost(message, tag = "4")]
        SequenceType(Box<Sequence>),
        /// Maps.
        #[prost(message, tag = "5")]
        MapType(Box<Map>),
        /// Whatever another party means by a name.
        #[prost(message, tag = "7")]
        OpaqueType(Opaque),
        /// Sparse tensors.
        #[prost(message, tag = "8")]
        SparseTensorType(SparseTensor),
        /// What may be there or not.
        #[prost(message, tag = "9")]
        OptionalType(Box<Optional>),
    }

    /// A tensor.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Tensor {
        /// What its elements are, one of [`DataType`](crate::DataType).
        #[prost(int32, optional, tag = "1")]
        pub elem_type: Option<i32>,
        /// Its shape; of any rank if there is none.
        #[prost(message, optional, tag = "2")]
        pub shape: Option<TensorShapeProto>,
    }

    /// A sequence.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Sequence {
        /// What its elements are.
        #[prost(message, optional, boxed, tag = "1")]
        pub elem_type: Option<Box<TypeProto>>,
    }

    /// A map.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Map {
        /// What its keys are, one of [`DataType`](crate::DataType).
        #[prost(int32, optional, tag = "1")]
        pub key_type: Option<i32>,
        /// What its values are.
        #[prost(message, optional, boxed, tag = "2")]
        pub value_type: Option<Box<TypeProto>>,
    }

    /// What may be there or not.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Optional {
        /// What it is if it is there.
        #[prost(message, optional, boxed, tag = "1")]
        pub elem_type: Option<Box<TypeProto>>,
    }

    /// A sparse tensor.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct SparseTensor {
        /// What its elements are, one of [`DataType`](crate::DataType).
        #[prost(int32, optional, tag = "1")]
        pub elem_type: Option<i32>,
        /// Its shape; of any rank if there is none.
        #[prost(message, optional, tag = "2")]
        pub shape: Option<TensorShapeProto>,
    }

    /// Whatever another party means by a name.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Opaque {
        /// Whose name it is.
        #[prost(string, optional, tag = "1")]
        pub domain: Option<String>,
        /// The name.
        #[prost(string, optional, tag = "2")]
        pub name: Option<String>,
    }
}
