//! The machine: what it is, and who else uses it.

use crate::result;
use procfs::{Current, CurrentSI};

/// Time that all processors together have worked since the machine began, in ticks.
#[derive(Clone, Copy, Debug)]
pub struct Busy {
    all: u64,
    busy: u64,
}

impl Busy {
    /// Until now; `None` where the system does not say it.
    pub fn now() -> Option<Busy> {
        let total = procfs::KernelStats::current().ok()?.total;
        let idle = total.idle + total.iowait.unwrap_or(0);
        let others = [total.irq, total.softirq, total.steal].into_iter().flatten().sum::<u64>();
        let busy = total.user + total.nice + total.system + others;
        Some(Busy { all: idle + busy, busy })
    }

    /// The part of the machine's time since `before` that was used otherwise than for `own` seconds, 0 to 1.
    pub fn others_since(&self, before: &Busy, own: f64) -> f64 {
        let all = self.all.saturating_sub(before.all).max(1) as f64;
        let busy = self.busy.saturating_sub(before.busy) as f64;
        ((busy - own * procfs::ticks_per_second() as f64) / all).clamp(0.0, 1.0)
    }
}

/// Processor time of this process in seconds.
pub fn own_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// What it is.
pub fn describe(others_busy: Option<f64>) -> result::Machine {
    let processor = procfs::CpuInfo::current().ok().and_then(|info| info.model_name(0).map(str::to_owned));
    let name = rustix::system::uname();
    let words = [name.sysname(), name.release(), name.machine()].map(|word| word.to_string_lossy().into_owned());
    let congestion = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").unwrap_or_default();
    result::Machine {
        processor: processor.unwrap_or_else(|| "unknown".to_owned()),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        system: words.join(" "),
        congestion: congestion.trim().to_owned(),
        others_busy,
    }
}
