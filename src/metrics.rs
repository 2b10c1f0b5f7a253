//! Everything that is counted, as Prometheus reads it: the sums over all reactors, the pool, and each model.
//!
//! Read while others count on, so two numbers of one page may be a moment apart.

mod batches;

use crate::daemon::Daemon;
use crate::model::{ModelCounters, VERSION};
use crate::registry::Entry;
use graphpipe_schema::Code;
use graphpiped_backend_isolated::Isolated;
use graphpiped_transport::counters::{Counter, Counters};
use std::fmt::{Display, Write};

/// The text of `/metrics`.
pub fn render(daemon: &Daemon) -> String {
    let mut page = Text::default();
    page.metric(
        "graphpiped_build_info",
        "gauge",
        "The version that runs.",
        [(format!("version=\"{VERSION}\""), 1_u64)],
    );
    connections(&mut page, daemon);
    requests(&mut page, daemon);
    copies(&mut page, daemon);
    memory(&mut page, daemon);
    models(&mut page, daemon);
    processes(&mut page, daemon);
    batches::render(&mut page, daemon);
    page.0
}

fn connections(page: &mut Text, daemon: &Daemon) {
    let sum = |get: fn(&Counters) -> &Counter| sum(daemon, get);
    let open = daemon.control.connections() as u64;
    page.one("graphpiped_connections", "gauge", "Connections that are open.", open);
    page.one("graphpiped_connections_total", "counter", "Connections accepted.", sum(|c| &c.connections));
    let ended = [
        ("closed", sum(|c| &c.connections_closed)),
        ("broken", sum(|c| &c.connections_broken)),
        ("timed_out", sum(|c| &c.connections_timed_out)),
        ("overloaded", sum(|c| &c.connections_overloaded)),
        ("gone", sum(|c| &c.connections_gone)),
        ("refused", sum(|c| &c.connections_refused)),
        ("not_accepted", sum(|c| &c.accept_errors)),
    ];
    let help = "Connections that ended: all that were accepted (closed), of these in the middle of a request or reply \
                (broken), by a timeout (timed_out), by a backlog (overloaded) or while its requests waited (gone); and those that never began.";
    page.metric("graphpiped_connections_ended_total", "counter", help, labelled("how", ended));
    page.one("graphpiped_received_bytes_total", "counter", "Bytes received.", sum(|c| &c.received_bytes));
    page.one("graphpiped_sent_bytes_total", "counter", "Bytes sent.", sum(|c| &c.sent_bytes));
    let copied = sum(|c| &c.zero_copy_copied);
    let how = [("sent", sum(|c| &c.zero_copy_sends).saturating_sub(copied)), ("copied", copied)];
    let help =
        "Sends of --zero-copy-send: without a copy (sent), and those that the kernel has copied anyway (copied).";
    page.metric("graphpiped_zero_copy_sends_total", "counter", help, labelled("how", how));
    let help = "Times that a reactor lost its core to others while it polled, and stopped polling for a while.";
    page.one("graphpiped_spins_interrupted_total", "counter", help, sum(|c| &c.spins_interrupted));
}

fn requests(page: &mut Text, daemon: &Daemon) {
    let sum = |get: fn(&Counters) -> &Counter| sum(daemon, get);
    let by_protocol = [("native", sum(|c| &c.requests_native)), ("http", sum(|c| &c.requests_http))];
    page.metric("graphpiped_requests_total", "counter", "Requests.", labelled("protocol", by_protocol));
    page.one("graphpiped_http_rejects_total", "counter", "Bytes that were no HTTP request.", sum(|c| &c.http_rejects));
    page.one("graphpiped_replies_ok_total", "counter", "Replies without an error.", sum(|c| &c.replies_ok));
    let errors = Code::ALL.map(|code| {
        let count = daemon.counters.iter().map(|c| c.replies_error[code as usize].get()).sum();
        (code.name(), count)
    });
    page.metric("graphpiped_replies_error_total", "counter", "Replies with an error.", labelled("code", errors));
}

fn copies(page: &mut Text, daemon: &Daemon) {
    let sum = |get: fn(&Counters) -> &Counter| sum(daemon, get);
    let models = |get: fn(&ModelCounters) -> &Counter| {
        daemon.registry.entries().iter().map(|entry| get(&entry.served.counters).get()).sum()
    };
    let copied = [
        ("small_in", sum(|c| &c.copied_small_in)),
        ("small_out", sum(|c| &c.copied_small_out)),
        ("surprise", sum(|c| &c.copied_surprise)),
        ("chunked", sum(|c| &c.copied_chunked)),
        ("align", models(|c| &c.copied_align)),
        ("strings", models(|c| &c.copied_strings)),
        ("slices", models(|c| &c.copied_slices)),
        ("framework", models(|c| &c.copied_framework)),
        ("unaligned", graphpiped_backend_tensorflow::copied_input_bytes()),
        ("rearranged", graphpiped_backend_torch::copied_bytes()),
        ("gather", batches::sum(daemon, |c| &c.copied_gather)),
        ("passed", batches::sum(daemon, |c| &c.copied_passed)),
        ("slow_sender", daemon.copied_apart.get()),
        ("isolation", isolated(daemon).map(|(_, isolated)| isolated.copied_bytes()).sum()),
    ];
    let help = "Bytes of tensors that this process copied.";
    page.metric("graphpiped_copied_bytes_total", "counter", help, labelled("where", copied));
}

