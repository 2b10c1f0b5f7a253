//! Tables as they stand on the terminal, written out by hand.

use super::super::Server;
use super::super::examples::{point, report, round};
use super::*;

/// Latencies in milliseconds, each so many times.
fn replies(rate: f64, milliseconds: &[(f64, usize)]) -> super::super::Round {
    let latencies: Vec<f64> = milliseconds.iter().flat_map(|&(ms, times)| vec![ms * 1e3; times]).collect();
    round(rate, &latencies)
}

/// 900 of the 3,000 replies take 1 ms, 900 take 1.5 ms, 1,000 take 2 ms, 100 take 3 ms and 100 take 5 ms.
fn three_rounds() -> Vec<super::super::Round> {
    vec![
        replies(4_000.0, &[(1.0, 900), (3.0, 100)]),
        replies(4_050.0, &[(2.0, 1_000)]),
        replies(3_950.0, &[(1.5, 900), (5.0, 100)]),
    ]
}

#[test]
fn one_point_is_a_block() {
    let mut rounds = three_rounds();
    for (round, cpu) in rounds.iter_mut().zip([12.0, 12.5, 11.5]) {
        round.server = Some(Server { cpu_us_per_request: cpu, cores: 0.5, rss_bytes: 34 << 20 });
        round.late = Some(Late { sent_late: 4, own_fault: 1, p50_us: 2.0, p99_us: 40.0, max_us: 1_500.0 });
        round.batches = Some(Batches { count: 500, rows: 2_000.0, buckets: vec![(Some(1.0), 50), (Some(8.0), 450)] });
        round.verified = Some(1_000);
    }
    rounds[1].errors.insert("timeout".to_owned(), 2);
    rounds[2].errors.insert("connect".to_owned(), 1);
    rounds[1].error_texts.insert("timeout".to_owned(), "no reply within 1 s".to_owned());
    let expected = "\
graphpipe-loadgen 0.1.0
target   tcp://127.0.0.1:9000 (native), graphpiped 0.1.0
model    digits: image float32[?,64] -> digit int64[?]
request  1.21 KiB with 4 rows, 16 different
load     closed loop, 8 clients × 4 under way, 2 threads
machine  Example 3000, 2 cores, Linux 6.12 x86_64, TCP cubic; others used 0.4 % of it

rounds      3 of 10.0 s
answered    3,000
rate        4.00 K/s (3.95–4.05)
sent        4.00 MB/s (3.95–4.05)
received    400 KB/s (395–405)
late sends  12 by more than 1 ms, 3 of them the generator's own fault; behind by p50 2.00 µs, p99 40.0 µs, max 1.50 ms
generator   busiest thread 25 % busy
server CPU  12.0 µs (11.5–12.5) for each request, 0.500 (0.500–0.500) cores busy
server RSS  34.0 MiB (34.0–34.0)
batches     1,500 of 4.00 rows on average: ≤1: 10 %, ≤8: 90 %
verified    3,000 replies
latency   median of rounds (min–max)  all rounds
  p50     1.50 ms (1.00–2.00)         1.50 ms
  p90     1.50 ms (1.00–2.00)         2.00 ms
  p95     3.00 ms (2.00–5.00)         3.00 ms
  p99     3.00 ms (2.00–5.00)         5.00 ms
  p99.9   –                           –
  p99.99  –                           –
  max     3.00 ms (2.00–5.00)         5.00 ms
failed: 2 × timeout, 1 × connect
  the first timeout: no reply within 1 s
3 of 3,003 requests failed: 2 × timeout, 1 × connect.
";
    assert_eq!(render(&report(vec![point("", rounds)])), expected);
}

