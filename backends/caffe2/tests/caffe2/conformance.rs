//! The suite that every backend passes, with nets of Caffe2.

use crate::support::{backend, path_of};
use graphpipe_schema::DType;
use graphpiped_backend_api::Backend;
use graphpiped_backend_conformance::{Capabilities, InputProof, Kind, Subject, suite};
use std::path::PathBuf;

struct Caffe2;

/// The types that Caffe2 has.
const DTYPES: [DType; 11] = [
    DType::Uint8,
    DType::Int8,
    DType::Uint16,
    DType::Int16,
    DType::Int32,
    DType::Int64,
    DType::Float16,
    DType::Float32,
    DType::Float64,
    DType::String,
    DType::Bool,
];

impl Subject for Caffe2 {
    fn backend(&self) -> Box<dyn Backend> {
        Box::new(backend())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            dtypes: &DTYPES,
            scalars: true,
            empty: true,
            dynamic_inner_axes: true,
            input: InputProof::SameAddress,
            writes_in_place: true,
        }
    }

    fn model(&self, kind: Kind) -> Option<PathBuf> {
        let is_said = |dtype: DType| DTYPES.contains(&dtype);
        match kind {
            Kind::Identity(dtype) if !is_said(dtype) => None,
            _ => Some(path_of(&format!("models/{}", kind.name()))),
        }
    }
}

suite!(Caffe2);
