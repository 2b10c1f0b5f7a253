//! Results for spreadsheets: one line for each point and round. Read by others, never by this program.
//!
//! The columns, in this order; a cell is empty where nothing was measured:
//!
//! | column | is |
//! | --- | --- |
//! | `point`, `round` | the point's label, and the round's number from 1 |
//! | `clients`, `pipeline`, `threads`, `arrivals`, `intended_rate` | the load; the rate in requests per second, of an open loop |
//! | `seconds`, `answered` | length of the window, and replies with outputs within it |
//! | `rate`, `sent_bytes_per_s`, `received_bytes_per_s` | per second |
//! | `latency_min_us` … `latency_max_us` | microseconds |
//! | `failed`, `errors` | requests without outputs; by kind, as `2 x timeout; 1 x connect` |
//! | `sent_late`, `own_fault`, `late_p50_us`, `late_p99_us`, `late_max_us` | how far sends were behind |
//! | `generator_busy`, `generator_bottleneck` | 0 to 1; and, in a sentence, why the numbers would be the generator's: then the cells of rate, bytes and latency are empty |
//! | `server_cpu_us_per_request`, `server_cores`, `server_rss_bytes` | the server's processes |
//! | `batches`, `batch_rows` | batches that ran, and their rows |
//! | `verified` | replies that were compared |

use super::summary::Metric;
use super::verdict::{failed, kinds};
use super::{Arrivals, Point, Report, Round};
use std::io::Write;

const COLUMNS: [&str; 36] = [
    "point",
    "round",
    "clients",
    "pipeline",
    "threads",
    "arrivals",
    "intended_rate",
    "seconds",
    "answered",
    "rate",
    "sent_bytes_per_s",
    "received_bytes_per_s",
    "latency_min_us",
    "latency_mean_us",
    "latency_p50_us",
    "latency_p90_us",
    "latency_p95_us",
    "latency_p99_us",
    "latency_p999_us",
    "latency_p9999_us",
    "latency_max_us",
    "failed",
    "errors",
    "sent_late",
    "own_fault",
    "late_p50_us",
    "late_p99_us",
    "late_max_us",
    "generator_busy",
    "generator_bottleneck",
    "server_cpu_us_per_request",
    "server_cores",
    "server_rss_bytes",
    "batches",
    "batch_rows",
    "verified",
];

/// Writes the columns' names and a line for each round. The error is a sentence.
pub fn write(writer: impl Write, report: &Report) -> Result<(), String> {
    let fail = |error: csv::Error| format!("the table cannot be written: {error}");
    let mut table = csv::Writer::from_writer(writer);
    table.write_record(COLUMNS).map_err(fail)?;
    for point in &report.points {
        for (at, round) in point.rounds.iter().enumerate() {
            table.write_record(line(point, at, round)).map_err(fail)?;
        }
    }
    table.flush().map_err(|error| format!("the table cannot be written: {error}"))
}

fn line(point: &Point, at: usize, round: &Round) -> Vec<String> {
    let mut line = vec![point.label.clone(), (at + 1).to_string()];
    line.extend(load(point));
    line.extend([round.seconds.to_string(), round.answered.to_string()]);
    line.extend([Metric::Rate, Metric::SentBytes, Metric::ReceivedBytes].map(|metric| cell(metric.of(round))));
    line.extend(latency(round));
    line.extend([failed(round).to_string(), kinds(&round.errors, " x ", "; ")]);
    let late = round.late.as_ref();
    line.extend([cell(late.map(|late| late.sent_late)), cell(late.map(|late| late.own_fault))]);
    line.extend([cell(late.map(|late| late.p50_us)), cell(late.map(|late| late.p99_us))]);
    line.push(cell(late.map(|late| late.max_us)));
    line.extend([round.generator.busy.to_string(), cell(round.generator.bottleneck.as_deref())]);
    let server = round.server.as_ref();
    line.extend([cell(server.map(|server| server.cpu_us_per_request)), cell(server.map(|server| server.cores))]);
    line.push(cell(server.map(|server| server.rss_bytes)));
    let batches = round.batches.as_ref();
    line.extend([cell(batches.map(|batches| batches.count)), cell(batches.map(|batches| batches.rows))]);
    line.push(cell(round.verified));
    line
}

