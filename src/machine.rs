//! What the machine has and what of it this process may use: cores, memory, file descriptors.

use crate::settings::Machine;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::Path;

impl Machine {
    /// This machine, with the limits of this process's control group.
    pub fn detect() -> Machine {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let total = read("/proc/meminfo").and_then(|text| meminfo_bytes(&text, "MemTotal:"));
        let group = read("/proc/self/cgroup").and_then(|text| group_memory_bytes(&text, read));
        let memory_bytes = total.into_iter().chain(group).min().unwrap_or(MEMORY_BYTES_UNKNOWN);
        Machine { cores, memory_bytes }
    }
}

/// What is assumed where /proc is not to be had.
const MEMORY_BYTES_UNKNOWN: u64 = 1 << 30;

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// A line of /proc/meminfo, such as `MemTotal:  16316412 kB`.
fn meminfo_bytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The lowest `memory.max` of the control group (version 2) and those above it.
fn group_memory_bytes(cgroup: &str, read: impl Fn(&str) -> Option<String>) -> Option<u64> {
    let group = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    let maximum = |group: &Path| {
        let file = Path::new("/sys/fs/cgroup").join(group.strip_prefix("/").ok()?).join("memory.max");
        // Without a limit it says "max".
        read(file.to_str()?)?.trim().parse().ok()
    };
    Path::new(group).ancestors().filter_map(maximum).min()
}

/// Bytes of this process that are in memory.
pub fn resident_bytes() -> Option<u64> {
    meminfo_bytes(&read("/proc/self/status")?, "VmRSS:")
}

/// Raises the limit of file descriptors as far as it goes, and returns it.
pub fn raise_descriptors() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Without CAP_SYS_RESOURCE one may go as high as the hard limit; if even that fails, the old limit holds.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).map_or(current, |()| maximum);
    raised.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_meminfo_is_in_kibibytes() {
        let text = "MemTotal:       16316412 kB\nMemFree:         1000000 kB\n";
        assert_eq!(meminfo_bytes(text, "MemTotal:"), Some(16_708_005_888));
        assert_eq!(meminfo_bytes(text, "Swap:"), None);
    }

    #[test]
    fn the_lowest_limit_of_all_groups_above_counts() {
        let files = |path: &str| match path {
            "/sys/fs/cgroup/system.slice/memory.max" => Some("1000\n".to_string()),
            "/sys/fs/cgroup/system.slice/graphpiped.service/memory.max" => Some("max\n".to_string()),
            _ => None,
        };
        assert_eq!(group_memory_bytes("0::/system.slice/graphpiped.service\n", files), Some(1000));
        assert_eq!(group_memory_bytes("0::/\n", files), None);
        assert_eq!(group_memory_bytes("4:memory:/old\n", files), None);
    }

    #[test]
    fn this_machine_has_something() {
        let machine = Machine::detect();
        assert!(machine.cores >= 1 && machine.memory_bytes > 1 << 20);
        assert!(resident_bytes().unwrap() > 1 << 16);
        assert!(raise_descriptors() >= 64);
    }
}
