//! The suite that every backend passes, with MXNet.

use crate::support::{backend, path_of};
use graphpipe_schema::DType;
use graphpiped_backend_api::Backend;
use graphpiped_backend_conformance::{Capabilities, InputProof, Kind, Subject, suite};
use std::path::PathBuf;

struct Mxnet;

impl Subject for Mxnet {
    fn backend(&self) -> Box<dyn Backend> {
        Box::new(backend())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            dtypes: &[
                DType::Uint8,
                DType::Int8,
                DType::Int32,
                DType::Int64,
                DType::Float16,
                DType::Float32,
                DType::Float64,
            ],
            // A shape without axes, and an axis of size 0, are to MXNet shapes that nobody knows.
            scalars: false,
            empty: false,
            dynamic_inner_axes: true,
            input: InputProof::Copies,
            writes_in_place: true,
        }
    }

    fn model(&self, kind: Kind) -> Option<PathBuf> {
        Some(path_of(&format!("{}-symbol.json", kind.name())))
    }
}

suite!(Mxnet);
