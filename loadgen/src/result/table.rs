//! What stands on the terminal at the end: whom was asked and how, what each point found, and what went wrong. A block for the
//! only point, or a line for each of several. Nothing is counted here that `summary` has not let through.

use super::grid::{Grid, plain};
use super::number::{BYTES, DASH, PLAIN, RATE, TIME, count, counted, percent};
use super::summary::{Metric, Spread, merged, rate_at_least, spread};
use super::verdict::{errors, failed, first_text, kinds, most_first, total, verdict};
use super::{Arrivals, Batches, Knee, Late, Load, Point, Report, hdr};

/// The part of the machine's processor time used by others above which a line warns.
pub const OTHERS_BUSY_MAX: f64 = 0.02;

/// The whole text, with an end of line.
pub fn render(report: &Report) -> String {
    let mut parts = vec![header(report), "\n".to_owned()];
    match report.points.as_slice() {
        [] => {}
        [point] => parts.push(block(point)),
        points => parts.push(lines(points)),
    }
    parts.extend(report.points.iter().flat_map(remarks));
    parts.extend(report.knee.as_ref().map(knee));
    parts.extend(others(report).map(|warning| format!("warning: {warning}\n")));
    parts.push(verdict(report).sentence + "\n");
    parts.concat()
}

fn knee(knee: &Knee) -> String {
    let objective = plain(&knee.objective);
    let found = match (knee.rate, knee.failed_at) {
        (Some(held), Some(failed)) => format!("holds at {} and no longer at {}", RATE.write(held), RATE.write(failed)),
        (Some(held), None) => format!("holds at {}, the highest rate tried", RATE.write(held)),
        // A search that could not go on has not tried what is below.
        (None, Some(failed)) if knee.remark.is_some() => format!("does not hold at {}", RATE.write(failed)),
        (None, Some(failed)) => format!("does not hold even at {}", RATE.write(failed)),
        (None, None) => "was not found to hold at any rate".to_owned(),
    };
    let remark = knee.remark.as_ref().map(|remark| format!("; {}", plain(remark))).unwrap_or_default();
    format!("knee: {objective} {found}{remark}\n")
}

/// The warning that other programs used more than [`OTHERS_BUSY_MAX`] of the machine.
pub fn others(report: &Report) -> Option<String> {
    let busy = report.machine.others_busy.filter(|&busy| busy > OTHERS_BUSY_MAX)?;
    Some(format!("other programs used {} of the machine meanwhile; the numbers are theirs as well", percent(busy)))
}

/// How requests are sent, in words.
pub fn load(load: &Load) -> String {
    let rate = load.rate.map_or_else(|| DASH.to_owned(), |rate| RATE.write(rate));
    let arrivals = match load.arrivals {
        Arrivals::Closed => "closed loop".to_owned(),
        Arrivals::Constant => format!("open loop, {rate} by the clock"),
        Arrivals::Poisson => format!("open loop, {rate} at random times (Poisson)"),
        Arrivals::Replay => format!("open loop, {rate} as recorded in a file"),
    };
    let (clients, threads) = (counted(load.clients as u64, "client"), counted(load.threads as u64, "thread"));
    format!("{arrivals}, {clients} × {} under way, {threads}", count(load.pipeline as u64))
}

fn header(report: &Report) -> String {
    let (target, machine) = (&report.target, &report.machine);
    let mut grid = Grid::default();
    let server = if target.server.is_empty() { String::new() } else { format!(", {}", plain(&target.server)) };
    grid.row(["target".to_owned(), format!("{} ({}){server}", plain(&target.address), plain(&target.protocol))]);
    if !target.model.is_empty() && !target.signature.starts_with(&format!("{}:", target.model)) {
        grid.row(["model".to_owned(), format!("{}: {}", plain(&target.model), plain(&target.signature))]);
    } else {
        grid.row(["model".to_owned(), plain(&target.signature)]);
    }
    let requests = format!("{} with {}", BYTES.write(target.request_bytes as f64), counted(target.rows, "row"));
    grid.row(["request".to_owned(), format!("{requests}, {} different", count(target.distinct as u64))]);
    if let Some(first) = report.points.first() {
        let several = if report.points.len() > 1 { " (the first point)" } else { "" };
        grid.row(["load".to_owned(), load(&first.load) + several]);
    }
    let cores = counted(machine.cores as u64, "core");
    let network =
        if machine.congestion.is_empty() { String::new() } else { format!(", TCP {}", plain(&machine.congestion)) };
    let busy = machine.others_busy.map(|busy| format!("; others used {} of it", percent(busy))).unwrap_or_default();
    let words = format!("{}, {cores}, {}{network}{busy}", plain(&machine.processor), plain(&machine.system));
    grid.row(["machine".to_owned(), words]);
    format!("graphpipe-loadgen {}\n", plain(&report.version)) + &grid.write(0, false)
}

