//! What is counted and known of batches, per model that is batched.

use super::Text;
use crate::batching::{BatchCounters, Batching, ROWS_BOUNDS, Seal};
use crate::daemon::Daemon;
use graphpiped_transport::counters::Counter;
use std::fmt::Display;

/// The sum of a counter over all models.
pub(super) fn sum(daemon: &Daemon, get: fn(&BatchCounters) -> &Counter) -> u64 {
    batchings(daemon).map(|(_, batching)| get(&batching.counters).get()).sum()
}

fn batchings(daemon: &Daemon) -> impl Iterator<Item = (&str, &Batching)> {
    let entries = daemon.registry.entries().iter();
    entries.filter_map(|entry| Some((entry.served.name(), entry.served.batching.as_ref()?)))
}

pub(super) fn render(page: &mut Text, daemon: &Daemon) {
    rows(page, daemon);
    let seals = batchings(daemon).flat_map(|(name, batching)| {
        let labels = move |seal: Seal| format!("model=\"{name}\",reason=\"{}\"", seal.name());
        Seal::ALL.map(|seal| (labels(seal), batching.counters.seals[seal as usize].get()))
    });
    page.metric("graphpiped_batch_seals_total", "counter", "Batches, by why they were sealed then.", seals);
    let mut counter = |name: &str, help: &str, get: fn(&BatchCounters) -> &Counter| {
        page.metric(name, "counter", help, each(daemon, |batching| get(&batching.counters).get()));
    };
    counter("graphpiped_batch_inline_total", "Batches that reactors ran.", |c| &c.inline);
    counter("graphpiped_batch_splits_total", "Batches that failed and were run again in halves.", |c| &c.splits);
    counter("graphpiped_batch_wrong_rows_total", "Outputs without a row for each row.", |c| &c.wrong_rows);
    counter("graphpiped_batch_overflows_total", "Requests that found no rows free.", |c| &c.overflows);
    state(page, daemon);
}

/// Histograms of rows per batch.
fn rows(page: &mut Text, daemon: &Daemon) {
    let mut values = Vec::new();
    for (name, batching) in batchings(daemon) {
        let mut batches = 0;
        for (bound, counter) in ROWS_BOUNDS.iter().zip(&batching.counters.rows) {
            batches += counter.get();
            values.push((format!("_bucket{{model=\"{name}\",le=\"{bound}\"}}"), batches));
        }
        values.push((format!("_bucket{{model=\"{name}\",le=\"+Inf\"}}"), batches));
        values.push((format!("_sum{{model=\"{name}\"}}"), batching.counters.rows_total.get()));
        values.push((format!("_count{{model=\"{name}\"}}"), batches));
    }
    page.histogram("graphpiped_batch_rows", "Rows per batch.", values);
}

fn state(page: &mut Text, daemon: &Daemon) {
    let mut gauge = |name: &str, help: &str, get: fn(&Batching) -> f64| {
        page.metric(name, "gauge", help, each(daemon, get));
    };
    gauge("graphpiped_batch_rows_max", "Rows of a batch, at most.", |batching| batching.rows_max as f64);
    gauge("graphpiped_batch_lanes", "Shapes of rows for which there are lanes.", |b| b.sets.load().len() as f64);
    gauge("graphpiped_batch_pending_rows", "Rows that are received, wait, or run.", |batching| {
        batching.sets.load().iter().flat_map(|set| set.lanes()).map(|lane| lane.core.pending_rows() as f64).sum()
    });
    gauge("graphpiped_batch_fixed_seconds", "What a run costs, whatever its rows.", |batching| cost(batching).0);
    gauge("graphpiped_batch_row_seconds", "What a run costs for each row.", |batching| cost(batching).1);
}

fn cost(batching: &Batching) -> (f64, f64) {
    batching.cost.known().map_or((f64::NAN, f64::NAN), |(fixed, row)| (fixed / 1e9, row / 1e9))
}

fn each<V: Display>(daemon: &Daemon, get: impl Fn(&Batching) -> V) -> Vec<(String, V)> {
    batchings(daemon).map(|(name, batching)| (format!("model=\"{name}\""), get(batching))).collect()
}
