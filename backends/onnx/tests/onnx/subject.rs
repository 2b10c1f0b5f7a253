//! ONNX Runtime as the suite that every backend passes sees it: where it is, what it can do, and where its models are. The
//! tests of `backends/isolated` include this file, so paths begin at whichever crate of `backends` it is built for.

use graphpipe_schema::DType;
use graphpiped_backend_api::Backend;
use graphpiped_backend_conformance::{Capabilities, InputProof, Kind, Subject};
use graphpiped_backend_onnx::{Locations, OnnxBackend, WANTED};
use std::path::{Path, PathBuf};

/// The path of a file among the models.
pub fn path_of(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("onnx").join("tests/models").join(file)
}

/// A backend that looks in the project's runtime folder.
pub fn backend() -> OnnxBackend {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtime/onnxruntime");
    OnnxBackend::new(Locations::new(&WANTED, None, vec![folder], "get it with `make runtime`"))
}

pub struct Onnx;

impl Subject for Onnx {
    fn backend(&self) -> Box<dyn Backend> {
        Box::new(backend())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            dtypes: &DType::ALL,
            scalars: true,
            empty: true,
            dynamic_inner_axes: true,
            input: InputProof::SameAddress,
            writes_in_place: true,
        }
    }

    fn model(&self, kind: Kind) -> Option<PathBuf> {
        Some(path_of(&format!("{}.onnx", kind.name())))
    }
}