/// The only point: everything that is known of it.
fn block(point: &Point) -> String {
    let mut grid = Grid::default();
    let seconds = spread(&point.rounds.iter().map(|round| round.seconds * 1e6).collect::<Vec<f64>>());
    let length = seconds.map_or_else(|| DASH.to_owned(), |seconds| TIME.write(seconds.median));
    grid.row(["rounds".to_owned(), format!("{} of {length}", count(point.rounds.len() as u64))]);
    grid.row(["answered".to_owned(), count(answered(point))]);
    grid.row(["rate".to_owned(), rate(point)]);
    grid.row(["sent".to_owned(), over_rounds(Metric::SentBytes, point)]);
    grid.row(["received".to_owned(), over_rounds(Metric::ReceivedBytes, point)]);
    if let Some(late) = late(point) {
        grid.row(["late sends".to_owned(), late]);
    }
    let busy = spread(&point.rounds.iter().map(|round| round.generator.busy).collect::<Vec<f64>>());
    grid.row([
        "generator".to_owned(),
        format!("busiest thread {} busy", percent(busy.map_or(f64::NAN, |busy| busy.max))),
    ]);
    if point.rounds.iter().any(|round| round.server.is_some()) {
        let cpu = over_rounds(Metric::ServerCpu, point);
        let cores = over_rounds(Metric::ServerCores, point);
        grid.row(["server CPU".to_owned(), format!("{cpu} for each request, {cores} cores busy")]);
        grid.row(["server RSS".to_owned(), over_rounds(Metric::ServerRss, point)]);
    }
    if let Some(batches) = batches(point) {
        grid.row(["batches".to_owned(), batches]);
    }
    if point.rounds.iter().any(|round| round.verified.is_some()) {
        let verified = total(point.rounds.iter().filter_map(|round| round.verified));
        grid.row(["verified".to_owned(), counted(verified, "reply")]);
    }
    grid.write(0, false) + &percentiles(point)
}

/// Latency by percentile: over the rounds, and of all rounds' replies together.
fn percentiles(point: &Point) -> String {
    let (together, failure) = match merged(point) {
        Ok(together) => (together, None),
        Err(error) => (None, Some(error)),
    };
    let together = together.and_then(|whole| Some((hdr::latency(&whole)?, whole.len())));
    let mut grid = Grid::default();
    grid.row(["latency", "median of rounds (min–max)", "all rounds"]);
    for metric in Metric::LATENCIES {
        let all = together.as_ref().and_then(|(latency, samples)| metric.of_latency(latency, *samples));
        let all = all.map_or_else(|| DASH.to_owned(), |us| TIME.write(us));
        grid.row([format!("  {}", metric.name()), over_rounds(metric, point), all]);
    }
    let failure = failure.map(|error| format!("warning: {error}\n")).unwrap_or_default();
    grid.write(0, false) + &failure
}

/// Several points: a line for each.
fn lines(points: &[Point]) -> String {
    let mut grid = Grid::default();
    let mut heading = vec!["point", "rate", "p50", "p90", "p99", "p99.9", "max", "failed"];
    let any = |has: fn(&Point) -> bool| points.iter().any(has);
    let servers = any(|point| point.rounds.iter().any(|round| round.server.is_some()));
    let batching = any(|point| point.rounds.iter().any(|round| round.batches.is_some()));
    if servers {
        heading.extend(["CPU/request", "RSS"]);
    }
    if batching {
        heading.push("rows/batch");
    }
    grid.row(heading);
    for point in points {
        let mut row = vec![plain(&point.label), rate(point)];
        row.extend([Metric::P50, Metric::P90].map(|metric| median(metric, point)));
        row.push(over_rounds(Metric::P99, point));
        row.extend([Metric::P999, Metric::Max].map(|metric| median(metric, point)));
        row.push(count(total(point.rounds.iter().map(failed))));
        if servers {
            row.extend([Metric::ServerCpu, Metric::ServerRss].map(|metric| median(metric, point)));
        }
        if batching {
            row.push(rows_of_batches(point).map_or_else(|| DASH.to_owned(), |rows| PLAIN.write(rows)));
        }
        grid.row(row);
    }
    grid.write(0, true) + "Medians of the rounds, in brackets the least and the greatest.\n"
}