#[test]
fn several_points_are_lines_of_a_table() {
    let mut limited = replies(812_000.0, &[(0.01, 1_000)]);
    limited.generator.bottleneck = Some("its busiest thread was busy for 99 % of the window".to_owned());
    let mut refused = replies(10.0, &[(1.0, 20)]);
    refused.errors.insert("busy (5)".to_owned(), 1_000);
    let points = vec![
        point("clients=1", three_rounds()),
        point("clients=2", vec![limited.clone(), limited]),
        point("clients=4", vec![refused]),
    ];
    let expected = "\
point                      rate      p50      p90                  p99  p99.9      max  failed
clients=1  4.00 K/s (3.95–4.05)  1.50 ms  1.50 ms  3.00 ms (2.00–5.00)      –  3.00 ms       0
clients=2             ≥ 812 K/s        –        –                    –      –        –       0
clients=4               10.0 /s  1.00 ms        –                    –      –  1.00 ms   1,000
Medians of the rounds, in brackets the least and the greatest.
clients=2: the generator is the bottleneck: its busiest thread was busy for 99 % of the window
clients=4: failed: 1,000 × busy (5)
1,000 of 6,020 requests failed: 1,000 × busy (5).
";
    let text = render(&report(points));
    let (_, after_header) = text.split_once("\n\n").unwrap();
    assert_eq!(after_header, expected);
    assert!(text.contains("2 threads (the first point)\n"));
}

#[test]
fn where_the_generator_is_the_bottleneck_no_rate_and_no_latency_is_printed() {
    let mut limited = replies(812_000.0, &[(0.777, 200_000)]);
    limited.generator.bottleneck = Some("its busiest thread never slept".to_owned());
    let mut open = point("", vec![limited.clone()]);
    open.load.arrivals = Arrivals::Constant;
    open.load.rate = Some(900_000.0);
    let text = render(&report(vec![open]));
    assert!(text.contains("load     open loop, 900 K/s by the clock, 8 clients"), "{text}");
    assert!(text.contains("rate       –\n"), "{text}");
    assert!(!text.contains("812") && !text.contains("777"), "{text}");
    assert!(text.contains("\nthe generator is the bottleneck: its busiest thread never slept\n"), "{text}");

    let mixed = render(&report(vec![point("", vec![limited, replies(4_000.0, &[(2.0, 1_000)])])]));
    assert!(mixed.contains("rate       4.00 K/s\n"), "{mixed}");
    assert!(mixed.contains("the generator is the bottleneck in 1 of 2 rounds, which do not count: its"), "{mixed}");
    assert!(!mixed.contains("812") && !mixed.contains("777"), "{mixed}");
}

#[test]
fn a_machine_that_others_use_is_warned_about() {
    let mut report = report(vec![point("", three_rounds())]);
    report.machine.others_busy = None;
    assert!(render(&report).contains("TCP cubic\n"), "nothing is said of what was not measured");
    report.machine.others_busy = Some(0.02);
    assert!(!render(&report).contains("warning"));
    report.machine.others_busy = Some(0.15);
    let warning = "warning: other programs used 15 % of the machine meanwhile; the numbers are theirs as well\n";
    assert!(render(&report).contains(warning));
}

#[test]
fn the_knee_is_a_sentence() {
    let mut report = report(vec![point("", three_rounds())]);
    let mut knee = |rate, failed_at, remark: Option<&str>| {
        let remark = remark.map(str::to_owned);
        report.knee = Some(Knee { objective: "p99<5ms".to_owned(), rate, failed_at, remark });
        render(&report).lines().find(|line| line.starts_with("knee")).unwrap().to_owned()
    };
    assert_eq!(knee(Some(12_300.0), Some(12_900.0), None), "knee: p99<5ms holds at 12.3 K/s and no longer at 12.9 K/s");
    assert_eq!(knee(Some(12_300.0), None, None), "knee: p99<5ms holds at 12.3 K/s, the highest rate tried");
    assert_eq!(knee(None, Some(100.0), None), "knee: p99<5ms does not hold even at 100 /s");
    assert_eq!(knee(None, Some(100.0), Some("it died")), "knee: p99<5ms does not hold at 100 /s; it died");
}

#[test]
fn what_the_server_says_cannot_write_to_the_terminal() {
    let mut rounds = three_rounds();
    rounds[0].errors.insert("error".to_owned(), 1);
    rounds[0].error_texts.insert("error".to_owned(), "\u{1b}[2Jgone\nNo request failed: 1 request.".to_owned());
    let mut report = report(vec![point("", rounds)]);
    report.target.server = "\u{1b}]0;title\u{7}".to_owned();
    let text = render(&report);
    assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'));
    assert!(text.contains("the first error: \u{fffd}[2Jgone No request failed: 1 request.\n"));
}

#[test]
fn a_report_without_points_is_not_a_panic() {
    assert!(render(&report(vec![])).ends_with("No request was answered, and none failed.\n"));
}
