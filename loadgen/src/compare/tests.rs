//! Comparisons as they stand on the terminal, written out by hand.

use super::compare;
use crate::result::examples::{point, report, round};
use crate::result::{Arrivals, Point, Report, Server};

/// A point with rounds of 1,000 equal replies.
fn rounds(label: &str, rounds: &[(f64, f64, f64)]) -> Point {
    let made = rounds.iter().map(|&(rate, latency_us, cpu)| {
        let mut round = round(rate, &vec![latency_us; 1_000]);
        round.server = Some(Server { cpu_us_per_request: cpu, cores: 0.5, rss_bytes: 1 << 20 });
        round
    });
    point(label, made.collect())
}

fn warnings(a: &Report, b: &Report) -> Vec<String> {
    let text = compare(a, b);
    text.lines().filter_map(|line| Some(line.strip_prefix("warning: ")?.to_owned())).collect()
}

#[test]
fn two_files_are_compared_point_by_point() {
    let a = report(vec![
        rounds(
            "clients=1",
            &[(1_000.0, 2_000.0, 10.0), (1_000.0, 2_000.0, 10.5), (1_000.0, 2_000.0, 11.0), (1_000.0, 2_000.0, 10.2)],
        ),
        rounds("clients=2", &[(1_000.0, 2_000.0, 10.0); 3]),
        rounds("clients=4", &[(1_000.0, 2_000.0, 10.0)]),
    ]);
    let b = report(vec![
        rounds("clients=2", &[(2_000.0, 1_000.0, 10.0); 3]),
        rounds(
            "clients=1",
            &[(1_100.0, 4_000.0, 9.0), (1_200.0, 4_000.0, 8.0), (1_300.0, 4_000.0, 9.5), (1_400.0, 4_000.0, 9.1)],
        ),
    ]);
    // Rates: of the 16 ratios 1.1, 1.2, 1.3 and 1.4 four times each, the middle is √(1.2 · 1.3) = 1.249. Latency: 4.00 by 2.00 ms.
    // Processor time: the least ratio is 8 / 11 = 0.727, the greatest 9.5 / 10 = 0.950; the middle two of all are
    // 9.5 / 11 = 0.8636 and 9.1 / 10.5 = 0.8667. Four rounds each: 1 − 2/70 = 97.1 %; three each: 1 − 2/20 = 90 %.
    let expected = "\
a  tcp://127.0.0.1:9000 (native), graphpiped 0.1.0
b  tcp://127.0.0.1:9000 (native), graphpiped 0.1.0
warning: only a has the points `clients=4`

clients=1   a         b         b/a
rate        1.00 K/s  1.25 K/s  1.249 (1.100–1.400, 97.1 %)  faster
p50         2.00 ms   4.00 ms   2.000 (2.000–2.000, 97.1 %)  slower
p90         2.00 ms   4.00 ms   2.000 (2.000–2.000, 97.1 %)  slower
p99         2.00 ms   4.00 ms   2.000 (2.000–2.000, 97.1 %)  slower
p99.9       –         –         –
server CPU  10.3 µs   9.05 µs   0.865 (0.727–0.950, 97.1 %)  cheaper

clients=2   a         b         b/a
rate        1.00 K/s  2.00 K/s  2.000 (2.000–2.000, 90 %)  too few rounds
p50         2.00 ms   1.00 ms   0.500 (0.500–0.500, 90 %)  too few rounds
p90         2.00 ms   1.00 ms   0.500 (0.500–0.500, 90 %)  too few rounds
p99         2.00 ms   1.00 ms   0.500 (0.500–0.500, 90 %)  too few rounds
p99.9       –         –         –
server CPU  10.0 µs   10.0 µs   1.000 (1.000–1.000, 90 %)  too few rounds

Medians of the rounds; b/a is the median of all ratios, with the interval of Mann and Whitney and its confidence.
An interval of 95 % misses one time in twenty. What changed on the machine between the two files counts as a difference;
`graphpipe-loadgen ab` measures in turns.
";
    assert_eq!(compare(&a, &b), expected);
}

#[test]
fn what_is_not_alike_is_said() {
    let a = report(vec![rounds("", &[(1_000.0, 2_000.0, 10.0)])]);
    assert!(warnings(&a, &a).is_empty());
    let mut b = a.clone();
    b.target.address = "unix:/run/graphpiped.sock".to_owned();
    b.target.protocol = "http".to_owned();
    b.target.signature = "digits: x float32[?] -> y float32[?]".to_owned();
    b.target.request_bytes = 1_241;
    b.machine.cores = 4;
    b.version = "0.2.0".to_owned();
    b.points[0].load.arrivals = Arrivals::Constant;
    b.points[0].load.rate = Some(500.0);
    let expected = [
        "the targets differ: tcp://127.0.0.1:9000 and unix:/run/graphpiped.sock",
        "the protocols differ: native and http",
        "the models differ: digits: image float32[?,64] -> digit int64[?] and digits: x float32[?] -> y float32[?]",
        "the requests differ: 1240 bytes with 4 rows and 1241 bytes with 4 rows",
        "the machines differ: Example 3000, 2 cores, Linux 6.12 x86_64, TCP cubic and Example 3000, 4 cores, Linux 6.12 x86_64, TCP cubic",
        "the versions of graphpipe-loadgen differ: 0.1.0 and 0.2.0",
        "the loads differ: closed loop, 8 clients × 4 under way, 2 threads and open loop, 500 /s by the clock, 8 clients × 4 under way, 2 threads",
    ];
    assert_eq!(warnings(&a, &b), expected);
}

#[test]
fn errors_bottlenecks_and_other_programs_are_said_of_either() {
    let a = report(vec![rounds("", &[(1_000.0, 2_000.0, 10.0)])]);
    let mut b = a.clone();
    b.points[0].rounds[0].errors.insert("timeout".to_owned(), 2);
    b.points[0].rounds[0].generator.bottleneck = Some("its busiest thread never slept".to_owned());
    b.points[0].rounds[0].rate = 777_000.0;
    b.machine.others_busy = Some(0.1);
    let of = |name: &str| {
        [
            format!("{name}: 2 of 1,002 requests failed: 2 × timeout."),
            format!(
                "{name}: the generator is the bottleneck in 1 of 1 rounds, which do not count: its busiest thread never slept"
            ),
            format!("{name}: other programs used 10 % of the machine meanwhile; the numbers are theirs as well"),
        ]
    };
    assert_eq!(warnings(&a, &b), of("b"));
    assert_eq!(warnings(&b, &a), of("a"));
    let text = compare(&a, &b);
    assert!(text.contains("rate        1.00 K/s  –        –\n"), "{text}");
    assert!(!text.contains("777"), "{text}");
}

#[test]
fn more_rounds_than_count_are_said() {
    let a = report(vec![rounds("", &[(1_000.0, 2_000.0, 10.0); 4])]);
    let mut b = a.clone();
    b.points[0].rounds = vec![b.points[0].rounds[0].clone(); 101];
    assert_eq!(warnings(&a, &b), ["b has more than 100 rounds of a point; the first 100 count for intervals"]);
}

#[test]
fn files_without_a_common_point_are_not_compared() {
    let a = report(vec![rounds("clients=1", &[(1_000.0, 2_000.0, 10.0)])]);
    let b = report(vec![rounds("clients=2", &[(1_000.0, 2_000.0, 10.0)])]);
    assert!(compare(&a, &b).ends_with(
        "warning: only a has the points `clients=1`\nwarning: only b has the points `clients=2`\n\
         Nothing was compared: the two have no point in common.\n"
    ));
}
