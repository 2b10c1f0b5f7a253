//! Keeps signal handlers as they are while a library is loaded.
//!
//! MXNet catches SIGSEGV as soon as it is loaded, prints a stack, and only then lets the process die. That takes the handler of Rust
//! away, which knows a stack overflow when it sees one, and may wait for ever for a lock of the allocator, when a process that
//! has gone wrong should end.

use std::ptr;

/// Signals of faults.
const FAULTS: [i32; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL];

/// Does the work, and puts the handlers of faults back that were there before.
pub(crate) fn kept<T>(work: impl FnOnce() -> T) -> T {
    let before = FAULTS.map(|signal| {
        // SAFETY: all zeros are a valid `sigaction`: no flags, no signals, the default action.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: nothing is set, and `action` is written to.
        let result = unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) };
        (result == 0).then_some(action)
    });
    let done = work();
    for (signal, action) in FAULTS.into_iter().zip(before) {
        if let Some(action) = action {
            // SAFETY: what is set was set before, by somebody whose handler is still there; nothing is written to.
            unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
        }
    }
    done
}
