//! The suite that every backend passes, with TensorFlow: with frozen graphs, and with SavedModels.

use crate::support::{backend, path_of};
use graphpipe_schema::DType;
use graphpiped_backend_api::Backend;
use graphpiped_backend_conformance::{Capabilities, InputProof, Kind, Subject, suite};
use std::path::PathBuf;

struct Tensorflow;

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

suite!(Tensorflow);
