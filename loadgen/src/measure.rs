//! One round: the engine runs, the server is looked at when the window begins and when it ends, and what came of it becomes
//! the form of results. Here it is decided whose numbers they are: the server's, or this program's.

use crate::cli::{Loop, Spread};
use crate::engine::{self, Live, Pace, Plan, Schedule, Tally};
use crate::result::{self, Arrivals, Batches, Round};
use crate::server::{Cpu, Metrics, Processes};
use crate::session::Session;
use anyhow::Result;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A closed loop is bound by the generator when a thread was awake for this part of the time: a reply then waits for it.
const SATURATED: f64 = 0.95;
/// An open loop is bound by the generator when more than this part of its requests was late by its own fault, …
const OWN_LATE_PART: f64 = 0.01;
/// … or when its usual own delay is more than this part of the usual latency.
const OWN_DELAY_PART: f64 = 0.5;

/// What the server has used between two looks.
#[derive(Debug, Default)]
struct Seen {
    /// Processor time in nanoseconds.
    cpu_ns: Option<u64>,
    /// Between the looks, in seconds: they are never exactly the window.
    seconds: f64,
    rss_bytes: u64,
    batches: Option<Batches>,
}

/// How long a round runs before it counts. A replay has no time to lose.
pub fn warmup(load: &Loop) -> Duration {
    load.warmup.unwrap_or(if load.replay.is_some() { Duration::ZERO } else { Duration::from_secs(1) })
}

/// How long a round counts: as said, or as long as the trace.
pub fn window(load: &Loop, replay: Option<&[u64]>) -> Duration {
    let whole = replay.and_then(<[u64]>::last).map(|last| Duration::from_nanos(last + 1).saturating_sub(warmup(load)));
    load.duration.or(whole).unwrap_or(Duration::from_secs(5))
}

/// The load in results.
pub fn describe(load: &Loop) -> result::Load {
    let arrivals = match (load.rate, &load.replay, load.arrivals) {
        (_, Some(_), _) => Arrivals::Replay,
        (None, None, _) => Arrivals::Closed,
        (Some(_), None, Some(Spread::Poisson)) => Arrivals::Poisson,
        (Some(_), None, _) => Arrivals::Constant,
    };
    let Loop { clients, pipeline, threads, rate, .. } = *load;
    result::Load { clients, pipeline, threads, arrivals, rate }
}

/// Measures once. `seed` decides about chance in the schedule.
pub fn round(session: &Session, load: &Loop, seed: u64, live: &Live) -> Result<Round> {
    let pace = pace(session, load, seed);
    let plan = Plan {
        endpoint: &session.target.endpoint,
        dialect: &session.dialect,
        requests: &session.encoded,
        checker: session.checker.as_ref(),
        clients: load.clients,
        pipeline: load.pipeline,
        threads: load.threads,
        pace: &pace,
        warmup: warmup(load),
        window: window(load, session.replay.as_deref()),
        timeout: load.timeout,
        spin: load.spin,
        congestion: load.congestion.as_deref(),
    };
    let start = Instant::now();
    let (ended, seen) = std::thread::scope(|scope| {
        let engine = scope.spawn(|| engine::run(&plan, start, live));
        let seen = watch(session, start + plan.warmup, plan.window);
        let ended = engine.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (ended, seen)
    });
    conclude(&ended?.tally, &seen?, load, plan.window)
}

fn pace(session: &Session, load: &Loop, seed: u64) -> Pace {
    match (&session.replay, load.rate, load.arrivals) {
        (Some(times), _, _) => Pace::Open(Schedule::Replay(times.clone())),
        (None, Some(rate), Some(Spread::Poisson)) => Pace::Open(Schedule::Poisson { rate, seed }),
        (None, Some(rate), _) => Pace::Open(Schedule::Constant { rate }),
        (None, None, _) => Pace::Closed,
    }
}

