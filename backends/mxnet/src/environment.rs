//! Variables of the environment that MXNet reads, and the one moment at which they can be set soundly.

use std::env;

/// What MXNet is to find, unless somebody has said otherwise.
const WISHES: [(&str, &str); 2] = [
    // Each run on the thread that asks for it. Otherwise the runs of all instances wait for one thread of MXNet's.
    ("MXNET_ENGINE_TYPE", ENGINE),
    // No line in the log for each new shape, with which clients could fill it.
    ("MXNET_SUBGRAPH_VERBOSE", "0"),
];

/// The engine that runs operators on the calling thread.
const ENGINE: &str = "NaiveEngine";

/// Sets the variables of the environment that MXNet reads when it is loaded, where nobody has set them yet. To be called first in
/// `main`: with a second thread, which might read variables at the same time, nothing is set, and `false` returned. MXNet
/// works then too, but with one thread for the runs of all instances, and says a line about each shape.
pub fn prepare_process() -> bool {
    let is_alone = std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1);
    if is_alone {
        for (name, value) in WISHES.into_iter().filter(|(name, _)| env::var_os(name).is_none()) {
            // SAFETY: this is the only thread of the process, so nobody reads or writes variables meanwhile.
            unsafe { env::set_var(name, value) };
        }
    }
    is_alone
}

/// Whether operators run on the calling thread. To be asked before the library is loaded, as the library does.
pub(crate) fn runs_on_the_calling_thread() -> bool {
    env::var_os("MXNET_ENGINE_TYPE").is_some_and(|engine| engine == ENGINE)
}
