//! TensorFlow as the suite that every backend passes sees it: where it is, what it can do, and where its models are. The tests
//! of `backends/isolated` include this file, so paths begin at whichever crate of `backends` it is built for.

use graphpipe_schema::DType;
use graphpiped_backend_api::Backend;
use graphpiped_backend_conformance::{Capabilities, InputProof, Kind, Subject};
use graphpiped_backend_tensorflow::{Locations, TensorflowBackend, WANTED};
use std::path::{Path, PathBuf};

/// The path of a model.
pub fn path_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("tensorflow").join("tests/models").join(name)
}

/// A backend that looks in the project's runtime folder.
pub fn backend() -> TensorflowBackend {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtime/tensorflow");
    let remedy = "get it with `graphpiped runtime install tensorflow`";
    TensorflowBackend::new(Locations::new(&WANTED, None, vec![folder], remedy))
}

pub struct Tensorflow;

impl Subject for Tensorflow {
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
            writes_in_place: false,
        }
    }

    fn model(&self, kind: Kind) -> Option<PathBuf> {
        // Half of the kinds are made in each format.
        let graph = path_of(&format!("{}.pb", kind.name()));
        Some(if graph.exists() { graph } else { path_of(&kind.name()) })
    }
}
