//! What happens when code panics: the process aborts, but for a panic inside a framework, which fails its own run.
//!
//! A panic anywhere else is a broken invariant. Unwinding from it would free memory that the kernel still writes to, so the
//! hook ends the process before anything unwinds; systemd starts a clean one.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};

thread_local! {
    /// Whether this thread is inside a framework.
    static IN_FRAMEWORK: Cell<bool> = const { Cell::new(false) };
}

/// From now on, a panic outside of [`guarded`] aborts the process once its message is written.
pub fn abort_on_panic() {
    let write_message = take_hook();
    set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        // A peer may be able to make a framework panic at will: that is counted and answered, not written here.
        if !IN_FRAMEWORK.get() {
            write_message(info);
            std::process::abort();
        }
    }));
}

/// Runs a framework's code; a panic in it becomes an error with its message.
pub fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    let was_inside = IN_FRAMEWORK.replace(true);
    // What the closure borrows is dropped or replaced by whoever gets the error.
    let result = catch_unwind(AssertUnwindSafe(run));
    IN_FRAMEWORK.set(was_inside);
    result.map_err(|payload| message(payload.as_ref()))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_inside_is_an_error_with_its_message() {
        assert_eq!(guarded(|| 7), Ok(7));
        assert_eq!(guarded(|| -> u8 { panic!("the model is {}", "ill") }), Err("the model is ill".into()));
        assert_eq!(guarded(|| -> u8 { panic!("plain") }), Err("plain".into()));
        assert!(!IN_FRAMEWORK.get());
    }

    /// The hook belongs to the process, so this test runs itself again in one of its own.
    #[test]
    fn a_panic_outside_aborts_and_one_inside_does_not() {
        use std::os::unix::process::ExitStatusExt;
        const CHILD: &str = "faults::tests::a_panic_outside_aborts_and_one_inside_does_not";
        if std::env::var_os("GRAPHPIPED_TEST_CHILD").is_some() {
            abort_on_panic();
            assert!(guarded(|| -> u8 { panic!("that of a framework") }).is_err());
            panic!("that of our own");
        }
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", CHILD, "--nocapture"])
            .env("GRAPHPIPED_TEST_CHILD", "1")
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(6), "{errors}");
        assert!(errors.contains("that of our own") && !errors.contains("that of a framework"), "{errors}");
    }
}
