//! Variables of the environment that libraries read when they are loaded, and the one moment at which they can be set
//! soundly.

use std::env;

/// Sets these variables, where nobody has set them yet. To be called first in `main`: with a second thread, which might read
/// variables at the same time, nothing is set, and `false` returned.
pub fn set_before_threads(wishes: &[(&str, &str)]) -> bool {
    let is_alone = std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1);
    if is_alone {
        for (name, value) in wishes.iter().filter(|(name, _)| env::var_os(name).is_none()) {
            // SAFETY: this is the only thread of the process, so nobody reads or writes variables meanwhile.
            unsafe { env::set_var(name, value) };
        }
    }
    is_alone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_a_second_thread_nothing_is_set() {
        let is_set = std::thread::spawn(|| set_before_threads(&[("GRAPHPIPED_TEST_WISH", "1")])).join();
        assert!(!is_set.expect("it ends"));
        assert_eq!(env::var_os("GRAPHPIPED_TEST_WISH"), None);
    }
}