fn memory(page: &mut Text, daemon: &Daemon) {
    let stats = daemon.pool.stats();
    let apart = daemon.counters.iter().map(|counters| counters.rows_set_apart.get()).sum();
    page.one("graphpiped_rows_set_apart_total", "counter", "Requests of slow senders that left their rows.", apart);
    page.one("graphpiped_memory_budget_bytes", "gauge", "What --memory allows.", stats.budget_bytes);
    page.one(
        "graphpiped_memory_mapped_bytes",
        "gauge",
        "Lanes, buffers in use or idle, and what isolated runs need.",
        stats.mapped_bytes,
    );
    page.one("graphpiped_memory_lanes_bytes", "gauge", "Set aside for lanes.", stats.set_aside_bytes);
    let help = "What runs of isolated models need beyond the usual.";
    page.one("graphpiped_memory_isolated_bytes", "gauge", help, stats.counted_bytes);
    let help = "What PyTorch's runs have given back and later ones will use, beside --memory.";
    page.one("graphpiped_memory_torch_kept_bytes", "gauge", help, graphpiped_backend_torch::kept_bytes());
    page.one("graphpiped_memory_in_use_bytes", "gauge", "Buffers in use.", stats.in_use_bytes);
    page.one("graphpiped_memory_mapped_total", "counter", "Buffers mapped.", stats.mapped_total);
    page.one("graphpiped_memory_unmapped_total", "counter", "Buffers unmapped.", stats.unmapped_total);
    page.one("graphpiped_memory_exhausted_total", "counter", "Reservations refused.", stats.exhausted_total);
}

fn models(page: &mut Text, daemon: &Daemon) {
    let each = |get: fn(&Entry) -> u64| {
        let entries = daemon.registry.entries().iter();
        entries.map(move |entry| (format!("model=\"{}\"", entry.served.name()), get(entry))).collect::<Vec<_>>()
    };
    let mut counter = |name: &str, help: &str, get: fn(&Entry) -> u64| page.metric(name, "counter", help, each(get));
    counter("graphpiped_model_requests_total", "Requests that fit the model.", |e| e.served.counters.requests.get());
    counter("graphpiped_model_failures_total", "Runs that failed, or had no memory for their outputs.", |e| {
        e.served.counters.failures.get()
    });
    counter("graphpiped_model_panics_total", "Runs that panicked.", |e| e.served.counters.panics.get());
    counter("graphpiped_model_busy_total", "Requests refused by a full queue.", |e| e.served.counters.busy.get());
    counter("graphpiped_model_late_total", "Requests whose deadline passed first.", |e| e.served.counters.late.get());
    counter(
        "graphpiped_model_gone_total",
        "Requests not run, or not to their end, because their client had gone.",
        |e| e.served.counters.gone.get(),
    );
    let seconds = daemon.registry.entries().iter().map(|entry| {
        let nanoseconds = entry.served.counters.run_nanoseconds.get();
        (format!("model=\"{}\"", entry.served.name()), nanoseconds as f64 / 1e9)
    });
    page.metric(
        "graphpiped_model_run_seconds_total",
        "counter",
        "Time in runs, of executors and of reactors.",
        seconds,
    );
    let waiting = each(|entry| entry.queue.len() as u64);
    page.metric("graphpiped_model_queue_requests", "gauge", "Requests that wait for an executor.", waiting);
}

/// The models that have processes of their own.
fn isolated(daemon: &Daemon) -> impl Iterator<Item = (&str, &Isolated)> {
    let entries = daemon.registry.entries().iter();
    entries.filter_map(|entry| Some((entry.served.name(), entry.served.isolated.as_deref()?)))
}

fn processes(page: &mut Text, daemon: &Daemon) {
    let each = |get: fn(&Isolated) -> u64| {
        isolated(daemon).map(move |(name, isolated)| (format!("model=\"{name}\""), get(isolated)))
    };
    let up = each(|isolated| isolated.is_up().into());
    page.metric("graphpiped_isolated_up", "gauge", "Whether the process of a model is up.", up);
    let restarts = each(Isolated::restarts);
    let help = "Processes of a model after the first.";
    page.metric("graphpiped_isolated_restarts_total", "counter", help, restarts);
}

fn sum(daemon: &Daemon, get: fn(&Counters) -> &Counter) -> u64 {
    daemon.counters.iter().map(|counters| get(counters).get()).sum()
}

fn labelled<const N: usize>(label: &str, values: [(&str, u64); N]) -> [(String, u64); N] {
    values.map(|(name, value)| (format!("{label}=\"{name}\""), value))
}

/// Prometheus' text format, version 0.0.4.
#[derive(Default)]
struct Text(String);

impl Text {
    fn one(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.metric(name, kind, help, [(String::new(), value)]);
    }

    /// A histogram: each value with what follows its name.
    fn histogram(&mut self, name: &str, help: &str, values: Vec<(String, u64)>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} histogram");
        for (rest, value) in values {
            let _ = writeln!(self.0, "{name}{rest} {value}");
        }
    }

    fn metric<V: Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        values: impl IntoIterator<Item = (String, V)>,
    ) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in values {
            let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
            let _ = writeln!(self.0, "{name}{braces} {value}");
        }
    }
}
