//! The suite that every backend passes, with MXNet.

use crate::subject::Mxnet;
use graphpiped_backend_conformance::suite;

suite!(Mxnet);
