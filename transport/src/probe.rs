//! Whether this machine has the io_uring that a reactor needs, and what to do if it has not.

use crate::ring::Ring;
use std::fmt;
use std::io;

/// io_uring is not to be had: the cause and the remedy, in one line.
#[derive(Debug, thiserror::Error)]
pub struct Unavailable {
    error: io::Error,
    disabled: Option<u8>,
}

/// Makes a ring as a reactor would, and drops it again.
pub fn probe() -> Result<(), Unavailable> {
    Ring::new().map(drop).map_err(Unavailable::from)
}

impl From<io::Error> for Unavailable {
    fn from(error: io::Error) -> Unavailable {
        let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok();
        Unavailable { error, disabled: disabled.and_then(|text| text.trim().parse().ok()) }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cause, remedy) = match (self.error.raw_os_error(), self.disabled) {
            (Some(libc::EPERM), Some(2)) => {
                ("the sysctl kernel.io_uring_disabled is 2", "set it to 0: sysctl kernel.io_uring_disabled=0")
            }
            (Some(libc::EPERM), Some(1)) => (
                "the sysctl kernel.io_uring_disabled is 1, which leaves it to root and one group",
                "set it to 0, or add this user to the group in kernel.io_uring_group",
            ),
            (Some(libc::EPERM | libc::EACCES), _) => (
                "the system call is forbidden, likely by a seccomp filter (containers have one by default)",
                "allow io_uring_setup, io_uring_enter and io_uring_register in it",
            ),
            (Some(libc::ENOSYS), _) => (
                "the kernel has no io_uring, or a seccomp filter hides it",
                "run Linux 6.1 or newer built with CONFIG_IO_URING, and allow the io_uring_* system calls",
            ),
            (Some(libc::EINVAL), _) => ("the kernel is too old", "run Linux 6.1 or newer"),
            (Some(libc::ENOMEM), _) => {
                ("there is no memory for the ring", "raise the limit of locked memory (LimitMEMLOCK, ulimit -l)")
            }
            (Some(libc::EMFILE | libc::ENFILE), _) => {
                ("there are no file descriptors left", "raise the limit (LimitNOFILE, ulimit -n)")
            }
            _ => ("the kernel does not say more", "see dmesg, and io_uring_setup(2) for the error"),
        };
        write!(f, "io_uring is not available ({}): {cause}; {remedy}", self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(errno: i32, disabled: Option<u8>) -> String {
        Unavailable { error: io::Error::from_raw_os_error(errno), disabled }.to_string()
    }

    #[test]
    fn each_cause_has_its_remedy_in_the_same_line() {
        assert!(text(libc::EPERM, Some(2)).contains("sysctl kernel.io_uring_disabled=0"));
        assert!(text(libc::EPERM, Some(0)).contains("seccomp"));
        assert!(text(libc::EINVAL, None).contains("Linux 6.1"));
        assert!(text(libc::ENOSYS, None).contains("CONFIG_IO_URING"));
        for errno in [libc::EPERM, libc::EINVAL, libc::ENOSYS, libc::ENOMEM, libc::EMFILE, libc::EIO] {
            assert!(!text(errno, None).contains('\n'));
        }
    }

    #[test]
    fn this_machine_has_what_the_tests_need() {
        probe().expect("the tests of this crate need io_uring");
    }
}
