//! MXNet as the suite that every backend passes sees it: where it is, what it can do, and where its models are. The tests of
//! `backends/isolated` include this file, so paths begin at whichever crate of `backends` it is built for.

use graphpipe_schema::DType;
use graphpiped_backend_api::Backend;
use graphpiped_backend_conformance::{Capabilities, InputProof, Kind, Subject};
use graphpiped_backend_mxnet::{Locations, MxnetBackend, WANTED};
use std::path::{Path, PathBuf};

/// The path of a file among the models.
pub fn path_of(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("mxnet").join("tests/models").join(file)
}

/// A backend that looks in the project's runtime folder.
pub fn backend() -> MxnetBackend {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtime/mxnet");
    let remedy = "get it with `graphpiped runtime install mxnet`";
    MxnetBackend::new(Locations::new(&WANTED, None, vec![folder], remedy))
}

pub struct Mxnet;

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
