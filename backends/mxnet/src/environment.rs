//! Variables of the environment that MXNet reads when it is loaded.

use std::env;

/// What MXNet is to find, unless somebody has said otherwise; to be set before there is a second thread. Without it, MXNet works
/// too, but with one thread for the runs of all instances, and says a line about each shape.
pub const ENVIRONMENT: [(&str, &str); 2] = [
    // Each run on the thread that asks for it. Otherwise the runs of all instances wait for one thread of MXNet's.
    ("MXNET_ENGINE_TYPE", ENGINE),
    // No line in the log for each new shape, with which clients could fill it.
    ("MXNET_SUBGRAPH_VERBOSE", "0"),
];

/// The engine that runs operators on the calling thread.
const ENGINE: &str = "NaiveEngine";

/// Whether operators run on the calling thread. To be asked before the library is loaded, as the library does.
pub(crate) fn runs_on_the_calling_thread() -> bool {
    env::var_os("MXNET_ENGINE_TYPE").is_some_and(|engine| engine == ENGINE)
}
