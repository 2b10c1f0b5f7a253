//! Lists of cores as the kernel writes them (`0-3,8`), and keeping a thread to them.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::de::{self, Deserialize, Deserializer};
use std::fmt::{Display, Formatter};
use std::str::FromStr;

/// Numbers of cores: at least one, ascending, none twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuList(Vec<usize>);

/// More cores than the kernel's own set has room for.
const CPUS_MAX: usize = CpuSet::MAX_CPU;

impl CpuList {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().copied()
    }

    /// Those that the calling thread may use.
    pub fn allowed() -> Result<CpuList, String> {
        let set = sched_getaffinity(None).map_err(|error| format!("cannot ask which cores may be used: {error}"))?;
        Ok(CpuList((0..CPUS_MAX).filter(|cpu| set.is_set(*cpu)).collect()))
    }

    /// Checks that every core is among these, and if not says which one is not, and what to do.
    pub fn check(&self, allowed: &CpuList) -> Result<(), String> {
        match self.iter().find(|cpu| !allowed.0.contains(cpu)) {
            None => Ok(()),
            Some(cpu) => Err(format!(
                "--cpus {self}: there is no core {cpu} for this process; it may use {allowed}. Name some of these, or \
                 allow it more (CPUAffinity= and AllowedCPUs= of the service, taskset, the container's CPU set)"
            )),
        }
    }
}

/// Keeps the calling thread, and those that it starts from now on, to these cores.
pub fn pin(cpus: &CpuList) -> Result<(), String> {
    // The kernel takes a set of which only some cores may be used, and uses those.
    cpus.check(&CpuList::allowed()?)?;
    let mut set = CpuSet::new();
    cpus.iter().for_each(|cpu| set.set(cpu));
    sched_setaffinity(None, &set).map_err(|error| {
        format!("--cpus {cpus}: the kernel refuses to keep a thread to these cores: {error}; allow sched_setaffinity to this process")
    })
}

impl FromStr for CpuList {
    type Err = String;

    fn from_str(text: &str) -> Result<CpuList, String> {
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (Some(first), Some(last)) = (number(first), number(last)) else {
                return Err(format!("\"{text}\" is not a list of cores such as 0-3,8"));
            };
            if first > last {
                return Err(format!("\"{text}\": {first}-{last} is no range; the lower number comes first"));
            }
            if last >= CPUS_MAX {
                return Err(format!("\"{text}\": {last} is too much; cores have numbers below {CPUS_MAX}"));
            }
            cpus.extend(first..=last);
        }
        cpus.sort_unstable();
        cpus.dedup();
        Ok(CpuList(cpus))
    }
}

/// Digits and nothing else but blanks around them; `parse` would take a sign.
fn number(text: &str) -> Option<usize> {
    let text = text.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Ranges wherever two or more follow each other.
impl Display for CpuList {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        for (position, run) in self.0.chunk_by(|one, next| one + 1 == *next).enumerate() {
            let comma = if position == 0 { "" } else { "," };
            match run {
                [first, .., last] => write!(f, "{comma}{first}-{last}")?,
                _ => write!(f, "{comma}{}", run[0])?,
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for CpuList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<CpuList, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<Vec<usize>, String> {
        text.parse::<CpuList>().map(|cpus| cpus.iter().collect())
    }

    #[test]
    fn lists_are_numbers_and_ranges() {
        assert_eq!(list("0-3,8"), Ok(vec![0, 1, 2, 3, 8]));
        assert_eq!(list("7"), Ok(vec![7]));
        assert_eq!(list("4, 2 ,3-5,2"), Ok(vec![2, 3, 4, 5]), "in any order, and twice");
        assert_eq!(list("1023"), Ok(vec![1023]));
    }

    #[test]
    fn what_is_no_list_says_what_one_is() {
        for text in ["", "a", "1-", "-1", "+1", "1,,2", "1-2-3", "0x1", "99999999999999999999"] {
            assert_eq!(list(text).unwrap_err(), format!("\"{text}\" is not a list of cores such as 0-3,8"));
        }
        assert_eq!(list("3-1").unwrap_err(), "\"3-1\": 3-1 is no range; the lower number comes first");
        assert_eq!(list("1024").unwrap_err(), "\"1024\": 1024 is too much; cores have numbers below 1024");
        let message = list("0-18446744073709551615").unwrap_err();
        assert!(message.ends_with("18446744073709551615 is too much; cores have numbers below 1024"), "{message}");
    }

    #[test]
    fn lists_are_shown_as_short_as_they_can_be_written() {
        for (text, shown) in [("0,1,2,3,8", "0-3,8"), ("5", "5"), ("9,1,3,2,7,6", "1-3,6-7,9")] {
            assert_eq!(text.parse::<CpuList>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn a_core_that_may_not_be_used_is_named() {
        let allowed: CpuList = "0-3,8".parse().unwrap();
        assert_eq!("1,8".parse::<CpuList>().unwrap().check(&allowed), Ok(()));
        let message = "2-5".parse::<CpuList>().unwrap().check(&allowed).unwrap_err();
        let start = "--cpus 2-5: there is no core 4 for this process; it may use 0-3,8. ";
        assert!(message.starts_with(start), "{message}");
    }

    /// On a thread of its own, as it cannot be undone by forgetting it.
    #[test]
    fn a_thread_stays_on_the_cores_that_it_is_kept_to() {
        let last = CpuList(CpuList::allowed().unwrap().iter().last().into_iter().collect());
        let thread = std::thread::spawn(move || {
            pin(&last).unwrap();
            assert_eq!(CpuList::allowed().unwrap(), last);
            let inherited = std::thread::spawn(|| CpuList::allowed().unwrap()).join().unwrap();
            assert_eq!(inherited, last);
            // The core that this thread has just given up is no longer among those that it may use.
            let other = CpuList(vec![usize::from(last.0 == [0])]);
            assert!(pin(&other).unwrap_err().contains("Name some of these"));
        });
        thread.join().unwrap();
    }
}