/// What has to be said of a point in sentences: the generator's limits, late sends, errors with their first texts.
fn remarks(point: &Point) -> Vec<String> {
    let label = plain(&point.label);
    let name = if label.is_empty() { String::new() } else { format!("{label}: ") };
    let mut found = Vec::new();
    let limited: Vec<&str> = point.rounds.iter().filter_map(|round| round.generator.bottleneck.as_deref()).collect();
    if let Some(reason) = limited.first() {
        let (few, all) = (limited.len(), point.rounds.len());
        let which = if few < all { format!(" in {few} of {all} rounds, which do not count") } else { String::new() };
        found.push(format!("{name}the generator is the bottleneck{which}: {}\n", plain(reason)));
    }
    if let Some(late) = late(point).filter(|_| !label.is_empty() && total_late(point) > 0) {
        found.push(format!("{name}late sends: {late}\n"));
    }
    let errors = errors(&point.rounds);
    if !errors.is_empty() {
        found.push(format!("{name}failed: {}\n", kinds(&errors, " × ", ", ")));
    }
    for (kind, _) in most_first(&errors) {
        found.extend(first_text(point, kind).map(|first| format!("  the first {kind}: {}\n", plain(first))));
    }
    found
}

fn answered(point: &Point) -> u64 {
    total(point.rounds.iter().map(|round| round.answered))
}

fn over_rounds(metric: Metric, point: &Point) -> String {
    Spread::of(metric, point).map_or_else(|| DASH.to_owned(), |found| metric.unit().write_spread(&found))
}

fn median(metric: Metric, point: &Point) -> String {
    Spread::of(metric, point).map_or_else(|| DASH.to_owned(), |found| metric.unit().write(found.median))
}

/// `≥ 812 K/s` where only the generator's limit is known.
fn rate(point: &Point) -> String {
    rate_at_least(point).map_or_else(|| over_rounds(Metric::Rate, point), |least| format!("≥ {}", RATE.write(least)))
}

fn total_late(point: &Point) -> u64 {
    total(point.rounds.iter().filter_map(|round| Some(round.late.as_ref()?.sent_late)))
}

fn late(point: &Point) -> Option<String> {
    let lates: Vec<&Late> = point.rounds.iter().filter_map(|round| round.late.as_ref()).collect();
    let of = |part: fn(&Late) -> f64| spread(&lates.iter().map(|late| part(late)).collect::<Vec<f64>>());
    let (middle, high, max) = (of(|late| late.p50_us)?, of(|late| late.p99_us)?, of(|late| late.max_us)?);
    let own = total(lates.iter().map(|late| late.own_fault));
    Some(format!(
        "{} by more than 1 ms, {} of them the generator's own fault; behind by p50 {}, p99 {}, max {}",
        count(total_late(point)),
        count(own),
        TIME.write(middle.median),
        TIME.write(high.median),
        TIME.write(max.max)
    ))
}

fn rows_of_batches(point: &Point) -> Option<f64> {
    let batches: Vec<&Batches> = point.rounds.iter().filter_map(|round| round.batches.as_ref()).collect();
    let number = total(batches.iter().map(|batches| batches.count));
    let rows: f64 = batches.iter().map(|batches| batches.rows).sum();
    (number > 0).then(|| rows / number as f64)
}

/// How many batches, their mean, and the part of them up to each bound that had any.
fn batches(point: &Point) -> Option<String> {
    let all: Vec<&Batches> = point.rounds.iter().filter_map(|round| round.batches.as_ref()).collect();
    let number = total(all.iter().map(|batches| batches.count));
    let rows = rows_of_batches(point)?;
    let mut buckets: Vec<(Option<f64>, u64)> = Vec::new();
    for &(bound, times) in all.iter().flat_map(|batches| &batches.buckets) {
        match buckets.iter_mut().find(|(known, _)| *known == bound) {
            Some((_, sum)) => *sum = sum.saturating_add(times),
            None => buckets.push((bound, times)),
        }
    }
    let written: Vec<String> = buckets
        .iter()
        .filter(|(_, times)| *times > 0)
        .map(|&(bound, times)| {
            let part = percent(times as f64 / number as f64);
            match bound {
                None => format!("more: {part}"),
                Some(whole) if whole.fract() == 0.0 && (0.0..1e6).contains(&whole) => format!("≤{whole}: {part}"),
                Some(bound) => format!("≤{}: {part}", PLAIN.write(bound)),
            }
        })
        .collect();
    Some(format!("{} of {} rows on average: {}", count(number), PLAIN.write(rows), written.join(", ")))
}

#[cfg(test)]
mod tests;
