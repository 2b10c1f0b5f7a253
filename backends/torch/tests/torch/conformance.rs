//! The suite that every backend passes, with PyTorch.

use crate::support::{backend, path_of};
use graphpipe_schema::DType;
use graphpiped_backend_api::Backend;
use graphpiped_backend_conformance::{Capabilities, InputProof, Kind, Subject, suite};
use std::path::PathBuf;

struct Torch;

/// All but strings.
const DTYPES: [DType; 13] = [
    DType::Uint8,
    DType::Int8,
    DType::Uint16,
    DType::Int16,
    DType::Uint32,
    DType::Int32,
    DType::Uint64,
    DType::Int64,
    DType::Float16,
    DType::Float32,
    DType::Float64,
    DType::Bool,
    DType::Bfloat16,
];

impl Subject for Torch {
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
            writes_in_place: false,
        }
    }

    fn model(&self, kind: Kind) -> Option<PathBuf> {
        Some(path_of(&format!("{}.pt", kind.name())))
    }
}

suite!(Torch);