/// Looks at the server when the window begins and when it ends.
fn watch(session: &Session, begin: Instant, window: Duration) -> Result<Seen> {
    let cpu = || session.processes.as_ref().map(Processes::cpu).transpose();
    let batches = || session.metrics.as_ref().and_then(Metrics::snapshot);
    let mut seen = Seen::default();
    sleep_until(begin);
    let batches_before = batches();
    let cpu_before: Option<Cpu> = cpu()?;
    let looked = Instant::now();
    sleep_until(begin + window);
    let cpu_after = cpu()?;
    seen.seconds = looked.elapsed().as_secs_f64();
    if let Some(processes) = session.processes.as_ref().filter(|processes| processes.are_there()) {
        seen.cpu_ns = cpu_before.zip(cpu_after).and_then(|(before, after)| after.since(&before, processes));
        seen.rss_bytes = processes.resident()?;
    }
    seen.batches = batches_before.and_then(|before| batches()?.since(&before));
    Ok(seen)
}

fn sleep_until(time: Instant) {
    std::thread::sleep(time.saturating_duration_since(Instant::now()));
}

fn conclude(tally: &Tally, seen: &Seen, load: &Loop, window: Duration) -> Result<Round> {
    let seconds = window.as_secs_f64();
    let rate = tally.came as f64 / seconds;
    let open = load.rate.is_some() || load.replay.is_some();
    let server = seen.cpu_ns.map(|cpu_ns| result::Server {
        cpu_us_per_request: cpu_ns as f64 / 1e3 / (rate * seen.seconds).max(1.0),
        cores: cpu_ns as f64 / 1e9 / seen.seconds,
        rss_bytes: seen.rss_bytes,
    });
    let mut errors = BTreeMap::new();
    let mut error_texts = BTreeMap::new();
    for (kind, count, text) in tally.failures.iter() {
        errors.insert(kind.clone(), count);
        error_texts.insert(kind, text.to_owned());
    }
    Ok(Round {
        seconds,
        intended: tally.intended,
        answered: tally.latency.len(),
        rate,
        sent_bytes_per_s: tally.sent_bytes as f64 / seconds,
        received_bytes_per_s: tally.received_bytes as f64 / seconds,
        latency_us: result::hdr::latency(&tally.latency),
        histogram: result::hdr::encode(&tally.latency).map_err(anyhow::Error::msg)?,
        errors,
        error_texts,
        late: open.then(|| late(tally)),
        generator: result::Generator { busy: tally.busy, bottleneck: bottleneck(tally, open) },
        server,
        batches: seen.batches.clone(),
        verified: (tally.verified > 0).then_some(tally.verified),
    })
}

fn late(tally: &Tally) -> result::Late {
    let micros = |histogram: &Histogram<u64>, quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
    result::Late {
        sent_late: tally.late,
        own_fault: tally.own_late,
        p50_us: micros(&tally.delay, 0.5),
        p99_us: micros(&tally.delay, 0.99),
        max_us: micros(&tally.delay, 1.0),
    }
}

/// Why the numbers are this program's and not the server's, if they are.
fn bottleneck(tally: &Tally, open: bool) -> Option<String> {
    if !open {
        let percent = 100.0 * tally.busy;
        let saturated = tally.came > 0 && tally.busy >= SATURATED;
        return saturated.then(|| {
            format!("a thread was busy for {percent:.0} % of the time; the server may do more: try more --threads, on cores of their own")
        });
    }
    let part = tally.own_late as f64 / tally.intended.max(1) as f64;
    if part > OWN_LATE_PART {
        return Some(format!(
            "{:.1} % of the requests were sent more than 1 ms late because this program was busy; lower the rate, or try more \
             --threads, on cores of their own",
            100.0 * part
        ));
    }
    if tally.busy >= SATURATED {
        return Some(format!(
            "a thread was busy for {:.0} % of the time, so replies waited to be read; lower the rate, or try more --threads, on \
             cores of their own",
            100.0 * tally.busy
        ));
    }
    let own = tally.own_delay.value_at_quantile(0.5);
    let usual = tally.latency.value_at_quantile(0.5);
    (!tally.latency.is_empty() && own as f64 > OWN_DELAY_PART * usual as f64).then(|| {
        let (own, usual) = (own as f64 / 1e3, usual as f64 / 1e3);
        format!(
            "requests were usually sent {own:.1} µs late, which is most of the latency of {usual:.1} µs; lower the rate, or try \
             --spin, or more --threads, on cores of their own"
        )
    })
}