fn load(point: &Point) -> [String; 5] {
    let load = &point.load;
    let arrivals = match load.arrivals {
        Arrivals::Closed => "closed",
        Arrivals::Constant => "constant",
        Arrivals::Poisson => "poisson",
        Arrivals::Replay => "replay",
    };
    [
        load.clients.to_string(),
        load.pipeline.to_string(),
        load.threads.to_string(),
        arrivals.to_owned(),
        cell(load.rate),
    ]
}

fn latency(round: &Round) -> [String; 9] {
    let Some(found) = round.latency_us.as_ref().filter(|_| round.generator.bottleneck.is_none()) else {
        return std::array::from_fn(|_| String::new());
    };
    [found.min, found.mean, found.p50, found.p90, found.p95, found.p99, found.p999, found.p9999, found.max]
        .map(|us| us.to_string())
}

fn cell(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::examples::{point, report, round};
    use super::super::{Batches, Late, Server};
    use super::*;

    fn written(report: &Report) -> String {
        let mut text = Vec::new();
        write(&mut text, report).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn every_round_is_a_line_under_the_columns_names() {
        let mut full = round(1_234.5, &[1.0]);
        full.errors.extend([("connect".to_owned(), 1), ("timeout".to_owned(), 2)]);
        full.late = Some(Late { sent_late: 2, own_fault: 1, p50_us: 0.5, p99_us: 12.0, max_us: 1_500.0 });
        full.server = Some(Server { cpu_us_per_request: 12.5, cores: 0.75, rss_bytes: 4_096 });
        full.batches = Some(Batches { count: 2, rows: 9.0, buckets: vec![] });
        full.verified = Some(4);
        let mut limited = round(9.0, &[1.0]);
        limited.generator.bottleneck = Some("its busiest thread, one of 2, never slept".to_owned());
        let mut point = point("clients=8, pipeline=4", vec![full, limited]);
        point.load.arrivals = Arrivals::Poisson;
        point.load.rate = Some(2_000.0);
        let expected = "\
point,round,clients,pipeline,threads,arrivals,intended_rate,seconds,answered,rate,sent_bytes_per_s,received_bytes_per_s,\
latency_min_us,latency_mean_us,latency_p50_us,latency_p90_us,latency_p95_us,latency_p99_us,latency_p999_us,\
latency_p9999_us,latency_max_us,failed,errors,sent_late,own_fault,late_p50_us,late_p99_us,late_max_us,generator_busy,\
generator_bottleneck,server_cpu_us_per_request,server_cores,server_rss_bytes,batches,batch_rows,verified
\"clients=8, pipeline=4\",1,8,4,2,poisson,2000,10,1,1234.5,1234500,123450,1,1,1,1,1,1,1,1,1,3,2 x timeout; 1 x connect,\
2,1,0.5,12,1500,0.25,,12.5,0.75,4096,2,9,4
\"clients=8, pipeline=4\",2,8,4,2,poisson,2000,10,1,,,,,,,,,,,,,0,,,,,,,0.25,\"its busiest thread, one of 2, never slept\"\
,,,,,,
";
        assert_eq!(written(&report(vec![point])), expected);
    }

    #[test]
    fn a_round_without_replies_has_all_cells_and_empty_ones_for_latency() {
        let text = written(&report(vec![point("", vec![round(0.0, &[])])]));
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap().len(), 36);
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 1);
        assert_eq!(&rows[0][8], "0", "answered");
        assert_eq!(&rows[0][14], "", "no p50 of no replies");
    }
}
