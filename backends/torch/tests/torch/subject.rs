//! PyTorch as the suite that every backend passes sees it: where it is, what it can do, and where its models are. The tests of
//! `backends/isolated` include this file, so paths begin at whichever crate of `backends` it is built for.

use graphpipe_schema::DType;
use graphpiped_backend_api::Backend;
use graphpiped_backend_conformance::{Capabilities, InputProof, Kind, Subject};
use graphpiped_backend_torch::{Locations, TorchBackend, WANTED};
use std::path::{Path, PathBuf};

/// The path of a file among the models.
pub fn path_of(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("torch").join("tests/models").join(file)
}

/// A backend that looks in the project's runtime folder.
pub fn backend() -> TorchBackend {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtime/torch");
    TorchBackend::new(Locations::new(&WANTED, None, vec![folder], "get it with `graphpiped runtime install torch`"))
}

pub struct Torch;

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
