//! The suite that every backend passes, with PyTorch.

use crate::subject::Torch;
use graphpiped_backend_conformance::suite;

suite!(Torch);
