//! The inputs and outputs of a session, as specifications.
//!
//! `ort` tells names, types and sizes, but not whether a shape is unknown or a scalar's, and not whether a tensor is
//! sparse; that is asked of ONNX Runtime here.

use crate::types;
use crate::value::check;
use graphpipe_schema::shape::RANK_MAX;
use graphpiped_backend_api::{Dim, TensorSpec};
use ort::session::Session;
use ort::value::{Outlet, ValueType};
use ort::{AsPointer, sys};
use std::ffi::CString;
use std::ptr::{self, NonNull};

/// Which end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// What goes in.
    Inputs,
    /// What comes out.
    Outputs,
}

/// The inputs or outputs of a session.
#[derive(Debug, Default)]
pub(crate) struct Outlets {
    /// Those that the protocol can carry, in the order of the model.
    pub specs: Vec<TensorSpec>,
    /// Their names for ONNX Runtime.
    pub names: Vec<CString>,
    /// The others, as in `x is a sequence`.
    pub not_tensors: Vec<String>,
}

/// Reads one side of a session.
pub(crate) fn read(session: &Session, side: Side) -> ort::Result<Outlets> {
    let outlets = match side {
        Side::Inputs => session.inputs(),
        Side::Outputs => session.outputs(),
    };
    let mut read = Outlets::default();
    for (index, outlet) in outlets.iter().enumerate() {
        match spec(outlet, shape_kind(session, side, index)?) {
            Ok(spec) => {
                read.names.push(CString::new(outlet.name())?);
                read.specs.push(spec);
            }
            Err(cause) => read.not_tensors.push(format!("{} is {cause}", outlet.name())),
        }
    }
    Ok(read)
}

/// The specification of a tensor; otherwise what it is instead, as in `a sequence`.
fn spec(outlet: &Outlet, shape_kind: ShapeKind) -> Result<TensorSpec, String> {
    let (ty, shape, symbols) = match outlet.dtype() {
        ValueType::Tensor { ty, shape, dimension_symbols } => (*ty, shape, dimension_symbols),
        ValueType::Sequence(_) => return Err("a sequence".to_string()),
        ValueType::Map { .. } => return Err("a map".to_string()),
        ValueType::Optional(_) => return Err("optional".to_string()),
    };
    let number = sys::ONNXTensorElementDataType::from(ty) as i32;
    let dtype = types::from_ort(number).ok_or_else(|| format!("a tensor of ONNX type {number}"))?;
    if shape.len() > RANK_MAX {
        return Err(format!("a tensor of {} dimensions, of {RANK_MAX} at most", shape.len()));
    }
    let dim = |(axis, &size): (usize, &i64)| match u64::try_from(size) {
        Ok(size) => Dim::Fixed(size),
        Err(_) => match symbols.get(axis).map_or("", String::as_str) {
            "" => Dim::Any,
            name => Dim::Symbol(name.into()),
        },
    };
    let dims = match shape_kind {
        ShapeKind::Known => Some(shape.iter().enumerate().map(dim).collect()),
        ShapeKind::Unknown => None,
        ShapeKind::Sparse => return Err("a sparse tensor".to_string()),
    };
    Ok(TensorSpec { name: outlet.name().to_string(), dtype, dims })
}

/// What `ort` does not tell about the shape of an outlet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ShapeKind {
    Known,
    Unknown,
    Sparse,
}

fn shape_kind(session: &Session, side: Side, index: usize) -> ort::Result<ShapeKind> {
    let api = ort::api();
    let get = match side {
        Side::Inputs => api.SessionGetInputTypeInfo,
        Side::Outputs => api.SessionGetOutputTypeInfo,
    };
    let inner = session.inner();
    let mut info = ptr::null_mut();
    // SAFETY: the session is alive, and compares the index with the number it has.
    let status = unsafe { get(inner.ptr(), index, &raw mut info) };
    check(status)?;
    let info = TypeInfo(NonNull::new(info).ok_or_else(|| ort::Error::new("an input or output has no type"))?);

    let mut tensor = ptr::null();
    // SAFETY: the type is alive; `tensor` is set to a part of it, or to null if it is no tensor.
    let status = unsafe { (api.CastTypeInfoToTensorInfo)(info.0.as_ptr(), &raw mut tensor) };
    check(status)?;
    if tensor.is_null() {
        // Not a tensor at all, which `ort` tells.
        return Ok(ShapeKind::Unknown);
    }
    // A plain integer: a newer library may name kinds that the enumeration does not have.
    let mut kind = 0_i32;
    // SAFETY: the type is alive; the kind is written as the C enumeration, which is a 32-bit integer.
    let status = unsafe { (api.GetOnnxTypeFromTypeInfo)(info.0.as_ptr(), (&raw mut kind).cast()) };
    check(status)?;
    if kind != sys::ONNXType::ONNX_TYPE_TENSOR as i32 {
        return Ok(ShapeKind::Sparse);
    }
    // SAFETY: `tensor` is a part of `info`, which is alive.
    let has_shape = unsafe { (api.TensorTypeAndShape_HasShape)(tensor) };
    Ok(if has_shape { ShapeKind::Known } else { ShapeKind::Unknown })
}

/// An owned `OrtTypeInfo`.
struct TypeInfo(NonNull<sys::OrtTypeInfo>);

impl Drop for TypeInfo {
    fn drop(&mut self) {
        // SAFETY: this is the one owner of the type, and gives it up here.
        unsafe { (ort::api().ReleaseTypeInfo)(self.0.as_ptr()) };
    }
}
