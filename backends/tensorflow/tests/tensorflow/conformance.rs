//! The suite that every backend passes, with TensorFlow: with frozen graphs, and with SavedModels.

use crate::subject::Tensorflow;
use graphpiped_backend_conformance::suite;

suite!(Tensorflow);
